"""Where a lab is on this host: its queue, its workers' logs, and the lock of the process that runs it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from device_runner.state import state_root
from edgedeploy.errors import UserError

_MOST_LOG_BYTES = 5 * 10**6


@dataclass(frozen=True)
class Place:
    """A directory of a local disk; others of its group can use the lab when they may write there."""

    root: Path

    @classmethod
    def of(cls, stated: Path | None) -> Place:
        """`stated`, $EDGEDEPLOY_LAB, or `lab` where this user's state is."""
        variable = os.environ.get("EDGEDEPLOY_LAB")
        return cls(stated or (Path(variable).expanduser() if variable else state_root() / "lab"))

    @property
    def queue(self) -> Path:
        return self.root / "queue.sqlite"

    def there(self) -> Path:
        """The queue's file. Raises UserError when no lab was ever run here."""
        if not self.queue.is_file():
            raise UserError(
                f"{self.root}: there is no lab; `edgedeploy lab run plan.yaml` makes one (--lab names another place)"
            )
        return self.queue

    def log(self, device: str) -> Path:
        """The log of a device's worker, the last one put aside when it is large."""
        logs = self.root / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        # a device's name may be an address
        file = (
            logs
            / f"{''.join(character if character.isalnum() or character in '-_.' else '_' for character in device)[:100]}.log"
        )
        if file.exists() and file.stat().st_size > _MOST_LOG_BYTES:
            file.replace(file.with_suffix(".log.1"))
        return file

    @contextmanager
    def running(self) -> Iterator[bool]:
        """Inside, True when the lab is ours to run; False when another process runs it."""
        self.root.mkdir(parents=True, exist_ok=True)
        descriptor = _open(self.root / "lab.lock")
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)

    def is_run(self) -> bool:
        """Whether a process runs the lab now."""
        file = self.root / "lab.lock"
        if not file.exists():
            return False
        descriptor = _open(file)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


def _open(file: Path) -> int:
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660)
    except OSError as error:
        raise UserError(f"{file}: cannot be opened ({error.strerror}); name another place with --lab") from None
