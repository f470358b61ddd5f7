"""The table of all runs of a subject: sorted by its headings, filtered by what is typed; all there without a script, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from device_runner.results.report import numbers
from device_runner.results.report.escape import markup
from device_runner.results.report.gather import Entry, Report
from edgedeploy.terminal import size


@dataclass(frozen=True)
class Cell:
    """sort: what the column is ordered by, a number or text; None goes last whichever way."""

    text: str
    sort: float | str | None
    class_: str = ""


def headings(report: Report) -> list[tuple[str, bool]]:
    """Each column's heading, and whether it has numbers."""
    over = "baseline" if report.baseline is not None else "identity"
    verdict = [("verdict", False)] if report.baseline is not None else []
    return [
        ("operator", False), ("runtime", False), ("device", False), ("median, ms", True), (f"× {over}", True), *verdict,
        ("accuracy", True), ("points lost", True), ("p", True), ("p90, ms", True), ("cold start, ms", True),
        ("file", True), ("memory, MiB", True),
        ("precision", False), ("state", False),
    ]  # fmt: skip


def cells(entry: Entry, report: Report) -> list[Cell]:
    """One row, by the headings."""
    record, artifact, speedup = entry.record, entry.record.artifact, entry.speedup
    drop, accuracy = artifact.drop, artifact.accuracy
    # what was measured when a run is not valid stays in the appendix: in a row of results it would be read as one
    median, p90 = (record.median_ms, record.p90_ms) if record.valid else (None, None)
    cold = record.cold_start_ms if record.valid else None
    memory = peak_mib(entry) if record.valid else None
    verdict = [Cell(entry.against.verdict, entry.against.verdict)] if entry.against is not None else []
    return [
        Cell(entry.operator, entry.operator), Cell(entry.runtime, entry.runtime), Cell(entry.place, entry.place),
        Cell(numbers.times(median), median.estimate) if median else Cell("not valid", None, "bad"),
        Cell(numbers.ratio(speedup), speedup.estimate if speedup else None), *verdict,
        Cell(numbers.accuracy(accuracy), accuracy.value if accuracy else None),
        Cell(numbers.drop(drop), drop.points if drop else None),
        Cell(numbers.p_value(drop.p_value if drop else None), drop.p_value if drop else None),
        Cell(numbers.times(p90), p90.estimate if p90 else None), Cell(numbers.times(cold), cold.estimate if cold else None),
        Cell(size(artifact.model_bytes), artifact.model_bytes),
        Cell(numbers.NOTHING if memory is None else f"{memory:.1f}", memory), Cell(artifact.precision, artifact.precision),
        state(entry),
    ]  # fmt: skip


def peak_mib(entry: Entry) -> float | None:
    """Of any valid launch; None where the device did not say."""
    seen = [launch.peak_rss_kb for launch in entry.record.launches if launch.valid and launch.peak_rss_kb]
    return max(seen) / 1024 if seen else None


def state(entry: Entry) -> Cell:
    """Whether the run is valid, with how many of its launches are not."""
    record = entry.record
    if not record.valid:
        return Cell(f"not valid: {'; '.join(record.invalid_because) or 'no reason given'}", "1", "bad why")
    bad = sum(not launch.valid for launch in record.launches)
    flagged = sum(bool(launch.flags or launch.findings) for launch in record.launches)
    said = [f"{bad} of {len(record.launches)} launches left out"] if bad else []
    said += [f"{flagged} launches flagged"] if flagged else []
    said += [f"{len(entry.row.warnings)} warnings"] if entry.row.warnings else []
    return Cell(", ".join(["valid", *said]), f"0 {bad} {flagged}", "ok" if not said else "")


def draw(entries: Sequence[Entry], report: Report, name: str) -> str:
    """The table with its filter. name: makes the ids of this table its own."""
    heads = []
    for number, (heading, numeric) in enumerate(headings(report)):
        kind = ' class="number"' if numeric else ""
        button = f'<button type="button" class="sort" data-column="{number}">{markup(heading)}</button>'
        heads.append(f'<th scope="col" aria-sort="none"{kind}>{button}</th>')
    heads.append('<th scope="col">run</th>')
    rows = "".join(_row(entry, report) for entry in entries)
    return (
        f'<div class="tools"><label for="{name}-filter">Filter these runs</label>'
        f'<input id="{name}-filter" type="search" data-table="{name}" autocomplete="off" '
        f'placeholder="words, all of which must be in the row"> <output id="{name}-count" aria-live="polite">'
        f'{len(entries)} runs</output> <button type="button" class="csv" data-table="{name}">Save as CSV</button></div>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="table of runs"><table id="{name}" class="runs">'
        f"<thead><tr>{''.join(heads)}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(entry: Entry, report: Report) -> str:
    columns = headings(report)
    found = []
    for number, cell in enumerate(cells(entry, report)):
        kinds = " ".join(kind for kind in ("number" if columns[number][1] else "", cell.class_) if kind)
        attributes = f' class="{kinds}"' if kinds else ""
        attributes += "" if cell.sort is None else f' data-sort="{markup(cell.sort)}"'
        if number == 0:
            found.append(f'<th scope="row"{attributes}>{markup(cell.text)}</th>')
        else:
            found.append(f"<td{attributes}>{markup(cell.text)}</td>")
    link = f'<td><a href="#{entry.key}">{markup(entry.record.id)}</a></td>'
    return f'<tr data-run="{entry.key}">{"".join(found)}{link}</tr>'
