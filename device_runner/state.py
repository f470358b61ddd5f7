"""What edgedeploy must not lose and what processes of this host share, apart from the cache, which can be made again."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def state_root() -> Path:
    """`$EDGEDEPLOY_STATE`, or `edgedeploy` in `$XDG_STATE_HOME` or `~/.local/state`."""
    stated = os.environ.get("EDGEDEPLOY_STATE")
    if stated:
        return Path(stated).expanduser()
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "state") / "edgedeploy"


def locks_root() -> Path:
    """Where locks are that all users of this host have to see: in `$EDGEDEPLOY_STATE` where that is set."""
    if os.environ.get("EDGEDEPLOY_STATE"):
        return state_root() / "locks"
    shared = Path("/run/lock")
    # by what it is and not by whether we may write there, so that root and everybody else choose the same
    try:
        open_to_all = bool(shared.stat().st_mode & stat.S_IWOTH)
    except OSError:
        open_to_all = False
    return shared if open_to_all else Path("/tmp")  # noqa: S108 - links are not followed, and nothing is read but a message
