"""The app's private directory as a device's work root: a Transport around the one that reaches the phone.

Only the app's own user may be in there. `run-as` is that user, for an app that is debuggable; what comes and goes lies in the
shell's work root for as long as that takes, and is handed over through a pipe. A command that names a path in the app's
directory runs as the app, every other one as the shell, as before.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from device_runner.app.sources import ID
from device_runner.deadline import Deadline
from device_runner.transports import posix
from device_runner.transports.base import Completed, Stat, Transport, relative
from edgedeploy.bundle import file_sha256
from edgedeploy.errors import EdgedeployError, TransientError, UserError

if TYPE_CHECKING:
    from device_runner.transports.base import Transport as Inner

#: below the shell's work root: what is on its way
HANDOVER = "handover"
#: below the app's own directory, which is where run-as begins
WORK = "files/edgedeploy"
_CLEAN_SEC = 5.0
_IN = 'file=$1; shift; cat "$file" | "$@"'
_OUT = 'umask 077; file=$1; shift; "$@" | cat > "$file"'


class AppTransport(Transport):
    """Raises UserError where the app cannot be entered."""

    def __init__(self, inner: Inner, deadline: Deadline) -> None:
        self.kind = inner.kind
        self.inner = inner
        made = inner.run(as_app(*posix.make_root(WORK)), deadline)
        if made.exit_code:
            raise no_entry(made)
        self.root = posix.root_of(made)
        self._run(["mkdir", "-p", inner.path(HANDOVER)], deadline)

    def path(self, relative_path: str) -> str:
        return f"{self.root}/{relative(relative_path)}"

    def run(self, argv: Sequence[str], deadline: Deadline) -> Completed:
        return self.inner.run(self._placed(argv), deadline)

    def stream(self, argv: Sequence[str], deadline: Deadline) -> Iterator[bytes]:
        return self.inner.stream(self._placed(argv), deadline)

    def _placed(self, argv: Sequence[str]) -> list[str]:
        ours = any(word == self.root or word.startswith(f"{self.root}/") for word in argv)
        return as_app(*argv) if ours else list(argv)

    def push(
        self, source: Path, destination: str, deadline: Deadline, *, executable: bool = False, sha256: str = ""
    ) -> bool:  # fmt: skip
        digest, size, mode = sha256 or file_sha256(source), source.stat().st_size, "700" if executable else "600"
        asked = self.inner.run(as_app(*posix.prepare(self.root, destination, digest, size, mode)), deadline)
        if not posix.to_send(asked, destination, size):
            return False
        with self._on_its_way(deadline) as (name, place):
            self.inner.push(source, name, deadline, sha256=digest)
            receive = as_app(*posix.receive(self.root, destination, digest, mode))
            posix.check(self.inner.run(["sh", "-c", _IN, "sh", place, *receive], deadline), destination)
        return True

    def pull(self, source: str, destination: Path, deadline: Deadline) -> None:
        found = self.stat(source, deadline)
        if found is None or found.kind != "file":
            raise TransientError(f"{source}: not on the device")
        with self._on_its_way(deadline) as (name, place):
            self._run(["sh", "-c", _OUT, "sh", place, *as_app(*posix.fetch(self.root, source))], deadline)
            there = self.inner.stat(name, deadline)
            if there is None or there.bytes != found.bytes:
                raise TransientError(f"{source}: came out of the app cut short")
            self.inner.pull(name, destination, deadline)

    @contextlib.contextmanager
    def _on_its_way(self, deadline: Deadline) -> Iterator[tuple[str, str]]:
        name = f"{HANDOVER}/{secrets.token_hex(8)}"
        try:
            yield name, self.inner.path(name)
        finally:
            with contextlib.suppress(EdgedeployError):
                self.inner.remove(name, Deadline.after(_CLEAN_SEC))

    def _run(self, argv: list[str], deadline: Deadline) -> None:
        done = self.inner.run(argv, deadline)
        if done.exit_code:
            raise TransientError(f"{argv[0]} failed on the device: {done.error_text}")

    def forward(self, port: int, deadline: Deadline) -> int:
        return self.inner.forward(port, deadline)

    def reverse(self, port: int, deadline: Deadline) -> int:
        return self.inner.reverse(port, deadline)

    def unforward(self, port: int, deadline: Deadline) -> None:
        self.inner.unforward(port, deadline)

    def unreverse(self, port: int, deadline: Deadline) -> None:
        self.inner.unreverse(port, deadline)

    def stat(self, path: str, deadline: Deadline) -> Stat | None:
        return posix.stat_of(self.inner.run(as_app(*posix.stat(self.root, path)), deadline), path)

    def remove(self, path: str, deadline: Deadline) -> None:
        done = self.inner.run(as_app(*posix.remove(self.root, path)), deadline)
        if done.exit_code != posix.ABSENT:
            posix.check(done, path)

    def close(self) -> None:
        self.inner.close()


def no_entry(completed: Completed) -> UserError:
    """The error for an app that run-as does not lead into."""
    return UserError(
        f"the app is installed and cannot be entered: {completed.error_text or completed.exit_code}. It must not be built with "
        "--release, and the phone's run-as must work"
    )


def as_app(*argv: str) -> list[str]:
    return ["run-as", ID, *argv]
