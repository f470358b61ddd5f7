"""Models of the zoos through the whole export: what a bundle says of random weights, and of a text model with padding."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy import bundle, isa
from exporter import runtimes
from exporter.export import export
from exporter.options import Options
from exporter.subjects import load
from tests.exporter.subjects.test_zoo_models import text_data, text_folder

OPTIONS = Options(isa.host_target(), 8, ("minmax",))


def test_random_weights_are_never_given_an_accuracy(tmp_path: Path) -> None:
    subject = load("timm:resnet34:32", weights="random", student="timm:resnet18")
    outcomes = export([subject], ["dsptq"], [runtimes.get("onnx")], tmp_path, OPTIONS)
    assert [str(outcome.error) for outcome in outcomes if outcome.error] == []
    identity, dsptq = (bundle.read(outcome.path).manifest for outcome in outcomes)
    for manifest in (identity, dsptq):
        assert manifest.accuracy is None
        assert manifest.drop is None
        assert manifest.signature.metric == "none"
        assert manifest.lineage.teacher_origin == "random"
        assert not any(name.startswith("eval/") for name in manifest.files)
        assert manifest.recipe.parameters["training"]["trained"] is False
    assert dsptq.lineage.student_origin == "random"
    assert dsptq.lineage.student != dsptq.lineage.teacher
    assert dsptq.recipe.parameters["training"]["distillation"] == "none: random weights, for latency alone"
    assert dsptq.parameters < identity.parameters


@pytest.mark.parametrize("runtime", runtimes.names())
def test_a_text_model_with_padding_on_every_runtime(tmp_path: Path, runtime: str) -> None:
    text_folder(tmp_path / "roberta", "roberta")
    subject = load(f"hf:{tmp_path / 'roberta'}:24", text_data(tmp_path / "data.npz", 24, 3, types=False))
    (outcome,) = export([subject], ["identity"], [runtimes.get(runtime)], tmp_path / "out", OPTIONS)
    assert outcome.error is None, outcome.error
    manifest = bundle.read(outcome.path).manifest
    assert manifest.accuracy is not None
    assert manifest.accuracy.n == 6
    assert manifest.lineage.teacher_origin == "given"
