"""Runs into an MLflow tracking server or store: a run for each, found again by the digest of its record.

MLflow has no "create where it is not there yet": a run is looked for by its tag, made with that tag, and ended last. One that
is there and ended is left alone; one that is there and not ended was interrupted, and is made again.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from device_runner.results.outside import described, exporting
from device_runner.results.store import Store
from edgedeploy.errors import TransientError, UserError
from edgedeploy.progress import Reporter
from edgedeploy.record import RunRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: what MLflow takes in one request
_BATCH = 100
_WITH_PASSWORD = re.compile(r"^[a-z0-9+]+://[^/@]*:[^/@]*@", re.IGNORECASE)
#: MLflow's own would have a server that is away tried for minutes; and it reports on its use unless told not to
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


@dataclass(frozen=True)
class Tracked:
    """id of each run -> that of its MLflow run."""

    written: dict[str, str]
    there: dict[str, str]


def export(store: Store, records: Sequence[RunRecord], uri: str, experiment: str) -> Tracked:
    """Write each run as a run of the MLflow experiment of this name, which is made where it is not there.

    Raises UserError where MLflow is not installed or refuses, TransientError where its server cannot be reached.
    """
    if _WITH_PASSWORD.match(uri) and not uri.startswith(("postgresql", "mysql", "mssql")):
        raise UserError("leave the password out of --to; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise UserError("--format mlflow needs: pip install 'edgedeploy[mlflow]'") from None
    done = Tracked({}, {})
    with _asked(uri):
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        into = _experiment(client, experiment)
        say = Reporter()
        for number, record in enumerate(records):
            say("runs to MLflow", number, len(records))
            tags = described.tags(record)
            whole = _there(client, into, tags[described.RECORD])
            if whole is not None:
                done.there[record.id] = whole
            else:
                done.written[record.id] = _write(client, into, store, record, tags)
    return done


def _experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name))
    if found.lifecycle_stage != "active":
        raise UserError(f"the experiment {name!r} is deleted in MLflow; restore it there, or name another with --into")
    return str(found.experiment_id)


def _there(client: MlflowClient, experiment: str, digest: str) -> str | None:
    """The MLflow run of this record, where it is whole; what an interrupted export left is removed."""
    whole = None
    for run in client.search_runs([experiment], f"tags.`{described.RECORD}` = '{digest}'"):
        if run.info.status == "FINISHED":
            whole = str(run.info.run_id)
        else:
            client.delete_run(run.info.run_id)
    return whole


def _write(client: MlflowClient, experiment: str, store: Store, record: RunRecord, tags: dict[str, str]) -> str:
    from mlflow.entities import Metric, Param

    began, ended = _milliseconds(record.created), _milliseconds(record.finished)
    with tempfile.TemporaryDirectory(prefix="edgedeploy-mlflow-") as scratch:
        # first of all: a run that cannot be read is not begun
        exporting.export(store, [record], Path(scratch) / "samples.parquet", "parquet")
        (Path(scratch) / "run.json").write_text(json.dumps(record.model_dump(mode="json"), indent=1))
        run = client.create_run(experiment, start_time=began, tags=tags, run_name=record.id).info.run_id
        params = [Param(name, value) for name, value in described.parameters(record).items()]
        for at in range(0, len(params), _BATCH):
            client.log_batch(run, params=params[at : at + _BATCH])
        metrics = described.metrics(record).items()
        client.log_batch(run, metrics=[Metric(name, value, ended or began or 0, 0) for name, value in metrics])
        client.log_artifacts(run, scratch)
    client.set_terminated(run, "FINISHED", ended)
    return str(run)


def _milliseconds(instant: str) -> int | None:
    """Since 1970; None for what is no instant."""
    with contextlib.suppress(ValueError):
        return int(datetime.fromisoformat(instant).timestamp() * 1000)
    return None


@contextlib.contextmanager
def _asked(uri: str) -> Iterator[None]:
    """MLflow's failures as ours."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        said = " ".join(str(error).split())[:500]
        if (
            "Max retries exceeded" in said
            or "Connection" in said
            or getattr(error, "error_code", "") == "TEMPORARILY_UNAVAILABLE"
        ):
            raise TransientError(f"{uri}: the MLflow server cannot be reached ({said})") from None
        raise UserError(f"{uri}: {said}") from None
    except ModuleNotFoundError as error:
        raise UserError(
            f"{uri}: MLflow needs {error.name} for that; pip install {error.name}, or give the URL of a tracking server"
        ) from None
    except OSError as error:
        raise TransientError(f"{uri}: {error}") from None
