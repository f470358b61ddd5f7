"""A runtime's library out of an archive that the user gives instead of the pinned one: a maker's own .aar or .tgz."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from device_runner.bundles import archives, elf, fetch
from device_runner.bundles.pins import Package, Pins
from edgedeploy.errors import UserError

_JNI = {"aarch64": "arm64-v8a", "x86_64": "x86_64"}
#: a library that stands alone behind a C interface; ExecuTorch's has a C++ one, which its .aar has no headers of
_LIBRARIES = {"onnx": "libonnxruntime.so", "tflite": "libtensorflowlite_jni.so"}


def replaced(pins: Pins, given: Sequence[Path]) -> tuple[tuple[Package, ...], dict[str, Path]]:
    """The packages of `pins` with those that `given` has in place of the pinned ones, and digest -> the given file.

    Raises UserError for an archive that has no library for this ABI, or one that is no such library.
    """
    packages = {package.runtime: package for package in pins.packages}
    files = {}
    for path in given:
        if not path.is_file():
            raise UserError(f"{path} is not there")
        runtime, member = _find(pins, path)
        if runtime in (package.runtime for package in packages.values() if package.registry == "file"):
            raise UserError(f"{path}: {runtime} is given twice")
        digest = fetch.file_digest(path)
        packages[runtime] = _package(packages[runtime], path, member, digest)
        files[digest] = path
        _check(pins, path, member)
    return tuple(packages.values()), files


def _find(pins: Pins, path: Path) -> tuple[str, str]:
    """Which runtime's library it has for this ABI, and where."""
    found = {}
    for name in archives.names(path):
        pure = PurePosixPath(name)
        for runtime, library in _LIBRARIES.items():
            here = pure.parent.name == _JNI[pins.machine] if pins.android else pure.parent.name == "lib"
            # a Linux archive has the library under its whole version, and links to it
            if here and (pure.name == library or (not pins.android and pure.name.startswith(f"{library}."))):
                found[runtime] = name
    if not pins.android:
        found.pop("tflite", None)  # the Linux runner is for LiteRT, which is another interface
    if len(found) != 1:
        wanted = f"jni/{_JNI[pins.machine]}/" if pins.android else "lib/"
        names = " or ".join(_LIBRARIES.values()) if pins.android else _LIBRARIES["onnx"]
        raise UserError(
            f"{path} has no {wanted}{names} to take for {pins.abi}; it takes ONNX Runtime's or TensorFlow Lite's archive"
        )
    return found.popitem()


def _package(pinned: Package, path: Path, member: str, digest: str) -> Package:
    (library,) = (target for target in pinned.files.values() if target.startswith("lib/"))
    return Package(
        package=path.name, version="as given", registry="file", runtime=pinned.runtime, licence=pinned.licence,
        archive=path.name, sha256=digest, files={member: library}, licence_texts=pinned.licence_texts,
    )  # fmt: skip


def _check(pins: Pins, path: Path, member: str) -> None:
    with tempfile.TemporaryDirectory(prefix="edgedeploy-") as scratch:
        file = Path(scratch, "library.so")
        archives.extract(path, {member: file})
        machine = elf.read(file).machine
    if machine != pins.machine:
        raise UserError(f"{path}: {member} is for {machine}, not for {pins.machine}")
