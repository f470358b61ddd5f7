"""A changed bundle sealed again: every digest right, so that what is behind the digests is reached."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgedeploy.artifact import canonical_digest


def reseal(bundle: Path) -> None:
    """Make `bundle.sha256` right for the manifest that is there, whatever it is."""
    raw = (bundle / "manifest.json").read_bytes()
    try:
        digest = canonical_digest(json.loads(raw))
    except (ValueError, RecursionError, AttributeError):  # AttributeError: JSON, but no object
        digest = "0" * 64
    (bundle / "bundle.sha256").write_text(f"{digest}  bundle\n{hashlib.sha256(raw).hexdigest()}  manifest.json\n")


def edit(bundle: Path, change: Callable[[Any], object]) -> None:
    """Change the manifest's document and seal the bundle again."""
    document = json.loads((bundle / "manifest.json").read_text())
    change(document)
    (bundle / "manifest.json").write_text(json.dumps(document))
    reseal(bundle)


def replace(bundle: Path, name: str, content: bytes) -> None:
    """Put other bytes in a file of the bundle (a stage's model, or one that `files` lists) and seal it again."""
    (bundle / name).write_bytes(content)
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}

    def relist(document: Any) -> None:
        stages = [stage for stage in document["stages"] if stage["file"] == name]
        if stages:
            stages[0].update(entry)
        else:
            document["files"][name] = entry

    edit(bundle, relist)
