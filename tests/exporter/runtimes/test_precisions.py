"""fp16, int8-dynamic and int8-weights: near the float model on the real runtime, small files, honest coverage, refusals."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgedeploy.artifact import Precision
from edgedeploy.errors import UserError
from exporter import operators, runtimes
from exporter.operators import stored_claims
from exporter.operators.base import Facts
from exporter.runtimes.base import Lowered, Runtime, Work
from exporter.subjects.base import Weights
from tests.exporter.runtimes import standins
from tests.exporter.runtimes.conftest import RUNTIMES, Lower, said_by

PRECISIONS: tuple[Precision, ...] = ("fp16", "int8-dynamic", "int8-weights")
FAMILIES = {"cnn": "convolutional", "bert": "transformer"}
#: who cannot do what, and the operator that its reason names
REFUSED = {
    ("onnx", "cnn", "int8-dynamic"): "ConvInteger",
    ("executorch", "cnn", "fp16"): "aten.convolution",
    ("executorch", "cnn", "int8-dynamic"): "aten.convolution",
    ("executorch", "cnn", "int8-weights"): "aten.convolution",
    ("executorch", "bert", "int8-weights"): "aten.linear",
}
COMBINATIONS = [(r, m, p) for r in RUNTIMES for m in FAMILIES for p in PRECISIONS]
MADE = [each for each in COMBINATIONS if each not in REFUSED]
LowerTo = Callable[[str, str, Precision], Lowered]


@pytest.fixture(scope="module")
def lower_to(by_name: dict[str, Runtime], works: dict[str, Work], tmp_path_factory: pytest.TempPathFactory) -> LowerTo:
    made: dict[tuple[str, str, Precision], Lowered] = {}
    folder = tmp_path_factory.mktemp("precisions")

    def lowered(runtime: str, model: str, precision: Precision) -> Lowered:
        key = (runtime, model, precision)
        if key not in made:
            chosen = by_name[runtime]
            # lowering needs no calibration set
            work = replace(works[model], calibration=None)
            made[key] = chosen.lower_to(work, precision, folder / f"{model}-{precision}{chosen.suffix}")
        return made[key]

    return lowered


@pytest.mark.parametrize(("runtime", "model", "precision"), MADE)
def test_it_is_near_the_float_model(
    runtime: str, model: str, precision: Precision, lower_to: LowerTo, by_name: dict[str, Runtime], works: dict[str, Work]
) -> None:
    given = said_by(by_name[runtime], lower_to(runtime, model, precision), works[model])
    expected = standins.said_by_torch(works[model])
    gap, largest = float(np.abs(given - expected).max()), float(np.abs(expected).max())
    assert gap < (0.01 if precision == "fp16" else 0.1) * max(1.0, largest)
    assert gap > 1e-7, "what is exact was not lowered to it"
    assert (given.argmax(1) == expected.argmax(1)).mean() > 0.9


@pytest.mark.parametrize(("runtime", "model", "precision"), MADE)
def test_the_ends_are_those_of_float(runtime: str, model: str, precision: Precision, lower: Lower, lower_to: LowerTo) -> None:
    plain, made = lower(runtime, model, None), lower_to(runtime, model, precision)
    assert (made.inputs, made.outputs) == (plain.inputs, plain.outputs)


@pytest.mark.parametrize(("runtime", "model", "precision"), MADE)
def test_weights_in_the_file_have_the_type(
    runtime: str, model: str, precision: Precision, lower: Lower, lower_to: LowerTo
) -> None:
    made, plain = lower_to(runtime, model, precision), lower(runtime, model, None)
    kind = "float16" if precision == "fp16" else "int8"
    given = Facts(
        original=Weights(nn.Identity(), "a" * 64, "shipped"), made=Weights(nn.Identity(), "a" * 64, "shipped"),
        original_parameters=1, made_parameters=1, original_macs=1, made_macs=1,
        coverage=made.coverage, scheme=made.scheme,
        made_bytes=made.file.stat().st_size, float_bytes=plain.file.stat().st_size,
    )  # fmt: skip
    claim = stored_claims.weights(given, kind)
    assert claim.holds, claim.detail
    assert not stored_claims.weights(given, "float32").holds
    if model == "bert":  # the weights of the other are a tenth of its file
        claims = operators.get(precision).claims(given)
        assert all(claim.holds for claim in claims), claims
        assert not stored_claims.smaller(replace(given, made_bytes=given.float_bytes), share=0.6).holds


@pytest.mark.parametrize(("runtime", "model", "precision"), MADE)
def test_coverage_says_what_computes(runtime: str, model: str, precision: Precision, lower_to: LowerTo) -> None:
    coverage = lower_to(runtime, model, precision).coverage
    expected = standins.CNN_MACS if model == "cnn" else standins.BERT_MACS
    assert coverage.macs == sum(expected.values())
    assert coverage.fast_share == 1
    computes = {op.kind: set[str]() for op in coverage.heavy}
    for op in coverage.heavy:
        computes[op.kind].add(op.compute)
    if precision == "int8-dynamic":
        quantised = {"linear", "convolution"}
        assert computes == {kind: {"int8" if kind in quantised else "fp32"} for kind in computes}
    elif precision == "fp16":
        assert set().union(*computes.values()) == {"fp16" if runtime == "executorch" else "fp32"}
    elif (runtime, model) == ("onnx", "bert"):
        # ONNX Runtime fuses them into MatMulNBits, which quantises what it is given; the classifier's Gemm it does not
        assert computes == {"linear": {"int8", "fp32"}, "matrix product": {"fp32"}}
    else:
        assert coverage.int8_share == 0


@pytest.mark.parametrize(("runtime", "model", "precision"), sorted(REFUSED))
def test_what_it_lacks_is_said_at_once(
    runtime: str, model: str, precision: Precision, by_name: dict[str, Runtime], works: dict[str, Work], tmp_path: Path
) -> None:
    class Untouched(nn.Module):
        def forward(self, *given: torch.Tensor) -> torch.Tensor:
            raise AssertionError("the model was looked at")

    work = replace(works[model], model=Untouched())
    with pytest.raises(UserError, match=f"^{runtime}.* has no {precision} for a {FAMILIES[model]} model: ") as caught:
        by_name[runtime].lower_to(work, precision, tmp_path / "m")
    assert REFUSED[runtime, model, precision] in str(caught.value)
    assert "use --op" in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_refusals_agree_with_precisions(runtime: str, by_name: dict[str, Runtime]) -> None:
    chosen = by_name[runtime]
    for model, family in FAMILIES.items():
        assert chosen.refuses(family, "fp32") is None
        assert chosen.refuses(family, "int8-static") is None
        assert chosen.refuses(family, "as-given") is not None
        for precision in PRECISIONS:
            assert (chosen.refuses(family, precision) is not None) == ((runtime, model, precision) in REFUSED)
    had = {p for p in PRECISIONS for m in FAMILIES if (runtime, m, p) not in REFUSED}
    assert set(chosen.precisions) == had


def test_asking_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom exporter import runtimes\n"
        "for name in runtimes.names():\n    runtimes.get(name).refuses('convolutional', 'int8-dynamic')\n"
        "assert not {'torch', 'onnx', 'onnxruntime', 'executorch', 'ai_edge_quantizer'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_model_is_left_as_it_was(lower_to: LowerTo, works: dict[str, Work]) -> None:
    before = {name: tensor.clone() for name, tensor in works["bert"].model.state_dict().items()}
    runtimes.get("executorch")
    lower_to("executorch", "bert", "fp16")
    lower_to("executorch", "bert", "int8-dynamic")
    after = works["bert"].model.state_dict()
    assert all(torch.equal(tensor, after[name]) and tensor.dtype == after[name].dtype for name, tensor in before.items())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_operator_sets_the_precision_once(precision: Precision) -> None:
    draft, steps = operators.parse(f"{precision}+distilled")
    assert draft.precision == precision
    assert [step.name for step in steps] == ["distilled", precision]
    for other in (*PRECISIONS, "sptq"):
        with pytest.raises(UserError, match="quantised twice"):
            operators.parse(f"{precision}+{other}")
