"""The cache of one open device: lease, push, keep within the limit, make room, empty."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from device_runner.conditions import space
from device_runner.deadline import Deadline
from device_runner.device_cache import scripts
from device_runner.device_cache.holdings import Holdings, Item, parse
from device_runner.durable import write_whole
from device_runner.inventory.address import identity
from device_runner.retry import with_backoff
from device_runner.state import state_root
from device_runner.transports.base import Completed, NoRoom
from edgedeploy.errors import EdgedeployError, TransientError

if TYPE_CHECKING:
    from device_runner.inventory.device import Device
    from device_runner.transports.base import Target, Transport

#: where nothing is said: a quarter of what there would be without the cache, and no more than this
DEFAULT_LIMIT_BYTES = 4 * 10**9
#: left free for what a launch writes: its samples, its outputs
SLACK_BYTES = 64 * 10**6
_SHARE = 4
_CALL_SEC = 60.0
_RENEW_SEC = 600.0
#: names in one call: an argument list over adb has 64 KB at most
_AT_ONCE = 400


class DeviceCache:
    """limit_bytes: None for a default by the device's storage. owner: who leases, the same for every session of this host."""

    def __init__(self, transport: Transport, owner: str, limit_bytes: int | None = None) -> None:
        self._transport, self._owner, self._stated = transport, owner, limit_bytes
        self._root = str(PurePosixPath(transport.path("store")).parent)
        self._renewed = time.monotonic()

    def use(self, names: Iterable[str]) -> None:
        """Lease these: before it is looked whether they are there. From now on nobody removes them, and they are used last."""
        for some in _batches(sorted(set(names))):
            self._run(scripts.use(self._root, self._owner, some))
        self._renewed = time.monotonic()

    def renew(self) -> None:
        """Say that we are still there; does nothing where that was said a moment ago."""
        if time.monotonic() - self._renewed > _RENEW_SEC:
            self._run(scripts.use(self._root, self._owner, ()))
            self._renewed = time.monotonic()

    def push(
        self, source: Path, path: str, deadline: Deadline, *, executable: bool = False, sha256: str = ""
    ) -> None:  # fmt: skip
        """Transport.push, tried again where that may help. A device that is full first loses what is not in use.

        Raises NoRoom when that does not do.
        """
        while True:
            try:
                with_backoff(
                    lambda: self._transport.push(source, path, deadline, executable=executable, sha256=sha256)
                )  # fmt: skip
                return
            except NoRoom:
                if not self.make_room(source.stat().st_size):
                    raise

    def make_room(self, needed_bytes: int) -> int:
        """Free so much, beside what a launch writes, whatever the limit is. Returns the bytes that were freed."""
        free = space.free_bytes(self._transport, Deadline.after(_CALL_SEC)) or 0
        held = self.holdings()
        return self._remove(held, held.to_remove(max(1, needed_bytes + SLACK_BYTES - free)))

    def trim(self) -> int:
        """Keep to the limit, and leave room for a launch. Returns the bytes that were freed.

        What is in use stays, even where that is over the limit.
        """
        held = self.holdings()
        free = space.free_bytes(self._transport, Deadline.after(_CALL_SEC))
        over = held.bytes - self.limit_bytes(held, free)
        short = SLACK_BYTES - free if free is not None else 0
        return self._remove(held, held.to_remove(max(over, short)))

    def empty(self) -> int:
        """Remove everything that is not in use. Returns the bytes that were freed."""
        held = self.holdings()
        return self._remove(held, held.to_remove(held.bytes, 0))

    def limit_bytes(self, held: Holdings, free_bytes: int | None) -> int:
        """What the cache may hold."""
        if self._stated is not None:
            return self._stated
        if free_bytes is None:
            return DEFAULT_LIMIT_BYTES
        return min(DEFAULT_LIMIT_BYTES, (held.bytes + free_bytes) // _SHARE)

    def holdings(self) -> Holdings:
        """What is there now. Raises TransientError when the device does not say."""
        return parse(self._run(scripts.listing(self._root)).text, self._owner)

    def forget_launches(self) -> list[str]:
        """Remove what launches have left to be fetched; those that run stay. Returns the runs."""
        return [name for name in self._run(scripts.forget(self._root)).text.split("\n") if name]

    def end(self) -> None:
        """End our lease and keep to the limit. A device that has gone away meanwhile is left alone."""
        with contextlib.suppress(EdgedeployError):
            self.release()
            self.trim()

    def release(self) -> None:
        """End our lease."""
        self._run(scripts.release(self._root, {self._owner: ""}))

    def _remove(self, held: Holdings, items: Sequence[Item]) -> int:
        if held.stale:
            self._run(scripts.release(self._root, held.stale))
        for some in _batches(held.debris):
            self._run(scripts.discard(self._root, some))
        stored = {item.name: item for item in items if not item.runner}
        freed = 0
        for some in _batches(list(stored)):
            freed += sum(stored[name].bytes for name in self._removed(some) if name in stored)
        for item in items:
            if item.runner:
                gone = [name for place, files in item.files.items() for name in self._removed(files, (item.name, place))]
                freed += item.bytes if gone else 0
        return freed

    def _removed(self, names: Sequence[str], runner: tuple[str, str] = ("", "")) -> list[str]:
        return self._run(scripts.remove(self._root, self._owner, names, runner)).text.split()

    def _run(self, argv: Sequence[str]) -> Completed:
        done = with_backoff(lambda: self._transport.run(argv, Deadline.after(_CALL_SEC)))
        if done.exit_code:
            reason = "its work directory is gone" if done.exit_code == scripts.NO_ROOT else done.error_text
            raise TransientError(f"the device's cache cannot be looked after: {reason or f'exit code {done.exit_code}'}")
        return done


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))


def cache_of(device: Device, transport: Transport) -> DeviceCache:
    """The cache of a device that is open."""
    limit = device.cache_limit_mb
    return DeviceCache(transport, owner(device.target), limit * 10**6 if limit is not None else None)


@contextlib.contextmanager
def leasing(device: Device, transport: Transport) -> Iterator[DeviceCache]:
    """The same for one session: what it has use of is leased while it lasts. Afterwards the limit is kept to."""
    cache = cache_of(device, transport)
    # of an earlier session of this host, which has ended, whatever ended it
    cache.release()
    try:
        yield cache
    except TransientError:
        # the device went away: the next session of this host ends the lease, or its age does
        raise
    except BaseException:
        cache.end()
        raise
    else:
        cache.end()


def owner(target: Target) -> str:
    """What this host, and this user, is called on that device: a word of its own for each way to it, as locks are."""
    file = state_root() / "host-id"
    try:
        identifier = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        identifier = ""
    if not (identifier.isalnum() and len(identifier) == 16):
        identifier = secrets.token_hex(8)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(file, identifier.encode())
    return f"{identifier}-{hashlib.sha256(identity(target).encode()).hexdigest()[:8]}"
