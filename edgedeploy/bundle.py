"""Bundles on disk: written beside and renamed into place, read with every digest checked."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy.typing as npt
from pydantic import ValidationError

from edgedeploy import array_file
from edgedeploy.artifact import FileEntry, Manifest, canonical_digest
from edgedeploy.errors import BundleError as BundleError
from edgedeploy.errors import UserError
from edgedeploy.regular_file import read_regular, sha256_regular

MANIFEST = "manifest.json"
DIGEST = "bundle.sha256"
#: a manifest larger than this is not one of ours
MAX_MANIFEST_BYTES = 16 * 2**20
#: two lines of a digest and a name
_MAX_DIGEST_BYTES = 1000


def file_sha256(path: Path) -> str:
    """sha256 of a file, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read: where it is and what its manifest says."""

    path: Path
    manifest: Manifest
    digest: str

    def file(self, name: str) -> Path:
        """The path of a file that the manifest lists. Raises BundleError for one that it does not."""
        if name not in self.manifest.files and name not in {stage.file for stage in self.manifest.stages}:
            raise BundleError(f"{self.path}: the manifest lists no file {name!r}")
        return self.path / name

    def arrays(self, group: str) -> dict[str, npt.NDArray[Any]]:
        """The arrays of `golden/inputs`, `golden/expected` or `golden/float`, by name. Never unpickles.

        Raises BundleError for a file that holds no array.
        """
        prefix = group.rstrip("/") + "/"
        names = [name for name in self.manifest.files if name.startswith(prefix) and name.endswith(".npy")]
        return {name[len(prefix) : -4]: array_file.load_npy(self.path / name) for name in sorted(names)}

    def npz(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """The arrays of a listed .npz file (`eval/inputs.npz`, `eval/labels.npz`, `eval/host.npz`), by name.

        Raises BundleError when it is not listed or holds something else.
        """
        return array_file.load_npz(self.file(name))


def _digest_lines(digest: str, manifest: bytes) -> str:
    # Two lines: the bundle's identity, which leaves times out, and the file's own digest, which leaves nothing out.
    return f"{digest}  bundle\n{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n"


def _read_manifest(path: Path) -> tuple[Manifest, dict[str, Any], bytes]:
    """The manifest, its document as it stands in the file, and the file."""
    source = path / MANIFEST
    if not path.is_dir():
        raise BundleError(f"{path}: no such bundle (a bundle is a directory with a {MANIFEST}; `edgedeploy export` makes one)")
    if not os.path.lexists(source):
        raise BundleError(f"{path}: not a bundle, there is no {MANIFEST} in it")
    raw = read_regular(source, MAX_MANIFEST_BYTES)
    try:
        data = json.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BundleError(f"{source}: not JSON ({error})") from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > Manifest.model_fields["schema_version"].default:
        raise BundleError(f"{source}: schema_version {version} is newer than this edgedeploy reads; update edgedeploy")
    try:
        return Manifest.model_validate_json(raw), data, raw
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the manifest"
        raise BundleError(f"{source}: {where}: {first['msg']}") from None
    except ValueError as error:
        raise BundleError(f"{source}: {error}") from None


def read(path: Path) -> Bundle:
    """Read a bundle's manifest and check it against `bundle.sha256`. The other files are checked by `check_files`.

    Raises BundleError (a UserError) when it is missing, malformed, or does not match its digest.
    """
    path = Path(path)
    manifest, document, raw = _read_manifest(path)
    try:
        digest = canonical_digest(document)
    except (ValueError, RecursionError) as error:  # NaN, or nesting past all reason, in a free-form field
        raise BundleError(f"{path / MANIFEST}: cannot be made canonical ({error})") from None
    if read_regular(path / DIGEST, _MAX_DIGEST_BYTES) != _digest_lines(digest, raw).encode():
        raise BundleError(f"{path / MANIFEST}: does not match {DIGEST}; the manifest or the digest was changed")
    return Bundle(path, manifest, digest)


def check_files(bundle: Bundle) -> None:
    """Check size and digest of every file the manifest lists, and that nothing else is there.

    Raises BundleError naming the first file that is wrong.
    """
    listed = {name: (entry.sha256, entry.bytes) for name, entry in bundle.manifest.files.items()}
    listed |= {stage.file: (stage.sha256, stage.bytes) for stage in bundle.manifest.stages}
    root = bundle.path.resolve()
    for name, (sha256, size) in sorted(listed.items()):
        target = bundle.path / name
        if not target.parent.resolve().is_relative_to(root):
            raise BundleError(f"{target}: leads out of the bundle")
        if sha256_regular(target, size) != sha256:
            raise BundleError(f"{target}: digest differs from the manifest's; the file was changed")
    _refuse_the_rest(bundle.path, {*listed, MANIFEST, DIGEST})


def _refuse_the_rest(root: Path, files: set[str]) -> None:
    """Raise BundleError for anything below `root` but `files` and the directories that lead to them."""
    leading = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    todo = [root]
    while todo:
        try:
            with os.scandir(todo.pop()) as entries:
                there = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise BundleError(f"{error.filename}: cannot be read ({error.strerror})") from None
        for entry in there:
            name = Path(entry.path).relative_to(root).as_posix()
            directory = entry.is_dir(follow_symlinks=False)
            if name not in (leading if directory else files):
                raise BundleError(f"{entry.path}: not in the manifest")
            if directory:
                todo.append(Path(entry.path))


def write_array(directory: Path, name: str, array: npt.NDArray[Any]) -> None:
    """Write `directory/name.npy`, plain (never pickled)."""
    array_file.write_npy(directory / f"{name}.npy", array)


def write_arrays_compressed(target: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a compressed .npz. Its bytes depend on the arrays only: members carry no time stamp."""
    array_file.write_npz(target, arrays)


