"""Building the runner for an ABI: libraries from pinned archives, our own program with CMake, one directory as the result."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from device_runner.bundles import abilities, archives, c_library, cmake, fetch, given, prebuilt
from device_runner.bundles.located import MANIFEST, BundleFile, BundleManifest, RunnerBundle, default_root, read_bundle
from device_runner.bundles.pins import LICENCES, Package, Pins, load_pins
from device_runner.bundles.sources import sources_digest
from device_runner.bundles.toolchain import Toolchain, find_toolchain
from device_runner.offers import Offer
from edgedeploy import __version__
from edgedeploy.errors import InternalError, UserError

_BUILT = "built from device_runner/native"
#: the C++ library is linked into the runner, for boards whose own is older
_OWN_LICENCE = "Apache-2.0 AND GPL-3.0-or-later WITH GCC-exception-3.1"


def build(
    abi: str, out: Path | None = None, *, sanitize: bool = False, archives_given: Sequence[Path] = (),
    say: Callable[[str], None] = lambda _: None,
) -> RunnerBundle:  # fmt: skip
    """The runner for `abi` at `out` (the cache by default), built only when sources, pins or compiler changed.

    sanitize: with the address and undefined-behaviour sanitizers, for tests. archives_given: archives of runtimes' makers, to
    take instead of the pinned packages. Raises UserError when a tool is missing,
    TransientError when a library cannot be downloaded.
    """
    pins = load_pins(abi)
    if sanitize and pins.android:
        raise UserError("there are no sanitizers for Android; build for Linux")
    toolchain = (None if sanitize else _prebuilt(abi)) or find_toolchain(abi)
    root = (out or default_root(abi)).absolute()
    packages, files = given.replaced(pins, archives_given)
    pins = pins.model_copy(update={"packages": packages})
    key = _key(abi, toolchain, sanitize, sorted(files))
    root.parent.mkdir(parents=True, exist_ok=True)
    with _lock(root):
        found = read_bundle(root)
        if found is not None and found.manifest.key == key:
            say(f"{root} is up to date")
            return found
        with tempfile.TemporaryDirectory(prefix=f".{root.name}-", dir=root.parent) as scratch:
            made = Path(scratch, "bundle")
            work = Path(scratch, "work")
            if pins.packages_of is None:
                put, versions = _make(pins, files, toolchain, sanitize, made, work, say)
                offers = abilities.of(pins, put, made, say)
            else:
                # the same program and libraries: not compiled again
                elsewhere = work / "base" if archives_given or sanitize else None
                base = build(pins.packages_of, elsewhere, sanitize=sanitize, archives_given=archives_given, say=say)
                put, versions = _with_c_library(base, toolchain, pins.machine, made)
                offers = base.manifest.offers
            loader = c_library.loader(pins.machine) if pins.portable else None
            _finish(pins.abi, key, toolchain.description, put, versions, loader, made, offers)
            _replace(made, root, Path(scratch, "old"))
        say(f"built {root}")
        finished = read_bundle(root)
    if finished is None:
        raise InternalError(f"{root}: the bundle that was just built is not whole")
    return finished


def _prebuilt(abi: str) -> Toolchain | None:
    found = prebuilt.find(abi)
    return Toolchain(found[1].compiler, "", None, (), prebuilt=found[0]) if found is not None else None


def _key(abi: str, toolchain: Toolchain, sanitize: bool, archives_given: Sequence[str] = ()) -> str:
    parts = (sources_digest(abi), toolchain.description, sanitize, *archives_given)
    return hashlib.sha256("".join(f"{part}\n" for part in parts).encode()).hexdigest()


@contextmanager
def _lock(root: Path) -> Iterator[None]:
    """One build of a directory at a time; a second one waits, and then finds it done."""
    with root.with_name(f".{root.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(
    pins: Pins, given_files: Mapping[str, Path], toolchain: Toolchain, sanitize: bool, made: Path, work: Path,
    say: Callable[[str], None],
) -> tuple[list[BundleFile], dict[str, str]]:  # fmt: skip
    """Fill `made`; what was put there, and runtime -> version."""
    sdk = work / "sdk"
    files = []
    for package in pins.packages:
        archive = given_files.get(package.sha256) or fetch.fetch(package, say)
        headers = {prefix: sdk / "include" / into for prefix, into in package.headers.items()}
        archives.extract(archive, {member: made / path for member, path in package.files.items()}, headers)
        files += [_entry(made, path, f"{package.archive}:{member}", package) for member, path in package.files.items()]
        for text, path in package.licence_texts.items():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(LICENCES / text, made / path)
            files.append(_entry(made, path, "kept with edgedeploy", package))
    sdk.mkdir(parents=True, exist_ok=True)
    (sdk / "lib").symlink_to(made / "lib")
    versions = {package.runtime: package.is_version for package in pins.packages}
    (made / "lib" / "versions.json").write_text(json.dumps(versions, indent=2) + "\n", "utf-8")
    if toolchain.prebuilt is not None:
        prebuilt.put(toolchain.prebuilt, made)
    else:
        say(f"compiling for {pins.abi} with {toolchain.description}")
        settings = (
            f"-DCMAKE_INSTALL_PREFIX={made}", f"-DEXECUTORCH_DIR={sdk}", f"-DEDGEBENCH_SANITIZE={'ON' if sanitize else 'OFF'}"
        )  # fmt: skip
        cmake.build(toolchain, work / "build", "install", settings, "the runner", say)
    ours = ("bin/edgebench", "lib/libedgebench_executorch.so", "lib/versions.json")
    for path in (*ours, *(("lib/libfbjni.so",) if pins.android else ())):
        files.append(_entry(made, path, _BUILT, None))
    return files, versions


def _with_c_library(
    base: RunnerBundle, toolchain: Toolchain, machine: str, made: Path
) -> tuple[list[BundleFile], dict[str, str]]:
    """The same for `base` with the compiler's C and C++ library beside its own."""
    shutil.copytree(base.root, made, ignore=shutil.ignore_patterns(MANIFEST))
    files = [
        BundleFile(
            path=taken.path, sha256=fetch.file_digest(made / taken.path), bytes=(made / taken.path).stat().st_size,
            source=taken.source, package="C library", version=toolchain.description, licence=taken.licence,
        )
        for taken in c_library.put(toolchain.compiler, machine, made)
    ]  # fmt: skip
    return [*base.manifest.files, *files], base.manifest.runtimes


