"""What a lowered model says, against the float model, on each real runtime."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.runtimes.base import CALIBRATION_METHODS, CalibrationMethod, Runtime, Work
from tests.exporter.runtimes import standins
from tests.exporter.runtimes.conftest import RUNTIMES, Lower, folder_of, said_by

MODELS = ("cnn", "bert")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_float_is_the_float_model(
    runtime: str, model: str, lower: Lower, by_name: dict[str, Runtime], works: dict[str, Work]
) -> None:
    given = said_by(by_name[runtime], lower(runtime, model, None), works[model])
    np.testing.assert_allclose(given, standins.said_by_torch(works[model]), atol=1e-4)


@pytest.mark.parametrize("method", CALIBRATION_METHODS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_int8_is_close_and_names_the_same_class(
    runtime: str, model: str, method: CalibrationMethod, lower: Lower, by_name: dict[str, Runtime], works: dict[str, Work]
) -> None:
    given = said_by(by_name[runtime], lower(runtime, model, method), works[model])
    expected = standins.said_by_torch(works[model])
    cosine = (given * expected).sum(1) / np.linalg.norm(given, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() > 0.99
    assert (given.argmax(1) == expected.argmax(1)).mean() > 0.9
    assert np.abs(given - expected).max() > 1e-5, "int8 that is exact is not int8"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_methods_give_different_models(runtime: str, lower: Lower) -> None:
    files = {lower(runtime, "bert", method).file.read_bytes() for method in CALIBRATION_METHODS}
    assert len(files) == len(CALIBRATION_METHODS)
    assert lower(runtime, "bert", "entropy").scheme["calibration"] == "entropy"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_lowering_again_gives_the_same_bytes(
    runtime: str, lower: Lower, by_name: dict[str, Runtime], works: dict[str, Work]
) -> None:
    first = lower(runtime, "cnn", "minmax")
    again = by_name[runtime].lower_int8(works["cnn"], first.scheme["scheme"], "minmax", first.file.with_stem("again"))
    assert again.file.read_bytes() == first.file.read_bytes()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_nothing_else_is_left_in_the_folder(runtime: str, lower: Lower, by_name: dict[str, Runtime]) -> None:
    suffixes = {entry.suffix for entry in folder_of(lower(runtime, "cnn", "minmax"))}
    assert suffixes <= {chosen.suffix for chosen in by_name.values()}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_ends_are_float_and_fit_the_signature(runtime: str, lower: Lower, works: dict[str, Work]) -> None:
    for model in MODELS:
        for method in (None, "minmax"):
            lowered = lower(runtime, model, method)  # type: ignore[arg-type]
            signature = works[model].signature
            assert [port.source for port in lowered.inputs] == [spec.name for spec in signature.inputs]
            assert [port.source for port in lowered.outputs] == [spec.name for spec in signature.outputs]
            assert {port.tensor.dtype for port in lowered.outputs} == {"float32"}
            integers = "int32" if runtime == "tflite" else "int64"
            assert {port.tensor.dtype for port in lowered.inputs} == ({"float32"} if model == "cnn" else {integers})
