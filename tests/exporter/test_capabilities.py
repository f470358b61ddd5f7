"""The table of what can be done is what an export asks, and is there at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.capability_table import Row, rows
from tests.exporter.cli import run_cli


@pytest.fixture(scope="module")
def table() -> dict[tuple[str, str, str, str], Row]:
    return {(row.model, row.family, row.runtime, row.operator): row for row in rows()}


def test_every_kind_has_an_answer_for_every_runtime_and_operator(table: dict[tuple[str, str, str, str], Row]) -> None:
    for column in range(4):
        values = {key[column] for key in table}
        assert len(values) > 1
        assert len(table) % len(values) == 0
    assert all(row.why is None or len(row.why) > 30 for row in table.values())


@pytest.mark.parametrize(
    ("model", "family", "runtime", "operator", "says"),
    [
        ("torch", "transformer", "tflite", "int8-dynamic", None),
        ("torch", "convolutional", "executorch", "fp16", "XNNPACK"),
        (".pt2", "convolutional", "onnx", "qat", None),
        (".pt2", "convolutional", "onnx", "dsptq", "no student"),
        (".onnx", "convolutional", "onnx", "sptq-partition", None),
        (".onnx", "convolutional", "tflite", "identity", "nothing here converts it to tflite"),
        (".onnx", "transformer", "onnx", "pruned", "cannot be trained"),
        (".tflite", "transformer", "tflite", "sptq", None),
        (".tflite", "transformer", "tflite", "partition", "takes a .tflite apart"),
        (".pte", "convolutional", "executorch", "identity", None),
        (".pte", "convolutional", "executorch", "sptq", "lowered program"),
        (".pte", "convolutional", "executorch", "partition", "cannot be cut"),
    ],
)
def test_answers(
    table: dict[tuple[str, str, str, str], Row], model: str, family: str, runtime: str, operator: str, says: str | None
) -> None:
    why = table[model, family, runtime, operator].why
    assert (why is None) if says is None else (why is not None and says in why)


def test_the_command_prints_one_document_and_loads_no_framework(tmp_path: Path) -> None:
    ended = run_cli("capabilities", "--model", ".onnx", "--json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    entries = json.loads(ended.stdout)["capabilities"]
    assert {entry["model"] for entry in entries} == {".onnx"}
    assert all(entry["possible"] == (entry["why"] is None) for entry in entries)
    ended = run_cli("capabilities", "--model", "spreadsheet", cwd=tmp_path)
    assert ended.returncode == 2
    assert "choose of torch, .pt2" in ended.stderr
    seen = "import sys; list(__import__('exporter.capability_table').capability_table.rows()); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "onnx", "onnxruntime", "litert_torch", "executorch"} & set(loaded)
