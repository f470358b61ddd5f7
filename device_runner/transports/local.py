"""This host as a device: real processes, and a private work directory in place of the device's storage."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

from device_runner.cache import cache_root
from device_runner.deadline import Deadline, DeadlineExpired
from device_runner.transports.base import NOT_FOUND, Completed, NoRoom, Stat, Target, relative
from edgedeploy.bundle import file_sha256
from edgedeploy.errors import TransientError, UserError

_CHUNK_BYTES = 4 * 2**20


def _environment() -> dict[str, str]:
    # A device does not have the user's shell: a stray OMP_NUM_THREADS or LD_PRELOAD must not get into a measurement.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _start(argv: Sequence[str], stderr: int = subprocess.PIPE) -> subprocess.Popen[bytes] | None:
    try:
        # its own session: a Ctrl-C in the terminal is ours to handle, the program must not get one as well
        return subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
            env=_environment(), start_new_session=True,
        )  # fmt: skip
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise TransientError(f"{argv[0]}: could not be started ({error.strerror})") from None


class LocalTransport:
    """See base.Transport. `root` is made when it is missing, for this user only."""

    kind = "local"

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root = root.resolve()

    def _inside(self, path: str) -> Path:
        target = self.root / relative(path)
        # a link that something planted below the root must not lead a write or a removal out of it
        if not target.parent.resolve().is_relative_to(self.root):
            raise UserError(f"{path!r} leads out of the device's work directory")
        return target

    def path(self, relative_path: str) -> str:
        return str(self._inside(relative_path))

    def run(self, argv: Sequence[str], deadline: Deadline) -> Completed:
        deadline.check(argv[0])
        process = _start(argv)
        if process is None:
            return Completed(NOT_FOUND, b"", f"{argv[0]}: not found".encode())
        try:
            stdout, stderr = process.communicate(timeout=deadline.remaining)
        except subprocess.TimeoutExpired:
            raise DeadlineExpired(f"no answer in time: {' '.join(argv)[:200]}") from None
        finally:
            if process.poll() is None:
                _end(process)
        code = process.returncode
        return Completed(code if code >= 0 else 128 - code, stdout, stderr)

    def stream(self, argv: Sequence[str], deadline: Deadline) -> Iterator[bytes]:
        process = _start(argv, stderr=subprocess.DEVNULL)
        if process is None:
            raise UserError(f"{argv[0]}: not found")
        assert process.stdout is not None
        pending = b""
        try:
            with DefaultSelector() as selector:
                selector.register(process.stdout, EVENT_READ)
                while True:
                    if not selector.select(deadline.remaining):
                        raise DeadlineExpired(f"no answer in time: {' '.join(argv)[:200]}")
                    piece = os.read(process.stdout.fileno(), _CHUNK_BYTES)
                    if not piece:
                        break
                    *lines, pending = (pending + piece).split(b"\n")
                    yield from lines
            if pending:
                yield pending
        finally:
            _end(process)

    def push(
        self, source: Path, destination: str, deadline: Deadline, *, executable: bool = False, sha256: str = ""
    ) -> bool:  # fmt: skip
        target = self._inside(destination)
        digest = sha256 or file_sha256(source)
        mode = 0o700 if executable else 0o600
        there = target.is_file() and not target.is_symlink() and target.stat().st_size == source.stat().st_size
        if there and file_sha256(target) == digest:
            target.chmod(mode)
            return False
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            scratch = self._copy(source, target, deadline, durable=True)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise NoRoom(f"{destination}: no room in {self.root} ({error.strerror}); free some on its file system") from None
        try:
            if file_sha256(scratch) != digest:
                raise TransientError(f"{destination}: arrived damaged")
            scratch.chmod(mode)
            scratch.rename(target)
        finally:
            scratch.unlink(missing_ok=True)
        return True

    def pull(self, source: str, destination: Path, deadline: Deadline) -> None:
        origin = self._inside(source)
        if not origin.is_file() or origin.is_symlink():
            raise TransientError(f"{source}: not on the device")
        scratch = self._copy(origin, destination, deadline)
        try:
            scratch.rename(destination)
        finally:
            scratch.unlink(missing_ok=True)

    def _copy(self, source: Path, target: Path, deadline: Deadline, *, durable: bool = False) -> Path:
        """A copy of `source` beside `target`, not yet under its name. durable: synced, so that a rename may follow."""
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as out, source.open("rb") as data:
                while piece := data.read(_CHUNK_BYTES):
                    deadline.check(f"copying {source.name}")
                    out.write(piece)
                if durable:
                    out.flush()
                    os.fsync(out.fileno())
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return Path(name)

    def forward(self, port: int, deadline: Deadline) -> int:
        """The same port: device and host are one."""
        return port

    def reverse(self, port: int, deadline: Deadline) -> int:
        """The same port: device and host are one."""
        return port

    def unforward(self, port: int, deadline: Deadline) -> None:
        """Nothing was led anywhere."""

    def unreverse(self, port: int, deadline: Deadline) -> None:
        """Nothing was led anywhere."""

    def stat(self, path: str, deadline: Deadline) -> Stat | None:
        target = self._inside(path)
        try:
            found = target.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if target.is_symlink():
            return Stat("other", 0)
        return Stat("directory" if target.is_dir() else "file" if target.is_file() else "other", found.st_size)

    def remove(self, path: str, deadline: Deadline) -> None:
        target = self._inside(path)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing to close: nothing is held open between two calls."""


def connect(target: Target) -> LocalTransport:
    """This host, or a share of it, with a work directory in edgedeploy's cache. Raises UserError for an address."""
    if target.address:
        raise UserError("the local transport has no address: it is this host")
    root = cache_root() / "device"
    if not target.settings:
        return LocalTransport(root / "local")
    from device_runner.transports.local_share import Share, SharedTransport

    share = Share.of(target.settings)
    return SharedTransport(root / f"local-{share.name}", share)
