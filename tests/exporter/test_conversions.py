"""Float conversions are made once for a model's content and kept: shared, checked by digest, and not without end."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgedeploy.errors import UserError
from exporter import conversions, runtimes, traced
from exporter.prepare import prepare
from exporter.runtimes.base import Work
from exporter.runtimes.lowering import torch_example
from tests.exporter import tiny
from tests.exporter.runtimes import standins

RUNTIMES = ("onnx", "tflite", "executorch")
#: what each runtime's conversion goes through
CONVERTERS = {
    "onnx": "torch.onnx.export",
    "tflite": "litert_torch.convert",
    "executorch": "executorch.exir.to_edge_transform_and_lower",
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEDEPLOY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(conversions.LIMIT_VARIABLE, "1")
    return tmp_path / "cache" / "conversions"


def linear(seed: int = 0) -> Work:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    rng = np.random.default_rng(0)
    values = {"x": rng.standard_normal((8, 8), dtype=np.float32)}
    return standins.work(model, values, (standins.spec("y", (1, 3)),))


def no_more(patch: pytest.MonkeyPatch, runtime: str) -> None:
    """From here on the runtime's converter fails."""

    def fail(*given: Any, **named: Any) -> Any:
        raise RuntimeError("converted again")

    patch.setattr(CONVERTERS[runtime], fail)


