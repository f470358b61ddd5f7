"""What a worker does of a job that another device had begun."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from device_runner.lab import performing
from device_runner.lab.queue import Lease
from device_runner.results.store import Store
from edgedeploy.progress import StatusLine
from tests.device_runner.conftest import Bench


def lease(store: Store, begun: str) -> Lease:
    """Its artifact is gone, so that nothing can be measured."""
    work = {"devices": "", "out": str(store.root), "paths": [str(store.root / "no-such-artifact")]}
    return Lease(1, "token", "b", "another-experiment", "plan", "label", ("digest",), 1, work, begun)


def perform(store: Store, begun: str) -> object:
    return performing.perform(lease(store, begun), StatusLine(io.StringIO()), lambda identifier: None)


def test_what_another_device_completed_counts_and_is_not_measured_again(run_bench: Bench, store: Store, fast: Path) -> None:
    """Its host could not say so, since the head was away."""
    finished = run_bench(fast)
    (record,) = finished.records
    assert perform(store, finished.id) == ([record.id], [])
    assert store.ids() == [record.id]


def test_what_another_device_left_unfinished_is_begun_anew(run_bench: Bench, store: Store, fast: Path) -> None:
    finished = run_bench(fast)
    (store.directory(finished.records[0].id) / "run.json").unlink()
    for begun in (finished.id, "never-begun", ""):
        with pytest.raises(performing.Impossible):
            perform(store, begun)
