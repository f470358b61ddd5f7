"""What the runtimes of a bundle that is being built can run: as known of their libraries, or as they answer here."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_runner.bundles.located import host_abi
from device_runner.offers import Offer, key_of, known
from device_runner.offers.asking import ask
from device_runner.runner import json_lines
from edgedeploy.errors import InternalError

if TYPE_CHECKING:
    from device_runner.bundles.located import BundleFile
    from device_runner.bundles.pins import Pins

_CALL_SEC = 120


def of(pins: Pins, files: Sequence[BundleFile], made: Path, say: Callable[[str], None]) -> dict[str, Offer]:
    """runtime -> what it can run. A runtime that nobody knows, for a machine that this is not, is left out."""
    offers = {}
    for package in pins.packages:
        libraries = [file for file in files if file.is_library_of(package.runtime)]
        offer = known(key_of(file.sha256 for file in libraries))
        if offer is None and platform.system() == "Linux" and pins.abi == host_abi():
            say(f"asking {package.runtime} {package.is_version} what it can run")
            call = partial(called, [str(made / "bin/edgebench")])
            offer = ask(package.runtime, call, [made / file.path for file in libraries])
        if offer is None:
            say(f"what {package.runtime} of {package.package} can run is not known; it will refuse itself what it cannot")
        else:
            offers[package.runtime] = offer
    return offers


def called(command: Sequence[str], arguments: Sequence[str]) -> Mapping[str, Any]:
    """The last line that the runner says, started by `command`. Raises InternalError when it says none."""
    done = subprocess.run([*command, *arguments], capture_output=True, timeout=_CALL_SEC, check=False)
    said = json_lines(done.stdout.decode("utf-8", "replace"))
    if not said:
        raise InternalError(f"edgebench {arguments[0]} did not answer: {done.stderr[-300:].decode('utf-8', 'replace')}")
    return said[-1]
