"""Somebody else's timings and accuracies as runs, so that the same comparison and recommendation run on them.

What is not known of them is not made up: there is no context, a sample's start is its place in the file, and nothing is paired
by block. An imported run says that it is one (`kind`), of which file, and the digest of that.
"""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path

from device_runner.instant import now
from device_runner.results.outside import table_file
from device_runner.results.outside.columns import KEYS, Columns
from device_runner.results.statistics import estimate, quantile, scaled
from device_runner.results.store import Store
from device_runner.results.writer import RunWriter
from device_runner.samples import Samples
from edgedeploy.artifact import Accuracy
from edgedeploy.errors import UserError
from edgedeploy.metrics import wilson
from edgedeploy.record import ArtifactRef, Device, Experiment, Launch, Plan, RunRecord

MAX_RUNS = 1000
MAX_LAUNCHES = 1000
_MAX_NS = 10**15
#: said where a cell is empty
_MERGED = " (of cells that were merged, one alone has the value: unmerge them and fill each)"


class _Group:
    """The rows of one run. samples: launch as the file calls it -> [(place in the file, ns)]."""

    def __init__(self) -> None:
        self.samples: dict[str, list[tuple[int, int]]] = {}
        self.accuracies: set[tuple[float, int]] = set()


def import_file(store: Store, file: Path, columns: Columns, sheet: str | None = None) -> tuple[str, list[RunRecord]]:
    """(experiment, its runs), written into the store. `sheet`: of a spreadsheet with several. Raises UserError naming the line
    of what is not as it should be; then nothing was written. The same table under the same mapping is imported once."""
    content = table_file.content_of(file)
    digest = hashlib.sha256(content).hexdigest()
    of_it = "" if sheet is None else f" {sheet!r}"
    key = hashlib.sha256(f"{digest} {columns.text()}{of_it}".encode()).hexdigest()
    # begins with a 0, so that it sorts before all that was measured, and the newest experiment is never an imported one
    experiment = f"0-imported-{key[:12]}"
    groups = _groups(table_file.rows(content, file, sheet), file.name, columns)
    runs = tuple(f"{experiment}.{at:02d}" for at in range(len(groups)))
    if store.has_experiment(experiment) and all(store.is_finished(run) for run in runs):
        raise UserError(f"{file}: imported already, as {experiment}")
    described = Experiment(id=experiment, seed=0, runs=runs, order=())
    source = {"imported_from": file.name[:200], "imported_sha256": digest}
    if sheet is not None:
        source["imported_sheet"] = sheet[:200]
    records = [_record(run, names, group, described, source) for run, (names, group) in zip(runs, groups.items(), strict=True)]
    for record, group in zip(records, groups.values(), strict=True):
        if not store.is_finished(record.id):
            _write(store, record, group)
    listed = {"imported": source, "artifacts": [{"run": run} for run in runs]}
    store.write_experiment(experiment, listed)
    return experiment, records


def _groups(rows: Iterable[tuple[str, dict[str, str]]], where: str, columns: Columns) -> dict[tuple[str, ...], _Group]:
    groups: dict[tuple[str, ...], _Group] = {}
    for place, (line, row) in enumerate(rows):
        if not place:
            missing = [column for column in columns.columns.values() if column not in row]
            if missing:
                raise UserError(f"{where}: no column {missing[0]!r}; it has {', '.join(list(row)[:30])}")
        cells = {**columns.constants, **{field: row[column].strip() for field, column in columns.columns.items()}}
        names = tuple(cells.get(field, "") for field in KEYS)
        if not names[0] or not names[1]:
            raise UserError(f"{where}: {line}: no subject or no operator{_MERGED}")
        group = groups.setdefault(names, _Group())
        if len(groups) > MAX_RUNS:
            raise UserError(f"{where}: over {MAX_RUNS} runs (rows of the same {', '.join(KEYS)}); is the mapping right?")
        if cells.get("launch") == "":
            raise UserError(f"{where}: {line}: no launch{_MERGED}")
        taken = group.samples.setdefault(cells.get("launch", ""), [])
        if len(group.samples) > MAX_LAUNCHES:
            raise UserError(f"{where}: {line}: over {MAX_LAUNCHES} launches of one run; is `launch` the right column?")
        taken.append((place, _latency_ns(cells, where, line)))
        accuracy = _accuracy(cells, where, line)
        if accuracy is not None:
            group.accuracies.add(accuracy)
            if len(group.accuracies) > 1:
                raise UserError(f"{where}: {line}: {' '.join(names[:3])} has another accuracy than above")
    if not groups:
        raise UserError(f"{where}: no rows")
    return groups


