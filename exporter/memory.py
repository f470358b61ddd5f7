"""The memory exports take: what is available, what a running one holds, and what one like it held at its highest before."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from exporter.fetch import cache_root

#: what an export of which nothing is known is taken to need: torch, a converter, and a model of some hundred megabytes
UNKNOWN_GB = 4.0
#: over what was seen: an allocator does not give the same twice
MARGIN = 1.1
#: exports remembered, those of the longest ago forgotten first
KEPT = 2000
_LEAST_GB = 0.1


def available_gb() -> float:
    """Memory that could be taken without swapping, in GB (10^9 bytes): Linux's MemAvailable, or what its cgroup leaves."""
    free = [each for each in (_of_the_system(), _of_the_cgroup()) if each is not None]
    return min(free, default=2 * UNKNOWN_GB)


def _of_the_system() -> float | None:
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 / 1e9
    return None


def _of_the_cgroup(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """The tightest limit of the groups this process is in, less what the group uses and could not drop; None without one."""
    left: list[float] = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        name = next(
            line.split("::", 1)[1].strip() for line in Path("/proc/self/cgroup").read_text().splitlines() if "::" in line
        )
        group = root / name.lstrip("/")
        for each in (group, *group.parents):
            if not each.is_relative_to(root):
                break
            with contextlib.suppress(OSError, ValueError):
                limit = int((each / "memory.max").read_text())  # "max" where there is none: ValueError
                counts = dict(line.split() for line in (each / "memory.stat").read_text().splitlines())
                droppable = int(counts.get("inactive_file", 0))
                left.append((limit - int((each / "memory.current").read_text()) + droppable) / 1e9)
    return max(0.0, min(left)) if left else None


def held_gb(sessions: Sequence[int]) -> dict[int, float]:
    """Resident memory of all processes of each of these sessions, in GB. One that is gone holds nothing."""
    found = dict.fromkeys(sessions, 0.0)
    page = os.sysconf("SC_PAGE_SIZE")
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # after the name, which may hold anything: state, parent, group, session, ..., resident pages
                fields = (each / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                if int(fields[3]) in found:
                    found[int(fields[3])] += int(fields[21]) * page / 1e9
    return found


class Seen:
    """The highest that exports were seen to hold, kept in the cache from one command to the next."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path if path is not None else cache_root() / "memory.json"
        self.peaks = self._read()

    @staticmethod
    def key(subject: str, runtime: str, operators: str) -> str:
        """Names one kind of export."""
        return hashlib.sha256(json.dumps([subject, runtime, operators]).encode()).hexdigest()[:24]

    def expected_gb(self, key: str) -> float:
        """What one like it held with a margin, or what an unknown one is taken to need."""
        peak = self.peaks.get(key)
        return UNKNOWN_GB if peak is None else MARGIN * peak

    def note(self, key: str, peak_gb: float) -> None:
        """Remember a finished export. What cannot be kept is no reason to fail one."""
        if peak_gb < _LEAST_GB:
            return
        # another command may have written meanwhile
        self.peaks = {**self._read(), **self.peaks}
        self.peaks.pop(key, None)
        self.peaks[key] = round(peak_gb, 2)
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.partial")
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(dict(list(self.peaks.items())[-KEPT:])), "utf-8")
            draft.replace(self.path)

    def _read(self) -> dict[str, float]:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            read = json.loads(self.path.read_text("utf-8"))
            return {
                str(key): float(value)
                for key, value in read.items()
                if type(value) in (int, float) and _LEAST_GB <= value < 1e4
            }
        return {}
