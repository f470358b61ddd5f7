"""Finished runs whose launches are known, and the command line called in this process: its start-up is not what is tested."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from device_runner.results.statistics import estimate
from device_runner.results.store import Store
from device_runner.results.writer import RunWriter
from edgedeploy.artifact import Accuracy, Drop
from edgedeploy.cli import main
from edgedeploy.record import ArtifactRef, Context, Device, Experiment, Launch, Plan, RunRecord

FIRST, SECOND = "20260131-120000-abc123", "20260131-130000-def456"
STEADY = [10.0, 10.02, 9.98, 10.01, 9.99]


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Invoke = Callable[..., Done]


def invoked(capsys: pytest.CaptureFixture[str]) -> Invoke:
    """`edgedeploy` as a function of its arguments."""

    def call(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return call


def record(run: str, medians_ms: list[float], **changes: Any) -> RunRecord:
    """A finished run with these launches, one a block."""
    artifact = ArtifactRef(
        digest="0" * 64, kind="bundle", path="a", subject=changes.get("subject", "s"), runtime="onnx", backend="cpu",
        operator=changes.get("operator", "identity"), precision="fp32", target_isa="any",
        model_bytes=changes.get("model_bytes", 1), accuracy=changes.get("accuracy"), drop=changes.get("drop"),
    )  # fmt: skip
    launches = tuple(
        Launch(
            index=block, position=block, block=block, started="t", valid=True, steady_median_ns=ms * 1e6, steady_count=9,
            runtime_version=changes.get("version", "1.0"), peak_rss_kb=changes.get("peak_rss_kb"),
            before=Context(taken="t", temperatures_c={"cpu": changes.get("celsius", 40.0)}, governors={"cpu0": "performance"}),
        )
        for block, ms in enumerate(medians_ms)
    )  # fmt: skip
    facts = {"cpu": {"model": changes.get("cpu", "chip")}, "abi": "linux-x86_64", "emulated": changes.get("emulated", False)}
    return RunRecord(
        id=run, created="c", finished="f", artifact=artifact, launches=launches, valid=changes.get("valid", True),
        invalid_because=() if changes.get("valid", True) else ("too hot",),
        devices=(Device(name=changes.get("device", "local"), transport="local", tier=changes.get("tier", ""), facts=facts),),
        median_ms=estimate(medians_ms, "median of each launch"),
        plan=changes.get("plan", Plan()), experiment=Experiment(id=run.partition(".")[0], seed=0, runs=(run,), order=()),
    )  # fmt: skip


def keep(runs: Path, *records: RunRecord) -> None:
    """Write finished runs into a store."""
    for each in records:
        RunWriter(Store(runs), each.id).finish(each)


def accurate(value: float) -> Accuracy:
    """Of 10,000 examples."""
    return Accuracy(metric="top1", value=value, low=value - 0.005, high=min(1.0, value + 0.005), n=10_000)


def lost(points: float, half: float, p_value: float) -> Drop:
    """Points lost against identity, with half the width of their interval."""
    return Drop(
        against="0" * 64, points=points, low=points - half, high=points + half, n=10_000, lost=9, won=9, p_value=p_value
    )  # fmt: skip
