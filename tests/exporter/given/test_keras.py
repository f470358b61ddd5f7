"""Keras models and SavedModels: converted by TensorFlow where it is, else said how to get it."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgedeploy import bundle, isa
from edgedeploy.errors import ClaimError, UserError
from exporter import ingredients, recall, runtimes
from exporter.export import export
from exporter.given.load import load_given
from exporter.given.tensorflow import VARIABLE, convert
from exporter.given.tensorflow_process import Refused, refuse_code
from exporter.options import Options
from tests.exporter import tiny
from tests.exporter.cli import run_cli
from tests.exporter.given.test_diverge import Damaging, float_name

ROOT = Path(__file__).resolve().parents[3]
INSTALLED = importlib.util.find_spec("tensorflow") is not None
PYTHON = os.environ.get(VARIABLE) or (sys.executable if INSTALLED else None)
needs_tensorflow = pytest.mark.skipif(PYTHON is None, reason=f"no TensorFlow: {VARIABLE}=$(scripts/install_tensorflow)")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models of make_keras.py, and data.npz, whose pictures have their channels last."""
    folder = tmp_path_factory.mktemp("keras")
    arrays = {}
    for name in ("calibration", "validation", "evaluation"):
        some = tiny.split(name)  # type: ignore[arg-type]
        arrays[f"{name}_image"] = np.ascontiguousarray(some.batch(0, len(some))["image"].transpose(0, 2, 3, 1))
        arrays[f"{name}_labels"] = some.labels
    np.savez(folder / "data.npz", **arrays)
    assert PYTHON is not None
    script = Path(__file__).with_name("make_keras.py")
    made = subprocess.run([PYTHON, str(script), str(folder)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[-3000:]
    return folder


def test_tensorflow_is_imported_in_one_file_only() -> None:
    for path in (ROOT / "exporter").rglob("*.py"):
        names = [
            name
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            for name in (
                [alias.name for alias in node.names] if isinstance(node, ast.Import)
                else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            )
        ]  # fmt: skip
        heavy = {name.split(".")[0] for name in names} & {"tensorflow", "keras", "h5py"}
        assert not heavy or path.name == "tensorflow_process.py", path


@pytest.mark.skipif(INSTALLED, reason="TensorFlow is installed beside the exporter")
def test_without_tensorflow_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "m.keras").write_bytes(b"PK")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/saved_model.pb").write_bytes(b"")
    np.savez(tmp_path / "data.npz", calibration_x=np.zeros(2))
    for name in ("m.keras", "saved"):
        ended = run_cli("export", "--op", "sptq", "--subject", name, "--data", "data.npz", cwd=tmp_path)
        assert ended.returncode == 2
        assert "pip install 'edgedeploy[tensorflow]'" in ended.stderr
        assert "Traceback" not in ended.stderr
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="no Python that can be run"):
        convert(tmp_path / "m.keras")


def test_a_file_that_is_no_keras_model_is_refused_before_tensorflow_sees_it(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(os.urandom(500))
    with pytest.raises(Refused, match="as Keras 3 saves it"):
        refuse_code(tmp_path / "m.keras")


@needs_tensorflow
def test_a_keras_model_is_converted_wrapped_and_quantised_by_tensorflow(models: Path, tmp_path: Path) -> None:
    ended = run_cli(
        "export", "--op", "sptq,int8-dynamic,partition,qat", "--subject", models / "good.keras", "--data", models / "data.npz",
        "--json", "--out", "out", cwd=tmp_path,
    )  # fmt: skip
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.returncode == 2
    rows = {row["operator"]: row for row in json.loads(ended.stdout)["bundles"]}
    assert {row["runtime"] for row in rows.values()} == {"tflite"}
    assert "TensorFlow converts a .keras whole" in rows["partition"]["error"]
    assert "cannot be trained" in rows["qat"]["error"]
    written = [tmp_path / rows[name]["path"] for name in ("identity", "sptq", "int8-dynamic")]
    identity, sptq, _ = (bundle.read(path).manifest for path in written)
    assert identity.toolchain["tensorflow"].startswith("2.21")
    assert identity.macs == 16 * 16 * 16 * 27 + 8 * 8 * 32 * 144 + 32 * 4
    assert sptq.recipe.parameters["scheme"] == "tensorflow"
    assert sptq.stages[0].inputs[0].tensor.dtype == "float32"
    assert sptq.stages[0].coverage is not None
    assert sptq.stages[0].coverage.int8_share == 1
    assert sptq.model_bytes < 0.6 * identity.model_bytes
    done = run_cli("verify", *written, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@needs_tensorflow
def test_where_what_tensorflow_quantised_loses_parity_is_named(models: Path, tmp_path: Path) -> None:
    subject = load_given(models / "good.keras", models / "data.npz")
    options = Options(isa.host_target(), calibration_samples=16, methods=("minmax",))
    sptq = export([subject], ["sptq"], [Damaging(1)], tmp_path / "out", options)[1]
    assert subject.given is not None
    assert isinstance(sptq.error, ClaimError)
    assert f"they part at CONV_2D {float_name(subject.given.path, 1)[:100]}" in str(sptq.error)


@needs_tensorflow
def test_a_saved_model_becomes_the_same_file(models: Path) -> None:
    saved, digest = convert(models / "saved")
    keras, _ = convert(models / "good.keras")
    assert [spec.shape for spec in saved.inputs] == [(1, 16, 16, 3)]
    assert (saved.macs, saved.parameters, saved.own_inputs) == (keras.macs, keras.parameters, ("image",))
    assert len(digest) == 64


@needs_tensorflow
def test_every_input_keeps_its_name(models: Path) -> None:
    found, _ = convert(models / "two.keras")
    assert {spec.name: (spec.dtype, spec.shape) for spec in found.inputs} == {
        "mask": ("float32", (1, 8)), "words": ("int32", (1, 8)),
    }  # fmt: skip


@needs_tensorflow
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("code.keras", "Lambda in it"),
        ("foreign.keras", "is of os"),
        ("vocabulary.keras", "reads its vocabulary from a file"),
        ("linked.keras", "have a link"),
        ("reads", "ReadFile"),
        ("writes", "SaveV2, which reach out"),
        ("logs", "CreateSummaryFileWriter, SummaryWriter, which reach out"),
        ("open.keras", "every size fixed"),
    ],
)
def test_what_reaches_out_of_the_model_is_refused(
    models: Path, name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        convert(models / name)
    assert list(tmp_path.iterdir()) == []


@needs_tensorflow
def test_what_was_converted_before_is_known_by_its_files_and_tensorflows_version(models: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    shutil.copytree(models / "saved", saved)

    def key() -> str | None:
        files = {"data": models / "data.npz"}
        return recall.key([str(saved)], files, ["sptq"], [runtimes.get("tflite")], tmp_path, Options(isa.host_target()))

    before = key()
    assert before == key() is not None
    made_of = ingredients.of(str(saved), None, None)
    assert made_of is not None
    assert re.search(r"tensorflow\S*=2\.", made_of.others[0])
    with (saved / "variables/variables.index").open("ab") as file:
        file.write(b"\0")
    assert key() != before
