"""Exports side by side, and the second time: what is there is kept without a model being loaded."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from edgedeploy import isa
from exporter import recall, runtimes
from exporter.options import Options
from exporter.partition.division import CutRequest
from tests.exporter import tiny

PROGRAM = "again.pt2"
ARGUMENTS = ("--op", "sptq", "--subject", PROGRAM, "--data", "data.npz", "--runtime", "onnx,tflite",
             "--calibration", "minmax", "--calibration-samples", "16", "--json")  # fmt: skip
#: runs the command and says on stderr whether torch was imported by it
RUN = "import sys, atexit; atexit.register(lambda: print('torch:', 'torch' in sys.modules, file=sys.stderr)); " \
      "from edgedeploy.cli import main; main(sys.argv[1:])"  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .pt2 program with its data, as a user has them."""
    made = tmp_path_factory.mktemp("again")
    net = tiny.trained(8)
    torch.export.save(torch.export.export(net, (torch.zeros(1, 3, 16, 16),)), made / PROGRAM)
    arrays = {}
    for name in ("calibration", "validation", "evaluation"):
        split = tiny.split(name)  # type: ignore[arg-type]
        arrays[f"{name}_image"] = split.batch(0, len(split))["image"].astype(np.float32)
        arrays[f"{name}_labels"] = split.labels
    np.savez(made / "data.npz", **arrays)
    return made


def run(folder: Path, *arguments: str, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "EDGEDEPLOY_CACHE": str(cache)}
    command = [sys.executable, "-c", RUN, "export", *ARGUMENTS, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=600, check=False)


def test_side_by_side_and_again(folder: Path, tmp_path: Path) -> None:
    first = run(folder, "-j", "2", cache=tmp_path)
    assert first.returncode == 0, first.stderr
    rows = json.loads(first.stdout)["bundles"]
    assert [(row["runtime"], row["operator"], row["state"]) for row in rows] == [
        ("onnx", "identity", "written"), ("onnx", "sptq", "written"),
        ("tflite", "identity", "written"), ("tflite", "sptq", "written"),
    ]  # fmt: skip
    assert "[again.pt2 tflite]" in first.stderr
    # the children did the work, and the second time nobody has to
    assert "torch: False" in first.stderr
    again = run(folder, cache=tmp_path)
    assert "torch: False" in again.stderr
    kept = json.loads(again.stdout)["bundles"]
    assert {row["state"] for row in kept} == {"kept"}
    assert [row["digest"] for row in kept] == [row["digest"] for row in rows]
    assert kept[1]["accuracy"] == rows[1]["accuracy"]

    # a damaged bundle is not taken for a whole one
    model = folder / rows[1]["path"] / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    damaged = run(folder, cache=tmp_path)
    assert damaged.returncode == 2
    assert "digest differs" in damaged.stdout
    mended = run(folder, "--force", "-j", "2", cache=tmp_path)
    assert {row["state"] for row in json.loads(mended.stdout)["bundles"]} == {"written"}


#: reads the data above, and says so
CODE = """
import numpy as np, torch
from edgedeploy.errors import UserError
from edgedeploy.signature import Signature, TensorSpec
from exporter.subjects.base import Split, Subject, Weights

def split(name):
    with np.load("data.npz") as data:
        if name == "train":
            raise UserError("there is none")
        return Split.from_arrays({"image": data[f"{name}_image"]}, data[f"{name}_labels"])

def model(retrain, progress):
    torch.manual_seed(0)
    return Weights(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 4)).eval(), "0" * 64, "given")

subject = Subject(
    name="mine", model=model, split=split, reads=["data.npz"],
    signature=Signature(
        task="image-classification", layout="NCHW",
        inputs=(TensorSpec(name="image", dtype="float32", shape=(1, 3, 16, 16)),),
        outputs=(TensorSpec(name="logits", dtype="float32", shape=(1, 4)),),
    ),
)
"""


def test_python_code_that_says_what_it_reads_is_not_run_again(folder: Path, tmp_path: Path) -> None:
    asked = ("--subject", "mine.py:subject", "--op", "identity", "--out", str(tmp_path / "out"))
    own = [each for each in ARGUMENTS if each not in ("--data", "data.npz")]
    (folder / "mine.py").write_text(CODE)

    def asked_for(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "EDGEDEPLOY_CACHE": str(tmp_path)}
        command = [sys.executable, "-c", RUN, "export", *own, *asked, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=600, check=False)

    first = asked_for("-j", "2")
    assert first.returncode == 0, first.stderr
    assert {row["state"] for row in json.loads(first.stdout)["bundles"]} == {"written"}
    again = asked_for()
    assert {row["state"] for row in json.loads(again.stdout)["bundles"]} == {"kept"}
    assert "torch: False" in again.stderr

    (folder / "mine.py").write_text(CODE.replace('reads=["data.npz"]', "reads=None"))
    anew = asked_for("-j", "2")
    assert {row["state"] for row in json.loads(anew.stdout)["bundles"]} == {"kept"}
    # the note did not answer, or nothing would be said
    assert anew.stderr.count("reads=[...]") == 1


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_cannot_be_is_said_again_without_loading_anything(folder: Path, tmp_path: Path, jobs: str) -> None:
    asked = ("--op", "pruned", "--out", str(tmp_path / "out"))
    first = run(folder, *asked, "-j", jobs, cache=tmp_path)
    again = run(folder, *asked, cache=tmp_path)
    assert first.returncode == again.returncode == 2
    before, after = (
        {row["runtime"]: row for row in json.loads(each.stdout)["bundles"] if row["error"]} for each in (first, again)
    )
    assert before == after
    assert {row["error_kind"] for row in after.values()} == {"refused"}
    assert again.stderr.count("pruned on onnx cannot be: ") == 1
    assert "torch: False" in again.stderr


