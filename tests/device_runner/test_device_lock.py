"""One session per device at a time: between real processes, with real deaths."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_runner import inventory
from device_runner.device_lock import DeviceInUse, in_use, locked, path_of
from device_runner.inventory import Device
from device_runner.session import open_session
from device_runner.transports.base import Target
from edgedeploy.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
LOCAL = Device("local", Target("local"))
HOLD = """
import os, sys
from device_runner.device_lock import locked
from device_runner.inventory import Device
from device_runner.transports.base import Target
if "TEST_USER" in os.environ:
    os.setuid(int(os.environ["TEST_USER"]))
    os.umask(0o077)
with locked(Device(sys.argv[1], Target(*sys.argv[2:4]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _fresh_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEDEPLOY_STATE", str(tmp_path / "state"))


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def another_process(*device: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has the device until its stdin is closed."""
    arguments = [sys.executable, "-c", HOLD, *(device or ("local", "local"))]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment())
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def edgedeploy(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgedeploy", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def test_a_device_in_use_is_refused_and_says_by_whom(tmp_path: Path) -> None:
    with another_process() as holder:
        with (
            pytest.raises(DeviceInUse, match=rf"local is in use by process {holder.pid} since 20.*Z \(-c local local\)"),
            locked(LOCAL),
        ):
            pytest.fail("both have it")
        found = in_use(LOCAL)
        assert found is not None
        assert found.holder is not None
        assert found.holder.pid == holder.pid
        with pytest.raises(DeviceInUse), open_session(LOCAL):
            pytest.fail("both have it")
    assert in_use(LOCAL) is None
    with locked(LOCAL):
        pass


@pytest.mark.parametrize("command", [("bench", "--quick"), ("verify",)])
def test_commands_that_measure_are_refused(tmp_path: Path, fast: Path, command: tuple[str, ...]) -> None:
    with another_process() as holder:
        process = edgedeploy(*command, fast, cwd=tmp_path)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"in use by process {holder.pid}" in stderr


def test_a_resume_is_refused_and_says_how_to_go_on(tmp_path: Path, fast: Path) -> None:
    assert edgedeploy("bench", fast, "--quick", "--min-ms", "20", cwd=tmp_path).wait(timeout=60) == 0
    (committed,) = (tmp_path / "runs").glob("*/run.json")
    committed.unlink()
    experiment = committed.parent.name.partition(".")[0]
    with another_process() as holder:
        process = edgedeploy("bench", "--resume", experiment, cwd=tmp_path)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2, stderr
    assert f"in use by process {holder.pid}" in stderr
    assert f"--resume {experiment}" in stderr


def test_a_bench_that_waits_begins_when_the_device_is_free(tmp_path: Path, fast: Path) -> None:
    with another_process() as holder:
        process = edgedeploy("bench", fast, "--quick", "--min-ms", "20", "--wait", cwd=tmp_path)
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith(f"waiting for local, in use by process {holder.pid} (")
        assert process.poll() is None
        holder.kill()
        holder.wait()
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr


def test_a_crash_leaves_no_lock(tmp_path: Path) -> None:
    with another_process() as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        # what it wrote is still there; it is the kernel that says whose the device is
        assert str(holder.pid) in path_of(LOCAL).read_text()
        assert in_use(LOCAL) is None
        with locked(LOCAL):
            assert str(os.getpid()) in path_of(LOCAL).read_text()
    assert path_of(LOCAL).read_text() == ""


def test_it_is_the_device_that_is_locked_not_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "devices.yaml"
    file.write_text("devices:\n  board2: {transport: local}\n  rpi5: {transport: ssh, address: pi@rpi5}\n")
    monkeypatch.setenv("EDGEDEPLOY_DEVICES", str(file))
    with another_process(), pytest.raises(DeviceInUse, match="board2 is in use"), open_session(inventory.resolve("board2")):
        pytest.fail("both have it")
    with another_process("board", "ssh", "root@rpi5:22"):
        assert in_use(inventory.resolve("rpi5")) is not None
        assert in_use(inventory.resolve("ssh://other")) is None
        with locked(LOCAL):
            pass


def test_another_user_has_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid():
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as root:
        # as /run/lock is: everybody may make files there, nobody may take those of others away
        locks = Path(root, "locks")
        locks.mkdir()
        locks.chmod(0o1777)
        Path(root).chmod(0o755)
        monkeypatch.setenv("EDGEDEPLOY_STATE", root)
        with monkeypatch.context() as user:
            user.setenv("TEST_USER", "65534")
            with another_process() as holder, pytest.raises(DeviceInUse, match=str(holder.pid)), locked(LOCAL):
                pytest.fail("both have it")
        assert path_of(LOCAL).stat().st_uid == 65534
        with locked(LOCAL):
            pass


def test_one_process_does_not_have_it_twice() -> None:
    with locked(LOCAL), pytest.raises(DeviceInUse, match=str(os.getpid())), locked(LOCAL):
        pytest.fail("twice")
    with contextlib.suppress(KeyError), locked(LOCAL):
        raise KeyError
    assert in_use(LOCAL) is None


def test_a_link_or_a_pipe_in_the_locks_place_is_not_followed(tmp_path: Path) -> None:
    path, victim = path_of(LOCAL), tmp_path / "victim"
    victim.write_text("precious")
    path.parent.mkdir(parents=True)
    path.symlink_to(victim)
    with pytest.raises(UserError, match="cannot be opened"), locked(LOCAL):
        pytest.fail("followed")
    assert victim.read_text() == "precious"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UserError, match="not a file of ours"), locked(LOCAL):
        pytest.fail("waited")


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"pid": "x"}', "[" * 5000])
def test_what_is_in_the_file_is_only_a_message(content: str) -> None:
    with another_process():
        path_of(LOCAL).write_text(content)
        with pytest.raises(DeviceInUse, match="another process"), locked(LOCAL):
            pytest.fail("both have it")
