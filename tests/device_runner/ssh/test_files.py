"""Files pushed to and pulled from a board over SSH."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from device_runner import transports
from device_runner.deadline import Deadline, DeadlineExpired
from device_runner.retry import with_backoff
from device_runner.transports import ssh_command, ssh_login
from device_runner.transports.base import Stat, Transport
from edgedeploy.bundle import file_sha256
from edgedeploy.errors import TransientError, UserError
from tests.bench_hosts import fault_proxy
from tests.bench_hosts.fault_proxy import FaultProxy
from tests.bench_hosts.sshd import Sshd
from tests.device_runner.confined import OUTSIDE, require_refused
from tests.device_runner.ssh.conftest import below, command_lines, eventually, nap, soon


def test_push_sends_once_and_again_only_when_the_content_differs(
    over_cable: Transport, cable: FaultProxy, source: Path
) -> None:
    before = cable.sent
    assert over_cable.push(source, "store/model", soon()) is True
    assert cable.sent - before > source.stat().st_size
    before = cable.sent
    assert over_cable.push(source, "store/model", soon()) is False
    assert cable.sent - before < 10_000
    source.write_bytes(b"other")
    assert over_cable.push(source, "store/model", soon()) is True
    assert Path(over_cable.path("store/model")).read_bytes() == b"other"
    assert below(over_cable) == ["store/model"]


def test_push_repairs_a_file_that_was_damaged_there(device: Transport, source: Path) -> None:
    device.push(source, "model", soon())
    there = Path(device.path("model"))
    there.write_bytes(there.read_bytes()[:-1] + b"x")
    assert device.push(source, "model", soon()) is True
    assert there.read_bytes() == source.read_bytes()


def test_a_file_that_is_not_what_is_known_of_it_arrives_under_no_name(device: Transport, source: Path) -> None:
    with pytest.raises(TransientError, match="arrived damaged"):
        device.push(source, "store/model", soon(), sha256="0" * 64)
    assert below(device) == []
    assert device.push(source, "store/model", soon(), sha256=file_sha256(source))


def test_a_pushed_file_is_for_its_owner_alone_and_may_be_a_program(device: Transport, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho ran\n")
    device.push(program, "bin/program", soon(), executable=True)
    assert device.run([device.path("bin/program")], soon()).text == "ran\n"
    # there already, and not to be run
    assert device.push(program, "bin/program", soon()) is False
    assert {oct(Path(device.path(name)).stat().st_mode & 0o777) for name in ("bin", "bin/program")} == {"0o700", "0o600"}
    assert Path(device.path("x")).parent.stat().st_mode & 0o777 == 0o700


def test_names_are_only_names(device: Transport, tmp_path: Path, source: Path) -> None:
    for name in ("-rf", "a b", "$(touch hacked)", "it's", "*", "ü", "new\nline", ";id", "`id`"):
        path = f"{name}/{name}"
        assert device.push(source, path, soon()) is True
        assert device.push(source, path, soon()) is False
        assert device.stat(path, soon()) == Stat("file", source.stat().st_size)
        device.pull(path, tmp_path / "fetched", soon())
        assert (tmp_path / "fetched").read_bytes() == source.read_bytes()
        device.remove(name, soon())
        assert below(device) == []


def test_a_push_over_a_pulled_cable_leaves_nothing_and_is_done_again(
    over_cable: Transport, cable: FaultProxy, source: Path
) -> None:
    cable.plan("cut", 2**20)
    with pytest.raises(TransientError, match="connection"):
        over_cable.push(source, "store/model", soon())
    assert over_cable.stat("store/model", soon()) is None
    cable.plan("cut", 2**20, times=2)
    assert with_backoff(lambda: over_cable.push(source, "store/model", soon())) is True
    assert cable.faults == 3
    assert Path(over_cable.path("store/model")).read_bytes() == source.read_bytes()
    assert below(over_cable) == ["store/model"]


def test_a_push_over_a_cable_that_corrupts_is_never_taken_for_whole(
    over_cable: Transport, cable: FaultProxy, source: Path
) -> None:
    cable.plan("corrupt", 2**20)
    with pytest.raises(TransientError):
        over_cable.push(source, "model", soon())
    assert with_backoff(lambda: over_cable.push(source, "model", soon())) is True
    assert below(over_cable) == ["model"]


def test_a_push_over_a_cable_that_stalls_ends_in_time(
    over_cable: Transport, cable: FaultProxy, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_command, "GRACE_SEC", 0.5)
    cable.plan("stall", 2**20)
    with pytest.raises(DeadlineExpired):
        over_cable.push(source, "model", Deadline.after(3))
    assert not Path(over_cable.path("model")).exists()
    cable.flow()
    assert over_cable.push(source, "model", soon()) is True
    assert below(over_cable) == ["model"]


def test_a_peer_that_fell_silent_is_noticed_without_a_deadline_of_ours(
    board: Sshd, cable: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_login, "_KEEPALIVE_SEC", 0.5)
    monkeypatch.setattr(ssh_command, "GRACE_SEC", 0.5)
    transport = transports.connect(board.target(cable.port))
    threading.Timer(1, cable.stall).start()
    with pytest.raises(TransientError, match="connection was lost"):
        transport.run(["sleep", nap(18)], Deadline.after(600))
    cable.flow()
    assert transport.run(["true"], soon()).exit_code == 0
    assert eventually(lambda: command_lines(nap(18)) == [])
    transport.close()


def test_a_full_disk_is_said_and_leaves_nothing_half(board: Sshd, source: Path) -> None:
    assert os.geteuid() == 0, "needs root, for a small file system of its own"
    small = board.directory / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=True)
    try:
        transport = transports.connect(board.target(work_root=str(small / "work")))
        with pytest.raises(UserError, match=r"no room on the device: it has 2\.0 MiB free and 3\.0 are needed"):
            transport.push(source, "store/model", soon())
        # it fills while a file is on its way: what was free is taken by somebody else
        source.write_bytes(os.urandom(int(1.5 * 2**20)))
        filled = threading.Timer(0.5, lambda: (small / "other").write_bytes(b"x" * 2**20))
        with fault_proxy.between(board.port) as cable:
            board.know(cable.port)
            slow = transports.connect(board.target(cable.port, work_root=str(small / "work")))
            cable.bytes_per_sec = 500_000
            filled.start()
            with pytest.raises(UserError, match="no room on the device: it is full"):
                slow.push(source, "store/model", soon())
            slow.close()
        assert below(transport) == []
        transport.close()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_pull_brings_a_file_whole_or_not_at_all(over_cable: Transport, cable: FaultProxy, source: Path, tmp_path: Path) -> None:
    fetched = tmp_path / "out" / "fetched"
    fetched.parent.mkdir()
    over_cable.push(source, "samples", soon())
    over_cable.pull("samples", fetched, soon())
    assert fetched.read_bytes() == source.read_bytes()
    with pytest.raises(TransientError, match="not on the device"):
        over_cable.pull("gone", tmp_path / "out" / "other", soon())
    cable.bytes_per_sec = 3 * 2**20
    threading.Timer(0.5, cable.cut).start()
    with pytest.raises(TransientError):
        over_cable.pull("samples", tmp_path / "out" / "other", soon())
    assert list(fetched.parent.iterdir()) == [fetched]


def test_a_file_without_end_is_given_up(device: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device_runner.transports.ssh.MAX_PULL_BYTES", 2**20)
    Path(device.path("endless")).write_bytes(b"x" * 2**22)
    with pytest.raises(TransientError, match="no end"):
        device.pull("endless", tmp_path / "fetched", soon())
    assert not (tmp_path / "fetched").exists()
    # and what is no plain file is none to be fetched
    os.symlink("/dev/zero", device.path("zero"))
    os.mkfifo(device.path("pipe"))
    for name in ("zero", "pipe"):
        assert device.stat(name, soon()) == Stat("other", 0)
        with pytest.raises(TransientError, match="not on the device"):
            device.pull(name, tmp_path / "fetched", soon())


@pytest.mark.parametrize("path", OUTSIDE)
def test_paths_stay_inside_the_work_root(device: Transport, tmp_path: Path, source: Path, path: str) -> None:
    require_refused(device, path, source, tmp_path)


def test_a_planted_link_leads_nowhere(device: Transport, tmp_path: Path, source: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"x")
    os.symlink(outside, device.path("link"))
    for call in (
        lambda: device.push(source, "link/file", soon()),
        lambda: device.push(source, "link/deep/file", soon()),
        lambda: device.pull("link/kept", tmp_path / "fetched", soon()),
        lambda: device.remove("link/kept", soon()),
        lambda: device.stat("link/kept", soon()),
    ):
        with pytest.raises(UserError, match="leads out"):
            call()
    device.remove("link", soon())
    assert [path.name for path in outside.iterdir()] == ["kept"]
    # a link where a file is to be is replaced, and what it leads to is not written
    os.symlink(outside / "kept", device.path("model"))
    assert device.push(source, "model", soon()) is True
    assert (outside / "kept").read_bytes() == b"x"


def test_a_directory_in_the_way_is_said(device: Transport, source: Path) -> None:
    Path(device.path("model")).mkdir()
    with pytest.raises(UserError, match="a directory of that name"):
        device.push(source, "model", soon())


def test_stat_and_remove(device: Transport) -> None:
    Path(device.path("d")).mkdir()
    Path(device.path("d/f")).write_bytes(b"123")
    assert device.stat("d/f", soon()) == Stat("file", 3)
    assert device.stat("d", soon()) == Stat("directory", 0)
    device.remove("d", soon())
    device.remove("d", soon())
    assert device.stat("d", soon()) is None
    assert device.stat("d/f", soon()) is None
