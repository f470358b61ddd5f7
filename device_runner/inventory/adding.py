"""`edgedeploy devices add` and `remove`: from what was typed to an edit of the file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from device_runner.inventory import address, edit, file
from device_runner.inventory.schema import Entry
from edgedeploy.errors import UserError
from edgedeploy.signature import SAFE_NAME


def add(
    stated: Path | None, name: str, typed: str, settings: Sequence[str], values: Mapping[str, Any], limits: Mapping[str, Any],
    prepare: Mapping[str, Any],
) -> Path:  # fmt: skip
    """Write the device down; values that are None are left out. Returns the file.

    Raises UserError for a name that is taken or cannot be one, and for anything that the file would not be read back with.
    """
    if not re.fullmatch(SAFE_NAME, name):
        raise UserError(f"{name[:100]!r} cannot be a device's name: use letters, digits and _ . + - only")
    if name == "local":
        raise UserError("local is this host and always there; give the device another name")
    target = address.parse(typed)
    entry = {
        "transport": target.transport, "address": target.address, "settings": dict(map(_setting, settings)),
        **{key: value for key, value in values.items() if value is not None},
        "limits": {key: value for key, value in limits.items() if value is not None},
        "prepare": {key: value for key, value in prepare.items() if value is not None},
    }  # fmt: skip
    try:
        made = Entry.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        message = str(first["msg"]).removeprefix("Value error, ")
        raise UserError(f"{'.'.join(map(str, first['loc'])) or name}: {message}") from None
    path = file.to_write(stated)
    edit.add(path, name, made)
    return path


def _setting(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise UserError(f"--setting {text[:100]!r}: give KEY=VALUE")
    return key, value


def remove(stated: Path | None, name: str) -> Path:
    """Take the device out. Returns the file; raises UserError when there is none, or the device is not in it."""
    path = file.locate(stated)
    if path is None:
        raise UserError(f"there is no {file.NAME}, so there is nothing to remove")
    edit.remove(path, name)
    return path
