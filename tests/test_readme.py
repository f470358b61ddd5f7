"""README's commands for a model of one's own, run as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from device_runner import bundles
from edgedeploy import bundle

ROOT = Path(__file__).resolve().parent.parent
SECTION = "Your own model"


def code_blocks(section: str) -> list[list[str]]:
    """The commands of each shell block of a section of the README."""
    text = (ROOT / "README.md").read_text("utf-8")
    (body,) = re.findall(rf"^## {re.escape(section)}$\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return [block.strip().splitlines() for block in re.findall(r"^```sh\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """`edgedeploy` on the path, and a cache of the test's own but for the runner, which is built once."""
    command = tmp_path / "bin/edgedeploy"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m edgedeploy "$@"\n')
    command.chmod(0o755)
    built = bundles.build(bundles.host_abi()).root
    (tmp_path / "cache/runner").mkdir(parents=True)
    (tmp_path / "cache/runner" / built.name).symlink_to(built)
    path = f"{command.parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "EDGEDEPLOY_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}


def run(line: str, cwd: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", line], cwd=cwd, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def write_program(directory: Path) -> None:
    """my_model.pt2 and my_data.npz as the README describes them."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.linear = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(8, 2)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.linear(torch.relu(self.conv(image)).mean((2, 3)))
            return logits

    torch.manual_seed(0)
    net = Net().eval()
    torch.export.save(torch.export.export(net, (torch.zeros(1, 1, 8, 8),)), directory / "my_model.pt2")
    data = {}
    for name in ("calibration", "evaluation"):
        images = np.random.default_rng(len(data)).normal(0, 1, (64, 1, 8, 8)).astype(np.float32)
        # labelled by the model itself, so that it is a model that was trained on something
        labels = net(torch.from_numpy(images)).argmax(1).numpy()
        data |= {f"{name}_image": images, f"{name}_labels": labels}
    np.savez(directory / "my_data.npz", **data)
    example = (torch.from_numpy(data["evaluation_image"][:1]),)
    torch.onnx.export(net, example, dynamo=True, input_names=["image"], external_data=False).save(directory / "my_model.onnx")


def test_the_section_shows_all_ways() -> None:
    python, program, file = code_blocks(SECTION)
    assert [line.split()[1] for line in python] == ["export", "bench"]
    assert "my_model.py:subject" in python[0]
    assert "my_model.pt2" in program[0]
    assert "my_model.onnx" in file[0]


def test_a_model_of_ones_own(tmp_path: Path, environment: dict[str, str]) -> None:
    python, program, file = code_blocks(SECTION)
    work = tmp_path / "work"
    shutil.copytree(ROOT / "examples", work / "examples")
    for line in python:
        printed = run(line, work, environment)
    assert sorted(re.findall(r"^my-model (\w+) ", printed, re.MULTILINE)) == ["identity"] * 3 + ["sptq"] * 3
    assert "not valid" not in printed
    write_program(work)
    for line in program:
        run(line, work, environment)
    made = [bundle.read(found.parent) for found in sorted((work / "artifacts").glob("*/sptq/*/manifest.json"))]
    assert {read.manifest.runtime for read in made if read.manifest.subject != "my-model"} == {"onnx", "tflite", "executorch"}
    for read in made:
        bundle.check_files(read)
    # another way to give the same model, under the same name
    (tmp_path / "other").mkdir()
    write_program(tmp_path / "other")
    for line in file:
        run(line, tmp_path / "other", environment)
    made = [bundle.read(found.parent) for found in (tmp_path / "other/artifacts").glob("*/*/*/manifest.json")]
    assert {(read.manifest.recipe.asked, read.manifest.runtime) for read in made} == {
        ("identity", "onnx"), ("sptq", "onnx"), ("partition", "onnx"),
    }  # fmt: skip
