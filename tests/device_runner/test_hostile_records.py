"""Run records and experiments that were tampered with, as `results` meets them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from device_runner.benching import Finished
from device_runner.results.store import Store
from tests.device_runner.test_commands import edgedeploy

Json = dict[str, Any]


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update({"\x1b[31mred\x07": 1}),
        lambda record: record["median_ms"].update(estimate=float("inf")),
        lambda record: record["median_ms"].update(estimate=float("nan")),
        lambda record: record["artifact"].update(model_bytes=10**400),
        lambda record: record["launches"][0].update(first_ns=10**400),
        lambda record: record["launches"][0].update(peak_rss_kb=10**400),
    ],
)
def test_a_record_that_is_none(pair: tuple[Finished, Store], tmp_path: Path, change: Callable[[Json], None]) -> None:
    finished, store = pair
    run = finished.records[0].id
    shutil.copytree(store.directory(run), tmp_path / "runs" / run)
    file = tmp_path / "runs" / run / "run.json"
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))
    for arguments in (("show", run), ("show", run, "--json"), ("path", run)):
        done = edgedeploy("results", *arguments, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert "run.json" in done.stderr
        assert "Traceback" not in done.stderr
        assert not {"\x1b", "\x07"} & set(done.stdout + done.stderr)


@pytest.mark.parametrize("content", ['{"artifacts": 5}', '{"artifacts": [5]}', "{}", '{"artifacts": {"a": 1}}', "[]", "5"])
def test_an_experiment_that_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "runs/experiments").mkdir(parents=True)
    (tmp_path / "runs/experiments/y.json").write_text(content)
    done = edgedeploy("results", "show", "y", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "y.json" in done.stderr
    assert "Traceback" not in done.stderr
