"""A store by what was typed: a directory, or an URL."""

from __future__ import annotations

from pathlib import Path

from device_runner.results.store import Store
from edgedeploy.errors import UserError


def open_store(place: str) -> Store:
    """Raises UserError for an URL that is none of ours."""
    scheme, separator, _ = place.partition("://")
    if not separator:
        return Store(Path(place))
    if scheme != "s3":
        raise UserError(f"{place[:200]}: runs are kept in a directory or in an S3 bucket (s3://BUCKET/FOLDER)")
    from device_runner.results.object_store import ObjectStore

    return ObjectStore(place)
