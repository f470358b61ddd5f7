import os
import signal
import sys
from pathlib import Path

import pytest

from device_runner import transports
from device_runner.deadline import Deadline, DeadlineExpired
from device_runner.transports.base import Completed, Stat, Target
from device_runner.transports.local import LocalTransport
from edgedeploy.errors import TransientError, UserError
from tests.device_runner.confined import OUTSIDE, require_refused

SOON = 30.0


@pytest.fixture
def device(tmp_path: Path) -> LocalTransport:
    return LocalTransport(tmp_path / "device")


def soon() -> Deadline:
    return Deadline.after(SOON)


def test_arguments_reach_the_program_as_they_are(device: LocalTransport) -> None:
    odd = ["a b", "$HOME", ";rm -rf /", "it's", "", "*"]
    done = device.run([sys.executable, "-c", "import sys; print(sys.argv[1:])", *odd], soon())
    assert (done.exit_code, done.text.strip()) == (0, repr(odd))


def test_exit_code_and_both_streams_come_back(device: LocalTransport) -> None:
    done = device.run(["sh", "-c", "echo out; echo err >&2; exit 3"], soon())
    assert done == Completed(3, b"out\n", b"err\n")


def test_a_signal_is_128_and_its_number(device: LocalTransport) -> None:
    assert device.run(["sh", "-c", "kill -9 $$"], soon()).exit_code == 128 + signal.SIGKILL


def test_a_program_that_is_not_there_is_127(device: LocalTransport) -> None:
    assert device.run(["/no/such/program"], soon()).exit_code == 127


def test_past_its_deadline_a_program_is_ended_with_its_children(device: LocalTransport, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(DeadlineExpired):
        device.run(["sh", "-c", f"sleep 600 & echo $! > {pid_file}; wait"], Deadline.after(0.5))
    child = int(pid_file.read_text())
    # a zombie of nobody's may stay for a moment; it runs nothing
    state = Path(f"/proc/{child}/stat").read_text().split()[2] if Path(f"/proc/{child}").exists() else "gone"
    assert state in ("Z", "X", "gone")


def test_the_users_environment_does_not_reach_the_device(device: LocalTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert b"OMP_NUM_THREADS" not in device.run(["env"], soon()).stdout


def test_stream_gives_lines_as_they_come_and_closing_ends_the_program(device: LocalTransport) -> None:
    lines = device.stream(["sh", "-c", "echo one; echo two; exec sleep 600"], soon())
    assert [next(lines), next(lines)] == [b"one", b"two"]
    lines.close()  # type: ignore[attr-defined]


def test_stream_gives_a_last_line_without_an_end(device: LocalTransport) -> None:
    assert list(device.stream(["printf", "a\nb"], soon())) == [b"a", b"b"]


def test_push_sends_once_and_again_only_when_the_content_differs(device: LocalTransport, tmp_path: Path) -> None:
    source = tmp_path / "model"
    source.write_bytes(b"first")
    assert device.push(source, "store/model", soon()) is True
    assert device.push(source, "store/model", soon()) is False
    source.write_bytes(b"other")
    assert device.push(source, "store/model", soon()) is True
    assert Path(device.path("store/model")).read_bytes() == b"other"


def test_push_repairs_a_file_that_was_damaged_there(device: LocalTransport, tmp_path: Path) -> None:
    source = tmp_path / "model"
    source.write_bytes(b"whole")
    device.push(source, "model", soon())
    Path(device.path("model")).write_bytes(b"wholx")
    assert device.push(source, "model", soon()) is True
    assert Path(device.path("model")).read_bytes() == b"whole"


def test_a_push_that_runs_out_of_time_leaves_nothing_behind(device: LocalTransport, tmp_path: Path) -> None:
    source = tmp_path / "model"
    source.write_bytes(b"x" * 100)
    with pytest.raises(DeadlineExpired):
        device.push(source, "store/model", Deadline.after(-1))
    assert list(Path(device.path("store/model")).parent.iterdir()) == []


def test_push_can_make_a_program(device: LocalTransport, tmp_path: Path) -> None:
    source = tmp_path / "program"
    source.write_text("#!/bin/sh\necho ran\n")
    device.push(source, "bin/program", soon(), executable=True)
    assert device.run([device.path("bin/program")], soon()).text == "ran\n"


def test_pull_brings_a_file_whole_and_a_missing_one_is_transient(device: LocalTransport, tmp_path: Path) -> None:
    Path(device.path("out")).write_bytes(b"samples")
    device.pull("out", tmp_path / "fetched", soon())
    assert (tmp_path / "fetched").read_bytes() == b"samples"
    with pytest.raises(TransientError):
        device.pull("gone", tmp_path / "other", soon())
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("path", OUTSIDE)
def test_paths_stay_inside_the_work_root(device: LocalTransport, tmp_path: Path, path: str) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"x")
    require_refused(device, path, source, tmp_path)


def test_a_planted_link_leads_nowhere(device: LocalTransport, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"x")
    os.symlink(outside, Path(device.path("link")))
    source = tmp_path / "file"
    source.write_bytes(b"x")
    with pytest.raises(UserError):
        device.push(source, "link/file", soon())
    with pytest.raises(UserError):
        device.remove("link/kept", soon())
    device.remove("link", soon())
    assert (outside / "kept").exists()
    assert device.stat("link", soon()) is None


def test_stat_and_remove(device: LocalTransport) -> None:
    Path(device.path("d")).mkdir()
    Path(device.path("d/f")).write_bytes(b"123")
    assert device.stat("d/f", soon()) == Stat("file", 3)
    found = device.stat("d", soon())
    assert found is not None
    assert found.kind == "directory"
    device.remove("d", soon())
    device.remove("d", soon())
    assert device.stat("d", soon()) is None


def test_device_and_host_share_their_ports(device: LocalTransport) -> None:
    assert device.forward(1234, soon()) == device.reverse(1234, soon()) == 1234


def test_an_unknown_transport_names_those_there_are() -> None:
    with pytest.raises(UserError, match="local"):
        transports.connect(Target("pigeon"))
