import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_runner import plan
from device_runner.artifacts import find
from edgedeploy import bundle
from edgedeploy.artifact import Manifest
from edgedeploy.bundle import BundleError
from edgedeploy.errors import UserError
from edgedeploy.record import Limits, Plan
from tests.device_runner import tiny


def resealed(source: Path, destination: Path, change: Any, arrays: dict[str, np.ndarray] | None = None) -> bundle.Bundle:
    """A copy of a bundle with its manifest (a dict) changed and golden arrays replaced, sealed again."""
    with bundle.writing(destination, replace=False) as directory:
        for file in source.rglob("*"):
            if file.is_file() and file.name not in (bundle.MANIFEST, bundle.DIGEST):
                target = directory / file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
        for name, array in (arrays or {}).items():
            bundle.write_array(directory / Path(name).parent, Path(name).name, array)
        data = json.loads((source / bundle.MANIFEST).read_text())
        change(data)
        stages = {stage["file"] for stage in data["stages"]}
        data["files"] = {name: entry.model_dump() for name, entry in bundle.list_files(directory, stages).items()}
        bundle.seal(directory, Manifest.model_validate(data))
    return bundle.read(destination)


def test_the_plan_says_what_the_bundle_and_the_user_say(fast: Path) -> None:
    workload = plan.from_bundle(bundle.read(fast))
    how = Plan(threads=2, affinity=(0, 1), warmup=Limits(min_count=1, min_ms=2.5), max_seconds=9, max_memory_mb=99)
    document = plan.document(workload, how, outputs=True)
    assert document["inputs"] == [
        {"name": "image", "dtype": "float32", "shape": [1, 16], "file": "inputs/0.bin", "adapters": []}
    ]
    assert document["outputs"] == [{"name": "logits", "dtype": "float32", "shape": [1, 5], "adapters": []}]
    assert (document["cases"], document["threads"], document["affinity"]) == (tiny.CASES, 2, [0, 1])
    assert document["warmup"] == {"min_count": 1, "min_ms": 3, "max_count": 1_000_000}
    assert (document["max_seconds"], document["max_memory_mb"], document["write_outputs"]) == (9, 99, "outputs")
    assert plan.document(workload, how, outputs=False)["write_outputs"] is None


def test_adapters_are_passed_as_they_are(fast: Path, tmp_path: Path) -> None:
    adapter = {"op": "quantize", "to": "int8", "scale": 0.5, "zero_point": -3}

    def change(data: dict[str, Any]) -> None:
        data["stages"][0]["inputs"][0]["adapters"] = [adapter]

    workload = plan.from_bundle(resealed(fast, tmp_path / "b", change))
    assert plan.document(workload, Plan(), outputs=True)["inputs"][0]["adapters"] == [adapter]


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("golden/inputs/image", np.zeros((4, 16), np.float64)),
        ("golden/inputs/image", np.zeros((4, 15), np.float32)),
        ("golden/inputs/image", np.zeros((0, 16), np.float32)),
        ("golden/inputs/image", np.zeros((), np.float32)),
        ("golden/expected/logits", np.zeros((3, 5), np.float32)),
        ("golden/expected/logits", np.zeros((4, 5), np.int32)),
    ],
)
def test_golden_arrays_that_do_not_fit_are_refused(fast: Path, tmp_path: Path, name: str, array: np.ndarray) -> None:
    with pytest.raises(BundleError):
        plan.from_bundle(resealed(fast, tmp_path / "b", lambda data: None, {name: array}))


def test_a_port_that_stands_for_nothing_is_refused(fast: Path, tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["stages"][0]["outputs"][0]["source"] = "nothing"

    with pytest.raises(BundleError, match="nothing"):
        plan.from_bundle(resealed(fast, tmp_path / "b", change))


def test_bundles_are_found_once_each_wherever_they_are(fast: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_bundle(tmp_path / "artifacts/b/deep")
    tiny.write_bundle(tmp_path / "artifacts/a")
    (tmp_path / "artifacts/.being-written").mkdir()
    (tmp_path / "artifacts/.being-written/manifest.json").write_text("{}")
    model = tiny.write_onnx(tmp_path / "m.onnx")
    monkeypatch.chdir(tmp_path)
    assert [str(path) for path in find([])] == ["artifacts/a", "artifacts/b/deep"]
    assert find([tmp_path / "artifacts/a", tmp_path / "artifacts", model]) == [
        tmp_path / "artifacts/a", tmp_path / "artifacts/b/deep", model,
    ]  # fmt: skip
    assert find([Path("artifacts/a/manifest.json")]) == [Path("artifacts/a")]


def test_nothing_to_bench_names_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for paths in ([], [Path("empty")], [Path("gone")]):
        with pytest.raises(UserError, match="edgedeploy export"):
            find(paths)


def test_the_cache_may_be_below_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from device_runner.cache import cache_root

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EDGEDEPLOY_CACHE", "~/x")
    assert cache_root() == tmp_path / "x"
