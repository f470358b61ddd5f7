"""The actor on the cluster's head: the owner of the lab's one queue, and of what goes to the hosts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from device_runner.lab.cluster.blobs import Blobs
from device_runner.lab.cluster.roster import Roster
from device_runner.lab.queue import LeaseLost, Queue
from device_runner.lab.sqlite_queue import SqliteQueue
from edgedeploy.errors import TransientError, UserError

#: what may be called from afar: the queue's methods and no others
METHODS = frozenset(name for name in vars(Queue) if not name.startswith("_"))
Answer = tuple[str, Any]


class Head:
    """Its calls are one after the other. Killed at any point, it is started anew on the same file."""

    def __init__(self, queue: str, blobs: str, roster: str) -> None:
        self._queue = SqliteQueue(Path(queue))
        self._blobs, self._roster = Blobs(Path(blobs)), Roster(Path(roster))

    def call(self, method: str, arguments: Sequence[Any], named: dict[str, Any]) -> Answer:
        """("ok", what the queue says), or the kind and the words of what it raised."""
        if method not in METHODS:
            return "user", f"the queue has no {method[:100]!r}"
        try:
            return "ok", getattr(self._queue, method)(*arguments, **named)
        except LeaseLost as error:
            return "lost", str(error)
        except TransientError as error:
            return "transient", str(error)
        except UserError as error:
            return "user", str(error)

    def tell_hosts(self, hosts: list[dict[str, Any]]) -> None:
        """Who is there now, as the supervisor sees it."""
        self._roster.tell(hosts)

    def hosts(self) -> list[dict[str, Any]]:
        """Of each host that is there, or was lately: name, and devices with name, tier, labels and model."""
        return self._roster.hosts()

    def missing(self, digests: list[str]) -> list[str]:
        """Those of which there is no file yet."""
        return self._blobs.missing(digests)

    def write(self, digest: str, offset: int, piece: bytes, last: bool) -> str:
        """A piece of a file. "" or what is wrong with it."""
        try:
            self._blobs.write(digest, offset, piece, last=last)
        except UserError as error:
            return str(error)
        return ""

    def read(self, digest: str, offset: int, count: int) -> bytes | None:
        """A piece of a file, None where there is none."""
        return self._blobs.read(digest, offset, count)
