"""The same sources for Android, with Android builds of the three runtimes, run on the stand-in for its C library."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from device_runner import bundles
from device_runner.bundles import elf
from tests.bench_hosts import bionic
from tests.device_runner.native.conftest import CACHE
from tests.device_runner.native.support import (
    ORDER,
    RUNTIMES,
    Edgebench,
    base_plan,
    expected,
    image_plan,
    json_of,
    output,
    read_samples,
    tensor,
    text_plan,
    wait_for,
    write_plan,
)

ABIS = ("android-x86_64", "android-arm64")
VERSIONS = {"onnx": "1.28.2", "tflite": "2.14.0", "executorch": "react-native-executorch 0.9.3"}


@pytest.fixture(scope="module", params=ABIS)
def android_bundle(request: pytest.FixtureRequest) -> bundles.RunnerBundle:
    return bundles.build(request.param, CACHE / "runner" / request.param)


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Edgebench:
    """An x86_64 Android, at this machine's own speed."""
    built = bundles.build("android-x86_64", CACHE / "runner" / "android-x86_64")
    root = bionic.build_root(tmp_path_factory.mktemp("android"), "x86_64")
    return Edgebench(built.binary, bionic.native(root, built.root, tmp_path_factory.getbasetemp()))


@pytest.fixture(scope="module")
def arm_phone(tmp_path_factory: pytest.TempPathFactory) -> Edgebench:
    built = bundles.build("android-arm64", CACHE / "runner" / "android-arm64")
    return Edgebench(built.binary, bionic.emulated(bionic.build_root(tmp_path_factory.mktemp("android"), "aarch64")))


def test_the_runner_is_what_android_7_starts(android_bundle: bundles.RunnerBundle) -> None:
    """Its own linker, position-independent, pages of 16 KB, no thread-local storage (since Android 10 only), and no library
    but what every Android has."""
    read = subprocess.run(["readelf", "-dlhW", android_bundle.binary], capture_output=True, text=True, check=True).stdout
    assert "/system/bin/linker64" in read
    assert "DYN (Position-Independent Executable file)" in read
    assert "TLS " not in read
    assert {line.split("[")[1].split("]")[0] for line in read.splitlines() if "(NEEDED)" in line} == {
        "liblog.so", "libdl.so", "libm.so", "libc.so",
    }  # fmt: skip
    ours = ("bin/edgebench", "lib/libedgebench_executorch.so", "lib/libfbjni.so")
    assert {elf.read(android_bundle.root / path).page_bytes for path in ours} == {16384}


def test_every_file_says_where_it_is_from(android_bundle: bundles.RunnerBundle) -> None:
    there = {path.relative_to(android_bundle.root).as_posix() for path in android_bundle.root.rglob("*") if path.is_file()}
    assert there == {file.path for file in android_bundle.manifest.files} | {"bundle.json"}
    assert android_bundle.manifest.runtimes == VERSIONS
    libraries = {file.path: file for file in android_bundle.manifest.files if file.path.endswith(".so")}
    # none of the makers themselves is on a package registry, and the manifest says so
    assert {path for path, file in libraries.items() if file.repackaged} == {
        "lib/libonnxruntime.so", "lib/libtensorflowlite_jni.so", "lib/libexecutorch_jni.so",
    }  # fmt: skip
    licences = {
        path.relative_to(android_bundle.root / "licenses").parts[0] for path in android_bundle.root.glob("licenses/*/*")
    }
    assert {"onnxruntime", "tensorflow", "executorch"} <= licences


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", ["image", "text"])
def test_outputs_are_the_hosts(phone: Edgebench, models: Path, tmp_path: Path, runtime: str, name: str) -> None:
    plan = (image_plan if name == "image" else text_plan)(tmp_path, models, runtime, threads=2, load_cold=True)
    ran = phone.run(tmp_path, plan).done()
    assert [event for event in ran.names if event != "output"] == [event for event in ORDER if event != "output"]
    assert (ran["hello"]["abi"], ran["hello"]["runtime_version"]) == ("android-x86_64", VERSIONS[runtime])
    for k, wanted in enumerate(expected(models, name, runtime)):
        np.testing.assert_allclose(output(ran, k)[:, 0], wanted, rtol=1e-5, atol=1e-6)
    assert len(read_samples(tmp_path).steady) == ran["steady"]["count"] >= 10
    if runtime == "tflite":
        assert "Created TensorFlow Lite XNNPACK delegate" in ran.stderr


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_outputs_are_the_hosts_on_arm(arm_phone: Edgebench, models: Path, tmp_path: Path, runtime: str) -> None:
    ran = arm_phone.run(tmp_path, image_plan(tmp_path, models, runtime)).done()
    assert ran["hello"]["abi"] == "android-arm64"
    np.testing.assert_allclose(output(ran, 0)[:, 0], expected(models, "image", runtime)[0], rtol=1e-5, atol=1e-6)


def test_streams_are_threads_of_its_own(phone: Edgebench, models: Path, tmp_path: Path) -> None:
    phase = {"min_count": 5, "min_ms": 1, "max_count": 1000}
    ran = phone.run(tmp_path, image_plan(tmp_path, models, "onnx", streams=2, warmup=phase, steady=phase)).done()
    assert ran["steady"]["count"] >= 10


