"""Android's own build tools, as far as they are on PyPI, npm and in Debian: fetched by digest and kept unpacked."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from device_runner.bundles import archives, debian, fetch
from device_runner.bundles.pins import Package
from device_runner.cache import cache_root
from edgedeploy.errors import UserError

_PINS = Path(__file__).with_name("tools.json")
_INSTALL = "apt-get install openjdk-17-jdk-headless"


class Pins(BaseModel):
    """tools.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1]
    packages: tuple[Package, ...]


def pins() -> Pins:
    return Pins.model_validate_json(_PINS.read_bytes())


def unpacked(say: Callable[[str], None]) -> Path:
    """The directory with aapt2, dx.jar, android.jar, framework-res.apk, apksigner.jar and apksig.jar; about 85 MB, kept.

    Raises TransientError when one cannot be downloaded, UserError on a host that they are not for.
    """
    if (platform.system(), platform.machine().lower()) not in (("Linux", "x86_64"), ("Linux", "amd64")):
        raise UserError("the app is built on Linux on x86_64, which aapt2 is for; elsewhere use Android Studio (android_app/)")
    root = cache_root() / "tools" / f"apk-{hashlib.sha256(_PINS.read_bytes()).hexdigest()[:16]}"
    if root.is_dir():
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".apk-", dir=root.parent) as scratch:
        made = Path(scratch, "tools")
        for package in pins().packages:
            archive = fetch.fetch(package, say)
            inner = debian.data(archive, Path(scratch)) if package.registry == "debian" else archive
            archives.extract(inner, {member: made / name for member, name in package.files.items()})
        (made / "aapt2").chmod(0o755)
        try:
            os.rename(made, root)
        except OSError:
            if not root.is_dir():  # else another build was first
                raise
    return root


def jdk(program: str = "javac") -> Path:
    """A program of the JDK. Raises UserError, naming what to install."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(program, path=str(Path(home, "bin"))) if home else None
    found = found or shutil.which(program)
    if found is None:
        raise UserError(f"{program} is missing; install a JDK, 8 or newer: {_INSTALL}")
    return Path(found)


def jni_include() -> Path:
    """Where the JDK has jni.h. Raises UserError."""
    include = jdk().resolve().parent.parent / "include"
    if not (include / "jni.h").is_file():
        raise UserError(f"this JDK has no jni.h; install a whole one: {_INSTALL}")
    return include
