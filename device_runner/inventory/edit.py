"""Adding to and removing from devices.yaml as text, so that comments and the order of things stay as somebody wrote them.

What comes out is read again before it replaces the file: an edit that would change any other device is refused instead.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from device_runner.durable import write_whole
from device_runner.inventory.file import Document, parse, read
from device_runner.inventory.schema import Entry
from edgedeploy.errors import UserError

_HEADING = "# The devices edgedeploy knows by name; docs/devices.md says what can be in here.\n"


def add(path: Path, name: str, entry: Entry) -> None:
    """Append a device to the file, which is made when it is missing.

    Raises UserError when the name is taken, or when the file is written in a way that cannot be added to.
    """
    path = _made(path)
    with _alone(path):
        before = read(path) if path.exists() else parse("", path)
        if name in before.inventory.devices:
            raise UserError(f"{path}: {name} is there already; edit the file, or: edgedeploy devices remove {name}")
        text = _added(before, _block(name, entry))
        _replace(path, text, {**before.inventory.devices, name: entry}, f"add these lines by hand:\n{_block(name, entry)}")


def remove(path: Path, name: str) -> None:
    """Cut a device out of the file: its lines, and the comments between them. Raises UserError when it is not there."""
    path = path.resolve()
    with _alone(path):
        before = read(path)
        if name not in before.inventory.devices:
            listed = ", ".join(before.inventory.devices) or "none"
            raise UserError(f"{path}: there is no {name[:100]!r} in it; there is: {listed}")
        kept = {other: entry for other, entry in before.inventory.devices.items() if other != name}
        _replace(path, _cut(before, name), kept, f"take {name} out by hand")


def _made(path: Path) -> Path:
    # a link (to a file under version control, say) stays one
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One edit at a time: the directory is locked, so that no lock file is left beside the user's own."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, text: str, expected: dict[str, Entry], otherwise: str) -> None:
    try:
        found = parse(text, path).inventory.devices
    except UserError:
        found = {}
    if found != expected or not text.endswith("\n"):
        raise UserError(f"{path}: is written in a way that this cannot edit and be sure of the rest; {otherwise}")
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    write_whole(path, text.encode(), mode=mode)


def _inline(value: Any) -> str:
    written = yaml.safe_dump(value, default_flow_style=True, allow_unicode=False, width=2**31)
    return str(written.removesuffix("...\n").strip())


def _block(name: str, entry: Entry, margin: int = 2, step: int = 2) -> str:
    data = entry.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    lines = [" " * margin + f"{_inline(name)}:"]
    lines += [" " * (margin + step) + f"{key}: {_inline(value)}" for key, value in data.items()]
    return "\n".join(lines) + "\n"


def _devices(document: Document) -> tuple[yaml.nodes.Node, yaml.nodes.Node] | None:
    """The key and the value of `devices:`."""
    if not isinstance(document.root, yaml.nodes.MappingNode):
        return None
    return next(((key, value) for key, value in document.root.value if key.value == "devices"), None)


def _last_line(node: yaml.nodes.Node) -> int:
    """The last line of what a node says: its own end mark is past the comments that follow it."""
    if isinstance(node, yaml.nodes.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    mark = node.end_mark
    return int(mark.line if mark.column or mark.line == node.start_mark.line else mark.line - 1)


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True) if not text or text.endswith("\n") else (text + "\n").splitlines(keepends=True)


def _added(document: Document, block: str) -> str:
    lines = _lines(document.text)
    devices = _devices(document)
    if devices is None:
        return "".join([*(lines or [_HEADING]), "devices:\n", block])
    key, value = devices
    margin = 2
    if isinstance(value, yaml.nodes.MappingNode) and value.value and not value.flow_style:
        margin = value.value[0][0].start_mark.column
    shifted = "".join(" " * (margin - 2) + line if margin >= 2 else line[2 - margin :] for line in _lines(block))
    at = max(_last_line(value), key.start_mark.line) + 1
    if lines and "\r\n" in lines[-1]:
        shifted = shifted.replace("\n", "\r\n")
    return "".join([*lines[:at], shifted, *lines[at:]])


def _cut(document: Document, name: str) -> str:
    lines = _lines(document.text)
    devices = _devices(document)
    assert devices is not None, "a device was read out of it"
    key, value = next((key, value) for key, value in devices[1].value if key.value == name)
    last = max(_last_line(value), key.start_mark.line)
    return "".join([*lines[: key.start_mark.line], *lines[last + 1 :]])
