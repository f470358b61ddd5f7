"""Validly sealed bundles with files that are not what their names say: a sentence before the device is touched."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_runner import accuracy, plan
from edgedeploy import bundle
from edgedeploy.bundle import BundleError
from tests import sealing
from tests.device_runner import tiny


def _npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones((tiny.CASES, tiny.WIDTH), np.float32))
    return buffer.getvalue()


def _zip(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


BROKEN = bytearray(_zip("image.npy", _npy()))
BROKEN[200] ^= 0xFF


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("golden/inputs/image.npy", _zip("image.npy", _npy())),
        ("golden/inputs/image.npy", _zip("array", b"raw")),
        ("golden/expected/logits.npy", b"\x93NUMPY\x01\x00\x0f\x00{'descr': (((( "),
        ("eval/inputs.npz", _npy()),
        ("eval/inputs.npz", bytes(BROKEN)),
        ("eval/labels.npz", _zip("labels", b"raw")),
        ("eval/labels.npz", _zip("labels.npy", _npy())),
        ("eval/labels.npz", _zip("other.npy", _npy())),
    ],
)
def test_arrays_that_are_none(tmp_path: Path, name: str, content: bytes) -> None:
    path = tiny.write_bundle(tmp_path / "b")
    sealing.replace(path, name, content)
    read = bundle.read(path)
    bundle.check_files(read)
    with pytest.raises(BundleError, match=name.split("/")[0]):
        accuracy.evaluation(read)
    if name.startswith("golden"):
        with pytest.raises(BundleError):
            plan.from_bundle(read)


def test_an_output_without_classes_has_no_accuracy(tmp_path: Path) -> None:
    path = tiny.write_bundle(tmp_path / "b")

    def scalar(document: Any) -> None:
        document["signature"]["outputs"][0]["shape"] = []
        document["files"] = {name: entry for name, entry in document["files"].items() if "/expected/" not in name}

    sealing.edit(path, scalar)
    with pytest.raises(BundleError, match="one number"):
        accuracy.evaluation(bundle.read(path))
