"""Files as given, from the command line to bundles that the native runner reproduces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgedeploy import bundle
from edgedeploy.bundle import Bundle
from exporter.given import rules
from exporter.given.probe import probe
from exporter.operators import parse
from tests.exporter.cli import run_cli
from tests.exporter.given.files import INPUTS, by_hand, data_of, file_of


def exported(folder: Path, operators: str, file: Path, data: Path, *more: str, fails: bool = False) -> dict[str, dict]:
    """Rows of the JSON document by operator."""
    ended = run_cli(
        "export", "--op", operators, "--subject", file, "--data", data, "--out", folder / "out", "--json", *more, cwd=folder
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.returncode == (2 if fails else 0), ended.stderr
    return {row["operator"]: row for row in json.loads(ended.stdout)["bundles"]}


def read(row: dict) -> Bundle:
    made = bundle.read(Path(row["path"]))
    bundle.check_files(made)
    return made


def test_an_old_onnx_with_an_open_batch_is_wrapped_quantised_and_cut(tmp_path: Path) -> None:
    file = by_hand(tmp_path / "old model.onnx")
    rows = exported(tmp_path, "identity,sptq,sptq-partition", file, data_of(tmp_path, "data_0"))
    identity, sptq, parts = (read(rows[name]).manifest for name in ("identity", "sptq", "sptq-partition"))
    assert identity.subject == "old_model"
    assert identity.parity is not None
    assert identity.parity.max_abs == 0
    assert "given .onnx file" in identity.parity.against
    assert identity.recipe.parameters["given"]["changes"] == ["constants are no longer inputs too", "its open batch is 1"]
    assert identity.stages[0].inputs[0].name == "data:0"
    assert identity.stages[0].inputs[0].source == "data_0"
    assert identity.macs == 2_156_736
    assert sptq.stages[0].coverage is not None
    assert sptq.stages[0].coverage.int8_share == 1
    assert sptq.model_bytes < 0.5 * identity.model_bytes
    assert len(parts.stages) == 2
    assert parts.stages[0].coverage is not None
    assert 0 < parts.stages[0].coverage.macs < 2_156_736
    done = run_cli("verify", rows["identity"]["path"], rows["sptq"]["path"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def lost_in_int8(path: Path) -> Path:
    """The model written by hand with one channel after relu2 so large that int8 has no steps left for the others, and of no
    influence on what follows."""
    model = onnx.load(str(by_hand(path)))
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor).copy()
        if tensor.name in ("n2/s", "n2/b"):
            array[0] = 1e6
        elif tensor.name == "c3/w":
            array[:, 0] = 0
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    onnx.save(model, str(path))
    return path


def test_where_an_onnx_and_its_int8_part_is_named(tmp_path: Path) -> None:
    data = data_of(tmp_path, "data_0")
    more = ("--calibration", "minmax", "--max-drop", "100")
    for operators in ("sptq", "sptq-partition"):
        ended = run_cli(
            "export", "--op", operators, "--subject", lost_in_int8(tmp_path / "lost.onnx"), "--data", data, *more, cwd=tmp_path
        )
        assert ended.returncode == 1
        assert "parity: " in ended.stderr
        assert "they part at relu3 (relative difference" in ended.stderr
        assert "; up to relu2 they agree" in ended.stderr


def test_an_onnx_with_a_fixed_batch_is_taken_over_byte_for_byte(tmp_path: Path) -> None:
    file = by_hand(tmp_path / "mine.onnx", opset=17, batch=1, ir=8)
    row = exported(tmp_path, "identity", file, data_of(tmp_path, "data_0", count=40))["identity"]
    assert (Path(row["path"]) / "model.onnx").read_bytes() == file.read_bytes()


def test_without_labels_nothing_is_said_of_accuracy(tmp_path: Path) -> None:
    file = by_hand(tmp_path / "mine.onnx", opset=17, batch=1, ir=8)
    rows = exported(tmp_path, "sptq", file, data_of(tmp_path, "data_0", labels=False, count=60))
    made = read(rows["sptq"]).manifest
    assert made.signature.metric == "none"
    assert made.accuracy is None
    assert made.parity is not None
    assert made.parity.min_cosine > 0.99


@pytest.mark.parametrize("runtime", ["tflite", "executorch"])
def test_a_file_of_the_other_runtimes_is_wrapped(tmp_path: Path, runtime: str) -> None:
    file = file_of(runtime, tmp_path)
    data = data_of(tmp_path, INPUTS[runtime], count=80)
    rows = exported(tmp_path, "identity,sptq,partition", file, data, fails=True)
    identity = read(rows["identity"])
    assert (identity.path / identity.manifest.stages[0].file).read_bytes() == file.read_bytes()
    assert identity.manifest.macs == 2_156_736
    assert rows["partition"]["state"] == "failed"
    assert "cannot be" in rows["partition"]["error"]
    if runtime == "tflite":
        sptq = read(rows["sptq"]).manifest
        assert sptq.stages[0].coverage is not None
        assert sptq.stages[0].coverage.int8_share == 1
    else:
        assert "a lowered program" in rows["sptq"]["error"]
    wrapped = [row["path"] for row in rows.values() if row["state"] == "written"]
    done = run_cli("verify", *wrapped, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_what_cannot_be_is_said_with_what_to_do(tmp_path: Path) -> None:
    file = by_hand(tmp_path / "mine.onnx", opset=17, batch=1, ir=8)
    data = data_of(tmp_path, "data_0", count=16)
    trained = ("qat", "pruned+sptq", "distilled")
    rows = exported(tmp_path, ",".join((*trained, "int8-dynamic")), file, data, fails=True)
    for operators in trained:
        assert "weights in a .onnx file cannot be trained; use the model it was made from" in rows[operators]["error"]
    assert "use --op sptq" in rows["int8-dynamic"]["error"]
    rows = exported(tmp_path, "sptq", file, data, "--runtime", "tflite", fails=True)
    assert "nothing here converts it to tflite; use --runtime onnx" in rows["sptq"]["error"]


@pytest.mark.parametrize("runtime", ["tflite", "executorch"])
def test_what_is_small_already_is_recognised(tmp_path: Path, runtime: str) -> None:
    file = file_of(runtime, tmp_path, "int8")
    found = probe(file)
    assert "already" in found.small
    draft, operators = parse("sptq")
    why = rules.refusal(found.form, found.runtime, found.small, draft, operators, runtime)
    assert why is not None
    assert ("INT8" if runtime == "tflite" else "lowered program") in why


def test_an_int8_onnx_is_wrapped_as_given_and_not_quantised_again(tmp_path: Path) -> None:
    file = file_of("onnx", tmp_path, "int8")
    rows = exported(tmp_path, "sptq", file, data_of(tmp_path, "image", count=40), fails=True)
    assert read(rows["identity"]).manifest.recipe.precision == "as-given"
    assert "quantised already" in rows["sptq"]["error"]


def test_data_that_does_not_fit_is_said_in_a_sentence(tmp_path: Path) -> None:
    file = by_hand(tmp_path / "mine.onnx", opset=17, batch=1, ir=8)

    def told(**arrays: np.ndarray) -> str:
        np.savez(tmp_path / "data.npz", **arrays)
        ended = run_cli("export", "--op", "sptq", "--subject", file, "--data", tmp_path / "data.npz", cwd=tmp_path)
        assert ended.returncode == 2
        assert "Traceback" not in ended.stderr
        return ended.stderr

    pictures = np.zeros((4, 3, 16, 16), np.float32)
    assert "no calibration examples" in told(image=pictures)
    assert "calibration_data_0 is float64" in told(
        calibration_data_0=pictures.astype(np.float64), evaluation_data_0=pictures + 1
    )
    labels = np.array([0, 1, 2, 9])
    assert "labels are 0..9" in told(
        calibration_data_0=pictures, calibration_labels=labels, evaluation_data_0=pictures + 1, evaluation_labels=labels
    )
    ended = run_cli("export", "--op", "sptq", "--subject", file, cwd=tmp_path)
    assert ended.returncode == 2
    assert "--data data.npz is missing" in ended.stderr
