"""Older run records, brought to the schema of today."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgedeploy.errors import UserError
from edgedeploy.record import SCHEMA_VERSION

#: schema_version -> what makes the next version of such a record; the record on disk is never changed
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    # 2 has modes, streams and `until`; a record of 1 says nothing of them, as the defaults do
    1: dict,
    # 3 has findings, which are None where nobody looked
    2: dict,
    # 4 has runs over two devices; one of 3 is over one
    3: dict,
}


def migrate(data: dict[str, Any], where: str) -> dict[str, Any]:
    """`data` in today's schema. Raises UserError for a version that is newer, or that nobody knows."""
    version = data.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise UserError(f"{where}: no schema_version, not a run record")
    if version > SCHEMA_VERSION:
        raise UserError(f"{where}: schema_version {version} is newer than this edgedeploy reads; update edgedeploy")
    while version < SCHEMA_VERSION:
        if version not in MIGRATIONS:
            raise UserError(f"{where}: schema_version {version} is older than this edgedeploy reads")
        data = {**MIGRATIONS[version](data), "schema_version": version + 1}
        version += 1
    return data
