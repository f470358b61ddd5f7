"""`--in-turns`: the launches of a block side by side, with the real runner."""

from __future__ import annotations

import io
import json
import signal
from pathlib import Path

import numpy as np
import pytest

from device_runner import benching, experiment
from device_runner.device_plan import for_device
from device_runner.inventory import resolve
from device_runner.launching import Launching
from device_runner.plans import in_turns
from device_runner.plans.asked import planned
from device_runner.results import summary, table, versus
from device_runner.results.store import Store
from edgedeploy.errors import UserError
from edgedeploy.progress import StatusLine
from edgedeploy.record import Plan
from tests.device_runner import tiny
from tests.device_runner.conftest import BRIEF, Bench
from tests.device_runner.recorded import Invoke, invoked

TURNS = BRIEF.model_copy(update={"turn_ms": 1})


def spans(store: Store, run: str, launch: int) -> np.ndarray:
    """[n, 2] int64, when each timed call of a launch began and ended, ns."""
    rows = [
        (start, start + elapsed)
        for of, phase, _, _, start, elapsed, _ in store.samples(run)
        if (of, phase) == (launch, "steady")
    ]
    return np.array(rows)


def test_every_block_is_measured_in_turns(run_bench: Bench, store: Store, fast: Path, slow: Path) -> None:
    finished = run_bench(fast, slow, how=TURNS)
    one, other = finished.records
    assert one.valid, one.invalid_because
    assert other.valid, other.invalid_because
    for launch in range(BRIEF.launches):
        a, b = (spans(store, record.id, launch) for record in finished.records)
        together = np.concatenate([np.c_[a, np.zeros(len(a))], np.c_[b, np.ones(len(b))]])
        together = together[together[:, 0].argsort()]
        assert (together[:-1, 1] <= together[1:, 0]).all()
        assert (np.diff(together[:, 2]) != 0).sum() > 2
    # what they share is said once, and the time on the device is shared
    assert [launch.block for launch in one.launches] == [launch.block for launch in other.launches]
    assert "3 launches in turns of 1 ms" in "".join(table.footer(summary.rows(finished.records)))
    assert versus.compare(one, other, 0.02).verdict == "slower"


def test_one_that_fails_leaves_the_other_no_valid_launch(run_bench: Bench, fast: Path, tmp_path: Path) -> None:
    whole, broken = run_bench(fast, tiny.write_bundle(tmp_path / "broken", truncate=True), how=TURNS).records
    assert not broken.valid
    assert not whole.valid
    assert "were not in turn with all others" in whole.launches[0].invalid_because[0]
    assert "one has failed for good" in whole.launches[1].invalid_because[0]
    assert len(whole.launches) == 2


def test_until_ends_when_all_are_known(run_bench: Bench, fast: Path, slow: Path) -> None:
    how = TURNS.model_copy(update={"until": 0.9, "launches": 30})
    records = run_bench(fast, slow, how=how).records
    counts = {len(record.launches) for record in records}
    assert all(record.valid for record in records)
    assert len(counts) == 1
    assert counts.pop() >= 10


def test_what_was_stopped_is_gone_on_with(
    run_bench: Bench, store: Store, fast: Path, slow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, waits = Launching._end, []

    def interrupted(self: Launching, *given: object) -> None:
        waits.append(given)
        if len(waits) == 4:  # the second of the second block
            signal.raise_signal(signal.SIGINT)
        real(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Launching, "_end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_bench(fast, slow, how=TURNS)
    monkeypatch.undo()
    (name,) = [path.stem for path in (store.root / "experiments").glob("*.json")]
    records = benching.resume(name, store, StatusLine(io.StringIO()), lambda identifier: None).records
    # the half of the block that was there had no other half to be measured beside again
    valid = [{launch.block for launch in record.launches if launch.valid} for record in records]
    assert {0, 2} <= valid[0] & valid[1]
    assert not (valid[0] ^ valid[1]) - {1}


def test_alone_and_in_turns_are_not_compared(run_bench: Bench, fast: Path, slow: Path) -> None:
    in_turn = run_bench(fast, slow, how=TURNS).records[0]
    alone = run_bench(fast).records[0]
    with pytest.raises(UserError, match="turns of 1 ms and no time"):
        versus.compare(in_turn, alone, 0.02)


@pytest.mark.parametrize(
    ("plan", "count", "bundle", "said"),
    [
        (TURNS, 1, "", "for 2 to 8 artifacts, and there is 1"),
        (TURNS, 9, "", "there are 9"),
        (TURNS.model_copy(update={"threads": 2}), 2, "", "with one thread, and 2 are asked for"),
        (TURNS, 2, "app", "not with --in-app"),
    ],
)
def test_what_cannot_be_is_refused_before_anything(plan: Plan, count: int, bundle: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        in_turns.check(plan, count, bundle)


@pytest.fixture
def edgedeploy(capsys: pytest.CaptureFixture[str]) -> Invoke:
    return invoked(capsys)


def test_the_command_line(edgedeploy: Invoke, fast: Path, slow: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "runs")
    done = edgedeploy("bench", str(fast), str(slow), "--in-turns", "--quick", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["runs"]) == 2
    (written,) = (tmp_path / "runs" / "experiments").glob("*.json")
    assert experiment.read(Store(tmp_path / "runs"), written.stem).parts[0].plan.turn_ms == in_turns.TURN_MS


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "for 2 to 8 artifacts"),
        (["--mode", "mlperf"], "--mode quick and standard"),
        (["--tiers", "mobile=local,edge=local"], "--in-turns"),
    ],
    ids=str,
)
def test_what_does_not_go_with_it(edgedeploy: Invoke, fast: Path, tmp_path: Path, more: list[str], said: str) -> None:
    done = edgedeploy("bench", str(fast), "--in-turns", *more, "--out", str(tmp_path / "runs"))
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "runs" / "experiments").exists()


def test_a_device_that_has_threads_of_its_own_is_told(fast: Path) -> None:
    device = resolve("local")
    plan = for_device(planned("standard", {"in_turns": True}), device, threads=4, affinity=None, gates={}, preparation={})
    with pytest.raises(UserError, match=r"or in devices\.yaml"):
        in_turns.check(plan, 2, "")
