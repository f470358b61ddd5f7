"""`results prune`: what is old or too much goes, by whole experiments; what is named, unfinished or begun meanwhile stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_runner.experiment import locked
from device_runner.results import named, pruning
from device_runner.results.store import Store
from device_runner.results.writer import RunWriter
from device_runner.samples import Samples
from edgedeploy.errors import UserError
from tests.device_runner.recorded import STEADY, Invoke, invoked, record
from tests.device_runner.test_compaction import answer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    return invoked(capsys)


def experiment(store: Store, name: str, days_old: float, runs: int = 2, unfinished: int = 0, created: str = "") -> str:
    """An experiment of finished runs, each with samples, and of some that are not."""
    ids = [f"{name}.{at:02d}" for at in range(runs + unfinished)]
    store.write_experiment(name, {"artifacts": [{"run": run} for run in ids]})
    at = created or (datetime.now(UTC) - timedelta(days=days_old)).isoformat()
    for run in ids[:runs]:
        writer = RunWriter(store, run)
        writer.append(0, None, Samples(np.empty((0, 2), dtype=np.int64), np.array([(0, 7)], dtype=np.int64)))
        writer.finish(record(run, STEADY).model_copy(update={"created": at}))
    for run in ids[runs:]:
        RunWriter(store, run).partial(record(run, []))
    return name


def pruned(invoke: Invoke, store: Store, *arguments: str) -> dict[str, Any]:
    done = invoke("results", "prune", *arguments, "--out", str(store), "--json")
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_what_is_older_goes_whole_and_nothing_else(store: Store, invoke: Invoke) -> None:
    old, new = experiment(store, "a-old", 100), experiment(store, "b-new", 80)
    assert answer(store) == {f"{name}.{at:02d}": 7 for name in (old, new) for at in range(2)}
    assert invoke("results", "list", "--out", str(store)).returncode == 0
    before = sorted(str(path) for path in store.root.rglob("*"))
    dry = pruned(invoke, store, "--older-than", "90d", "--dry-run")
    assert (dry["removed"], dry["chosen"][0]["experiment"]) == ([], old)
    assert sorted(str(path) for path in store.root.rglob("*")) == before
    assert pruned(invoke, store, "--older-than", "90d", "--yes")["removed"] == [f"{old}.00", f"{old}.01"]
    assert store.ids() == [f"{new}.00", f"{new}.01"]
    assert not [path for path in store.root.rglob("*") if old in path.name]
    assert not store.has_experiment(old)
    assert answer(store) == {f"{new}.{at:02d}": 7 for at in range(2)}
    assert invoke("results", "show", new, "--out", str(store)).returncode == 0
    listed = json.loads(invoke("results", "list", "--out", str(store), "--json").stdout)["runs"]
    assert [each["experiment"] for each in listed] == [new, new]


def test_by_size_the_oldest_go_until_the_rest_fits(store: Store, invoke: Invoke) -> None:
    for at in range(4):
        experiment(store, f"e{at}", 10 - at, runs=1)
    sizes = store.sizes()
    assert set(sizes) == {f"e{at}.00" for at in range(4)}
    folder = store.root / "e0.00"
    assert sizes["e0.00"] == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    fits = f"{(sizes['e2.00'] + sizes['e3.00']) / 1e9:.9f}"
    said = pruned(invoke, store, "--keep-gb", fits, "--yes")
    assert (said["removed"], said["left_bytes"]) == (["e0.00", "e1.00"], sizes["e2.00"] + sizes["e3.00"])


def test_what_a_report_and_a_comparison_name_stays_until_it_is_released(store: Store, tmp_path: Path, invoke: Invoke) -> None:
    out = ("--out", str(store))
    for name in ("a-plain", "b-report", "c-comparison"):
        experiment(store, name, 100)
    report = invoke("report", "b-report", "--runs", str(store), "--out", str(tmp_path / "r.html"))
    assert report.returncode == 0, report.stderr
    compared = invoke("compare", "c-comparison.00", "c-comparison.01", "--to", str(tmp_path / "c.json"), *out)
    assert compared.returncode == 0, compared.stderr
    assert json.loads((tmp_path / "c.json").read_text())["baseline"] == "c-comparison.00"
    said = pruned(invoke, store, "--older-than", "90d", "--keep-gb", "0", "--yes")
    assert [each["experiment"] for each in said["stay"]["named"]] == ["b-report", "c-comparison"]
    assert said["removed"] == ["a-plain.00", "a-plain.01"]
    kept = json.loads(invoke("results", "kept", *out, "--json").stdout)["kept"]
    assert [(each["what"], each["file"].rpartition("/")[2]) for each in kept] == [
        ("comparison", "c.json"),
        ("report", "r.html"),
    ]
    # a report that is written again names what is in it now
    again = invoke("report", "c-comparison", "--runs", str(store), "--out", str(tmp_path / "r.html"), "--force")
    assert again.returncode == 0, again.stderr
    assert pruned(invoke, store, "--older-than", "90d", "--yes")["removed"] == ["b-report.00", "b-report.01"]
    for each in kept:
        assert invoke("results", "kept", "--release", each["key"], *out).returncode == 0
    assert invoke("results", "kept", "--release", "none", *out).returncode == 2
    assert len(pruned(invoke, store, "--older-than", "90d", "--yes")["removed"]) == 2


def test_a_comparison_does_not_replace_a_file(store: Store, tmp_path: Path, invoke: Invoke) -> None:
    experiment(store, "a", 1)
    (tmp_path / "c.json").write_text("mine")
    done = invoke("compare", "a", "--to", str(tmp_path / "c.json"), "--out", str(store))
    assert (done.returncode, (tmp_path / "c.json").read_text(), named.lists(store)) == (2, "mine", [])


def test_what_is_not_finished_or_has_no_time_or_cannot_be_read_stays(store: Store, invoke: Invoke) -> None:
    experiment(store, "a-unfinished", 100, unfinished=1)
    experiment(store, "b-undated", 100, created="yesterday")
    experiment(store, "c-broken", 100, runs=1)
    (store.root / "c-broken.00/run.json").write_text("{")
    (store.root / "d-other").mkdir()
    (store.root / "d-other/notes").write_text("not a run")
    done = invoke("results", "prune", "--older-than", "90d", "--keep-gb", "0", "--yes", "--out", str(store), "--json")
    said = json.loads(done.stdout)
    assert (said["removed"], [each["experiment"] for each in said["stay"]["unfinished"]]) == ([], ["a-unfinished"])
    assert [each["experiment"] for each in said["stay"]["undated"]] == ["b-undated"]
    assert "c-broken.00" in done.stderr
    assert len(list(store.root.glob("*.0*"))) == 3 + 2 + 1
    assert (store.root / "d-other/notes").exists()


def test_an_experiment_somebody_works_on_stays(store: Store) -> None:
    experiment(store, "a", 100)
    chosen = pruning.choose(store, 90 * pruning.DAY_SEC, None)
    with locked(store, "a"):
        assert pruning.carry_out(store, chosen, lambda *_: None) == []
    assert pruning.carry_out(store, chosen, lambda *_: None) == ["a.00", "a.01"]


def test_what_is_named_after_it_was_chosen_stays_and_what_is_gone_is_not_named(store: Store, tmp_path: Path) -> None:
    experiment(store, "a", 100)
    chosen = pruning.choose(store, 90 * pruning.DAY_SEC, None)
    named.leave(store, "report", tmp_path / "r.html", ["a.01"])
    assert pruning.carry_out(store, chosen, lambda *_: None) == []
    assert store.ids() == ["a.00", "a.01"]
    assert store.taken_away() == []
    store.take_away("a.00")
    with pytest.raises(UserError, match=r"a\.00 was pruned meanwhile"):
        named.leave(store, "report", tmp_path / "s.html", ["a.00"])


def test_a_prune_that_was_cut_off_is_undone_or_completed(store: Store, tmp_path: Path, invoke: Invoke) -> None:
    """What it leaves at each step, as a power loss there would."""
    for name in ("a", "b", "c"):
        experiment(store, name, 100)
    # before anybody looked whether it was named; after that; half-way through what was taken
    store.take_away("a.00")
    named.leave(store, "report", tmp_path / "r.html", ["a.01"])
    store.take_away("b.00")
    store.take_away("c.00")
    store.take_away("c.01")
    store.remove_experiment("c")
    (store.root / ".taken/c.00/run.json").unlink()
    pruning.finish(store)
    assert store.ids() == ["a.00", "a.01", "b.00", "b.01"]
    assert store.taken_away() == []
    assert pruned(invoke, store, "--older-than", "90d", "--yes")["removed"] == ["b.00", "b.01"]


def test_a_prune_that_is_killed_leaves_experiments_that_are_whole(store: Store, invoke: Invoke) -> None:
    for at in range(40):
        name = f"e{at:02d}"
        ids = [f"{name}.{run:02d}" for run in range(3)]
        store.write_experiment(name, {"artifacts": [{"run": run} for run in ids]})
        for run in ids:
            (store.root / run).mkdir()
            (store.root / run / "samples.parquet").write_bytes(b"what is in it is nobody's business here")
            made = record(run, STEADY).model_copy(update={"created": f"2026-01-{1 + at // 2:02d}T12:00:00Z"})
            (store.root / run / "run.json").write_text(made.model_dump_json())
    command = [sys.executable, "-m", "edgedeploy", "results", "prune", "--keep-gb", "0", "--yes", "--out", str(store)]
    for below in (100, 60):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)})
        while len(store.ids()) > below and process.poll() is None:
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        pruning.finish(store)
        left = store.ids()
        assert len(left) % 3 == 0
        assert all(store.runs_of(name) == [run for run in left if run.startswith(name)] for name in {run[:3] for run in left})
    pruned(invoke, store, "--keep-gb", "0", "--yes")
    assert (store.ids(), store.taken_away(), list((store.root / "experiments").iterdir())) == ([], [], [])


def test_runs_are_written_while_it_prunes_and_none_is_lost(store: Store) -> None:
    """A writer of whole experiments, as bench is one, beside a prune that takes everything that is finished."""
    wrong: list[BaseException] = []

    def measure() -> None:
        try:
            for at in range(8):
                name = f"w{at:02d}"
                with locked(store, name):
                    experiment(store, name, 1, runs=3)
                    assert store.runs_of(name) == [f"{name}.{run:02d}" for run in range(3)]
        except BaseException as error:
            wrong.append(error)

    writer = threading.Thread(target=measure)
    writer.start()
    gone: list[str] = []
    while writer.is_alive():
        gone += pruning.carry_out(store, pruning.choose(store, None, 0), lambda *_: None)
    gone += pruning.carry_out(store, pruning.choose(store, None, 0), lambda *_: None)
    assert not wrong, wrong
    assert sorted(gone) == [f"w{at:02d}.{run:02d}" for at in range(8) for run in range(3)]


def test_links_out_of_the_store_are_not_followed(store: Store, tmp_path: Path, invoke: Invoke) -> None:
    experiment(store, "a", 100)
    outside = tmp_path / "outside"
    (store.root / "a.00").rename(outside)
    (store.root / "a.00").symlink_to(outside)
    pruned(invoke, store, "--older-than", "90d", "--yes")
    assert (store.ids(), (outside / "run.json").is_file()) == ([], True)
    experiment(store, "b", 100)
    (store.root / ".taken").rmdir()
    (outside / "b.00").mkdir()
    (store.root / ".taken").symlink_to(outside)
    done = invoke("results", "prune", "--older-than", "90d", "--yes", "--out", str(store))
    assert (done.returncode, "is a link" in done.stderr) == (2, True)
    assert (outside / "b.00").is_dir()


def test_nothing_goes_unasked(store: Store, invoke: Invoke) -> None:
    experiment(store, "a", 100)
    out = ("--out", str(store))
    assert invoke("results", "prune", *out).returncode == 2
    done = invoke("results", "prune", "--older-than", "90d", *out)
    assert (done.returncode, "--yes" in done.stderr, "a  2 run(s)" in done.stdout) == (2, True, True)
    assert invoke("results", "prune", "--older-than", "90", *out).returncode == 2
    assert len(store.ids()) == 2


def test_a_list_that_is_damaged_stops_it(store: Store, invoke: Invoke) -> None:
    experiment(store, "a", 100)
    (store.root / ".named").mkdir()
    (store.root / ".named/abc.json").write_text('{"what": "report"}')
    done = invoke("results", "prune", "--older-than", "90d", "--yes", "--out", str(store))
    assert (done.returncode, "--release abc" in done.stderr, len(store.ids())) == (2, True, 2)
    assert invoke("results", "kept", "--release", "abc", "--out", str(store)).returncode == 0
