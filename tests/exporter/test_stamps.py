"""A bundle that nobody wrote to is not read again; one that somebody may have written to is."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgedeploy import bundle
from exporter import stamps
from exporter.export import export
from exporter.options import Options
from exporter.runtimes import get
from tests.exporter import tiny

#: longer than the tick of a file system's clock
TICK_SEC = 0.02


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stamps")
    outcome = export([tiny.subject], [], [get("onnx")], out, Options("x86_64", calibration_samples=16))[0]
    assert outcome.error is None
    return outcome.path


@pytest.fixture
def whole(exported: Path, tmp_path: Path) -> Path:
    """A bundle as it was sealed: a copy, whose file of digests is the last one that was written."""
    copy = tmp_path / "bundle"
    shutil.copytree(exported, copy)
    time.sleep(TICK_SEC)
    (copy / bundle.DIGEST).write_bytes((exported / bundle.DIGEST).read_bytes())
    time.sleep(TICK_SEC)
    return copy


def test_a_bundle_that_was_just_written_is_as_sealed(exported: Path) -> None:
    found = stamps.as_sealed(exported)
    assert found is not None
    assert found == stamps.of(exported)
    assert found["golden"] == []


def flipped(folder: Path) -> None:
    model = folder / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    before = model.stat()
    model.write_bytes(content)
    # who damages it may say that it is old
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "a bit": flipped,
    "a file more": lambda folder: (folder / "golden/more.npy").write_bytes(b""),
    "a folder more": lambda folder: (folder / "more").mkdir(),
    "a file less": lambda folder: (folder / "eval/labels.npz").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_read_and_found(whole: Path, change: str) -> None:
    known = stamps.as_sealed(whole)
    assert known is not None
    assert stamps.checked(bundle.read(whole), known) == known
    CHANGES[change](whole)
    assert stamps.of(whole) != known
    with pytest.raises(bundle.BundleError):
        stamps.checked(bundle.read(whole), known)


def test_what_was_written_to_after_it_was_sealed_is_not_believed(whole: Path) -> None:
    flipped(whole)
    assert stamps.as_sealed(whole) is None
    with pytest.raises(bundle.BundleError, match="digest differs"):
        stamps.checked(bundle.read(whole), None)


def test_a_copy_is_read_once(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = stamps.as_sealed(whole)
    shutil.copytree(whole, tmp_path / "copy")
    read: list[Path] = []
    real = bundle.check_files
    monkeypatch.setattr(bundle, "check_files", lambda there: (read.append(there.path), real(there)))
    again = stamps.checked(bundle.read(tmp_path / "copy"), known)
    assert stamps.checked(bundle.read(tmp_path / "copy"), again) == again
    assert read == [tmp_path / "copy"]
