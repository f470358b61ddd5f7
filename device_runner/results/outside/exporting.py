"""Runs given out: a line per sample with what the run is, as CSV or Parquet; or the records themselves as JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal

from device_runner.results.duck import connect
from device_runner.results.store import Store
from edgedeploy.errors import UserError
from edgedeploy.record import RunRecord
from edgedeploy.terminal import clean

Format = Literal["csv", "parquet", "json"]
FORMATS: tuple[Format, ...] = ("csv", "parquet", "json")
_ABOUT = (
    "run",
    "experiment",
    "kind",
    "subject",
    "operator",
    "runtime",
    "backend",
    "precision",
    "device",
    "tier",
    "threads",
    "valid",
)
_OF_A_SAMPLE = ("launch", "launch_valid", "phase", "stage", "index", "start_ns", "elapsed_ns", "flags")
COLUMNS = (*_ABOUT, *_OF_A_SAMPLE)
#: what makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def export(store: Store, records: Sequence[RunRecord], target: Path, form: Format) -> None:
    """Write `target`, whole or not at all. Raises UserError when it exists, cannot be written, or a run cannot be read."""
    if target.exists() or target.is_symlink():
        raise UserError(f"{target}: is there already; name another file or remove it")
    scratch = target.with_name(f".{target.name}.part")
    try:
        _WRITERS[form](store, records, scratch)
        scratch.rename(target)
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror})") from None
    finally:
        scratch.unlink(missing_ok=True)


def neutral(value: Any) -> Any:
    """A cell of a CSV file that no spreadsheet calculates and no terminal obeys. Numbers are left as they are."""
    if not isinstance(value, str):
        return value
    # a cell that begins with blanks is one too, for some
    return f"'{clean(value)}" if value.lstrip(" ").startswith(_FORMULA) else clean(value)


def _about(record: RunRecord) -> tuple[Any, ...]:
    artifact, device = record.artifact, record.devices[0]
    return (
        record.id, record.experiment.id, artifact.kind, artifact.subject, artifact.operator, artifact.runtime, artifact.backend,
        artifact.precision, device.name, device.tier, record.plan.threads, record.valid,
    )  # fmt: skip


def _lines(store: Store, records: Sequence[RunRecord]) -> Iterator[tuple[Any, ...]]:
    for record in records:
        valid = {launch.index: launch.valid for launch in record.launches}
        about = _about(record)
        for launch, *rest in store.samples(record.id):
            yield (*about, launch, valid.get(launch, False), *rest)


def _csv(store: Store, records: Sequence[RunRecord], target: Path) -> None:
    with target.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(COLUMNS)
        lines.writerows([neutral(cell) for cell in line] for line in _lines(store, records))


def _json(store: Store, records: Sequence[RunRecord], target: Path) -> None:
    with target.open("w", encoding="utf-8") as file:
        file.write('{"runs": [')
        for number, record in enumerate(records):
            file.write(
                (",\n" if number else "\n") + '{"record": ' + json.dumps(record.model_dump(mode="json"), allow_nan=False)
            )
            _samples_as_json(store, record, file)
        file.write("\n]}\n")


def _samples_as_json(store: Store, record: RunRecord, file: IO[str]) -> None:
    # as they are read: there may be millions
    file.write(', "columns": ["launch", "phase", "stage", "index", "start_ns", "elapsed_ns", "flags"], "samples": [')
    for number, sample in enumerate(store.samples(record.id)):
        file.write(("," if number else "") + json.dumps(sample))
    file.write("]}")


def _parquet(store: Store, records: Sequence[RunRecord], target: Path) -> None:
    import duckdb

    connection = connect()
    try:
        text = ", ".join(f"{name} VARCHAR" for name in _ABOUT[:-2])
        connection.execute(f"CREATE TABLE runs ({text}, threads INTEGER, valid BOOLEAN)")
        connection.execute("CREATE TABLE launches (run VARCHAR, launch INTEGER, launch_valid BOOLEAN)")
        connection.executemany(f"INSERT INTO runs VALUES ({', '.join('?' * len(_ABOUT))})", [_about(each) for each in records])  # noqa: S608
        launches = [(each.id, launch.index, launch.valid) for each in records for launch in each.launches]
        if launches:
            connection.executemany("INSERT INTO launches VALUES (?, ?, ?)", launches)
        files = store.sample_files([each.id for each in records])
        connection.from_parquet(files, union_by_name=True).create_view("samples")
        chosen = ", ".join(f"runs.{name}" for name in _ABOUT)
        of_a_sample = ", ".join(
            f"coalesce({name}, false) AS {name}" if name == "launch_valid" else f'samples."{name}"' for name in _OF_A_SAMPLE
        )
        joined = connection.sql(
            f"SELECT {chosen}, {of_a_sample} FROM samples JOIN runs USING (run) LEFT JOIN launches "  # noqa: S608
            "ON launches.run = samples.run AND launches.launch = samples.launch ORDER BY runs.run, samples.launch, start_ns"
        )
        joined.write_parquet(str(target), compression="zstd")
    except duckdb.Error as error:
        raise UserError(f"{target.name}: not exported ({str(error).splitlines()[0]})") from None
    finally:
        connection.close()


_WRITERS = {"csv": _csv, "parquet": _parquet, "json": _json}
