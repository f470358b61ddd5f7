"""Reading devices.yaml: where it is looked for, and errors that say which line to mend."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from device_runner.inventory.schema import Entry, Inventory
from edgedeploy.errors import UserError
from edgedeploy.gates import Gates
from edgedeploy.preparation import Preparation

NAME = "devices.yaml"
#: thousands of devices; more is not a file that somebody wrote
MAX_BYTES = 256 * 1024
_PARTS = {"limits": Gates, "prepare": Preparation}


@dataclass(frozen=True)
class Document:
    """A file as it was read. `root` is its tree with line numbers, None when it is empty."""

    text: str
    root: yaml.nodes.Node | None
    inventory: Inventory


class _Loader(yaml.SafeLoader):
    """Without aliases: nothing in an inventory needs them, and a few lines of them can unfold to gigabytes."""

    def compose_node(self, parent: yaml.nodes.Node | None, index: Any) -> yaml.nodes.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not read here", mark)
        node: yaml.nodes.Node | None = super().compose_node(parent, index)
        if isinstance(node, yaml.nodes.MappingNode):
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.nodes.ScalarNode):
                    if key.value in seen:
                        raise yaml.composer.ComposerError(None, None, f"{key.value!r} is there twice", key.start_mark)
                    seen.add(key.value)
        return node


def default_paths() -> list[Path]:
    """Where an inventory is looked for when no file is named, the first that is there wins."""
    return [Path(NAME), Path.home() / ".config" / "edgedeploy" / NAME]


def locate(stated: Path | None = None) -> Path | None:
    """The inventory's file: `stated`, $EDGEDEPLOY_DEVICES, or the first of `default_paths`. None when there is none.

    Raises UserError when one was named that is not there.
    """
    variable = os.environ.get("EDGEDEPLOY_DEVICES")
    if stated is not None or variable:
        named = stated if stated is not None else Path(str(variable)).expanduser()
        if not named.is_file():
            by = "--devices" if stated is not None else "$EDGEDEPLOY_DEVICES"
            raise UserError(f"{named}: no such file ({by}); `edgedeploy devices add` makes one")
        return named
    return next((path for path in default_paths() if path.is_file()), None)


def to_write(stated: Path | None = None) -> Path:
    """Where `devices add` writes to: what `locate` finds or was told, else the user's own file."""
    variable = os.environ.get("EDGEDEPLOY_DEVICES")
    if stated is not None:
        return stated
    if variable:
        return Path(variable).expanduser()
    return locate() or default_paths()[-1]


def read(path: Path) -> Document:
    """The inventory at `path`. Raises UserError with the line that is wrong and what to do about it."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if len(raw) > MAX_BYTES:
        raise UserError(f"{path}: over {MAX_BYTES} bytes; an inventory is smaller")
    return parse(text, path)


def parse(text: str, path: Path) -> Document:
    """The same, of text that is or is to be in `path`."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        data = loader.construct_document(root) if root is not None else {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not YAML that can be read: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not YAML that can be read: {str(error)[:200]}") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: it begins with `devices:`, with each device by its name below; see docs/devices.md")
    try:
        return Document(text, root, Inventory.model_validate(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = [part for part in first["loc"] if part != "[key]"]
        line = f":{_line(root, where)}" if root is not None else ""
        raise UserError(f"{path}{line}: {'.'.join(map(str, where)) or 'the file'}: {_reason(first, where)}") from None


def _line(node: yaml.nodes.Node, where: list[Any]) -> int:
    """The line, from 1, of the value at that path, or of the last part of it that is there."""
    line = node.start_mark.line
    for part in where:
        inner: Any = None
        if isinstance(node, yaml.nodes.MappingNode):
            inner = next(((key, value) for key, value in node.value if key.value == str(part)), None)
        elif isinstance(node, yaml.nodes.SequenceNode) and isinstance(part, int) and part < len(node.value):
            inner = (node.value[part], node.value[part])
        if inner is None:
            break
        line, node = inner[0].start_mark.line, inner[1]
    return int(line) + 1


def _reason(error: Any, where: list[Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        model: Any = Inventory if len(where) == 1 else _PARTS.get(str(where[2]), Entry) if len(where) > 3 else Entry
        return f"there is no such key; the keys are {', '.join(model.model_fields)}"
    if error["type"] == "string_type":
        return f"{message}; put it in quotes"
    if error["type"] == "string_pattern_mismatch":
        return f"{message}; use letters, digits and _ . + - only"
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "model_type":
        return "give its keys below it: transport, address, …"
    return message
