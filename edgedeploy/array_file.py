"""Array files (.npy, .npz) of bundles, which may come from anywhere: never unpickled, and sized before they are read.

`np.load` takes what a file turns out to be (a zip named .npy, a raw member of a zip) and lets many kinds of exception
through; here a file is what its name says, holds plain numbers, and anything else is one BundleError.
"""

from __future__ import annotations

import io
import math
import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from edgedeploy.errors import BundleError
from edgedeploy.regular_file import open_regular

#: of a file, and of everything that is packed in one
MAX_BYTES = 4 * 2**30
MAX_MEMBERS = 64
#: the compressions numpy writes; the others unpack further, and nobody needs them
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

Array = npt.NDArray[Any]


def load_npy(path: Path) -> Array:
    """The array of a .npy file. Raises BundleError."""
    with _opened(path) as file:
        try:
            return _array(file, os.fstat(file.fileno()).st_size)
        except Exception as error:  # the header is parsed as Python by numpy, which may raise whatever a parser does
            raise _unreadable(path, error) from None


def load_npz(path: Path) -> dict[str, Array]:
    """The arrays of a .npz file by name. Raises BundleError."""
    with _opened(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                _check(members)
                return {info.filename[:-4]: _member(archive, info) for info in members}
        except Exception as error:
            raise _unreadable(path, error) from None


def _opened(path: Path) -> IO[bytes]:
    return open_regular(path, MAX_BYTES)


def _unreadable(path: Path, error: Exception) -> BundleError:
    said = " ".join(str(error).split())[:300] or type(error).__name__
    return BundleError(f"{path}: not a readable array file ({said})")


def _check(members: list[zipfile.ZipInfo]) -> None:
    """Everything a zip says of itself, before anything is unpacked: zipfile reads no more of a member than it declares."""
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"{len(members)} members")
    if len({info.filename for info in members}) != len(members):
        raise ValueError("two members have the same name")
    for info in members:
        if not info.filename.endswith(".npy"):
            raise ValueError(f"{info.filename!r} is not an array")
        if info.compress_type not in _METHODS:
            raise ValueError(f"{info.filename!r} is compressed by method {info.compress_type}")
    if sum(info.file_size for info in members) > MAX_BYTES:
        raise ValueError(f"unpacks to over {MAX_BYTES} bytes")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    with archive.open(info) as member:
        array = _array(member, info.file_size)
        if member.read(1):  # and only at its end is the checksum compared
            raise ValueError(f"{info.filename!r} goes on after its array")
        return array


def _array(file: IO[bytes], size: int) -> Array:
    """The array in `file`, whose header must account for all of its `size` bytes before they are read."""
    with warnings.catch_warnings():
        # a header that needs a warning was not written by numpy
        warnings.simplefilter("error")
        version = np.lib.format.read_magic(file)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in readers:
            raise ValueError(f"format version {version}")
        shape, by_column, dtype = readers[version](file)
        if dtype.kind not in "biuf" or dtype.itemsize > 8 or dtype.subdtype is not None:
            raise ValueError(f"holds {dtype}, not plain numbers")
        count = math.prod(shape)
        if any(dim < 0 for dim in shape) or file.tell() + count * dtype.itemsize != size:
            raise ValueError(f"has {size} bytes, which are not {dtype} {list(shape)}")
        data = bytearray(count * dtype.itemsize)
        filled = memoryview(data)
        while len(filled):
            piece = file.read(min(len(filled), 2**20))
            if not piece:
                raise ValueError("is cut short")
            filled[: len(piece)] = piece
            filled = filled[len(piece) :]
        return np.ndarray(shape, dtype, data, order="F" if by_column else "C")


def write_npy(target: Path, array: Array) -> None:
    """Write a .npy, plain (never pickled)."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as handle:
        np.save(handle, np.ascontiguousarray(array), allow_pickle=False)


def write_npz(target: Path, arrays: Mapping[str, Array]) -> None:
    """Write a compressed .npz. Its bytes depend on the arrays only: members carry no time stamp."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(arrays):
            buffer = io.BytesIO()
            np.save(buffer, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(member, buffer.getvalue(), zipfile.ZIP_DEFLATED, 6)
