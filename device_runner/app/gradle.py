"""The Gradle project's inputs that are not sources: the runtimes' libraries, their versions and licences."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from device_runner import bundles
from device_runner.app import sources


def prepare(abi: str, say: Callable[[str], None]) -> Path:
    """Copy them into android_app/app/src/main, where git does not look; returns that directory."""
    sources.require()
    runner = bundles.build(abi, say=say)
    for file in runner.manifest.files:
        if file.path.endswith(".so"):
            target = sources.MAIN / "jniLibs" / sources.android_name(abi) / Path(file.path).name
        elif file.path == "lib/versions.json" or file.path.startswith("licenses/"):
            target = sources.MAIN / "assets" / file.path.removeprefix("lib/")
        else:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(runner.root / file.path, target)
    return sources.MAIN
