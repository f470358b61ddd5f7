"""Archives that a user gives may come from anywhere: nothing is written outside, and nothing without an end."""

from __future__ import annotations

import contextlib
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from device_runner.bundles import archives, elf
from edgedeploy.errors import UserError


def _zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


MAKERS = pytest.mark.parametrize("make", [_zip, _tar])


@MAKERS
def test_what_is_asked_for_is_written(make: object, tmp_path: Path) -> None:
    given = make(tmp_path / "a", {"p/lib.so": b"library", "p/include/a/x.h": b"header", "other": b""})  # type: ignore[operator]
    assert set(archives.names(given)) == {"p/lib.so", "p/include/a/x.h", "other"}
    archives.extract(given, {"p/lib.so": tmp_path / "out/lib.so"}, {"p/include/": tmp_path / "out/include"})
    written = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert written == {"out/lib.so", "out/include/a/x.h"}
    assert (tmp_path / "out/lib.so").read_bytes() == b"library"


@MAKERS
def test_nothing_leaves_the_directory(make: object, tmp_path: Path) -> None:
    given = make(tmp_path / "a", {"h/../../escaped": b"x", "h//etc/escaped": b"x", "h/ok": b"x"})  # type: ignore[operator]
    archives.extract(given, {}, {"h/": tmp_path / "deep/out"})
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"a", "deep/out/ok"}


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a", "w") as archive:
        link = tarfile.TarInfo("lib.so")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(UserError, match=r"has no lib\.so"):
        archives.extract(tmp_path / "a", {"lib.so": tmp_path / "out"})
    assert not (tmp_path / "out").exists()


@MAKERS
def test_a_bomb_is_refused(make: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = make(tmp_path / "a", {"lib.so": bytes(3_000_000), "more": bytes(3_000_000)})  # type: ignore[operator]
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 2_000_000)
    with pytest.raises(UserError, match="too large"):
        archives.extract(given, {"lib.so": tmp_path / "out"})
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 4_000_000)
    monkeypatch.setattr(archives, "MAX_TAKEN_BYTES", 4_000_000)
    with pytest.raises(UserError, match="too large"):
        archives.extract(given, {"lib.so": tmp_path / "out", "more": tmp_path / "out2"})


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\3\4 cut", b"\x1f\x8b\x08 cut"])
def test_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(UserError):
        archives.names(tmp_path / "a")
    with pytest.raises(UserError):
        archives.extract(tmp_path / "a", {"lib.so": tmp_path / "out"})


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF", b"\x7fELF\x02\x01" + bytes(100), b"\x7fELF\x01\x01" + bytes(100), b"MZ" * 100]
)
def test_no_library(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lib.so").write_bytes(content)
    with pytest.raises(UserError, match=r"lib\.so"):
        elf.read(tmp_path / "lib.so")


def test_a_library_that_lies_about_its_tables_is_read_or_refused(runner: Path, tmp_path: Path) -> None:
    whole = (runner / "bin/edgebench").read_bytes()
    random = np.random.default_rng(0)
    tables = [0, int.from_bytes(whole[32:40], "little"), int.from_bytes(whole[40:48], "little")]
    damaged = tmp_path / "lib.so"
    for _ in range(300):
        content = bytearray(whole)
        for start in tables:
            for at in random.integers(start, start + 1000, 4):
                if 6 <= at < len(content):
                    content[at] = random.integers(256)
        damaged.write_bytes(content[: random.integers(len(content))] if random.random() < 0.2 else content)
        with contextlib.suppress(UserError):
            assert elf.read(damaged).page_bytes >= 0
