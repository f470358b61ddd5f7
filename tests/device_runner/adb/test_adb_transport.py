"""What a transport promises, on Debian's real adbd, through a real adb server and by the library."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import threading
import time
from pathlib import Path

import pytest

from device_runner.deadline import Deadline, DeadlineExpired
from device_runner.transports.adb import shell
from device_runner.transports.adb.transport import AdbTransport
from device_runner.transports.base import Completed, Stat
from edgedeploy.bundle import file_sha256
from edgedeploy.errors import TransientError, UserError
from tests.bench_hosts.adbd import Phone
from tests.bench_hosts.fault_proxy import FaultProxy
from tests.device_runner.adb.conftest import Connect, serial_of, soon
from tests.device_runner.confined import OUTSIDE, require_refused

#: as a name and as an argument: everything that a shell would do something with
HOSTILE = [
    "a b", "it's", 'a"b', "$(touch /data/owned)", "`touch /data/owned`", ";touch /data/owned;", "$HOME", "*", "a\nb", "\\",
    "-rf", "~", "größe", "#x", "a&b", "{1,2}", "!x",
]  # fmt: skip


def ended(phone: Phone, words: str) -> bool:
    """Whether nothing with these words in its command line runs on the phone, given a moment to go."""
    until = time.monotonic() + 5
    while any(words in line for line in phone.processes().values()):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def random_file(path: Path, megabytes: float) -> Path:
    path.write_bytes(random.Random(0).randbytes(int(megabytes * 2**20)))
    return path


def test_exit_code_and_both_streams_come_back(device: AdbTransport) -> None:
    done = device.run(["sh", "-c", "echo out; echo err >&2; exit 3"], soon())
    assert done == Completed(3, b"out\n", b"err\n")


def test_a_signal_is_128_and_its_number(device: AdbTransport) -> None:
    assert device.run(["sh", "-c", "kill -9 $$"], soon()).exit_code == 137


@pytest.mark.parametrize("program", ["/no/such/program", "no-such-program", "-x"])
def test_a_program_that_is_not_there_is_127(device: AdbTransport, program: str) -> None:
    assert device.run([program], soon()).exit_code == 127


def test_arguments_reach_the_program_as_they_are(device: AdbTransport, phone: Phone) -> None:
    done = device.run(["printf", "<%s>", *HOSTILE, ""], soon())
    assert done.text == "".join(f"<{word}>" for word in [*HOSTILE, ""])
    assert not phone.inside("/data/owned").exists()


def test_an_argument_with_a_nul_and_one_that_is_too_long_are_refused(device: AdbTransport, way: str) -> None:
    with pytest.raises(UserError):
        device.run(["echo", "a\0b"], soon())
    if way == "server":
        with pytest.raises(UserError, match="more than adb takes"):
            device.run(["echo", "x" * 70_000], soon())


def test_output_is_bytes(device: AdbTransport, phone: Phone) -> None:
    content = random_file(phone.inside("/data/bytes"), 3).read_bytes()
    assert device.run(["cat", "/data/bytes"], soon()).stdout == content


def test_stdin_is_empty(device: AdbTransport) -> None:
    assert device.run(["cat"], soon()) == Completed(0, b"", b"")


def test_a_flood_of_output_is_refused_and_ended(device: AdbTransport, phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "OUTPUT_LIMIT_BYTES", 2**20)
    with pytest.raises(UserError, match="more than 1 MB"):
        device.run(["yes", "flood"], soon())
    assert ended(phone, "yes flood")
    monkeypatch.setattr(shell, "LINE_LIMIT_BYTES", 2**16)
    with pytest.raises(UserError, match="a line of more than"):
        list(device.stream(["cat", "/dev/zero"], soon()))
    assert ended(phone, "/dev/zero")


def test_past_its_deadline_a_program_is_ended_with_its_children(device: AdbTransport, phone: Phone) -> None:
    deaf = "trap '' HUP TERM; sleep 601 & sleep 602"
    with pytest.raises(DeadlineExpired):
        device.run(["sh", "-c", deaf], Deadline.after(1))
    assert ended(phone, "sleep 60")
    # and the next call is none the worse for it
    assert device.run(["echo", "well"], soon()).text == "well\n"


def test_what_a_program_leaves_in_a_session_of_its_own_goes_on(device: AdbTransport, phone: Phone) -> None:
    device.run(["sh", "-c", "setsid sleep 603 >/dev/null 2>&1 & exit 0"], soon())
    assert any("sleep 603" in line for line in phone.processes().values())
    device.run(["pkill", "-f", "sleep 603"], soon())


def test_stream_gives_lines_as_they_come_and_closing_ends_the_program(device: AdbTransport, phone: Phone) -> None:
    lines = device.stream(["sh", "-c", "echo one; echo two; echo err >&2; exec sleep 604"], soon())
    assert [next(lines), next(lines)] == [b"one", b"two"]
    lines.close()  # type: ignore[attr-defined]
    assert ended(phone, "sleep 604")


def test_stream_gives_a_last_line_without_an_end_and_says_a_missing_program(device: AdbTransport) -> None:
    assert list(device.stream(["printf", "a\\nb"], soon())) == [b"a", b"b"]
    with pytest.raises(UserError, match="not found"):
        list(device.stream(["no-such-program"], soon()))


def test_other_calls_may_be_made_while_a_stream_is_read(device: AdbTransport) -> None:
    lines = device.stream(["sh", "-c", "echo one; sleep 0.2; echo two"], soon())
    assert next(lines) == b"one"
    assert device.run(["echo", "between"], soon()).text == "between\n"
    assert list(lines) == [b"two"]


def test_twelve_megabytes_arrive_whole_once_and_come_back(
    device: AdbTransport, cable: FaultProxy, phone: Phone, tmp_path: Path
) -> None:
    source = random_file(tmp_path / "model", 12)
    assert device.push(source, "store/model", soon()) is True
    assert phone.inside(device.path("store/model")).read_bytes() == source.read_bytes()
    before = cable.sent
    assert device.push(source, "store/model", soon()) is False
    assert cable.sent - before < 20_000
    device.pull("store/model", tmp_path / "back", soon())
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert os.listdir(phone.inside(device.path("store"))) == ["model"]


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, 2**20, 2**20 + 1])
def test_every_size_arrives(device: AdbTransport, tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)
    assert device.push(tmp_path / "file", "file", soon()) is True
    device.pull("file", tmp_path / "back", soon())
    assert (tmp_path / "back").stat().st_size == size


def test_push_sends_again_what_differs_and_repairs_what_was_damaged(device: AdbTransport, phone: Phone, tmp_path: Path) -> None:
    source = tmp_path / "model"
    for content in (b"first", b"other"):
        source.write_bytes(content)
        assert device.push(source, "model", soon()) is True
    there = phone.inside(device.path("model"))
    there.write_bytes(b"othex")
    assert device.push(source, "model", soon()) is True
    assert there.read_bytes() == b"other"
    assert there.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_not_what_is_known_of_it_arrives_under_no_name(
    device: AdbTransport, phone: Phone, tmp_path: Path
) -> None:  # fmt: skip
    source, digest = random_file(tmp_path / "model", 1), hashlib.sha256(b"another").hexdigest()
    with pytest.raises(TransientError, match="arrived damaged"):
        device.push(source, "store/model", soon(), sha256=digest)
    assert list(phone.inside(device.path("store")).iterdir()) == []
    assert device.push(source, "store/model", soon(), sha256=file_sha256(source))
    assert not device.push(source, "store/model", soon(), sha256=file_sha256(source))


def test_push_can_make_a_program_and_makes_one_of_a_file_that_is_there(device: AdbTransport, tmp_path: Path) -> None:
    source = tmp_path / "program"
    source.write_text("#!/system/bin/sh\necho ran\n")
    assert device.push(source, "bin/program", soon()) is True
    assert device.run([device.path("bin/program")], soon()).exit_code == 126
    assert device.push(source, "bin/program", soon(), executable=True) is False
    assert device.run([device.path("bin/program")], soon()).text == "ran\n"


def test_hostile_names_are_names(device: AdbTransport, phone: Phone, tmp_path: Path) -> None:
    source = random_file(tmp_path / "file", 0.01)
    names = [name.replace("/data/owned", "owned") for name in HOSTILE]
    for name in names:
        path = f"{name}/{name}"
        assert device.push(source, path, soon()) is True, name
        assert device.push(source, path, soon()) is False, name
        assert device.stat(path, soon()) == Stat("file", source.stat().st_size)
        device.pull(path, tmp_path / "back", soon())
        device.remove(path, soon())
        assert device.stat(path, soon()) is None
        assert os.listdir(phone.inside(device.path(name))) == []
    assert sorted(os.listdir(phone.inside(device.path("x")).parent)) == sorted(names)
    assert not phone.inside("/owned").exists()


@pytest.mark.parametrize("path", OUTSIDE)
def test_paths_stay_inside_the_work_root(device: AdbTransport, tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    require_refused(device, path, tmp_path / "file", tmp_path)


def test_a_planted_link_leads_nowhere(device: AdbTransport, phone: Phone, tmp_path: Path) -> None:
    outside = phone.inside("/data/outside")
    outside.mkdir(exist_ok=True)
    (outside / "kept").write_bytes(b"x")
    root = phone.inside(device.path("x")).parent
    (root / "link").symlink_to("/data/outside")
    (root / "file").symlink_to("/data/outside/kept")
    source = tmp_path / "new"
    source.write_bytes(b"y")
    for call in (
        lambda: device.push(source, "link/kept", soon()),
        lambda: device.pull("link/kept", tmp_path / "y", soon()),
        lambda: device.stat("link/kept", soon()),
        lambda: device.remove("link/kept", soon()),
    ):
        with pytest.raises(UserError, match="leads out"):
            call()
    with pytest.raises(TransientError):
        device.pull("file", tmp_path / "y", soon())
    assert device.stat("link", soon()) == Stat("other", len("/data/outside"))
    # a link in the place of a file is replaced, not followed
    assert device.push(source, "file", soon()) is True
    assert device.push(source, "link", soon()) is True
    device.remove("link", soon())
    assert os.listdir(outside) == ["kept"]
    assert (outside / "kept").read_bytes() == b"x"


def test_stat_remove_and_what_is_not_there(device: AdbTransport, phone: Phone, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"123")
    device.push(tmp_path / "f", "d/e/f", soon())
    assert device.stat("d/e/f", soon()) == Stat("file", 3)
    found = device.stat("d", soon())
    assert found is not None
    assert found.kind == "directory"
    for missing in ("nothing", "nothing/at/all", "d/e/f/g"):
        assert device.stat(missing, soon()) is None
        device.remove(missing, soon())
        with pytest.raises(TransientError):
            device.pull(missing, tmp_path / "x", soon())
    with pytest.raises(UserError, match="a directory of that name is in the way"):
        device.push(tmp_path / "f", "d/e", soon())
    with pytest.raises(TransientError):
        device.pull("d", tmp_path / "x", soon())
    assert [path.name for path in tmp_path.iterdir() if path.name != "keys"] == ["f"]
    device.remove("d", soon())
    assert os.listdir(phone.inside(device.path("x")).parent) == []


def test_a_full_disk_is_said_and_left_clean(connect: Connect, cable: FaultProxy, way: str, tmp_path: Path) -> None:
    device = connect(serial_of(cable), way, "/data/small/work")
    with pytest.raises(UserError, match="the device is full"):
        device.push(random_file(tmp_path / "big", 4), "store/big", soon())
    assert device.run(["ls", "-A", device.path("store")], soon()).text == ""
    assert device.push(random_file(tmp_path / "little", 0.5), "store/little", soon()) is True
    device.remove("store", soon())


def test_a_file_of_four_gigabytes_is_refused(device: AdbTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device_runner.transports.adb.sync.SIZE_LIMIT_BYTES", 2**20)
    with pytest.raises(UserError, match="4 GB"):
        device.push(random_file(tmp_path / "big", 1), "big", soon())


def test_a_forwarded_port_leads_to_the_device_until_it_is_closed(device: AdbTransport) -> None:
    # the phone has the host's network: a listener here is one there
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        port = device.forward(listener.getsockname()[1], soon())
        for round_trip in (b"one", b"two" * 50_000):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as near:
                near.sendall(round_trip)
                far, _ = listener.accept()
                with far, far.makefile("rb") as said, near.makefile("rb") as heard:
                    assert said.read(len(round_trip)) == round_trip
                    far.sendall(round_trip)
                    assert heard.read(len(round_trip)) == round_trip
    device.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)


def test_a_reversed_port_leads_to_this_host(device: AdbTransport, way: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if way == "library":
            with pytest.raises(UserError, match="needs an adb server"):
                device.reverse(listener.getsockname()[1], soon())
            return
        listener.settimeout(10)
        port = device.reverse(listener.getsockname()[1], soon())
        with socket.create_connection(("127.0.0.1", port), timeout=10) as near:
            near.sendall(b"hello")
            far, _ = listener.accept()
            with far:
                assert far.recv(5) == b"hello"
    device.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)


def test_threads_each_have_a_connection(device: AdbTransport) -> None:
    said: list[str] = []

    def work(number: int) -> None:
        said.extend(device.run(["echo", f"{number}-{step}"], soon()).text.strip() for step in range(10))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == sorted(f"{number}-{step}" for number in range(4) for step in range(10))
