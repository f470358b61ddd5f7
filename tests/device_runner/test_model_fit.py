"""A model that asks for more than a device's runtime has is refused by name; one that does not is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_runner import bundles, install, model_fit
from device_runner.deadline import Deadline
from device_runner.offers import probe_models
from device_runner.transports.local import LocalTransport
from edgedeploy.errors import UserError
from tests.device_runner import too_new
from tests.device_runner.native.conftest import CACHE
from tests.device_runner.test_bench import Bench


@pytest.fixture(scope="module", params=bundles.known_abis())
def built(request: pytest.FixtureRequest) -> bundles.RunnerBundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEDEPLOY_CACHE", str(CACHE))
        return bundles.build(request.param, CACHE / "runner" / request.param)


@pytest.mark.parametrize("suffix", ["onnx", "tflite", "pte"])
def test_real_models_fit_every_bundle(built: bundles.RunnerBundle, models: Path, suffix: str) -> None:
    found = [model for path in models.glob(f"*.{suffix}") for model in model_fit.models(path)]
    assert len(found) == 2
    assert [model_fit.lack(built, *model) for model in found] == ["", ""]


def test_a_newer_operator_fits_the_newer_library_only(built: bundles.RunnerBundle, models: Path, tmp_path: Path) -> None:
    model = too_new.tflite(tmp_path / "new.tflite", models / "image.tflite", "FULLY_CONNECTED", 14)
    text = model_fit.lack(built, "tflite", model)
    if not built.manifest.abi.startswith("android-"):
        assert text == ""
        return
    assert "tflite 2.14.0 of android-" in text
    assert "the operator FULLY_CONNECTED in version 14 (it has version" in text
    assert f"edgedeploy bundles build --abi {built.manifest.abi} --from ARCHIVE" in text


def test_weights_that_an_older_library_would_not_find(built: bundles.RunnerBundle, tmp_path: Path) -> None:
    model = tmp_path / "behind.tflite"
    model.write_bytes(probe_models.tflite_sum_behind(1.0))
    text = model_fit.lack(built, "tflite", model)
    assert ("needs: reading weights behind the flatbuffer" in text) == built.manifest.abi.startswith("android-")


def test_a_runtime_that_nobody_could_ask_refuses_nothing_beforehand(built: bundles.RunnerBundle, tmp_path: Path) -> None:
    model = too_new.onnx(tmp_path / "new.onnx", 99)
    silent = bundles.RunnerBundle(built.root, built.manifest.model_copy(update={"offers": {}}))
    assert model_fit.lack(silent, "onnx", model) == ""
    assert "opset 99 of ai.onnx" in model_fit.lack(built, "onnx", model)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100])
def test_a_file_that_nobody_can_read_is_left_to_the_runtime(
    built: bundles.RunnerBundle, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    assert model_fit.lack(built, "onnx", tmp_path / "model.onnx") == ""


def test_bench_refuses_by_name(run_bench: Bench, models: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"onnx 1\.32\.0 of linux-.* needs: opset 99 of ai\.onnx \(it has [0-9]+ at most\)"):
        run_bench(too_new.onnx(tmp_path / "new.onnx", 99))
    missing = too_new.executorch(tmp_path / "new.pte", models / "text.pte", "aten::embedding", "aten::imbedding")
    with pytest.raises(UserError, match=r"the kernel aten::imbedding\.out\. You can lower it anew"):
        run_bench(missing)


def test_so_does_the_session_that_is_open(runner: Path, tmp_path: Path) -> None:
    """What is staged later, a resumed run's model say, is held against the same."""
    deadline = Deadline.after(60)
    transport = LocalTransport(tmp_path / "device")
    installed = install.runner(transport, deadline)
    with pytest.raises(UserError, match=r"opset 99"):
        installed.require("onnx", [too_new.onnx(tmp_path / "new.onnx", 99)])
    installed.require("onnx", [too_new.onnx(tmp_path / "old.onnx", 20)])
