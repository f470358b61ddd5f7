"""How well the queue keeps devices busy: many simulated ones, by the time of a clock that is turned."""

from __future__ import annotations

from pathlib import Path

from tests.bench_hosts.simulated_lab import Case, SimulatedLab

#: enough experiments for each device that the last one of each weighs little
CASE = Case(devices=12, runs=480, lengths=(8.0, 9.0, 10.0, 12.0, 15.0, 20.0), cooling_sec=0, away=0, crash=0, plans=3)


def test_no_order_would_be_much_faster_though_it_is_fair_to_three_plans(tmp_path: Path) -> None:
    lab = SimulatedLab(CASE, tmp_path / "queue.sqlite")
    took, best = lab.run(), lab.best_sec()
    assert best <= took <= best / 0.93


def test_what_goes_away_cools_down_and_dies_costs_no_run_and_doubles_none(tmp_path: Path) -> None:
    case = Case(devices=12, runs=180, lengths=CASE.lengths, cooling_sec=5.0, away=0.1, crash=0.05)
    lab = SimulatedLab(case, tmp_path / "queue.sqlite")
    took = lab.run()
    assert lab.best_sec() <= took
    assert {"away", "crash", "done"} == {fate.kind for fate in lab.met}
    assert {job.key: (job.state, job.valid) for job in lab.queue.jobs()} == dict.fromkeys(lab.length, ("done", True))
    assert lab.committed == dict.fromkeys(lab.length, 1)
