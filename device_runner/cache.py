"""Where edgedeploy keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """`$EDGEDEPLOY_CACHE`, or `~/.cache/edgedeploy`."""
    stated = os.environ.get("EDGEDEPLOY_CACHE")
    return Path(stated).expanduser() if stated else Path.home() / ".cache" / "edgedeploy"
