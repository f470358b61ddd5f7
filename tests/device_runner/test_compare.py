"""`edgedeploy compare`: verdicts, what is refused, and exit codes, on stored runs whose launches are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from device_runner.results.statistics import unpaired_ratio
from edgedeploy.record import Limits, Plan
from tests.device_runner.recorded import FIRST, SECOND, STEADY, Invoke, invoked, keep, record


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    return invoked(capsys)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def ask(invoke: Invoke, runs: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = invoke("compare", *arguments, "--out", str(runs), "--json")
    assert done.returncode == code, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


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
        ("emulation", {"emulated": True}),
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


def test_more_than_two_are_ranked_pair_by_pair(runs: Path, invoke: Invoke) -> None:
    faster = [0.5 * ms for ms in STEADY]
    alike = [ms + 0.005 for ms in STEADY]
    keep(runs, *(record(f"{FIRST}.0{at}", each) for at, each in enumerate((STEADY, faster, alike))))
    named = [f"{FIRST}.0{at}" for at in range(3)]
    found = ask(invoke, runs, *named)
    assert found["runs"] == named
    expected = stats.kruskal(STEADY, faster, alike)
    assert (found["kruskal_wallis"]["h"], found["kruskal_wallis"]["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    told = {(pair["first"][-2:], pair["second"][-2:]): pair for pair in found["pairs"]}
    assert {names: pair["shown"] for names, pair in told.items()} == {
        ("00", "01"): True, ("00", "02"): False, ("01", "02"): True
    }  # fmt: skip
    assert told["00", "01"]["cliffs_delta"] == -1
    assert told["01", "02"]["magnitude"] == "large"
    assert told["00", "01"]["ratio"]["estimate"] == pytest.approx(0.5)
    shown = invoke("compare", *named, "--out", str(runs)).stdout
    assert "they differ" in shown
    assert "-1.00 large" in shown


def test_of_several_a_difference_between_any_two_is_refused(runs: Path, invoke: Invoke) -> None:
    # 40, 47 and 33 degrees: each within 10 of the first, the last two not of each other
    keep(runs, *(record(f"{FIRST}.0{at}", STEADY, celsius=celsius) for at, celsius in enumerate((40.0, 47.0, 33.0))))
    named = [f"{FIRST}.0{at}" for at in range(3)]
    assert "thermal (" in ask(invoke, runs, *named, code=2)["error"]["message"]
    assert list(ask(invoke, runs, *named, "--despite", "thermal")["despite"]) == ["thermal"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("00", "01", "00"), "named twice"),
        (("00", "01", "09"), "not valid"),
        (("00", "01", "02"), "under 3 valid launches"),
        (("00", "01", "03", "--fail-if-slower", "2%"), "one candidate"),
    ],
)
def test_several_that_cannot_be_compared(arguments: tuple[str, ...], said: str, runs: Path, invoke: Invoke) -> None:
    keep(
        runs, record(f"{FIRST}.00", STEADY), record(f"{FIRST}.01", STEADY), record(f"{FIRST}.02", STEADY[:2]),
        record(f"{FIRST}.03", STEADY), record(f"{FIRST}.09", STEADY, valid=False),
    )  # fmt: skip
    named = [f"{FIRST}.{each}" if each.isdigit() else each for each in arguments]
    assert said in ask(invoke, runs, *named, code=2)["error"]["message"]
