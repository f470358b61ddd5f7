"""Which hosts there are, and which were: a plan that is put in while one is away still has its devices."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from device_runner.durable import write_whole

#: a host that was away for so long is forgotten
_FORGOTTEN_SEC = 7 * 86400.0


class Roster:
    """Kept in a file, so that a head that is started anew knows them before they join. clock: seconds since 1970."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._file, self._clock = file, clock
        self._present: set[str] = set()
        try:
            self._known: dict[str, dict[str, Any]] = json.loads(file.read_text())
        except (OSError, ValueError):
            # derived from what hosts say: they say it again
            self._known = {}

    def tell(self, hosts: Sequence[dict[str, Any]]) -> None:
        """Who is there now. Of each: name, and devices, which are none until it has told of them."""
        now = self._clock()
        for name in self._present:
            self._known[name]["seen"] = now
        for each in hosts:
            if each["devices"]:
                self._known[each["name"]] = {"devices": each["devices"], "seen": now}
        self._present = {each["name"] for each in hosts} & self._known.keys()
        self._known = {
            name: each for name, each in self._known.items()
            if name in self._present or now - each["seen"] < _FORGOTTEN_SEC
        }  # fmt: skip
        write_whole(self._file, json.dumps(self._known).encode())

    def hosts(self) -> list[dict[str, Any]]:
        """name and devices of each, in the order of their names."""
        return [{"name": name, "devices": each["devices"]} for name, each in sorted(self._known.items())]