def _number(text: str, where: str, line: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: {line}: {what} {text[:40]!r} is not a number")
    return value


def _latency_ns(cells: Mapping[str, str], where: str, line: str) -> int:
    unit, factor = ("latency_ms", 1e6) if "latency_ms" in cells else ("latency_s", 1e9)
    elapsed = _number(cells[unit], where, line, unit) * factor
    if not 1 <= elapsed <= _MAX_NS:
        raise UserError(f"{where}: {line}: {unit} {cells[unit][:40]!r} is not a time")
    return round(elapsed)


def _accuracy(cells: Mapping[str, str], where: str, line: str) -> tuple[float, int] | None:
    field = next((each for each in ("accuracy", "accuracy_percent") if cells.get(each)), None)
    if field is None:
        return None
    value = _number(cells[field], where, line, field) / (100 if field == "accuracy_percent" else 1)
    examples = _number(cells["examples"], where, line, "examples")
    if not 0 <= value <= 1:
        raise UserError(f"{where}: {line}: {field} {cells[field][:40]!r} is out of range; is it {_OTHER[field]}?")
    if not 1 <= examples <= 1e12 or examples != int(examples):
        raise UserError(f"{where}: {line}: examples {cells['examples'][:40]!r} is not a count")
    return value, int(examples)


_OTHER = {"accuracy": "accuracy_percent", "accuracy_percent": "another column"}


def _record(
    run: str, names: tuple[str, ...], group: _Group, experiment: Experiment, source: dict[str, str]
) -> RunRecord:  # fmt: skip
    subject, operator, runtime, device, tier = names
    launches = tuple(_launch(at, [ns for _, ns in taken]) for at, taken in enumerate(group.samples.values()))
    accuracy = None
    for value, n in group.accuracies:
        low, high = wilson(round(value * n), n)
        accuracy = Accuracy(metric="as imported", value=value, low=min(low, value), high=max(high, value), n=n)
    artifact = ArtifactRef(
        digest=hashlib.sha256(repr((source["imported_sha256"], names)).encode()).hexdigest(), kind="imported",
        path=source["imported_from"], subject=subject, operator=operator, runtime=runtime or "unknown", backend="unknown",
        precision="unknown", target_isa="unknown", model_bytes=0, accuracy=accuracy,
    )  # fmt: skip
    medians = estimate([launch.steady_median_ns for launch in launches], "median of each launch", ordered=False)
    return RunRecord(
        id=run, created=now(), finished=now(), artifact=artifact, experiment=experiment, launches=launches, valid=True,
        devices=(Device(name=device or "unknown", transport="imported", tier=tier),), plan=Plan(launches=len(launches)),
        software=source, median_ms=scaled(medians, 1e-6),
        warnings=(f"imported from {source['imported_from']}: how it was measured is not known here",),
    )  # fmt: skip


def _launch(at: int, elapsed: list[int]) -> Launch:
    import numpy as np

    return Launch(
        index=at, position=at, block=at, started="", valid=True, steady_count=len(elapsed),
        steady_median_ns=statistics.median(elapsed), steady_p90_ns=quantile(np.array(elapsed), 0.9),
    )  # fmt: skip


def _write(store: Store, record: RunRecord, group: _Group) -> None:
    import numpy as np

    writer = RunWriter(store, record.id)
    # what an import that was killed half-way left: it is written again from the start
    writer.clear_stream()
    nothing = np.empty((0, 2), dtype=np.int64)
    for at, taken in enumerate(group.samples.values()):
        writer.append(at, None, Samples(nothing, np.array(taken, dtype=np.int64)))
    writer.finish(record)
