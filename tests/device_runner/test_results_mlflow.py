"""`results export --format mlflow`: into a real tracking store of MLflow, in files, and read back with MLflow's own client."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from device_runner.results.outside import described
from device_runner.results.outside.exporting import COLUMNS
from device_runner.results.store import Store
from device_runner.results.writer import RunWriter
from device_runner.samples import Samples
from tests.device_runner.recorded import FIRST, STEADY, Invoke, accurate, invoked, lost, record

RUNS = (f"{FIRST}.00", f"{FIRST}.01")
HOSTILE = "\x1b[2J../../=cmd"


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    return invoked(capsys)


@pytest.fixture
def runs(store: Store) -> Path:
    """Two runs of one experiment, one of them without an accuracy, not valid, on a device with a hostile name."""
    first = record(RUNS[0], STEADY, accuracy=accurate(0.9), drop=lost(0.5, 0.2, 0.01), peak_rss_kb=2048)
    times = {"created": "2026-01-31T12:00:00+00:00", "finished": "2026-01-31T12:05:00+00:00"}
    for each in (first, record(RUNS[1], STEADY, valid=False, device=HOSTILE)):
        writer = RunWriter(store, each.id)
        for launch in range(len(STEADY)):
            steady = np.array([[at * 10, 1000 * launch + at] for at in range(3)], dtype=np.int64)
            writer.append(launch, None, Samples(np.empty((0, 2), dtype=np.int64), steady))
        writer.finish(each.model_copy(update={**times, "software": {"../etc": "1.0"}}))
    return store.root


@pytest.fixture
def tracking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    # what mlflow-skinny has of its own; its SQL stores need SQLAlchemy
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return (tmp_path / "mlruns").as_uri()


def _exported(invoke: Invoke, runs: Path, tracking: str, *more: str) -> dict[str, Any]:
    done = invoke("results", "export", *RUNS, "--format", "mlflow", "--to", tracking, *more, "--out", str(runs), "--json")
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_each_run_is_one_with_its_samples(runs: Path, tracking: str, tmp_path: Path, invoke: Invoke) -> None:
    from mlflow import MlflowClient

    said = _exported(invoke, runs, tracking)
    assert set(said["written"]) == set(RUNS)
    client = MlflowClient(tracking)
    run = client.get_run(said["written"][RUNS[0]])
    kept = Store(runs).read(RUNS[0])
    assert kept.median_ms is not None
    assert (run.info.run_name, run.info.status) == (RUNS[0], "FINISHED")
    assert (run.info.end_time - run.info.start_time) == 5 * 60 * 1000
    metrics = run.data.metrics
    assert metrics["median_ms"] == kept.median_ms.estimate
    assert (metrics["median_ms_low"], metrics["median_ms_high"]) == (kept.median_ms.low, kept.median_ms.high)
    assert (metrics["accuracy"], metrics["points_lost"], metrics["peak_rss_kb"]) == (0.9, 0.5, 2048)
    params = run.data.params
    assert (params["artifact_sha256"], params["device"], params["plan.threads"]) == ("0" * 64, "local", "1")
    assert (params["operator"], params["runtime_version"], params["software._etc"]) == ("identity", "1.0", "1.0")
    assert (run.data.tags["edgedeploy.run"], run.data.tags["edgedeploy.valid"]) == (RUNS[0], "true")
    folder = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    samples = duckdb.read_parquet(str(folder / "samples.parquet"))
    assert tuple(samples.columns) == COLUMNS
    assert samples.project("launch, elapsed_ns").fetchall() == [
        (launch, 1000 * launch + at) for launch in range(len(STEADY)) for at in range(3)
    ]
    assert json.loads((folder / "run.json").read_text()) == kept.model_dump(mode="json")


def test_what_is_not_known_is_not_there_and_names_are_harmless(runs: Path, tracking: str, invoke: Invoke) -> None:
    from mlflow import MlflowClient

    run = MlflowClient(tracking).get_run(_exported(invoke, runs, tracking, "--into", "phones")["written"][RUNS[1]])
    assert "accuracy" not in run.data.metrics
    assert run.data.params["device"] == HOSTILE.replace("\x1b", "\\x1b")
    assert (run.data.tags["edgedeploy.valid"], run.data.tags["edgedeploy.invalid_because"]) == ("false", "too hot")
    named = MlflowClient(tracking).get_experiment_by_name("phones")
    assert named is not None
    assert run.info.experiment_id == named.experiment_id


def test_asked_twice_it_is_there_once_and_what_was_cut_off_is_made_again(runs: Path, tracking: str, invoke: Invoke) -> None:
    from mlflow import MlflowClient

    first = _exported(invoke, runs, tracking)["written"]
    client = MlflowClient(tracking)
    # as an export that was killed leaves it: begun, tagged, never ended
    half = client.get_run(first[RUNS[1]])
    client.delete_run(first[RUNS[1]])
    client.create_run(half.info.experiment_id, tags={described.RECORD: half.data.tags[described.RECORD]})
    again = _exported(invoke, runs, tracking)
    assert again["there_already"] == {RUNS[0]: first[RUNS[0]]}
    assert list(again["written"]) == [RUNS[1]]
    assert _exported(invoke, runs, tracking)["written"] == {}
    found = client.search_runs([half.info.experiment_id])
    assert sorted(run.info.run_name for run in found) == list(RUNS)
    assert {run.info.status for run in found} == {"FINISHED"}


def test_a_server_that_is_away_and_a_password_in_its_url_are_a_sentence(
    runs: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        # nobody listens there, and nobody can while it is bound
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = invoke("results", "export", *RUNS, "--format", "mlflow", "--to", uri, "--out", str(runs))
    assert (done.returncode, "cannot be reached" in done.stderr) == (1, True), done.stderr
    done = invoke("results", "export", *RUNS, "--format", "mlflow", "--to", "https://me:secret@example.org", "--out", str(runs))
    assert (done.returncode, "MLFLOW_TRACKING_PASSWORD" in done.stderr, "secret" in done.stderr) == (2, True, False)


def test_what_mlflow_refuses_is_a_sentence(runs: Path, tmp_path: Path, invoke: Invoke) -> None:
    # without the variable, MLflow does not write stores in files any more
    done = invoke("results", "export", *RUNS, "--format", "mlflow", "--to", (tmp_path / "x").as_uri(), "--out", str(runs))
    assert (done.returncode, "maintenance mode" in done.stderr) == (2, True), done.stderr
    done = invoke("results", "export", *RUNS, "--format", "csv", "--into", "x", "--to", str(tmp_path / "x"), "--out", str(runs))
    assert (done.returncode, "--into is for" in done.stderr) == (2, True)
