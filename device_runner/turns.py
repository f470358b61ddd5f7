"""Which of several devices may measure now: machines that are apart do so side by side, all else one after the other."""

from __future__ import annotations

from collections.abc import Sequence


class Turns:
    """parts: the names, in the order they were given. host: this host's running kernel, None where it does not say.

    A device on this host waits until every other one is done: what the host does for them would be measured on it.
    """

    def __init__(self, parts: Sequence[str], host: str | None) -> None:
        self._parts, self._host = list(parts), host
        self._kernels: dict[str, str | None] = {}
        self._waiting: list[str] = []
        self._running: list[str] = []
        self._done: set[str] = set()

    def ready(self, name: str, kernel: str | None) -> None:
        """`name` is connected, to the machine that runs `kernel`, and waits for its turn."""
        self._kernels[name] = kernel
        self._waiting.append(name)

    def done(self, name: str) -> None:
        """`name` has ended, measured or not."""
        self._done.add(name)
        for names in (self._waiting, self._running):
            if name in names:
                names.remove(name)

    def granted(self) -> list[str]:
        """Those whose turn it is now; they run from here on."""
        found = []
        for name in sorted(self._waiting, key=self._parts.index):
            if self._waits_for(name) is None:
                self._waiting.remove(name)
                self._running.append(name)
                found.append(name)
        return found

    def waiting(self) -> dict[str, str]:
        """Those that are ready and have to wait: what for, in words."""
        return {name: why for name in self._waiting if (why := self._waits_for(name)) is not None}

    def _waits_for(self, name: str) -> str | None:
        kernel = self._kernels[name]
        for other in self._running:
            if kernel is not None and kernel == self._kernels[other]:
                return f"{other}, which is the same machine"
            if self._on_host(other):
                return f"{other}, which is on this host: nothing else is to run meanwhile"
        if self._on_host(name):
            others = [other for other in self._parts if other not in self._done and other != name and not self._on_host(other)]
            return f"{', '.join(others)}: it is on this host, which works for them" if others else None
        return None

    def _on_host(self, name: str) -> bool:
        kernel = self._kernels.get(name)
        return kernel is not None and kernel == self._host
