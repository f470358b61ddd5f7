"""What a runner is built from, as one digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from device_runner.bundles.pins import LICENCES, load_pins, pins_file
from device_runner.offers.offer import KNOWN
from edgedeploy import __version__

_HERE = Path(__file__).resolve().parent
NATIVE = _HERE.parent / "native"
_SUFFIXES = (".cpp", ".h", ".txt", ".cmake", ".symbols", ".version")
#: how an archive becomes a bundle
_BUILDERS = ("assemble.py", "c_library.py", "cmake.py", "ziglang.json")


def sources_digest(abi: str) -> str:
    """The sha256 over version, sources, pins and the way of building; a few milliseconds."""
    digest = hashlib.sha256(f"{__version__}\n".encode())
    native = sorted(path for path in NATIVE.rglob("*") if path.suffix in _SUFFIXES and path.is_file())
    base = load_pins(abi).packages_of
    others = [
        pins_file(abi),
        *([pins_file(base)] if base else []),
        *(_HERE / name for name in _BUILDERS),
        *sorted(LICENCES.glob("*.txt")),
        *sorted(KNOWN.glob("*.json")),
    ]
    for path in [*native, *others]:
        name = path.relative_to(NATIVE).as_posix() if path.is_relative_to(NATIVE) else path.name
        content = path.read_bytes()
        digest.update(f"{name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()
