"""The export pipeline on real runtimes with a tiny subject: what is written, what is kept, what is refused."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgedeploy import bundle, isa
from edgedeploy.bundle import Bundle
from edgedeploy.errors import ClaimError, UserError
from exporter import choose, host_timing, runtimes
from exporter.export import Outcome, export
from exporter.options import Options
from exporter.subjects.base import Progress, Split, SplitName, Subject, Weights
from tests.exporter import tiny
from tests.exporter.cli import run_cli

OPTIONS = Options(target=isa.host_target(), calibration_samples=32)
RUNTIMES = ("onnx", "tflite", "executorch")


def made(out: Path, *asked: str, runtime: str = "onnx", options: Options = OPTIONS, **kwargs: Any) -> list[Outcome]:
    return export([kwargs.pop("subject", tiny.subject)], asked, [runtimes.get(runtime)], out, options, **kwargs)


def read(out: Path, operator: str, runtime: str) -> Bundle:
    backend = runtimes.get(runtime).backend
    return bundle.read(out / "tiny" / operator / f"{runtime}-{backend}")


def test_everything_is_written_and_whole(tiny_export: tuple[Path, list[Outcome]]) -> None:
    _, outcomes = tiny_export
    assert [str(outcome.error) for outcome in outcomes if outcome.error] == []
    assert len(outcomes) == 12
    for outcome in outcomes:
        there = bundle.read(outcome.path)
        bundle.check_files(there)
        assert there.digest == outcome.digest
        assert there.manifest.claims
        assert all(claim.holds for claim in there.manifest.claims)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_the_manifest_says_is_so(tiny_export: tuple[Path, list[Outcome]], runtime: str) -> None:
    out, _ = tiny_export
    identity, distilled, sptq, dsptq = (
        read(out, operator, runtime).manifest for operator in ("identity", "distilled", "sptq", "dsptq")
    )
    assert identity.precision == distilled.precision == "fp32"
    assert sptq.precision == dsptq.precision == "int8-static"
    assert sptq.model_bytes < identity.model_bytes
    assert dsptq.model_bytes < distilled.model_bytes < identity.model_bytes
    for manifest in (identity, distilled, sptq, dsptq):
        assert manifest.accuracy is not None
        assert manifest.accuracy.n == 200
        assert manifest.accuracy.value > 0.95
        assert manifest.parity is not None
        assert manifest.parity.evaluated == 200
        coverage = manifest.stages[0].coverage
        assert coverage is not None
        assert coverage.fast_share > 0.9
        assert (coverage.int8_share > 0.9) == (manifest.precision == "int8-static")
    assert identity.drop is None
    assert dsptq.drop is not None
    assert dsptq.drop.against == read(out, "identity", runtime).digest
    assert dsptq.recipe.transforms == ("distilled",)
    assert dsptq.lineage.student == "5" * 64
    candidates = sptq.recipe.parameters["candidates"]
    assert {entry["method"] for entry in candidates} == {"minmax", "percentile", "entropy"}
    nearest = min(
        candidates,
        key=lambda entry: (max(entry["divergence_nats"], choose.NEGLIGIBLE_NATS), -entry["accuracy"], entry["mean_abs_error"]),
    )
    assert sptq.recipe.parameters["calibration"] == nearest["method"]


def test_the_calibration_that_an_outlier_spoils_is_not_kept(tmp_path: Path) -> None:
    """One pixel of the calibration set is a hundred times too bright: minmax, the first that is tried, is the farthest."""

    def split(name: SplitName) -> Split:
        usual = tiny.split(name)
        if name != "calibration":
            return usual
        image = usual.batch(0, len(usual))["image"].copy()
        image[5, :, 3, 4] = 300.0
        return Split({"image": image}, usual.labels, dict)

    def unsure(retrain: bool, progress: Progress | None) -> Weights:
        # tiny's own answers are so sure that hardly anything changes them
        net = copy.deepcopy(tiny.trained(24))
        with torch.no_grad():
            for parameter in net.get_submodule("head").parameters():
                parameter.div_(10)
        return Weights(net, "9" * 64, "trained now")

    subject = dataclasses.replace(tiny.subject, split=split, model=unsure)
    assert [outcome.error for outcome in made(tmp_path, "sptq", subject=subject)] == [None, None]
    parameters = read(tmp_path, "sptq", "onnx").manifest.recipe.parameters
    apart = {entry["method"]: entry["divergence_nats"] for entry in parameters["candidates"]}
    assert apart["minmax"] > 5 * choose.NEGLIGIBLE_NATS > apart["entropy"]
    assert parameters["calibration"] == "entropy"


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("operator", ["identity", "sptq"])
def test_golden_outputs_are_the_artifacts_own(tiny_export: tuple[Path, list[Outcome]], operator: str, runtime: str) -> None:
    from exporter.runtimes.base import PortedModel

    there = read(tiny_export[0], operator, runtime)
    stage = there.manifest.stages[0]
    model = PortedModel(runtimes.get(runtime).open(there.file(stage.file)), stage.inputs, stage.outputs)
    inputs, expected = there.arrays("golden/inputs")["image"], there.arrays("golden/expected")["logits"]
    for i in range(len(inputs)):
        np.testing.assert_allclose(model({"image": inputs[i : i + 1]})["logits"][0], expected[i], rtol=1e-5, atol=1e-5)
    # real inputs: the evaluation set's first
    np.testing.assert_array_equal(inputs, tiny.split("evaluation").batch(0, len(inputs))["image"])


def test_asking_again_keeps_and_another_request_is_refused(tiny_export: tuple[Path, list[Outcome]]) -> None:
    out, _ = tiny_export
    before = read(out, "sptq", "onnx").digest
    assert [outcome.state for outcome in made(out, "sptq")] == ["kept", "kept"]
    other = dataclasses.replace(OPTIONS, calibration_samples=16)
    refused = made(out, "sptq", options=other)[-1]
    assert refused.state == "failed"
    assert isinstance(refused.error, UserError)
    assert "--force" in str(refused.error)
    assert read(out, "sptq", "onnx").digest == before


def test_the_same_export_has_the_same_digest(tmp_path: Path, tiny_export: tuple[Path, list[Outcome]]) -> None:
    for runtime in RUNTIMES:
        again = made(tmp_path, "sptq", runtime=runtime)
        assert [outcome.digest for outcome in again] == [
            read(tiny_export[0], operator, runtime).digest for operator in ("identity", "sptq")
        ]


def test_a_damaged_bundle_in_the_way_says_how_to_be_rid_of_it(tmp_path: Path) -> None:
    written = made(tmp_path, "identity")[0]
    (written.path / "bundle.sha256").write_text("damaged")
    refused = made(tmp_path, "identity")[0]
    assert isinstance(refused.error, UserError)
    assert "bundle.sha256" in str(refused.error)
    assert "--force replaces it" in str(refused.error)
    assert made(tmp_path, "identity", force=True)[0].error is None
    (written.path / "golden/inputs/image.npy").write_bytes(b"damaged")
    assert "--force replaces it" in str(made(tmp_path, "identity")[0].error)


def test_force_replaces(tmp_path: Path) -> None:
    made(tmp_path, "identity")
    replaced = made(tmp_path, "identity", force=True)[0]
    assert replaced.state == "written"
    assert bundle.read(replaced.path).digest == replaced.digest


def test_a_broken_claim_fails_the_export_and_writes_nothing(tmp_path: Path) -> None:
    strict = dataclasses.replace(OPTIONS, max_points=-100.0)
    outcome = made(tmp_path, "sptq", options=strict)[-1]
    assert isinstance(outcome.error, ClaimError)
    assert "accuracy kept in int8" in str(outcome.error)
    assert not outcome.path.exists()
    assert sorted(found.name for found in (tmp_path / "tiny").iterdir()) == ["identity"]


def changed(name: SplitName, replacement: Split) -> Subject:
    return dataclasses.replace(tiny.subject, split=lambda asked: replacement if asked == name else tiny.split(asked))


@pytest.mark.parametrize(("ratio", "said"), [(1.005, False), (1.2, True)])
def test_slower_than_float_is_said_of_more_than_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ratio: float, said: bool
) -> None:
    # the clock is what a machine at work cannot be trusted with
    monkeypatch.setattr(host_timing, "medians_ms", lambda models, batch: [ratio, *(1.0 for _ in models[1:])])
    once = Options(target=isa.host_target(), calibration_samples=16, methods=("minmax",))
    made(tmp_path, "sptq", options=once)
    note = read(tmp_path, "sptq", "onnx").manifest.timings["host"].note
    assert ("slower than float" in (note or "")) == said


def test_an_example_in_two_sets_is_refused(tmp_path: Path) -> None:
    mixed = changed("calibration", tiny.split("evaluation").take(range(40)))
    with pytest.raises(ClaimError, match="calibration"):
        made(tmp_path, "sptq", subject=mixed)


def test_sets_that_do_not_fit_the_signature_are_refused(tmp_path: Path) -> None:
    wrong = dataclasses.replace(
        tiny.split("evaluation"), preprocess=lambda raw: {"image": np.zeros((len(raw["pixels"]), 3, 4, 4))}
    )
    with pytest.raises(UserError, match="signature says"):
        made(tmp_path, "identity", subject=changed("evaluation", wrong))
    with pytest.raises(UserError, match="empty"):
        made(tmp_path, "identity", subject=changed("evaluation", tiny.split("evaluation").take([])))


def test_a_subject_without_a_student_cannot_be_distilled(tmp_path: Path) -> None:
    outcome = made(tmp_path, "dsptq", subject=dataclasses.replace(tiny.subject, student=None))[-1]
    assert isinstance(outcome.error, UserError)
    assert "student" in str(outcome.error)


def test_the_command_prints_one_json_document(tmp_path: Path) -> None:
    subject = f"{Path(tiny.__file__)}:subject"
    done = run_cli(
        "export", "--op", "sptq", "--subject", subject, "--runtime", "onnx", "--calibration", "minmax", "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    bundles = json.loads(done.stdout)["bundles"]
    assert [(row["operator"], row["state"]) for row in bundles] == [("identity", "written"), ("sptq", "written")]
    for row in bundles:
        assert bundle.read(tmp_path / row["path"]).digest == row["digest"]
    shown = run_cli("show", bundles[1]["path"], cwd=tmp_path)
    assert "minmax" in shown.stdout


def test_what_cannot_be_written_to_is_said_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    def split(name: SplitName) -> Split:
        raise AssertionError("a set was loaded")

    with pytest.raises(UserError, match="cannot write to"):
        made(tmp_path / "file" / "out", "sptq", subject=dataclasses.replace(tiny.subject, split=split))


@pytest.mark.parametrize("arguments", [["--max-drop", "nan"], ["--cut", "2"], ["--pair", "0", "1", "1", "1"]])
def test_a_number_that_makes_no_sense_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    done = run_cli("export", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert arguments[0] in done.stderr or "speeds and bandwidth" in done.stderr