def test_what_failed_otherwise_is_tried_again(folder: Path, tmp_path: Path) -> None:
    asked = ("--runtime", "onnx", "--max-drop", "-100", "--out", str(tmp_path / "out"))
    for _ in range(2):
        ended = run(folder, *asked, cache=tmp_path)
        assert ended.returncode == 1
        assert "torch: True" in ended.stderr


def test_ctrl_c_stops_the_children(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgedeploy", "export", *ARGUMENTS, "-j", "2", "--out", str(tmp_path / "out")]
    environment = {**os.environ, "EDGEDEPLOY_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment,
        # a parent that ignores SIGINT, as a shell's background job does, hands that down
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    end = time.monotonic() + 60
    while len(started := children.read_text().split()) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(started) == 2
    assert [pid for pid in started if alive(int(pid))] == []


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def key(
    folder: Path, subject: str = PROGRAM, *, data: str = "data.npz", weights: str | None = None, student: str | None = None,
    **changed: object,
) -> str | None:  # fmt: skip
    options = Options(isa.host_target(), **changed)  # type: ignore[arg-type]
    files = {"data": folder / data}
    onnx = [runtimes.get("onnx")]
    return recall.key([subject], files, ["sptq"], onnx, folder / "out", options, weights=weights, student=student)


def test_a_question_is_the_same_only_when_everything_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert key(folder) == key(folder) is not None
    assert key(folder, calibration_samples=99) != key(folder)
    assert key(folder, cut=CutRequest("0.3")) != key(folder)
    before, data = key(folder), (folder / "data.npz").read_bytes()
    (folder / "data.npz").write_bytes(data + b"\0")
    assert key(folder) != before
    (folder / "data.npz").write_bytes(data)
    assert key(folder, "gone.pt2") is None


def test_files_and_folders_of_a_zoos_model_are_known_by_what_they_hold(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.npz").write_bytes((folder / "data.npz").read_bytes())
    for name in ("weights.safetensors", "bert/config.json", "bert/model.safetensors", "pictures/calibration/cat/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"{}")

    def asked() -> dict[str, str | None]:
        return {
            "file": key(tmp_path, "timm:resnet18:64@weights.safetensors"),
            "option": key(tmp_path, "timm:resnet18:64", weights="weights.safetensors"),
            "student": key(tmp_path, "timm:resnet18:64@weights.safetensors", student="timm:resnet10t@weights.safetensors"),
            "folder": key(tmp_path, "hf:./bert"),
            "pictures": key(tmp_path, "timm:resnet18", data="pictures", weights="random"),
        }

    def after(file: str) -> set[str]:
        """What is asked anew once the file has changed."""
        before = asked()
        with (tmp_path / file).open("ab") as changed:
            changed.write(b" ")
        return {name for name, note in asked().items() if note != before[name]}

    assert asked() == asked()
    assert None not in asked().values()
    assert after("weights.safetensors") == {"file", "option", "student"}
    assert after("bert/model.safetensors") == after("bert/config.json") == {"folder"}
    assert after("pictures/calibration/cat/1.png") == {"pictures"}
    # another file that looks the same to the model's reader is another question too
    (tmp_path / "pictures/calibration/cat/2.png").write_bytes(b"{}")
    assert after("data.npz") == {"file", "option", "student", "folder"}


@pytest.mark.parametrize("subject", ["timm:resnet18", "hf:bert-base-uncased", "bert-base", "timm:resnet18@gone.safetensors"])
def test_what_a_hub_holds_may_change(folder: Path, subject: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert key(folder, subject) is None
    if "@" not in subject:
        assert key(folder, subject, weights="random") is not None


def test_another_version_of_the_zoo_is_another_question(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    before = key(folder, "timm:resnet18", weights="random")
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99" if name == "timm" else real(name))
    assert key(folder, "timm:resnet18", weights="random") not in (None, before)


def test_a_pipe_is_not_read_for_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe.onnx")
    assert key(tmp_path, "pipe.onnx", data="pipe.onnx") is None
    assert key(tmp_path, "fashion-lite0", data="pipe.onnx") is None