def _finish(
    abi: str, key: str, compiler: str, files: Sequence[BundleFile], versions: dict[str, str], loader: str | None, made: Path,
    offers: dict[str, Offer],
) -> None:  # fmt: skip
    for file in files:
        (made / file.path).chmod(0o755 if file.path.startswith(("bin/", "lib/lib", "lib/ld-")) else 0o644)
    manifest = BundleManifest(
        abi=abi, key=key, sources=sources_digest(abi), compiler=compiler, runtimes=versions, loader=loader, offers=offers,
        files=tuple(files),
    )  # fmt: skip
    (made / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", "utf-8")
    made.chmod(0o755)


def _entry(made: Path, path: str, source: str, package: Package | None) -> BundleFile:
    name, version, licence = ("edgedeploy", __version__, _OWN_LICENCE)
    if package is not None:
        name, version, licence = package.package, package.version, package.licence
    file = made / path
    return BundleFile(
        path=path, sha256=fetch.file_digest(file), bytes=file.stat().st_size, source=source,
        package=name, version=version, licence=licence, repackaged=package.repackaged if package is not None else None,
        runtime=package.runtime if package is not None else "",
    )  # fmt: skip


def _replace(made: Path, root: Path, old: Path) -> None:
    """Put `made` where `root` is. A reader sees the one or the other, or for an instant neither, but never a mixture."""
    if root.is_dir() and not root.is_symlink():
        os.rename(root, old)
    elif root.exists():
        root.unlink()
    os.rename(made, root)
    shutil.rmtree(old, ignore_errors=True)