def test_the_bundle_can_be_anywhere(phone: Edgebench, arm_phone: Edgebench, tmp_path: Path) -> None:
    for runner in (phone, arm_phone):
        assert runner.call("--hello")["hello"]["missing"] == {}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_errors_are_said(phone: Edgebench, models: Path, tmp_path: Path, runtime: str) -> None:
    plan = image_plan(tmp_path, models, runtime)
    phone.run(tmp_path, {**plan, "threads": 0}).failed("plan_invalid")
    (tmp_path / "junk").write_bytes(b"\0" * 100)
    phone.run(tmp_path, {**plan, "model": "junk"}).failed("model_invalid", "worker_died")
    shape = {**plan, "inputs": [{**plan["inputs"][0], "shape": [1, 3, 16, 8]}], "cases": 8, "output_cases": 1}
    assert phone.run(tmp_path, shape).failed("signature_mismatch", "input_size")["message"]


def test_an_operator_that_is_too_new_is_named(phone: Edgebench, models: Path, tmp_path: Path) -> None:
    """TensorFlow Lite 2.14 on a model whose operator has a version that it does not know."""
    from ai_edge_litert import schema_py_generated as schema

    plan = image_plan(tmp_path, models, "tflite")
    file = tmp_path / plan["model"]
    model = schema.ModelT.InitFromPackedBuf(file.read_bytes(), 0)
    for code in model.operatorCodes:
        code.version = 99
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    file.write_bytes(bytes(builder.Output()))
    message = phone.run(tmp_path, plan).failed("model_invalid")["message"]
    assert "2.14.0" in message
    assert "version '99'" in message


def test_a_detached_run_and_its_signals(phone: Edgebench, models: Path, tmp_path: Path) -> None:
    """What bionic has otherwise than musl and glibc: sigaction and its set of signals, /proc, locks, page sizes."""
    plan = image_plan(tmp_path, models, "tflite", affinity=[min(os.sched_getaffinity(0))])
    write_plan(tmp_path, plan)
    assert phone.call("--plan", tmp_path / "plan.json", "--detach").names == ["detached"]
    wait_for(lambda: not phone.call("--poll", tmp_path)["status"]["alive"], "the run to end")
    assert json_of(tmp_path / "events.jsonl")[-1]["event"] == "end"
    write_plan(tmp_path, {**plan, "steady": {"min_count": 0, "min_ms": 600_000, "max_count": 1_000_000}, "max_seconds": 600})
    phone.call("--plan", tmp_path / "plan.json", "--detach")
    wait_for(lambda: phone.call("--poll", tmp_path)["status"]["steady_samples"], "samples")
    status = phone.call("--cancel", tmp_path)["status"]
    assert not status["alive"]
    assert json_of(tmp_path / "events.jsonl")[-1]["code"] == "cancelled"
    # what was used is what the kernel says in pages of this machine
    usage = [event for event in json_of(tmp_path / "events.jsonl") if event["event"] == "rusage"][-1]
    assert 1_000 < usage["peak_rss_kb"] < 1_000_000


def test_a_memory_limit(phone: Edgebench, models: Path, tmp_path: Path) -> None:
    plan = image_plan(tmp_path, models, "onnx", max_memory_mb=4)
    phone.run(tmp_path, {**plan, "steady": {"min_count": 0, "min_ms": 20_000, "max_count": 1_000_000}}).failed("memory_limit")


def test_a_moved_bundle(phone: Edgebench, models: Path, tmp_path: Path) -> None:
    """On a device it lies elsewhere than where it was built."""
    moved = tmp_path / "runner"
    shutil.copytree(phone.binary.parent.parent, moved)
    there = Edgebench(moved / "bin" / "edgebench", phone.prefix)
    there.run(tmp_path, image_plan(tmp_path, models, "executorch")).done()


def test_int8_under_avx_512(phone: Edgebench, tmp_path: Path) -> None:
    """Kernels that load as if memory were aligned to 64 bytes, eight of them: without the runner's memalign half of them crash,
    where this machine's CPU has AVX-512."""
    (tmp_path / "int8.tflite").write_bytes(quantised_chain(links=8, width=256))
    values = np.linspace(-1, 1, 4 * 256, dtype=np.float32).reshape(4, 256)
    values.tofile(tmp_path / "x.bin")
    ends = ([tensor("x", "float32", [1, 256], file="x.bin")], [tensor("y", "float32", [1, 256])])
    ran = phone.run(tmp_path, base_plan("tflite", "int8.tflite", *ends)).done()
    np.testing.assert_allclose(output(ran, 0)[:, 0], values, atol=1 / 127)
    assert "Replacing 16 out of 16 node(s) with delegate (TfLiteXNNPackDelegate)" in ran.stderr


def quantised_chain(links: int, width: int) -> bytes:
    """y = x, to int8 and back `links` times."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [graph], [schema.BufferT()], []
    for code in (schema.BuiltinOperator.QUANTIZE, schema.BuiltinOperator.DEQUANTIZE):
        operator_code = schema.OperatorCodeT()
        operator_code.builtinCode = operator_code.deprecatedBuiltinCode = code
        operator_code.version = 1
        model.operatorCodes.append(operator_code)
    graph.tensors, graph.operators = [], []
    for at in range(2 * links + 1):
        made = schema.TensorT()
        made.name = {0: "x", 2 * links: "y"}.get(at, f"t{at}")
        made.shape, made.buffer = [1, width], 0
        if at % 2:
            made.type, made.quantization = schema.TensorType.INT8, schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [1 / 127], [0]
        graph.tensors.append(made)
    for at in range(2 * links):
        step = schema.OperatorT()
        step.opcodeIndex, step.inputs, step.outputs = at % 2, [at], [at + 1]
        graph.operators.append(step)
    graph.inputs, graph.outputs = [0], [2 * links]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    for name, index, ends in (("x", 0, "inputs"), ("y", 2 * links, "outputs")):
        end = schema.TensorMapT()
        end.name, end.tensorIndex = name, index
        setattr(signature, ends, [end])
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
