"""Labelled images in folders, prepared as an image classifier of a zoo was evaluated by its publisher.

data/<split>/<class>/<image>, for the splits calibration and evaluation, and validation and train if there are any. The
names of the class folders, sorted, are the model's classes in order, as in ImageNet's folders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedeploy.errors import UserError
from exporter.subjects.arrays import completed
from exporter.subjects.base import Arrays, Split, SplitName
from exporter.subjects.disjoint import KEEP_LAST
from exporter.subjects.zoo.ends import IMAGE

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@dataclass(frozen=True)
class Pixels:
    """How an image becomes an input: the shorter side to size / crop, the middle size x size, 0..1, (x - mean) / std.

    crop: share of the shorter side that is kept. interpolation: "bilinear" or "bicubic".
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float
    interpolation: str

    def __str__(self) -> str:
        mean, std = (", ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return (
            f"RGB, the middle {self.crop:.1%} of the shorter side resized ({self.interpolation}), 0..1, "
            f"minus ({mean}), divided by ({std})"
        )

    def prepare(self, path: Path, size: int) -> npt.NDArray[np.float32]:
        """One image as float32 [3, size, size]. Raises UserError where it cannot be read."""
        from PIL import Image

        how = Image.Resampling.BICUBIC if self.interpolation == "bicubic" else Image.Resampling.BILINEAR
        try:
            with Image.open(path) as file:
                image = file.convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UserError(f"{path} is no image that can be read: {error}") from error
        width, height = image.size
        short = int(size / self.crop + 1e-6)
        wide, high = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
        left, top = round((wide - size) / 2.0), round((high - size) / 2.0)
        cropped = image.resize((wide, high), how).crop((left, top, left + size, top + size))
        values = np.asarray(cropped, np.float32) / 255.0
        normalised = (values - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(normalised.transpose(2, 0, 1))


def read_pictures(folder: Path, pixels: Pixels, size: int, classes: int) -> dict[SplitName, Split]:
    """The sets of a folder. An example is known by its file's sha256 and decoded when it is asked for.

    Raises UserError where a set is missing, or where the class folders are not as many as the model has classes.
    """
    present: list[SplitName] = [name for name in KEEP_LAST if (folder / name).is_dir()]
    for needed in ("calibration", "evaluation"):
        if needed not in present:
            raise UserError(
                f"{folder} has no folder {needed}; it holds <split>/<class>/<image>, for calibration and evaluation."
            )
    names = sorted({each.name for split in present for each in (folder / split).iterdir() if each.is_dir()})
    if len(names) != classes:
        raise UserError(
            f"{folder} has {len(names)} class folders and the model {classes:,} classes; their names, sorted, are the classes "
            "in order, so make one for each, empty where there is no image of it."
        )
    return completed({split: _split(folder / split, names, pixels, size) for split in present})


def _split(folder: Path, names: list[str], pixels: Pixels, size: int) -> Split:
    files: dict[bytes, Path] = {}
    digests: list[bytes] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        inside = sorted((folder / name).iterdir()) if (folder / name).is_dir() else []
        for file in inside:
            if file.suffix.lower() in _SUFFIXES and file.is_file():
                digests.append(hashlib.sha256(file.read_bytes()).digest())
                files[digests[-1]] = file
                labels.append(label)
    if not digests:
        raise UserError(f"{folder} has no images; they are {', '.join(_SUFFIXES)} in a folder for each class.")
    raw = np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), 32)
    return Split.from_arrays({"sha256": raw}, labels, lambda arrays: _decoded(arrays, files, pixels, size))


def _decoded(arrays: Arrays, files: Mapping[bytes, Path], pixels: Pixels, size: int) -> dict[str, npt.NDArray[Any]]:
    prepared = [pixels.prepare(files[digest.tobytes()], size) for digest in arrays["sha256"]]
    return {IMAGE: np.stack(prepared) if prepared else np.zeros((0, 3, size, size), np.float32)}
