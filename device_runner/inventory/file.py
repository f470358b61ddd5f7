"""Reading devices.yaml: where it is looked for, and errors that say which line to mend."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from device_runner.inventory.schema import Entry, Inventory
from device_runner.strict_yaml import load, text_of, validated
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
            by, do = ("--devices", "name another") if stated is not None else ("$EDGEDEPLOY_DEVICES", "unset the variable")
            raise UserError(f"{named}: no such file ({by}); {do}, or `edgedeploy devices add` makes one")
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
    return parse(text_of(path, MAX_BYTES, "an inventory"), path)


def parse(text: str, path: Path) -> Document:
    """The same, of text that is or is to be in `path`."""
    data, root = load(text, path)
    if not isinstance(data, dict):
        raise UserError(f"{path}: it begins with `devices:`, with each device by its name below; see docs/devices.md")
    return Document(text, root, validated(Inventory, data, root, path, _reason))


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
