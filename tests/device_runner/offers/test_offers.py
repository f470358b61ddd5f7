"""What is kept of what the runtimes can run, held against the runtimes themselves."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from device_runner import bundles
from device_runner.bundles import abilities
from device_runner.offers import Offer, asking, key_of, known, lacking, sampling
from edgedeploy.errors import InternalError
from tests.bench_hosts import bionic
from tests.device_runner.native.conftest import CACHE

ABIS = ("linux-x86_64", "android-x86_64")


@pytest.fixture(scope="module", params=ABIS)
def bundle(request: pytest.FixtureRequest) -> bundles.RunnerBundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEDEPLOY_CACHE", str(CACHE))
        return bundles.build(request.param, CACHE / "runner" / request.param)


@pytest.fixture(scope="module")
def call(bundle: bundles.RunnerBundle, tmp_path_factory: pytest.TempPathFactory) -> asking.Call:
    """The runner, on this machine or on the stand-in for Android's C library."""
    command = [str(bundle.binary)]
    if bundle.manifest.abi.startswith("android-"):
        root = bionic.build_root(tmp_path_factory.mktemp("android"), "x86_64")
        command = [*bionic.native(root, bundle.root, tmp_path_factory.getbasetemp()), *command]
    return partial(abilities.called, command)


@pytest.mark.parametrize("abi", bundles.known_abis())
def test_what_every_pinned_runtime_can_run_is_known(abi: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEDEPLOY_CACHE", str(CACHE))
        built = bundles.build(abi, CACHE / "runner" / abi)
    assert set(built.manifest.offers) == {"onnx", "tflite", "executorch"} == set(built.manifest.runtimes)
    for runtime, offer in built.manifest.offers.items():
        digests = [file.sha256 for file in built.manifest.files if file.is_library_of(runtime)]
        assert known(key_of(digests)) == offer


def test_executorch_has_the_kernels_that_are_kept(bundle: bundles.RunnerBundle, call: asking.Call) -> None:
    offer = asking.ask("executorch", call, bundle.libraries("executorch"))
    assert offer == bundle.manifest.offers["executorch"]
    assert {"aten::embedding.out", "quantized_decomposed::embedding_byte.out"} <= set(offer.versions["kernel"])
    assert "XnnpackBackend" in offer.versions["backend"]


@pytest.mark.parametrize("runtime", ["onnx", "tflite"])
def test_it_has_what_is_kept_and_nothing_newer(
    bundle: bundles.RunnerBundle, call: asking.Call, tmp_path: Path, runtime: str
) -> None:
    offer = bundle.manifest.offers[runtime]
    assert sampling.contradictions(runtime, call, bundle.libraries(runtime), offer, tmp_path) == []


@pytest.mark.parametrize("runtime", ["onnx", "tflite", "executorch"])
def test_what_is_not_so_is_found(bundle: bundles.RunnerBundle, call: asking.Call, tmp_path: Path, runtime: str) -> None:
    """The same questions, of another record: newest versions that are one too high."""
    true = bundle.manifest.offers[runtime].versions
    false = Offer(versions={kind: {name: version + 1 for name, version in names.items()} for kind, names in true.items()})
    wrong = sampling.contradictions(runtime, call, bundle.libraries(runtime), false, tmp_path, every=200)
    assert wrong
    if runtime == "tflite":
        assert any(text.startswith(f"CONV_2D {true['operator']['CONV_2D'] + 1}: ") for text in wrong)


def test_a_runner_that_does_not_say(tmp_path: Path) -> None:
    def call(arguments: Sequence[str]) -> Mapping[str, Any]:
        return {"event": "error", "message": "out of order"}

    for runtime in ("onnx", "tflite", "executorch"):
        with pytest.raises(InternalError, match="does not say"):
            asking.ask(runtime, call, [])
    with pytest.raises(InternalError, match=r"did not answer"):
        abilities.called(["true"], ["--hello"])


@pytest.mark.parametrize("arguments", [["--kernels"], ["--kernels", "--runtime", "no-such"], ["--kernels", "--hello"]])
def test_a_question_that_is_none(call: asking.Call, arguments: list[str]) -> None:
    assert call(arguments)["code"] == "plan_invalid"


def test_runtimes_that_do_not_tell(call: asking.Call) -> None:
    assert call(["--kernels", "--runtime", "onnx"])["code"] == "runtime_error"


def test_an_answer_is_the_last_line(runner: Path) -> None:
    """One line, and an exit code that says that it is one."""
    done = subprocess.run([runner / "bin/edgebench", "--kernels", "--runtime", "executorch"], capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == 1


def test_in_words() -> None:
    offer = Offer(
        versions={
            "opset": {"ai.onnx": 20}, "IR version": {"": 9}, "operator": {"ADD": 2}, "custom operator": {},
            "kernel": {"aten::add.out": 1}, "backend": {"XnnpackBackend": 1}, "operator of com.microsoft": {"Gelu": 1},
            "layout": {},
        }
    )  # fmt: skip
    asked = {
        "opset": {"ai.onnx": 21, "new.domain": 1}, "IR version": {"": 10}, "operator": {"ADD": 3, "DILATE": 1},
        "custom operator": {"FlexErf": 1}, "kernel": {"aten::mul.out": 1, "aten::add.out": 1},
        "backend": {"VulkanBackend": 1}, "operator of com.microsoft": {"MoE": 1}, "operator of new.domain": {"New": 1},
        "layout": {"weights behind the flatbuffer": 1},
    }  # fmt: skip
    assert lacking(asked, offer) == [
        "IR version 10 (it has 9 at most)",
        "opset 21 of ai.onnx (it has 20 at most)",
        "reading weights behind the flatbuffer",
        "the backend VulkanBackend",
        "the custom operator FlexErf",
        "the kernel aten::mul.out",
        "the operator ADD in version 3 (it has version 2 at most)",
        "the operator DILATE",
        "the operator MoE of com.microsoft",
        "the operator New of new.domain",
    ]
    assert lacking({"operator": {"ADD": 2}}, offer) == []
    with_ml = Offer(versions={"opset": {"ai.onnx": 20, "ai.onnx.ml": 5}})
    assert lacking({"opset": {"ai.onnx.ml": 5}, "operator of ai.onnx.ml": {"TreeEnsemble": 1}}, with_ml) == []
    assert lacking({"opset": {"ai.onnx.ml": 6}}, with_ml) == ["opset 6 of ai.onnx.ml (it has 5 at most)"]
