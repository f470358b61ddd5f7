"""`edgedeploy results export`: every sample, to the nanosecond, in each format, and no formula."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import duckdb
import numpy as np
import pytest

from device_runner.results.outside.exporting import COLUMNS, neutral
from device_runner.results.store import Store
from device_runner.results.writer import RunWriter
from device_runner.samples import Samples
from tests.device_runner.recorded import FIRST, Invoke, invoked, record

RUNS = (f"{FIRST}.00", f"{FIRST}.01")
HOSTILE = '=HYPERLINK("http://example.org","x")'


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    return invoked(capsys)


@pytest.fixture
def runs(store: Store) -> Path:
    """Two runs of two launches with samples, one on a device with a hostile name."""
    for run, device in zip(RUNS, ("local", HOSTILE), strict=True):
        writer = RunWriter(store, run)
        for launch in range(2):
            steady = np.array([[2**53 + 1 + at, 1000 * launch + at] for at in range(3)], dtype=np.int64)
            writer.append(launch, (900, 77), Samples(np.empty((0, 2), dtype=np.int64), steady))
        writer.finish(record(run, [1.0, 1.1], device=device))
    return store.root


def test_csv_and_parquet_say_the_same(runs: Path, tmp_path: Path, invoke: Invoke) -> None:
    for form in ("csv", "parquet"):
        done = invoke("results", "export", *RUNS, "--format", form, "--to", str(tmp_path / f"x.{form}"), "--out", str(runs))
        assert done.returncode == 0, done.stderr
    with (tmp_path / "x.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == COLUMNS
    assert len(lines) == 2 * 2 * (1 + 3)
    steady = [line for line in lines if line["run"] == RUNS[0] and line["launch"] == "1" and line["phase"] == "steady"]
    assert [line["start_ns"] for line in steady] == [str(2**53 + 1 + at) for at in range(3)]
    assert [line["elapsed_ns"] for line in steady] == ["1000", "1001", "1002"]
    assert lines[-1]["device"] == f"'{HOSTILE}"
    kept = duckdb.read_parquet(str(tmp_path / "x.parquet"))
    assert tuple(kept.columns) == COLUMNS
    wanted = [
        (line["run"], int(line["launch"]), line["phase"], int(line["start_ns"]), int(line["elapsed_ns"])) for line in lines
    ]
    assert kept.project("run, launch, phase, start_ns, elapsed_ns").fetchall() == wanted
    # a formula is one for spreadsheets only: Parquet has the name as it is
    assert kept.filter(f"run = '{RUNS[1]}'").project("device").distinct().fetchall() == [(HOSTILE,)]
    assert kept.project("launch_valid").distinct().fetchall() == [(True,)]


def test_json_has_the_records_and_the_samples(runs: Path, tmp_path: Path, invoke: Invoke) -> None:
    invoke("results", "export", RUNS[1], "--format", "json", "--to", str(tmp_path / "x.json"), "--out", str(runs))
    (only,) = json.loads((tmp_path / "x.json").read_text())["runs"]
    assert only["record"] == json.loads((runs / RUNS[1] / "run.json").read_text())
    assert only["samples"][1] == [0, "steady", 0, 0, 2**53 + 1, 0, ""]


def test_nothing_is_overwritten_and_nothing_half_is_left(runs: Path, tmp_path: Path, invoke: Invoke) -> None:
    target = tmp_path / "x.csv"
    target.write_text("mine")
    done = invoke("results", "export", RUNS[0], "--to", str(target), "--out", str(runs))
    assert (done.returncode, target.read_text()) == (2, "mine")
    (runs / RUNS[1] / "samples.parquet").write_bytes(b"PAR1 not at all")
    for form in ("csv", "parquet", "json"):
        other = tmp_path / f"y.{form}"
        done = invoke("results", "export", *RUNS, "--format", form, "--to", str(other), "--out", str(runs))
        assert done.returncode == 2, done.stdout
    assert invoke("results", "export", RUNS[0], "--to", str(tmp_path / "no/x.csv"), "--out", str(runs)).returncode == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "x.csv"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert neutral(text).startswith("'")


def test_numbers_and_names_are_left_alone() -> None:
    assert [neutral(value) for value in (-1, None, "identity", "a=b")] == [-1, None, "identity", "a=b"]
    assert neutral("a\x1b[2J") == "a\\x1b[2J"
