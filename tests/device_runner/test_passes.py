"""`bench --profile --memory`: launches of their own, with the real runtimes' own profilers."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from device_runner import benching
from device_runner.passes import onnx_trace, operators
from device_runner.passes.operators import Operator
from device_runner.results import profile_table, table
from device_runner.results.store import Store
from device_runner.results.summary import rows
from edgedeploy.progress import StatusLine
from edgedeploy.record import OperatorGroup, Profile, RunRecord
from tests.device_runner.conftest import BRIEF


def bench(store: Store, *paths: Path) -> list[RunRecord]:
    said = StatusLine(io.StringIO())
    return benching.bench(
        paths, "local", BRIEF, store, 0, {}, said, lambda identifier: None, passes=("memory", "profile")
    ).records


def test_of_a_bundle_every_node_is_known_and_memory_is_of_a_launch_of_its_own(
    store: Store, fast: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (record,) = bench(store, fast)
    assert record.valid
    # no launch more than was asked for is in the run
    assert len(record.launches) == BRIEF.launches
    assert record.profile is not None
    assert record.profile.unavailable == ""
    assert record.profile.inferences == 20
    assert {group.where for group in record.profile.groups} == {"cpu"}
    assert any("MatMul" in group.kind or "Gemm" in group.kind for group in record.profile.groups)
    assert sum(group.share for group in record.profile.groups) == pytest.approx(1)
    memory = record.memory
    assert memory is not None
    assert memory.library_kb is not None
    assert memory.peak_kb is not None
    assert memory.steady_kb is not None
    assert memory.library_kb < memory.peak_kb
    assert memory.steady_kb <= memory.peak_kb
    assert record.cold_start_ms is None or record.cold_start_ms.estimate > 0
    table.show(rows([record]))
    profile_table.show(record)
    printed = capsys.readouterr().out
    assert "operators on cpu" in printed
    assert "MiB at its peak" in printed
    assert "ran on" in printed


@pytest.mark.parametrize("kind", ["tflite", "pte"])
def test_what_ran_on_the_delegate_is_known_of_the_other_runtimes(kind: str, store: Store, models: Path) -> None:
    (record,) = bench(store, models / f"image.{kind}")
    assert record.profile is not None
    assert record.profile.unavailable == ""
    assert "xnnpack" in {group.where for group in record.profile.groups}


def test_no_pass_is_made_that_was_not_asked_for(pair: tuple[benching.Finished, Store]) -> None:
    assert [(record.profile, record.memory) for record in pair[0].records] == [(None, None)] * 2


def event(name: str, duration: object, **args: object) -> dict[str, object]:
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": duration, "args": args}


RUN = {"cat": "Session", "name": "model_run", "dur": 9, "args": {}}


def test_a_trace_is_read_without_its_warm_up() -> None:
    given = {"op_name": "Conv", "provider": "CPUExecutionProvider", "input_type_shape": [{"float": [1]}]}
    events = [event("n", 900, **given), RUN, event("n", 10, **given), RUN, event("n", 20, **given), event("n", 2, **given), RUN]
    (found,) = onnx_trace.read(json.dumps(events), 0, 2)
    # a node of a loop counts with all its calls
    assert found == Operator(0, "n", "Conv (float)", "cpu", 16_000)


@pytest.mark.parametrize(
    "text", ["", "[", "{}", "[]", "[" * 100_000, json.dumps([None, 1, {"name": 3}, event("n", -1), RUN][:4])]
)
def test_a_trace_that_is_none_is_said(text: str) -> None:
    with pytest.raises(onnx_trace.NoTrace):
        onnx_trace.read(text, 0, 5)


def test_many_kinds_become_one_group_at_the_end() -> None:
    many = [Operator(0, f"n{i}", f"kind {i}", "cpu", 1.0 + i) for i in range(100)]
    groups = operators.groups(many)
    assert len(groups) == operators.MAX_GROUPS + 1
    assert (groups[0].kind, groups[-1].kind, groups[-1].operators) == ("kind 99", "other kinds", 40)
    assert sum(group.share for group in groups) == pytest.approx(1)
    assert operators.kind_of("Fully Connected (NC, F32) GEMM #9") == "Fully Connected (NC, F32) GEMM"


def test_what_fell_back_and_what_stayed_in_float_is_named() -> None:
    groups = (
        OperatorGroup(kind="GEMM (NC, QS8)", where="xnnpack", operators=3, time_ms=3, share=0.75),
        OperatorGroup(kind="layer_norm.out", where="executorch", operators=2, time_ms=0.6, share=0.15),
        OperatorGroup(kind="Softmax (NC, F32)", where="xnnpack", operators=1, time_ms=0.4, share=0.1),
    )
    profile = Profile(inferences=20, groups=groups)
    assert [group.kind for group in profile_table.elsewhere(profile)] == ["layer_norm.out"]
    assert [group.kind for group in profile_table.in_float(profile)] == ["Softmax (NC, F32)"]
    assert profile_table.places(profile) == [("xnnpack", 0.85), ("executorch", 0.15)]
