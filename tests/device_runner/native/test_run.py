"""A plan that works: its events, its samples, its outputs."""

from __future__ import annotations

import math
import mmap
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.device_runner.native.support import (
    ORDER,
    RUNTIMES,
    Edgebench,
    expected,
    image_plan,
    limits,
    output,
    read_samples,
    tensor,
    text_plan,
)

HELLO = {"event", "protocol", "build", "abi", "runtime", "backend", "runtime_version", "cpu", "pid"}
VERSIONS = {"onnx": "1.32.0", "tflite": "2.3.0", "executorch": "1.5.1"}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_events_come_in_order_with_their_fields(edgebench: Edgebench, models: Path, tmp_path: Path, runtime: str) -> None:
    plan = image_plan(tmp_path, models, runtime, load_cold=True)
    ran = edgebench.run(tmp_path, plan).done()
    assert ran.names == ORDER
    hello = ran["hello"]
    assert set(hello) == HELLO
    assert (hello["protocol"], hello["runtime"], hello["backend"]) == (1, runtime, "cpu")
    assert hello["runtime_version"] == VERSIONS[runtime]
    assert set(hello["build"]) == {"version", "compiler"}
    assert hello["cpu"]["model"]
    assert hello["cpu"]["logical"] >= 1
    assert isinstance(hello["cpu"]["isa"], list)
    load = ran["load"]
    assert load["load_warm_ns"] > 0
    assert load["model_bytes"] == (tmp_path / plan["model"]).stat().st_size
    assert (load["load_cold_ns"] is None) == ("cold_reason" in load)
    assert load["load_cold_ns"] is None or load["load_cold_ns"] > 0
    assert set(ran["adapters"]) == {"event", "input_ns", "output_ns"}
    assert ran["first"]["elapsed_ns"] > 0
    assert ran["first"]["start_ns"] > 0
    for phase in ("warmup", "steady"):
        assert ran[phase]["count"] > 0
        assert ran[phase]["elapsed_ns"] > 0
    line = ran["output"]
    assert line["name"] == plan["outputs"][0]["name"]
    assert (line["index"], line["file"], line["dtype"]) == (0, "outputs/0.bin", "float32")
    assert (line["shape"], line["cases"], line["bytes"]) == ([1, 10], 4, 160)
    usage = ran["rusage"]
    assert usage["peak_rss_kb"] > 1000
    assert {"user_ms", "system_ms", "voluntary_switches", "involuntary_switches"} < set(usage)
    assert ran["end"]["warmup_samples"] == ran["warmup"]["count"]
    assert ran["end"]["steady_samples"] == ran["steady"]["count"]


