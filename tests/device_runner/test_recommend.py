"""`edgedeploy recommend`: what is chosen, what is ruled out and why, on stored runs whose launches are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from device_runner.results.recommend import Constraints, recommend
from edgedeploy.record import RunRecord
from tests.device_runner.recorded import FIRST, SECOND, STEADY, Invoke, accurate, invoked, keep, lost, record


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    return invoked(capsys)


def times(factor: float) -> list[float]:
    return [factor * ms for ms in STEADY]


def study() -> list[RunRecord]:
    """identity; sptq, half the time and no loss shown; dsptq, a tenth of the time and two points lost; pruned, dominated."""
    return [
        record(f"{FIRST}.00", times(1), accuracy=accurate(0.93), model_bytes=10_000_000, peak_rss_kb=50_000),
        record(
            f"{FIRST}.01", times(0.5), operator="sptq", accuracy=accurate(0.929), drop=lost(0.1, 0.2, 0.4),
            model_bytes=3_000_000, peak_rss_kb=40_000,
        ),
        record(
            f"{FIRST}.02", times(0.1), operator="dsptq", accuracy=accurate(0.91), drop=lost(2.0, 0.3, 1e-9),
            model_bytes=200_000, peak_rss_kb=30_000,
        ),
        record(
            f"{FIRST}.03", times(0.6), operator="pruned", accuracy=accurate(0.92), drop=lost(1.0, 0.3, 1e-6),
            model_bytes=4_000_000, peak_rss_kb=45_000,
        ),
    ]  # fmt: skip


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    keep(root, *study())
    (root / "experiments").mkdir()
    listed = {"artifacts": [{"run": each.id} for each in study()]}
    (root / "experiments" / f"{FIRST}.json").write_text(json.dumps(listed))
    return root


def ask(invoke: Invoke, runs: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = invoke("recommend", *arguments, "--out", str(runs), "--json")
    assert done.returncode == code, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def operators(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["operator"] for entry in entries]


def test_what_was_shown_to_lose_is_not_alike_to_what_was_not() -> None:
    """Though the intervals of the two losses overlap: 0.20 [-0.30, 0.70] and 0.42 [0.06, 0.78]."""
    runs = [
        record(f"{FIRST}.00", times(0.5), operator="qat", accuracy=accurate(0.928), drop=lost(0.20, 0.50, 0.4)),
        record(f"{FIRST}.01", times(0.1), operator="dsptq", accuracy=accurate(0.9258), drop=lost(0.42, 0.36, 0.02)),
    ]
    found = recommend(runs, Constraints(), "accuracy", 0.02)
    assert found.choice is runs[0]
    assert found.alike == ()


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ((), "dsptq"),
        (("--max-drop", "0.5"), "sptq"),
        (("--objective", "size"), "dsptq"),
        (("--max-drop", "1.5", "--max-latency", "7ms"), "sptq"),
        (("--max-memory", "35MB"), "dsptq"),
        (("--max-size", "3500kB", "--max-drop", "1"), "sptq"),
    ],
)
def test_the_choice_meets_the_constraints_and_is_best_by_the_objective(
    arguments: tuple[str, ...], chosen: str, runs: Path, invoke: Invoke
) -> None:
    found = ask(invoke, runs, *arguments)
    assert found["choice"]["operator"] == chosen
    assert found["reason"]


def test_the_most_accurate_gives_way_to_a_faster_one_that_was_not_shown_to_be_worse(runs: Path, invoke: Invoke) -> None:
    found = ask(invoke, runs, "--objective", "accuracy")
    assert found["choice"]["operator"] == "sptq"
    assert operators(found["alike"]) == ["identity"]
    assert "not shown to be better by accuracy" in found["reason"]
    # one device: it goes without saying
    assert found["reason"].startswith("identity on onnx-cpu was not shown")


def test_the_front_has_nothing_that_is_slower_and_less_accurate_than_another(runs: Path, invoke: Invoke) -> None:
    assert operators(ask(invoke, runs)["front"]) == ["dsptq", "sptq", "identity"]


def test_what_is_ruled_out_says_by_which_constraints(runs: Path, invoke: Invoke) -> None:
    found = ask(invoke, runs, "--max-drop", "0.5", "--max-size", "3.5MB", "--tier", "")
    because = {entry["operator"]: " ".join(entry["because"]) for entry in found["ruled_out"]}
    assert sorted(because) == ["dsptq", "identity", "pruned"]
    assert because["identity"].startswith("size: 10 MB")
    assert "accuracy: 2.00 points lost" in because["dsptq"]
    assert "accuracy" in because["pruned"]
    assert "size" in because["pruned"]


def test_nothing_meets_the_constraints_is_said_and_is_exit_code_1(runs: Path, invoke: Invoke) -> None:
    found = ask(invoke, runs, "--max-latency", "10us", code=1)
    assert found["choice"] is None
    assert len(found["ruled_out"]) == 4
    assert ask(invoke, runs, "--tier", "mobile", code=1)["choice"] is None


def test_a_latency_whose_interval_reaches_over_the_limit_does_not_meet_it(tmp_path: Path, invoke: Invoke) -> None:
    root = tmp_path / "runs"
    wide = record(f"{FIRST}.00", [9.0, 11.0, 10.0], accuracy=accurate(0.9))
    keep(root, wide)
    found = ask(invoke, root, f"{FIRST}.00", "--max-latency", "10.5ms", code=1)
    assert "may be" in found["ruled_out"][0]["because"][0]
    assert ask(invoke, root, f"{FIRST}.00", "--max-latency", "20ms")["choice"]["run"] == f"{FIRST}.00"


def test_of_two_that_are_as_fast_the_more_accurate_is_chosen_and_the_other_named(tmp_path: Path, invoke: Invoke) -> None:
    root = tmp_path / "runs"
    keep(
        root,
        record(f"{FIRST}.00", times(1), accuracy=accurate(0.93)),
        record(f"{FIRST}.01", times(0.995), operator="qat", accuracy=accurate(0.90), drop=lost(3, 0.1, 1e-9)),
    )
    found = ask(invoke, root, f"{FIRST}.00", f"{FIRST}.01")
    assert found["choice"]["operator"] == "identity"
    assert operators(found["alike"]) == ["qat"]


def test_an_invalid_run_is_ruled_out_and_accuracy_that_was_not_measured_is_said(tmp_path: Path, invoke: Invoke) -> None:
    root = tmp_path / "runs"
    keep(root, record(f"{FIRST}.00", times(1)), record(f"{FIRST}.01", times(0.1), valid=False))
    found = ask(invoke, root, f"{FIRST}.00", f"{FIRST}.01")
    assert found["choice"]["run"] == f"{FIRST}.00"
    assert found["ruled_out"][0]["because"] == ["not valid: too hot"]
    assert any("accuracy was not measured" in note for note in found["notes"])


def test_two_experiments_are_not_interleaved_and_two_subjects_are_refused(tmp_path: Path, invoke: Invoke) -> None:
    root = tmp_path / "runs"
    keep(root, record(f"{FIRST}.00", times(1)), record(f"{SECOND}.00", times(0.5)), record(f"{SECOND}.01", STEADY, subject="t"))
    found = ask(invoke, root, f"{FIRST}.00", f"{SECOND}.00")
    assert any("several experiments" in note for note in found["notes"])
    message = ask(invoke, root, f"{FIRST}.00", f"{SECOND}.01", code=2)["error"]["message"]
    assert "--subject: s, t" in message
    assert ask(invoke, root, f"{FIRST}.00", f"{SECOND}.01", "--subject", "t")["choice"]["run"] == f"{SECOND}.01"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--max-latency", "20"), "with its unit"),
        (("--max-latency", "20 parsecs"), "with its unit"),
        (("--max-size", "-5MB"), "with its unit"),
        (("--max-drop", "nan"), "not a number"),
        (("--objective", "luck"), "luck"),
        (("--subject", "nothing"), "no runs to choose from"),
        (("../x",), "not the id of a run"),
    ],
)
def test_bad_input_is_a_sentence(arguments: tuple[str, ...], said: str, runs: Path, invoke: Invoke) -> None:
    assert said in ask(invoke, runs, *arguments, code=2)["error"]["message"]


def test_with_several_devices_a_run_is_named_with_its_own(tmp_path: Path, invoke: Invoke) -> None:
    root = tmp_path / "runs"
    phone = record(f"{FIRST}.00", times(1), operator="qat", accuracy=accurate(0.92), device="pixel7")
    keep(root, phone, record(f"{FIRST}.01", times(2), accuracy=accurate(0.92), device="rpi5"))
    done = invoke("recommend", f"{FIRST}.00", f"{FIRST}.01", "--objective", "accuracy", "--out", str(root))
    assert "recommended: qat on onnx-cpu, pixel7: 10 ms" in done.stdout, done.stderr
    assert "identity on onnx-cpu, rpi5: 20 ms" in done.stdout


def test_for_people_it_is_a_page(runs: Path, invoke: Invoke) -> None:
    done = invoke("recommend", "--max-drop", "0.5", "--out", str(runs))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("recommended: sptq on onnx-cpu: 5 ms")
    for heading in ("because ", "the front:", "ruled out:"):
        assert heading in done.stdout


def test_what_was_compared_with_nothing_is_not_shown_to_be_the_fastest(invoke: Invoke, runs: Path) -> None:
    alone = ask(invoke, runs, f"{FIRST}.00")["reason"]
    assert "only one that was measured" in alone
    ruled = ask(invoke, runs, "--max-size", "1MB")
    assert (ruled["choice"]["operator"], ruled["reason"]) == ("dsptq", "it is the only one of 4 that meets the constraints")
    assert "was shown to be" in ask(invoke, runs, "--objective", "latency")["reason"]