@pytest.mark.parametrize("name", RUNTIMES)
def test_what_is_converted_once_is_taken_by_the_next(
    name: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = runtimes.get(name).lower(linear(), tmp_path / "first")
    no_more(monkeypatch, name)
    again = runtimes.get(name).lower(linear(), tmp_path / "again")
    assert again.file.read_bytes() == first.file.read_bytes()
    assert replace(again, file=first.file) == first
    # other weights are another model, another name of an end another file
    with pytest.raises(UserError, match="converted again"):
        runtimes.get(name).lower(linear(1), tmp_path / "other")
    other = linear()
    renamed = other.signature.model_copy(update={"outputs": (standins.spec("z", (1, 3)),)})
    with pytest.raises(UserError, match="converted again"):
        runtimes.get(name).lower(replace(other, signature=renamed), tmp_path / "other")
    assert sorted(each.suffix for each in cache.iterdir()) == [".json", ".model"]


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_quantising_takes_the_float_conversion(name: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtimes.get(name).lower(linear(), tmp_path / "float")
    no_more(monkeypatch, name)
    chosen = runtimes.get(name)
    assert chosen.lower_int8(linear(), "full", "minmax", tmp_path / "int8").coverage.int8_share > 0
    assert chosen.lower_to(linear(), "fp16", tmp_path / "fp16").file.is_file()


@pytest.mark.parametrize("what", ["a bit", "cut short", "gone", "note", "another's note"])
def test_a_damaged_conversion_is_made_anew(what: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = runtimes.get("onnx")
    before = onnx.lower(linear(), tmp_path / "a").file.read_bytes()
    (kept,), (note,) = cache.glob("*.model"), cache.glob("*.json")
    if what == "a bit":
        kept.write_bytes(before[:100] + bytes([before[100] ^ 1]) + before[101:])
    elif what == "cut short":
        kept.write_bytes(before[:-1])
    elif what == "gone":
        kept.unlink()
    elif what == "note":
        note.write_text("{")
    else:
        note.write_text(json.dumps({"sha256": "0" * 64, "told": None}))
    assert onnx.lower(linear(), tmp_path / "b").file.read_bytes() == before
    no_more(monkeypatch, "onnx")
    assert onnx.lower(linear(), tmp_path / "c").file.read_bytes() == before


def test_the_least_recently_used_go_first(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = runtimes.get("onnx")
    size = onnx.lower(linear(0), tmp_path / "m").file.stat().st_size
    monkeypatch.setenv(conversions.LIMIT_VARIABLE, str(2.5 * size / 1e9))
    onnx.lower(linear(1), tmp_path / "m")
    onnx.lower(linear(0), tmp_path / "m")  # used again
    onnx.lower(linear(2), tmp_path / "m")
    assert len(list(cache.glob("*.model"))) == len(list(cache.glob("*.json"))) == 2
    no_more(monkeypatch, "onnx")
    for seed in (0, 2):
        onnx.lower(linear(seed), tmp_path / "m")
    with pytest.raises(UserError, match="converted again"):
        onnx.lower(linear(1), tmp_path / "m")


def test_what_is_larger_than_the_limit_is_not_kept(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(conversions.LIMIT_VARIABLE, "1e-7")
    runtimes.get("onnx").lower(linear(), tmp_path / "m")
    assert not cache.exists()
    monkeypatch.setenv(conversions.LIMIT_VARIABLE, "0")
    runtimes.get("onnx").lower(linear(), tmp_path / "m")
    assert not cache.exists()


@pytest.mark.parametrize("said", ["much", "-1", "inf", "nan"])
def test_a_limit_that_is_none_is_refused(said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(conversions.LIMIT_VARIABLE, said)
    with pytest.raises(UserError, match="EDGEDEPLOY_CONVERSIONS_GB"):
        runtimes.get("onnx").lower(linear(), tmp_path / "m")


class Scaled(nn.Module):
    """A constant that is neither parameter nor buffer, and one written in the code."""

    def __init__(self, constant: float, written: float) -> None:
        super().__init__()
        self.constant, self.written = torch.tensor([constant]), written

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.constant + self.written


def test_a_model_is_known_by_all_that_it_computes_with() -> None:
    example = (torch.zeros(1, 2),)
    digests = [traced.digest(Scaled(*numbers).eval(), example) for numbers in ((1, 1), (1, 1), (2, 1), (1, 1 + 2**-52))]
    assert None not in digests
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    model = Scaled(1, 1).eval()
    traced.digest(model, example)
    model.register_parameter("more", nn.Parameter(torch.ones(1)))
    assert traced.digest(model, example) != digests[0]


def test_weights_that_are_changed_in_place_are_another_model() -> None:
    example, model = (torch.zeros(1, 2),), nn.Linear(2, 2).eval()
    before = traced.digest(model, example)
    with torch.no_grad():
        model.weight += 1
    assert traced.digest(model, example) != before


def test_a_model_is_traced_once_for_all_that_executorch_makes_of_it(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced_models: list[nn.Module] = []
    real = torch.export.export

    def counting(model: nn.Module, *given: Any, **named: Any) -> Any:
        traced_models.append(model)
        return real(model, *given, **named)

    executorch, work = runtimes.get("executorch"), replace(linear(), family="transformer")
    monkeypatch.setattr(torch.export, "export", counting)
    before = traced.digest(work.model, torch_example(work))
    executorch.lower(work, tmp_path / "float")
    executorch.lower_int8(work, "linear", "minmax", tmp_path / "int8")
    executorch.lower_to(work, "int8-dynamic", tmp_path / "dynamic")
    assert [model for model in traced_models if model is work.model] == [work.model]
    # and lowering it left the shared trace, and the model, as they were
    assert traced.digest(work.model, torch_example(work)) == before
    fresh = real(work.model, torch_example(work)).graph_module.code
    assert traced.program(work.model, torch_example(work)).graph_module.code == fresh


def test_a_model_that_trains_again_is_traced_anew() -> None:
    example, model = (torch.ones(1, 4),), nn.Sequential(nn.Dropout(0.5)).eval()
    in_eval = traced.program(model, example)
    assert traced.program(model, example) is in_eval
    assert traced.program(model.train(), example) is not in_eval


def test_a_traced_model_is_let_go() -> None:
    model = nn.Linear(2, 2).eval()
    traced.digest(model, (torch.zeros(1, 2),))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_what_the_float_model_says_is_worked_out_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def outputs() -> Any:
        prepared = prepare(tiny.subject, retrain=False, progress=None)
        return prepared.original.evaluation["logits"], prepared.original.validation

    first = outputs()

    def fail(*given: Any) -> Any:
        raise RuntimeError("run again")

    monkeypatch.setattr("exporter.verify.run_torch", fail)
    for before, after in zip(first, outputs(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_another_command_takes_what_one_had_converted(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(tiny.trained(8), (torch.zeros(1, 3, 16, 16),)), tmp_path / "m.pt2")
    arrays: dict[str, Any] = {}
    for name in ("calibration", "validation", "evaluation"):
        split = tiny.split(name)  # type: ignore[arg-type]
        arrays[f"{name}_image"] = split.batch(0, len(split))["image"].astype(np.float32)
        arrays[f"{name}_labels"] = split.labels
    np.savez(tmp_path / "data.npz", **arrays)
    code = "import sys; from edgedeploy.cli import main\nif sys.argv[1] == 'no': import torch; torch.onnx.export = None\n" \
           "main(sys.argv[2:])"  # fmt: skip
    environment = {**os.environ, "EDGEDEPLOY_CACHE": str(tmp_path / "cache"), conversions.LIMIT_VARIABLE: "1"}
    for may, operator, out in (("yes", "identity", "a"), ("no", "sptq", "b")):
        command = [sys.executable, "-c", code, may, "export", "--op", operator, "--subject", "m.pt2", "--data", "data.npz",
                   "--runtime", "onnx", "--calibration-samples", "8", "--calibration", "minmax", "--out", out]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=600, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
