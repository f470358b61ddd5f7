"""`edgedeploy results`: what was measured."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from edgedeploy.commands import retention

if TYPE_CHECKING:
    from collections.abc import Callable

    from device_runner.results.store import Store
    from device_runner.results.summary import Row

_COLUMNS = ("launch", "phase", "stage", "index", "start_ns", "elapsed_ns", "flags")


def _runs(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--out", "--runs", "out", type=click.Path(file_okay=False), default="runs", show_default=True,
        help="Where runs are kept.",
    )(function)  # fmt: skip


def _json(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(function)


def _store(out: str) -> Store:
    from device_runner.results.opening import open_store

    return open_store(out)


def _rows(store: Store, identifier: str) -> list[Row]:
    """Rows of an experiment, or the one row of a run, compared within its experiment."""
    from device_runner.results import checking, summary
    from edgedeploy.errors import UserError

    if store.has_experiment(identifier):
        records = [store.read(run) for run in store.runs_of(identifier)]
        if not records:
            raise UserError(f"{identifier} is not finished; go on with: edgedeploy bench --resume {identifier}")
        return summary.rows(checking.looked_at(store, records))
    record = store.read(identifier)
    beside = store.has_experiment(record.experiment.id)
    together = [store.read(run) for run in store.runs_of(record.experiment.id)] if beside else [record]
    together = [checking.looked_at(store, [each])[0] if each.id == identifier else each for each in together]
    return [row for row in summary.rows(together) if row.record.id == identifier]


@click.group()
def command() -> None:
    """List and show what was measured.

    \b
    Example:
      edgedeploy results list
    """


@command.command("list")
@_runs
@_json
def list_(out: str, as_json: bool) -> int:
    """List the finished runs, the oldest first, with the flags each was given (docs/flags).

    A run that cannot be read is named on stderr, and the exit code is 1.

    \b
    Example:
      edgedeploy results list --json
    """
    from device_runner.results import index
    from edgedeploy.terminal import clean

    store = _store(out)
    found, broken = index.entries(store)
    for reason in broken:
        click.echo(f"edgedeploy: {clean(reason)}", err=True)
    if as_json:
        entries = [{**entry._asdict(), "path": store.place(entry.id)} for entry in found]
        click.echo(json.dumps({"runs": entries}, indent=1))
    elif not found:
        click.echo(f"no runs in {out}; make some with: edgedeploy bench", err=True)
    else:
        lines = []
        for entry in found:
            state = f"{entry.median_ms:.3f} ms" if entry.valid and entry.median_ms is not None else "not valid"
            state += f" ({entry.flags})" if entry.flags else ""
            names = f"{entry.subject} {entry.operator} on {entry.runtime}-{entry.backend}"
            lines.append(clean(f"{entry.id}  {names}, {entry.threads} thread(s), {entry.device}: {state}"))
        click.echo("\n".join(lines))
    return 1 if broken else 0


@command.command("show")
@click.argument("identifier", metavar="RUN_OR_EXPERIMENT")
@_runs
@_json
def show(identifier: str, out: str, as_json: bool) -> int:
    """Show the table of an experiment, or a run with its launches.

    \b
    Examples:
      edgedeploy results show 20260131-120000-abc123
      edgedeploy results show 20260131-120000-abc123.00 --json
    """
    from device_runner.results import launch_table, profile_table, summary, table

    store = _store(out)
    rows = _rows(store, identifier)
    single = identifier == rows[0].record.id
    if as_json:
        found = [summary.as_json(row, store.place(row.record.id)) for row in rows]
        record = rows[0].record.model_dump(mode="json")
        document = {**found[0], "record": record} if single else {"experiment": identifier, "runs": found}
        click.echo(json.dumps(document, indent=1))
    else:
        table.show(rows)
        if single:
            launch_table.show(rows[0].record)
            profile_table.show(rows[0].record)
    return 0


@command.command("check")
@click.argument("runs", nargs=-1, required=True, metavar="RUN_OR_EXPERIMENT...")
@_runs
@_json
def check(runs: tuple[str, ...], out: str, as_json: bool) -> int:
    """Look through the samples of runs again: warm-up, drift, outliers, two speeds, throttling, a busy device.

    Runs are flagged when they are measured; this says what today's edgedeploy finds, also of runs from before there were
    flags. No run is changed. Each flag has a page in docs/flags. The exit code is 1 when there are any.

    \b
    Example:
      edgedeploy results check 20260131-120000-abc123
    """
    from device_runner.results import checking, summary
    from device_runner.validity import words
    from edgedeploy.terminal import clean

    store = _store(out)
    records = [checking.look_again(store, store.read(run)) for run in store.runs_named(runs)]
    lines = {record.id: words.said(record) for record in records}
    if as_json:
        click.echo(json.dumps({"runs": [{"run": record.id, "flags": summary.flags(record)} for record in records]}, indent=1))
    else:
        for record in records:
            click.echo(clean(f"{record.id}  {record.artifact.label}: {len(lines[record.id]) or 'no'} flags"))
            for line in lines[record.id]:
                click.echo(clean(f"  {line}"))
    return 1 if any(lines.values()) else 0


@command.command("samples")
@click.argument("run")
@click.option("--csv", "as_csv", is_flag=True, help="CSV, with a heading (what is printed when nothing is said).")
@_runs
@_json
def samples(run: str, as_csv: bool, out: str, as_json: bool) -> int:
    """Print every sample of a run, in nanoseconds of the device's monotonic clock.

    \b
    Example:
      edgedeploy results samples 20260131-120000-abc123.00 --csv > samples.csv
    """
    if as_csv and as_json:
        raise click.UsageError("give --csv or --json, not both")
    taken = _store(out).samples(run)
    if as_json:
        # written as it is read: there may be millions
        sys.stdout.write(json.dumps({"run": run, "columns": _COLUMNS})[:-1] + ', "samples": [')
        for number, sample in enumerate(taken):
            sys.stdout.write(("," if number else "") + "\n" + json.dumps(sample))
        sys.stdout.write("\n]}\n")
        return 0
    import csv

    from edgedeploy.terminal import clean

    lines = csv.writer(sys.stdout, lineterminator="\n")
    lines.writerow(_COLUMNS)
    for sample in taken:
        lines.writerow([clean(value) if isinstance(value, str) else value for value in sample])
    return 0


@command.command("query")
@click.argument("sql", metavar="SQL")
@_runs
@_json
def query(sql: str, out: str, as_json: bool) -> int:
    """Ask the samples of all finished runs, and the runs, with DuckDB's SQL; the answer is CSV.

    Tables: samples (run, launch, phase, stage, index, start_ns, elapsed_ns, flags) and runs (what `results list --json` says of
    each: id, subject, operator, device, valid, ...). Sees no other file and changes nothing.

    \b
    Examples:
      edgedeploy results query "SELECT run, count(*) FROM samples GROUP BY run"
      edgedeploy results query "SELECT device, count(*) FROM runs WHERE valid GROUP BY device" --json
    """
    import csv

    from device_runner.results import sql as asked
    from edgedeploy.terminal import clean

    names, rows = asked.ask(_store(out), sql)
    if as_json:
        click.echo(json.dumps({"columns": names, "rows": rows}, indent=1, default=str))
        return 0
    lines = csv.writer(sys.stdout, lineterminator="\n")
    lines.writerow([clean(name) for name in names])
    for row in rows:
        lines.writerow([clean(value) if isinstance(value, str) else value for value in row])
    return 0


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False), metavar="FILE")
@click.option("--map", "maps", multiple=True, metavar="COLUMN=FIELD", help="This column is that field; once for each.")
@click.option("--set", "constants", multiple=True, metavar="FIELD=VALUE", help="This field is the same in every row.")
@click.option("--sheet", metavar="NAME", help="Of a spreadsheet with more than one.")
@_runs
@_json
def import_(
    file: str, maps: tuple[str, ...], constants: tuple[str, ...], sheet: str | None, out: str, as_json: bool
) -> int:  # fmt: skip
    """Take in somebody else's timings and accuracies from a CSV, .xlsx or .ods file, a row per sample.

    Fields: subject, operator, runtime, device, tier (rows that agree in these are one run), launch (the unit of every
    interval: without it all rows are one launch and there are no intervals), latency_ms or latency_s, accuracy or
    accuracy_percent, examples (how many the accuracy is over). Imported runs are marked, and not compared with
    measured ones without --despite origin.

    \b
    Examples:
      edgedeploy results import study.csv --map Model=subject --map Op=operator --map Round=launch --map Time=latency_s
      edgedeploy results import study.xlsx --sheet Timings --map Model=subject --map Op=operator --map Time=latency_ms
    """
    from pathlib import Path

    from device_runner.results.outside import columns, importing
    from edgedeploy.terminal import clean

    experiment, records = importing.import_file(_store(out), Path(file), columns.parse(maps, constants), sheet)
    if as_json:
        runs = [{"id": record.id, "label": record.artifact.label, "launches": len(record.launches)} for record in records]
        click.echo(json.dumps({"experiment": experiment, "runs": runs}, indent=1))
    else:
        for record in records:
            click.echo(clean(f"{record.id}  {record.artifact.label}, {len(record.launches)} launch(es)"))
        click.echo(f"imported {len(records)} run(s) as {experiment}")
    return 0


@command.command("export")
@click.argument("runs", nargs=-1, required=True, metavar="RUN_OR_EXPERIMENT...")
@click.option(
    "--format", "form", type=click.Choice(["csv", "parquet", "json", "mlflow"]), default="csv", show_default=True,
    help="CSV or Parquet: a line per sample; JSON: the records with their samples; MLflow: a run of its for each.",
)  # fmt: skip
@click.option(
    "--to", "target", required=True, metavar="FILE", help="A file that is not there yet. MLflow: the tracking URI."
)  # fmt: skip
@click.option("--into", metavar="NAME", help="MLflow's experiment.  [default: edgedeploy]")
@_runs
@_json
def export(runs: tuple[str, ...], form: Any, target: str, into: str | None, out: str, as_json: bool) -> int:
    """Write runs with all their samples to one file, or as runs of MLflow.

    In a CSV file a name that a spreadsheet would calculate (it begins with =, +, - or @) has a ' before it. A run that MLflow
    has already, by the digest of its record, is not written again.

    \b
    Examples:
      edgedeploy results export 20260131-120000-abc123 --to samples.csv
      edgedeploy results export 20260131-120000-abc123.00 --format parquet --to samples.parquet
      edgedeploy results export 20260131-120000-abc123 --format mlflow --to https://mlflow.example.org
    """
    from pathlib import Path

    from device_runner.results.outside import exporting, mlflow_runs
    from edgedeploy.terminal import clean

    if into is not None and form != "mlflow":
        raise click.UsageError("--into is for --format mlflow")
    store = _store(out)
    records = [store.read(run) for run in store.runs_named(runs)]
    told: dict[str, Any] = {"path": target, "format": form, "runs": [record.id for record in records]}
    line = f"{len(records)} run(s) in {target}"
    if form == "mlflow":
        done = mlflow_runs.export(store, records, target, into or "edgedeploy")
        told |= {"written": done.written, "there_already": done.there}
        line = f"{len(done.written)} run(s) written to {target}, {len(done.there)} there already"
    else:
        exporting.export(store, records, Path(target), form)
    if as_json:
        click.echo(json.dumps(told))
    else:
        click.echo(clean(line))
    return 0


@command.command("path")
@click.argument("run")
@_runs
@_json
def path(run: str, out: str, as_json: bool) -> int:
    """Print the directory of a finished run.

    \b
    Example:
      edgedeploy results path 20260131-120000-abc123.00
    """
    store = _store(out)
    store.read(run)
    directory = store.place(run)
    click.echo(json.dumps({"run": run, "path": directory}) if as_json else directory)
    return 0


@command.command("push")
@click.option("--out", required=True, metavar="URL", help="The bucket: s3://BUCKET/FOLDER.")
@click.option(
    "--from", "source", type=click.Path(file_okay=False, exists=True), metavar="DIR",
    help="A store in a directory. Without it, what is finished on this host and could not be uploaded.",
)  # fmt: skip
@_json
def push(out: str, source: str | None, as_json: bool) -> int:
    """Upload finished runs to a bucket; what is there already is left, and what is uploaded from a directory stays there.

    \b
    Examples:
      edgedeploy results push --out s3://lab/runs
      edgedeploy results push --from runs --out s3://lab/runs
    """
    from device_runner.results import pushing

    done = pushing.push(out, source)
    if as_json:
        click.echo(json.dumps({"uploaded": done.uploaded, "there_already": done.there}, indent=1))
    else:
        click.echo(f"{len(done.uploaded)} run(s) uploaded, {len(done.there)} there already")
    return 0


command.add_command(retention.prune)
command.add_command(retention.kept)
