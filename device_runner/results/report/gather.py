"""Runs from the store into what every part of the report speaks of: entries, in sections by subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from device_runner.results import summary, versus
from device_runner.results.report.limits import MAX_RUNS
from device_runner.results.store import Store
from edgedeploy.errors import UserError
from edgedeploy.record import Device, Interval, RunRecord

#: marks and lines differ by colour and by shape; who has more of them shares the last
SERIES = 6


@dataclass(frozen=True)
class Against:
    """An entry against the baseline. speedup: the baseline's time over this one's; None, with the reasons in `refused`,
    where the two may not be compared."""

    speedup: Interval | None
    verdict: str
    refused: str = ""


@dataclass(frozen=True)
class Entry:
    """One run. key: its anchor in the page. series: its number among the runtimes of the report, from 0."""

    key: str
    row: summary.Row
    series: int
    against: Against | None

    @property
    def record(self) -> RunRecord:
        return self.row.record

    @property
    def runtime(self) -> str:
        return f"{self.record.artifact.runtime}-{self.record.artifact.backend}"

    @property
    def operator(self) -> str:
        artifact = self.record.artifact
        return artifact.operator if artifact.kind == "bundle" else "as given"

    @property
    def device(self) -> Device:
        return self.record.devices[0]

    @property
    def place(self) -> str:
        """Where it ran: what divides one panel of a figure from the next."""
        threads = self.record.plan.threads
        names = " + ".join(device.name for device in self.record.devices)
        return f"{names}, {threads} thread{'s' if threads > 1 else ''}"

    @property
    def name(self) -> str:
        return f"{self.operator} on {self.runtime}"

    @property
    def drawable(self) -> bool:
        """Whether it has a time that may stand in a figure."""
        # no program takes under a picosecond or over ten days: a record that says so is not to stretch everybody's scale
        median = self.record.median_ms
        return self.record.valid and median is not None and 1e-9 < median.estimate < 1e9

    @property
    def speedup(self) -> Interval | None:
        """Over the baseline where one is named, else over identity."""
        return self.row.speedup if self.against is None else self.against.speedup


@dataclass(frozen=True)
class Section:
    """The runs of one subject."""

    subject: str
    entries: tuple[Entry, ...]

    def places(self) -> dict[str, list[Entry]]:
        """The entries by where they ran, in the order met."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.place, []).append(entry)
        return found


@dataclass(frozen=True)
class Report:
    """series: runtime-backend names, in the order of their colours. left_out: what was asked for and is not in, and why."""

    sections: tuple[Section, ...]
    series: tuple[str, ...]
    baseline: RunRecord | None
    margin: float
    left_out: tuple[str, ...]

    @property
    def entries(self) -> list[Entry]:
        return [entry for section in self.sections for entry in section.entries]

    @property
    def experiments(self) -> list[str]:
        return sorted({entry.record.experiment.id for entry in self.entries})


def select(store: Store, named: Sequence[str], last: int) -> tuple[list[RunRecord], list[str]]:
    """The runs that are meant, each once, and what could not be read. Nothing named: the newest `last` experiments.

    Raises UserError where there is none, where a name is none, or where there are more than a page can hold.
    """
    ids = store.runs_named(named) if named else _newest(store, last)
    if len(ids) > MAX_RUNS:
        raise UserError(f"{len(ids)} runs, over the {MAX_RUNS} of a report; name fewer experiments or runs")
    records, broken = [], []
    for run in ids:
        try:
            records.append(store.read(run))
        except UserError as error:
            if run in named:
                raise
            broken.append(str(error))
    if not records:
        raise UserError("; ".join(broken) or f"no runs in {store}; make some with: edgedeploy bench")
    return records, broken


def _newest(store: Store, last: int) -> list[str]:
    # a run's id is its experiment's and a number, so that no record is read to tell which are the newest
    ids = store.ids()
    experiments = sorted({run.rpartition(".")[0] or run for run in ids})[-last:]
    return [run for run in ids if (run.rpartition(".")[0] or run) in experiments]


def gather(
    records: Sequence[RunRecord], baseline: RunRecord | None, margin: float, left_out: Sequence[str] = ()
) -> Report:  # fmt: skip
    """The report on these runs; with a baseline, each is compared with it. Raises UserError for none."""
    if not records:
        raise UserError("no run is left to report on; --subject and --device must fit one")
    series = tuple(sorted({f"{record.artifact.runtime}-{record.artifact.backend}" for record in records}))
    entries = [
        Entry(
            key=f"run{number}", row=row, against=_against(row.record, baseline, margin),
            series=min(series.index(f"{row.record.artifact.runtime}-{row.record.artifact.backend}"), SERIES - 1),
        )
        for number, row in enumerate(sorted(summary.rows(records), key=_order))
    ]  # fmt: skip
    subjects = dict.fromkeys(entry.record.artifact.subject for entry in entries)
    sections = [Section(name, tuple(e for e in entries if e.record.artifact.subject == name)) for name in subjects]
    return Report(tuple(sections), series, baseline, margin, tuple(left_out))


def _order(row: summary.Row) -> tuple[object, ...]:
    artifact, device = row.record.artifact, row.record.devices[0]
    first = artifact.operator != summary.IDENTITY
    return artifact.subject, device.name, artifact.runtime, artifact.backend, first, artifact.operator, row.record.id


def _against(record: RunRecord, baseline: RunRecord | None, margin: float) -> Against | None:
    if baseline is None:
        return None
    if record.id == baseline.id:
        return Against(None, "baseline")
    try:
        found = versus.compare(baseline, record, margin)
    except UserError as error:
        return Against(None, "not comparable", str(error))
    speedup = versus.ratio_of(baseline, record)
    return Against(speedup, found.verdict, "; ".join(found.notes))
