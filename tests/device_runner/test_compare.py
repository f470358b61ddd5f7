"""`edgedeploy compare`: verdicts, what is refused, and exit codes, on stored runs whose launches are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from device_runner.results.statistics import unpaired_ratio
from device_runner.results.store import Store
from device_runner.results.writer import RunWriter
from edgedeploy.cli import main
from edgedeploy.record import ArtifactRef, Context, Device, Experiment, Launch, Limits, Plan, RunRecord

FIRST, SECOND = "20260131-120000-abc123", "20260131-130000-def456"


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Invoke = Callable[..., Done]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    """The command line in this process: its own start-up is not what is tested here."""

    def call(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return call


def record(run: str, medians_ms: list[float], **changes: Any) -> RunRecord:
    """A finished run with these launches, one a block."""
    artifact = ArtifactRef(
        digest="0" * 64, kind="bundle", path="a", subject="s", operator="identity", runtime="onnx", backend="cpu",
        precision="fp32", target_isa="any", model_bytes=1,
    )  # fmt: skip
    launches = tuple(
        Launch(
            index=block, position=block, block=block, started="t", valid=True, steady_median_ns=ms * 1e6, steady_count=9,
            runtime_version=changes.get("version", "1.0"),
            before=Context(taken="t", temperatures_c={"cpu": changes.get("celsius", 40.0)}, governors={"cpu0": "performance"}),
        )
        for block, ms in enumerate(medians_ms)
    )  # fmt: skip
    facts = {"cpu": {"model": changes.get("cpu", "chip")}, "abi": "linux-x86_64"}
    return RunRecord(
        id=run, created="c", finished="f", artifact=artifact, launches=launches, valid=changes.get("valid", True),
        invalid_because=() if changes.get("valid", True) else ("too hot",),
        devices=(Device(name=changes.get("device", "local"), transport="local", facts=facts),),
        plan=changes.get("plan", Plan()), experiment=Experiment(id=run.partition(".")[0], seed=0, runs=(run,), order=()),
    )  # fmt: skip


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def keep(runs: Path, *records: RunRecord) -> None:
    for each in records:
        RunWriter(Store(runs), each.id).finish(each)


def ask(invoke: Invoke, runs: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = invoke("compare", *arguments, "--out", str(runs), "--json")
    assert done.returncode == code, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


STEADY = [10.0, 10.02, 9.98, 10.01, 9.99]


@pytest.mark.parametrize(
    ("factor", "spread", "verdict"),
    [
        (1.10, 0.001, "slower"),
        (0.90, 0.001, "faster"),
        # a change that is there for sure, and of no consequence
        (1.01, 0.001, "same within the margin"),
        (1.05, 0.2, "cannot tell"),
    ],
)
def test_the_verdict_is_of_the_whole_interval(factor: float, spread: float, verdict: str, runs: Path, invoke: Invoke) -> None:
    wobble = [1 + spread * sign for sign in (-1, 1, -0.5, 0.5, 0)]
    other = [ms * factor * by for ms, by in zip(STEADY, wobble, strict=True)]
    keep(runs, record(f"{FIRST}.00", STEADY), record(f"{FIRST}.01", other))
    found = ask(invoke, runs, f"{FIRST}.00", f"{FIRST}.01")
    assert (found["verdict"], found["paired"]) == (verdict, True)
    assert found["ratio"]["estimate"] == pytest.approx(factor, rel=0.02)


def test_one_experiment_of_two_runs_is_enough_to_name(runs: Path, invoke: Invoke) -> None:
    keep(runs, record(f"{FIRST}.00", STEADY), record(f"{FIRST}.01", [2 * ms for ms in STEADY]))
    experiments = runs / "experiments"
    experiments.mkdir()
    listed = {"artifacts": [{"run": f"{FIRST}.00"}, {"run": f"{FIRST}.01"}]}
    (experiments / f"{FIRST}.json").write_text(json.dumps(listed))
    assert ask(invoke, runs, FIRST)["verdict"] == "slower"
    listed["artifacts"].pop()
    (experiments / f"{FIRST}.json").write_text(json.dumps(listed))
    assert "1 finished runs" in ask(invoke, runs, FIRST, code=2)["error"]["message"]


def test_the_limit_of_a_ci_job_is_an_exit_code_and_only_for_what_is_sure(runs: Path, invoke: Invoke) -> None:
    noisy = [9.0, 13.0, 10.0, 12.0, 11.0]
    keep(runs, record(f"{FIRST}.00", STEADY), record(f"{FIRST}.01", [1.1 * ms for ms in STEADY]), record(f"{FIRST}.02", noisy))
    assert ask(invoke, runs, f"{FIRST}.00", f"{FIRST}.01", "--fail-if-slower", "5%", code=1)["failed"]
    assert not ask(invoke, runs, f"{FIRST}.00", f"{FIRST}.01", "--fail-if-slower", "20")["failed"]
    unsure = ask(invoke, runs, f"{FIRST}.00", f"{FIRST}.02", "--fail-if-slower", "5%")
    assert (unsure["verdict"], unsure["failed"]) == ("cannot tell", False)


@pytest.mark.parametrize(
    ("aspect", "changes"),
    [
        ("device", {"device": "pixel7"}),
        ("device", {"cpu": "another chip"}),
        ("software", {"version": "2.0"}),
        ("threads", {"plan": Plan(threads=2)}),
        ("cores", {"plan": Plan(affinity=(0,))}),
        ("plan", {"plan": Plan(steady=Limits(min_count=7, min_ms=1))}),
        ("thermal", {"celsius": 71.0}),
    ],
)
def test_runs_measured_differently_are_refused_until_it_is_allowed(
    aspect: str, changes: dict[str, Any], runs: Path, invoke: Invoke
) -> None:
    keep(runs, record(f"{FIRST}.00", STEADY), record(f"{FIRST}.01", STEADY, **changes))
    message = ask(invoke, runs, f"{FIRST}.00", f"{FIRST}.01", code=2)["error"]["message"]
    assert f"{aspect} (" in message
    assert f"--despite {aspect}" in message
    allowed = ask(invoke, runs, f"{FIRST}.00", f"{FIRST}.01", "--despite", aspect)
    assert list(allowed["despite"]) == [aspect]
    assert list(ask(invoke, runs, f"{FIRST}.00", f"{FIRST}.01", "--despite", "all")["despite"]) == [aspect]


def test_runs_of_two_experiments_are_compared_unpaired_and_it_is_said(runs: Path, invoke: Invoke) -> None:
    keep(runs, record(f"{FIRST}.00", STEADY), record(f"{SECOND}.00", [1.2 * ms for ms in STEADY]))
    found = ask(invoke, runs, f"{FIRST}.00", f"{SECOND}.00")
    assert (found["verdict"], found["paired"]) == ("slower", False)
    assert "not interleaved" in found["notes"][0]


def test_too_few_launches_cannot_tell(runs: Path, invoke: Invoke) -> None:
    keep(runs, record(f"{FIRST}.00", STEADY[:2]), record(f"{FIRST}.01", [20.0, 20.0]))
    found = ask(invoke, runs, f"{FIRST}.00", f"{FIRST}.01", "--fail-if-slower", "1")
    assert (found["verdict"], found["ratio"]["low"]) == ("cannot tell", None)
    assert "--launches 3" in found["notes"][0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((f"{FIRST}.00", f"{FIRST}.00"), "named twice"),
        ((f"{FIRST}.00", f"{FIRST}.09"), "is not valid"),
        ((f"{FIRST}.00",), "baseline and a candidate"),
        ((f"{FIRST}.00", "nothing"), "no run"),
        ((f"{FIRST}.00", "../../etc"), "not the id of a run"),
        ((f"{FIRST}.00", f"{FIRST}.01", "--despite", "weather"), "'weather' is not one of"),
        ((f"{FIRST}.00", f"{FIRST}.01", "--margin", "nan"), "not a number"),
        ((f"{FIRST}.00", f"{FIRST}.01", "--margin", "-1%"), "range"),
        ((), "Missing argument"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(arguments: tuple[str, ...], said: str, runs: Path, invoke: Invoke) -> None:
    keep(runs, record(f"{FIRST}.00", STEADY), record(f"{FIRST}.01", STEADY), record(f"{FIRST}.09", STEADY, valid=False))
    assert said in ask(invoke, runs, *arguments, code=2)["error"]["message"]


def test_escape_codes_of_a_record_are_shown_not_obeyed(runs: Path, invoke: Invoke) -> None:
    keep(runs, record(f"{FIRST}.00", STEADY), record(f"{FIRST}.01", STEADY, device="\x1b[2Jx"))
    done = invoke("compare", f"{FIRST}.00", f"{FIRST}.01", "--out", str(runs), "--despite", "all")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "\\x1b[2Jx" in done.stdout


def test_the_unpaired_interval_is_welchs() -> None:
    one, other = [1.0, 1.1, 1.3, 0.9, 1.05], [2.0, 2.1, 1.9]
    found = unpaired_ratio(other, one)
    assert found is not None
    expected = stats.ttest_ind(np.log(other), np.log(one), equal_var=False).confidence_interval(0.95)
    assert found.low == pytest.approx(np.exp(expected.low))
    assert found.high == pytest.approx(np.exp(expected.high))
    assert unpaired_ratio([], one) is None
