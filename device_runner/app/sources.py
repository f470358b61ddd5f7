"""What the app is built from, which is in a checkout and not in an installed edgedeploy."""

from __future__ import annotations

import hashlib
from pathlib import Path

from device_runner.bundles.sources import sources_digest
from edgedeploy import __version__
from edgedeploy.errors import UserError

#: the application's id, which is also its Java package
ID = "dev.edgedeploy.bench"
MIN_SDK, TARGET_SDK = 24, 36
ROOT = Path(__file__).resolve().parent.parent.parent / "android_app"
MAIN = ROOT / "app/src/main"
TESTS = ROOT / "app/src/test/java"
DESKTOP = ROOT / "desktop/java"
JNI = ROOT / "jni"
_HERE = Path(__file__).resolve().parent
#: how sources become an app
_BUILDERS = ("apk.py", "build.py", "compiling.py", "manifest.py", "native.py", "tools.json")
_ABIS = {"android-arm64": "arm64-v8a", "android-x86_64": "x86_64"}


def android_name(abi: str) -> str:
    """The directory that Android has for libraries of `abi`. Raises UserError for an ABI that no Android app is for."""
    if abi not in _ABIS:
        raise UserError(f"there is no app for {abi!r}; choose one of {', '.join(sorted(_ABIS))}")
    return _ABIS[abi]


def require() -> Path:
    """The directory of the sources. Raises UserError where there are none."""
    if not (MAIN / "AndroidManifest.xml").is_file():
        raise UserError("the app's sources are in edgedeploy's repository, not in what is installed: build it in a checkout")
    return ROOT


def java(*directories: Path) -> list[Path]:
    return sorted(path for directory in directories for path in directory.rglob("*.java"))


def version_code() -> int:
    """A number that grows with edgedeploy's version."""
    numbers = [int(part) for part in __version__.split(".")[:3] if part.isdigit()]
    major, minor, patch = [*numbers, 0, 0, 0][:3]
    return max(1, major * 1_000_000 + minor * 1000 + patch)


def digest(abi: str) -> str:
    """The sha256 over everything the app for `abi` is made from but the toolchain; a few milliseconds."""
    total = hashlib.sha256(f"{sources_digest(abi)}\n".encode())
    ours = [path for root in (MAIN, JNI) for path in root.rglob("*") if path.is_file() and "jniLibs" not in path.parts]
    for path in [*sorted(ours), *(_HERE / name for name in _BUILDERS)]:
        content = path.read_bytes()
        total.update(f"{path.name}\n{len(content)}\n".encode() + content)
    return total.hexdigest()
