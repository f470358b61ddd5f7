"""Array files from anywhere: plain numbers of the size they say, or one sentence."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgedeploy import array_file
from edgedeploy.errors import BundleError


def npy(array: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=True)
    return buffer.getvalue()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def header(text: bytes, version: int = 1) -> bytes:
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text


ONES = npy(np.ones(4, np.float32))
SHAPE = b"{'descr': '<f4', 'fortran_order': False, 'shape': %s, }\n"
BAD_NPY = {
    "empty": b"",
    "a zip": zipped({"a.npy": ONES}),
    "a zip with a raw member": zipped({"array": b"raw"}),
    "unclosed brackets": header(b"{'descr': ((((("),
    "badly indented": header(b"  {\n   'descr'\n 1"),
    "an escape that Python warns of": header(b"{'descr': '\\d', 'fortran_order': False, 'shape': (1,), }"),
    "a header of version 9": header(SHAPE % b"(4,)", 9) + bytes(16),
    "deep nesting": header(b"(" * 9000),
    "objects": npy(np.array([{}], dtype=object)),
    "text": npy(np.array(["a"])),
    "records": npy(np.zeros(2, [("a", "f4")])),
    "times": npy(np.zeros(2, "m8[s]")),
    "more elements than bytes": header(SHAPE % b"(1000000000000,)") + bytes(16),
    "fewer elements than bytes": header(SHAPE % b"(2,)") + bytes(16),
    "a negative dimension": header(SHAPE % b"(-4,)") + bytes(16),
    "a huge dimension": header(SHAPE % b"(99999999999999999999999999,)") + bytes(16),
    "cut short": ONES[:-1],
    "something after it": ONES + b"x",
}
DAMAGED = bytearray(zipped({"a.npy": ONES}, zipfile.ZIP_STORED))
DAMAGED[DAMAGED.index(b"\x93NUMPY") + len(ONES) - 1] ^= 0xFF
ENCRYPTED = bytearray(zipped({"a.npy": ONES}))
ENCRYPTED[6] |= 1
ENCRYPTED[ENCRYPTED.index(b"PK\x01\x02") + 8] |= 1
BAD_NPZ = {
    "an npy": ONES,
    "no zip": b"PK\x03\x04 not a zip",
    "a raw member": zipped({"a": b"raw"}),
    "a raw member with the name of an array": zipped({"a.npy": b"raw"}),
    "a wrong checksum": bytes(DAMAGED),
    "encrypted": bytes(ENCRYPTED),
    "compressed by lzma": zipped({"a.npy": ONES}, zipfile.ZIP_LZMA),
    "an array with something after it": zipped({"a.npy": ONES + b"x"}),
    "too many members": zipped({f"{i}.npy": ONES for i in range(array_file.MAX_MEMBERS + 1)}),
    **{f"a member that is {what}": zipped({"a.npy": content}) for what, content in BAD_NPY.items()},
}


@pytest.mark.parametrize("what", BAD_NPY)
def test_a_bad_npy_is_one_sentence(tmp_path: Path, what: str) -> None:
    (tmp_path / "x.npy").write_bytes(BAD_NPY[what])
    with pytest.raises(BundleError, match=r"x\.npy: not a readable array file \(.+\)") as caught:
        array_file.load_npy(tmp_path / "x.npy")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", BAD_NPZ)
def test_a_bad_npz_is_one_sentence(tmp_path: Path, what: str) -> None:
    (tmp_path / "x.npz").write_bytes(BAD_NPZ[what])
    with pytest.raises(BundleError, match=r"x\.npz: not a readable array file \(.+\)") as caught:
        array_file.load_npz(tmp_path / "x.npz")
    assert "\n" not in str(caught.value)


def test_two_members_of_one_name(tmp_path: Path) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("a.npy", ONES)
        archive.writestr("a.npy", ONES)
    with pytest.raises(BundleError, match="same name"):
        array_file.load_npz(tmp_path / "x.npz")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = header(SHAPE % b"(%d,)" % (2**18)) + bytes(2**20)
    (tmp_path / "x.npz").write_bytes(zipped({f"{i}.npy": bomb for i in range(8)}))
    assert (tmp_path / "x.npz").stat().st_size < 2**15
    monkeypatch.setattr(array_file, "MAX_BYTES", 2**22)
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    with pytest.raises(BundleError, match="unpacks to over"):
        array_file.load_npz(tmp_path / "x.npz")


def test_a_member_that_declares_less_than_it_holds(tmp_path: Path) -> None:
    raw = bytearray(zipped({"a.npy": header(SHAPE % b"(%d,)" % 2**18) + bytes(2**20)}))
    central = raw.index(b"PK\x01\x02")
    raw[central + 24 : central + 28] = struct.pack("<I", 100)
    (tmp_path / "x.npz").write_bytes(raw)
    with pytest.raises(BundleError):
        array_file.load_npz(tmp_path / "x.npz")


@pytest.mark.parametrize(
    "array",
    [np.arange(6).reshape(2, 3), np.asfortranarray(np.ones((3, 2), np.float16)), np.zeros((0, 4), np.uint8),
     np.array(3, np.int64), np.array([True, False]), np.arange(3, dtype=">i4")],
)  # fmt: skip
def test_what_numpy_writes_is_read(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", array)
    np.savez_compressed(tmp_path / "x.npz", first=array, second=np.ones(2))
    for given in (array_file.load_npy(tmp_path / "x.npy"), array_file.load_npz(tmp_path / "x.npz")["first"]):
        np.testing.assert_array_equal(given, array, strict=True)
    assert sorted(array_file.load_npz(tmp_path / "x.npz")) == ["first", "second"]
