"""Each stand-in is lowered once per runtime and precision; the tests look at the same files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from exporter import runtimes
from exporter.runtimes.base import CALIBRATION_METHODS, CalibrationMethod, Lowered, PortedModel, Runtime, Work
from tests.exporter.runtimes import standins

RUNTIMES = ("onnx", "tflite", "executorch")
Lower = Callable[[str, str, CalibrationMethod | None], Lowered]


@pytest.fixture(scope="session")
def by_name() -> dict[str, Runtime]:
    """One runtime object each, so that calibration is shared as it is in an export."""
    return {name: runtimes.get(name) for name in RUNTIMES}


@pytest.fixture(scope="session")
def works() -> dict[str, Work]:
    return {"cnn": standins.cnn(), "bert": standins.bert()}


@pytest.fixture(scope="session")
def lower(by_name: dict[str, Runtime], works: dict[str, Work], tmp_path_factory: pytest.TempPathFactory) -> Lower:
    """(runtime, stand-in, calibration method or None for fp32) -> what it was lowered to."""
    made: dict[tuple[str, str, str | None], Lowered] = {}
    folder = tmp_path_factory.mktemp("lowered")

    def lowered(runtime: str, model: str, method: CalibrationMethod | None = None) -> Lowered:
        key = (runtime, model, method)
        if key not in made:
            chosen, work = by_name[runtime], works[model]
            if method is None:
                made[key] = chosen.lower(work, folder / f"{model}{chosen.suffix}")
            # all methods at once: they share the calibration, as long as no other model comes between
            for each in CALIBRATION_METHODS if method is not None else ():
                file = folder / f"{model}-{each}{chosen.suffix}"
                made[runtime, model, each] = chosen.lower_int8(work, chosen.schemes(work)[0], each, file)
        return made[key]

    return lowered


def said_by(runtime: Runtime, lowered: Lowered, work: Work) -> npt.NDArray[Any]:
    """The first output of a lowered model over the calibration set, [n, ...]."""
    assert work.calibration is not None
    model = PortedModel(runtime.open(lowered.file), lowered.inputs, lowered.outputs)
    name = work.signature.outputs[0].name
    rows = [model(work.calibration.batch(index, index + 1))[name] for index in range(len(work.calibration))]
    return np.concatenate(rows)


def folder_of(lowered: Lowered) -> list[Path]:
    """Everything in the folder of a lowered file, hidden files too."""
    return sorted(lowered.file.parent.iterdir())