def list_files(directory: Path, stages: set[str]) -> dict[str, FileEntry]:
    """The `files` entry of a manifest: everything in the directory but the stages' model files."""
    entries: dict[str, FileEntry] = {}
    for found in sorted(directory.rglob("*")):
        name = found.relative_to(directory).as_posix()
        if found.is_file() and name not in stages and name not in (MANIFEST, DIGEST):
            entries[name] = FileEntry(sha256=file_sha256(found), bytes=found.stat().st_size)
    return entries


def refuse_file(destination: Path) -> None:
    """Raise UserError where something other than a directory stands at a bundle's place: it is nothing of ours to replace."""
    if destination.exists() and not destination.is_dir():
        raise UserError(f"{destination} is a file, where a bundle's directory would go; move it away, or give another --out")


@contextmanager
def writing(destination: Path, *, replace: bool) -> Iterator[Path]:
    """A directory beside `destination` to build a bundle in; renamed into place when the block ends without an error.

    `seal` must have been called inside. Raises UserError when something is there and `replace` is false; what was there
    stays until the new bundle is whole.
    """
    destination = Path(destination)
    refuse_file(destination)
    if destination.exists() and not replace:
        raise UserError(f"{destination} is there already; give --force to replace it, or another --out")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {destination.parent}: {error.strerror or error}; give another --out") from None
    scratch = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
    try:
        yield scratch
        if not (scratch / DIGEST).is_file():
            raise RuntimeError("a bundle was not sealed before it was put in place")
        os.chmod(scratch, 0o755)
        if destination.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{destination.name}.old.", dir=destination.parent))
            os.rename(destination, old / "bundle")
            os.rename(scratch, destination)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(scratch, destination)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def seal(directory: Path, manifest: Manifest) -> str:
    """Write `manifest.json` and `bundle.sha256` into a bundle being written; returns the bundle's digest."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=1, ensure_ascii=True, allow_nan=False)
    raw = (text + "\n").encode()
    (directory / MANIFEST).write_bytes(raw)
    digest = manifest.digest()
    (directory / DIGEST).write_text(_digest_lines(digest, raw), "ascii")
    return digest
