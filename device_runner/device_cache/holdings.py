"""What a device's cache holds, and which of it goes first."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

#: of a host that is not heard of any more: longer than any one launch
LEASE_SEC = 24 * 3600
#: what looks through thousands of files on a phone takes long
MOST_FILES = 4000

_STORED = re.compile(r"(?:store/)?([0-9a-f]{64})")
_PUSHING = re.compile(r"store/(\.([0-9a-f]{64})\.[A-Za-z0-9_.-]{1,60}\.(?:part|going))")
_RUNNER = re.compile(r"runners/([A-Za-z0-9_][A-Za-z0-9_-]{0,63})/([A-Za-z0-9_]{1,20})/([A-Za-z0-9_][A-Za-z0-9_.+-]{0,99})")
_OWNER = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass
class Item:
    """Something that is kept or goes as a whole: a file of the store, or a runner with its libraries.

    `name` is what it is leased as; `files` is directory -> names, the directory "" for the store.
    """

    name: str
    runner: bool = False
    bytes: int = 0
    #: a launch that runs, or was left to be fetched, has a link to it: to remove it would free nothing
    linked: bool = False
    files: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Holdings:
    """`items` are in the order of their last use, the latest first."""

    items: list[Item] = field(default_factory=list)
    #: owner -> names
    leases: dict[str, set[str]] = field(default_factory=dict)
    #: owners that were not heard of for LEASE_SEC, and whose leases count no more -> when they last were, as the device says it
    stale: dict[str, str] = field(default_factory=dict)
    #: names in the store that pushes have left which were cut off
    debris: list[str] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(item.bytes for item in self.items)

    @property
    def count(self) -> int:
        """How many files."""
        return sum(len(names) for item in self.items for names in item.files.values())

    @property
    def leased(self) -> set[str]:
        """Names that a host has use of now."""
        return {name for owner, names in self.leases.items() if owner not in self.stale for name in names}

    def to_remove(self, free_bytes: int, most_files: int | None = None) -> list[Item]:
        """What to remove to free so many bytes and have no more files than that (MOST_FILES): what was used longest ago first.

        Less than was asked for where the rest is in use.
        """
        leased, most_files = self.leased, MOST_FILES if most_files is None else most_files
        chosen: list[Item] = []
        count = self.count
        for item in reversed(self.items):
            if free_bytes <= 0 and count <= most_files:
                break
            if item.linked or item.name in leased:
                continue
            chosen.append(item)
            free_bytes -= item.bytes
            count -= sum(map(len, item.files.values()))
        return chosen


def parse(text: str, owner: str) -> Holdings:
    """What `scripts.listing` printed. Lines that are anything else are left out: a device may say anything.

    owner: ours, never stale.
    """
    found = Holdings()
    items: dict[str, Item] = {}
    pushing: list[tuple[str, str]] = []
    now: int | None = None
    since: dict[str, int] = {}
    for line in text.split("\n"):
        words = line.split()
        if line.startswith("now "):
            now = _number(words[1]) if len(words) == 2 else None
        elif line.startswith("lease ") and len(words) == 3 and (at := _number(words[2])) is not None:
            since[PurePosixPath(words[1]).parent.name] = at
        elif line.startswith("uses ") and len(words) == 2:
            path = PurePosixPath(words[1])
            if len(path.parts) == 3 and _OWNER.fullmatch(path.parts[1]):
                found.leases.setdefault(path.parts[1], set()).add(path.name)
        elif line.startswith("-") and len(words) >= 6:
            _file(words, owner, items, pushing)
    found.items = list(items.values())
    # one of the future is of a clock that was set back. One without a time has just come or gone
    found.stale = {
        each: str(at) for each, at in since.items()
        if now is not None and each != owner and _OWNER.fullmatch(each) and not 0 <= now - at <= LEASE_SEC
    }  # fmt: skip
    found.debris = [name for name, digest in pushing if digest not in found.leased]
    return found


def _file(words: list[str], owner: str, items: dict[str, Item], pushing: list[tuple[str, str]]) -> None:
    """A line of `ls -ln`: mode, links, owner, group, bytes, a date in as many words as the device likes, path.

    What another host is about to remove is left to it: it may yet put it back.
    """
    links, size = _number(words[1]), _number(words[4])
    if links is None or size is None:
        return
    path = words[-1]
    if match := _STORED.fullmatch(path):
        name = match.group(1)
        items[name] = Item(name, False, size, links > 1, {"": [name]})
    elif (match := _PUSHING.fullmatch(path)) and path.endswith((".part", f".{owner}.going")):
        pushing.append((match.group(1), match.group(2)))
    elif match := _RUNNER.fullmatch(path):
        key, directory, name = match.groups()
        item = items.setdefault(key, Item(key, True))
        item.bytes += size
        item.files.setdefault(directory, []).append(name)


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,17}", text, re.ASCII) else None
