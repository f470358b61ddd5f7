"""Operators that a runtime lacks are named before anything is lowered; what can be lowered is never refused."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.errors import UserError
from edgedeploy.signature import Signature, TensorSpec
from exporter import runtimes
from exporter.operator_tables import lacking
from exporter.runtimes.base import Work
from exporter.subjects import load
from tests.exporter import tiny
from tests.exporter.cli import run_cli

RUNTIMES = ("onnx", "tflite", "executorch")


class Median(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.median(x, 1)[0]


class Distances(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cdist(x, x)


class Best(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.topk(x, 2, 1)[0]


class Inverse(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.erfinv(torch.tanh(x) * 0.5)


class Norms(nn.Module):
    """Operators that few models have, all of which every runtime takes."""

    def forward(self, x: Tensor) -> Tensor:
        rolled = torch.roll(torch.renorm(x, 2, 0, 1.0), 1, 1)
        return torch.triu(rolled) + nn.functional.pixel_shuffle(x.reshape(1, 4, 2, 2), 2).reshape(1, 4, 4)


def program(model: nn.Module) -> torch.export.ExportedProgram:
    return torch.export.export(model.eval(), (torch.rand(1, 4, 4),))


@pytest.mark.parametrize(
    ("model", "runtime", "names"),
    [
        (Median(), "onnx", ("aten.median.dim",)),
        (Median(), "tflite", ("aten.median.dim",)),
        (Median(), "executorch", ("aten.median.dim",)),
        (Distances(), "onnx", ("aten._cdist_forward.default",)),
        (Best(), "tflite", ("aten.topk.default",)),
        (Inverse(), "executorch", ("aten.erfinv.default",)),
    ],
)
def test_what_is_named_cannot_be_lowered_indeed(tmp_path: Path, model: nn.Module, runtime: str, names: tuple[str]) -> None:
    exported = program(model)
    assert lacking(exported, runtime) == names
    shape = tuple(model(torch.rand(1, 4, 4)).shape)
    signature = Signature(
        task="other", metric="none", inputs=(TensorSpec(name="x", dtype="float32", shape=(1, 4, 4)),),
        outputs=(TensorSpec(name="y", dtype="float32", shape=shape),),
    )  # fmt: skip
    made = runtimes.get(runtime)
    with pytest.raises((UserError, ValueError)):
        made.open(made.lower(Work(model, signature, "transformer", "x86_64"), tmp_path / f"m{made.suffix}").file)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_can_be_lowered_is_not_refused(runtime: str) -> None:
    models = [Norms()]
    if runtime != "onnx":
        models.append(Distances())
    if runtime != "tflite":
        models.append(Best())
    for model in models:
        assert lacking(program(model), runtime) == (), model


@pytest.mark.parametrize("name", ["tiny", "fashion-lite0", "film-minilm"])
def test_the_models_that_come_with_it_are_not_refused(name: str) -> None:
    subject = tiny.subject if name == "tiny" else load(name)
    model = subject.model(False, None).model
    example = tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in subject.signature.inputs)
    exported = torch.export.export(model, example)
    for runtime in RUNTIMES:
        assert lacking(exported, runtime) == ()
        # by the table too, which programs of common operators alone are not looked up in
        assert importlib.import_module(f"exporter.operator_tables.{runtime}").lacks(exported) == []


def test_the_command_names_the_operator_before_it_lowers_anything(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import dataclasses, torch\n"
        "from torch import nn\n"
        "from exporter.subjects.base import Weights\n"
        "from tests.exporter import tiny\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.head = nn.Linear(768, 4)\n"
        "    def forward(self, image):\n"
        "        return self.head(torch.median(image.flatten(1).unsqueeze(1).expand(1, 3, 768), 1)[0])\n"
        "subject = dataclasses.replace(tiny.subject, name='mine', model=lambda *_: Weights(Net().eval(), 'a' * 64, 'given'))\n"
    )
    ended = run_cli("export", "--op", "sptq", "--subject", "mine.py:subject", "--json", "--runtime", "onnx", cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    rows = json.loads(ended.stdout)["bundles"]
    assert [row["state"] for row in rows] == ["failed", "failed"]
    assert all(row["error"].startswith("onnx lacks aten.median.dim") for row in rows)
    assert "sptq on onnx cannot be: onnx lacks aten.median.dim" in ended.stderr
