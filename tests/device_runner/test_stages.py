"""Partitioned artifacts on one device: their stages run one after the other, verified and measured as a whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_runner import accuracy, conformance, inventory, plan
from device_runner.results.store import Store
from device_runner.session import open_session
from device_runner.workload import Wire
from edgedeploy import bundle
from edgedeploy.bundle import BundleError
from edgedeploy.record import Plan
from tests import sealing
from tests.device_runner.conftest import Bench
from tests.device_runner.test_commands import edgedeploy

RUNTIMES = ("onnx-cpu", "tflite-xnnpack", "executorch-xnnpack")


@pytest.fixture(scope="session")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny subject cut in two after its first convolutions, in float and in int8, on each runtime."""
    from edgedeploy import isa
    from exporter import runtimes
    from exporter.export import export
    from exporter.options import Options
    from exporter.partition.division import CutRequest
    from exporter.partition.search import Pair
    from tests.exporter import tiny

    out = tmp_path_factory.mktemp("cut")
    options = Options(
        target=isa.host_target(), calibration_samples=32, methods=("minmax",), cut=CutRequest("0.5", Pair(1, 2, 200, 1))
    )
    every = [runtimes.get(name) for name in runtimes.names()]
    outcomes = export([tiny.subject], ["partition", "sptq-partition"], every, out, options)
    assert [str(outcome.error) for outcome in outcomes if outcome.error] == []
    return out / "tiny"


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("operator", ["partition", "sptq-partition"])
def test_the_chain_gives_what_the_host_got(cut: Path, operator: str, runtime: str) -> None:
    read = bundle.read(cut / operator / runtime)
    workload = plan.from_bundle(read)
    assert [part.name.partition(".")[0] for part in workload.parts] == ["model", "stage1"]
    assert any(isinstance(end, Wire) for end in workload.parts[1].inputs)
    if operator == "sptq-partition":
        # as the first stage's own integers: no adapter on either side of the way
        assert {end.tensor.dtype for end in workload.parts[1].inputs} == {"uint8" if runtime == "onnx-cpu" else "int8"}
        assert [end.adapters for end in (*workload.parts[0].outputs, *workload.parts[1].inputs)] == [(), ()]
    told: list[str] = []
    report = conformance.check(read, say=told.append)
    assert report.ok, report.detail
    assert report.cases == workload.cases
    assert told[0] == "connecting to local"
    assert any(what.startswith("golden inputs") for what in told)
    with open_session(inventory.resolve("local")) as session:
        measured = accuracy.measure(accuracy.evaluation(read), session)
    assert measured.n == 200
    assert read.manifest.accuracy is not None
    assert measured.value == pytest.approx(read.manifest.accuracy.value, abs=0.01)


def test_a_chain_with_other_golden_outputs_does_not_conform(cut: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "b"
    shutil.copytree(cut / "partition/onnx-cpu", copy)
    expected = bundle.read(copy).arrays("golden/expected")["logits"]
    np.save(tmp_path / "x.npy", expected + 1)
    sealing.replace(copy, "golden/expected/logits.npy", (tmp_path / "x.npy").read_bytes())
    report = conformance.check(bundle.read(copy))
    assert not report.ok
    assert "beyond" in report.detail


def test_a_run_of_a_chain_is_one_sample_of_all_stages(cut: Path, run_bench: Bench, store: Store) -> None:
    finished = run_bench(cut / "identity/onnx-cpu", cut / "sptq-partition/onnx-cpu")
    assert [record.valid for record in finished.records] == [True, True]
    whole, chained = finished.records
    assert {row[2] for row in store.samples(whole.id)} == {0}
    assert {row[2] for row in store.samples(chained.id)} == {None}
    assert chained.artifact.model_bytes == bundle.read(cut / "sptq-partition/onnx-cpu").manifest.model_bytes


def test_a_searched_directory_may_hold_partitions(cut: Path, tmp_path: Path) -> None:
    (tmp_path / "artifacts").symlink_to(cut)
    done = edgedeploy("bench", "artifacts/partition", "--quick", "--min-ms", "5", "--launches", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # rows, not what is said of them below
    assert len(re.findall(r"^tiny partition +\w+-\w+ ", done.stdout, re.MULTILINE)) == 3
    verified = edgedeploy("verify", cut / "partition/tflite-xnnpack", cwd=tmp_path)
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["stages"][1]["inputs"][0].update(source="nothing"), "stands for"),
        (lambda d: d["stages"].reverse(), "stands for"),
        (lambda d: d.update(cut_tensors=[]), "stands for"),
    ],
)
def test_stages_that_do_not_fit_together_are_refused(cut: Path, tmp_path: Path, change: Any, said: str) -> None:
    import shutil

    copy = tmp_path / "b"
    shutil.copytree(cut / "partition/onnx-cpu", copy)
    sealing.edit(copy, change)
    with pytest.raises(BundleError, match=said):
        plan.from_bundle(bundle.read(copy))


def test_the_plan_of_a_chain(cut: Path) -> None:
    document = plan.document(plan.from_bundle(bundle.read(cut / "sptq-partition/onnx-cpu")), Plan(), outputs=True)
    (second,) = document["then"]
    assert document["model"] == "model.onnx"
    assert document["outputs"][0]["write"] is False
    assert (second["model"], second["inputs"][0]["from"]) == ("stage1.onnx", [0, 0])
    assert second["outputs"][0]["name"] == "logits"