def test_the_sample_file_is_laid_out_as_the_protocol_says(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    plan = image_plan(tmp_path, models, "onnx", warmup=limits(3, 7), steady=limits(12, 12))
    ran = edgebench.run(tmp_path, plan).done()
    samples = read_samples(tmp_path)
    # there was room for 7 and 12; what is left has what was measured
    assert (samples.warmup_capacity, samples.steady_capacity) == (3, 12)
    assert (tmp_path / "samples.bin").stat().st_size == 32 + 16 * (3 + 12)
    assert (len(samples.warmup), len(samples.steady)) == (3, 12)
    assert (ran["end"]["warmup_samples"], ran["end"]["steady_samples"]) == (3, 12)
    every = np.concatenate([samples.warmup, samples.steady])
    starts, ends = every[:, 0], every.sum(axis=1)
    assert (starts[1:] >= ends[:-1]).all(), "calls do not overlap and are in order"
    assert starts[0] >= ran["first"]["start_ns"] + ran["first"]["elapsed_ns"]
    assert ran["steady"]["elapsed_ns"] >= ends[-1] - samples.steady[0, 0]


@pytest.mark.parametrize(
    ("phase", "least", "most"),
    [
        (limits(5, 50), 5, 5),  # min_count alone
        (limits(0, 100_000, 30), 1, 100_000),  # min_ms alone
        (limits(0, 4, 60_000), 4, 4),  # max_count ends it before min_ms is met
        (limits(0, 50), 0, 0),  # neither: no timing
        (limits(0, 0), 0, 0),
    ],
)
def test_when_a_phase_ends(
    edgebench: Edgebench, models: Path, tmp_path: Path, phase: dict[str, int], least: int, most: int
) -> None:
    ran = edgebench.run(tmp_path, image_plan(tmp_path, models, "tflite", steady=phase, warmup=limits(0, 0))).done()
    assert least <= ran["steady"]["count"] <= most
    samples = read_samples(tmp_path)
    assert len(samples.steady) == ran["steady"]["count"]
    if phase["min_ms"] and ran["steady"]["count"] < phase["max_count"]:
        assert samples.steady[-1].sum() - samples.steady[0, 0] <= ran["steady"]["elapsed_ns"]
        assert ran["steady"]["elapsed_ns"] >= phase["min_ms"] * 1_000_000
    assert ran.names == ORDER, "an accuracy pass still writes its outputs"


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", ["image", "text"])
def test_outputs_are_those_of_the_runtimes_own_python(
    edgebench: Edgebench, models: Path, tmp_path: Path, runtime: str, name: str
) -> None:
    plan = (image_plan if name == "image" else text_plan)(tmp_path, models, runtime, backend="cpu")
    ran = edgebench.run(tmp_path, plan).done()
    for k, wanted in enumerate(expected(models, name, runtime)):
        np.testing.assert_allclose(output(ran, k)[:, 0], wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("runtime", ["onnx", "tflite"])
def test_tensors_are_matched_by_name_where_there_are_names(
    edgebench: Edgebench, models: Path, tmp_path: Path, runtime: str
) -> None:
    plan = text_plan(tmp_path, models, runtime)
    plan["inputs"].reverse()
    plan["outputs"].reverse()
    ran = edgebench.run(tmp_path, plan).done()
    for k, wanted in enumerate(reversed(expected(models, "text", runtime))):
        np.testing.assert_allclose(output(ran, k)[:, 0], wanted, rtol=1e-5, atol=1e-6)


def test_an_output_may_be_left_out(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    plan = text_plan(tmp_path, models, "onnx")
    del plan["outputs"][0]
    ran = edgebench.run(tmp_path, plan).done()
    np.testing.assert_allclose(output(ran, 0)[:, 0], expected(models, "text", "onnx")[1], rtol=1e-5, atol=1e-6)


def test_the_names_of_a_plan_do_not_matter_to_executorch(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    plan = image_plan(tmp_path, models, "executorch")
    plan["inputs"][0]["name"], plan["outputs"][0]["name"] = "anything", "at all"
    ran = edgebench.run(tmp_path, plan).done()
    assert ran["output"]["name"] == "at all"
    np.testing.assert_allclose(output(ran, 0)[:, 0], expected(models, "image", "executorch")[0], rtol=1e-5, atol=1e-6)


def test_what_may_be_absent_from_a_plan(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    full = image_plan(tmp_path, models, "tflite", cases=1)
    shutil.copyfile(models / "image-0.bin", tmp_path / "inputs" / "image.bin")
    (tmp_path / "inputs" / "image.bin").write_bytes((models / "image-0.bin").read_bytes()[: 4 * 3 * 16 * 16])
    plan = {key: full[key] for key in ("protocol", "runtime", "model", "inputs", "outputs")}
    del plan["inputs"][0]["adapters"]
    ran = edgebench.run(tmp_path, plan).done()
    assert "output" not in ran.names
    assert not (tmp_path / "outputs").exists()


def test_fewer_output_cases_than_cases(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    ran = edgebench.run(tmp_path, image_plan(tmp_path, models, "onnx", output_cases=3, write_outputs="a/b")).done()
    assert ran["output"]["file"] == "a/b/0.bin"
    np.testing.assert_allclose(output(ran, 0)[:, 0], expected(models, "image", "onnx")[0][:3], rtol=1e-5, atol=1e-6)
    again = edgebench.run(tmp_path, image_plan(tmp_path, models, "onnx", output_cases=0, write_outputs="a/b")).done()
    assert again["output"]["bytes"] == 0


def test_a_second_run_in_a_directory_starts_afresh(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    plan = image_plan(tmp_path, models, "onnx")
    edgebench.run(tmp_path, plan).done()
    before = (tmp_path / "samples.bin").read_bytes()
    with (tmp_path / "samples.bin").open("rb") as held:
        edgebench.run(tmp_path, {**plan, "steady": limits(1, 1)}).done()
        assert len(read_samples(tmp_path).steady) == 1
        assert held.read() == before, "who still reads the old one keeps it"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_runtimes_are_never_loaded_together(start, models: Path, tmp_path: Path, runtime: str) -> None:  # type: ignore[no-untyped-def]
    run = start(tmp_path, {**image_plan(tmp_path, models, runtime), "steady": limits(0, 1_000_000, 600_000)})
    pid = run.until("warmup") and run.events[0]["pid"]
    mapped = Path(f"/proc/{pid}/maps").read_text()
    libraries = {"onnx": "libonnxruntime", "tflite": "libLiteRt", "executorch": "libexecutorch"}
    assert {name for name, library in libraries.items() if library in mapped} == {runtime}


def test_what_a_runtime_prints_stays_off_stdout(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    ran = edgebench.run(tmp_path, image_plan(tmp_path, models, "tflite")).done()
    assert "XNNPACK" in ran.stderr, "LiteRT talks; if it no longer does, take another that does"


def test_no_runtime_leaves_anything_at_home(
    edgebench: Edgebench, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime reports to its maker unless it is told not to, and keeps what it has to report."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("ORT_DISABLE_TELEMETRY", "CI", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    for runtime in RUNTIMES:
        directory = tmp_path / runtime
        directory.mkdir()
        edgebench.run(directory, image_plan(directory, models, runtime)).done()
    assert list(home.iterdir()) == []


def test_cold_load_is_measured_or_explained(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    plan = image_plan(tmp_path, models, "onnx", load_cold=True)
    load = edgebench.run(tmp_path, plan).done()["load"]
    if load["load_cold_ns"] is None:
        assert "page cache" in load["cold_reason"], "a file system that keeps the pages (tmpfs)"
    with (tmp_path / plan["model"]).open("rb") as held, mmap.mmap(held.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert sum(bytes(mapped))  # its pages are ours now, so the kernel keeps them
        load = edgebench.run(tmp_path, plan).done()["load"]
    assert load["load_cold_ns"] is None
    assert "page cache" in load["cold_reason"]
    load = edgebench.run(tmp_path, {**plan, "load_cold": False}).done()["load"]
    assert (load["load_cold_ns"], load["cold_reason"]) == (None, "not asked for")
    assert math.isfinite(load["load_warm_ns"])


def test_text_of_a_model_is_escaped(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    plan = image_plan(tmp_path, models, "onnx")
    plan["outputs"] = [tensor('odd "\\\u001b[31m \u2028 \U0001f600 name', "float32", [1, 10])]
    error = edgebench.run(tmp_path, plan).failed("signature_mismatch")
    assert plan["outputs"][0]["name"] in error["message"]
    ran = edgebench.call("--describe", tmp_path / "\u009b\u0085é", "--runtime", "onnx")
    assert "\u009b\u0085é" in ran.failed("model_missing")["message"]
    ran = edgebench.call("--describe", b"/nowhere/\xff\xc0\xaf".decode("utf-8", "surrogateescape"), "--runtime", "onnx")
    assert "\ufffd\ufffd\ufffd" in ran.failed("model_missing")["message"]
    assert "logits" in error["message"]
