"""What should I deploy: `recommend`, asked once with the constraints given, or three times where none were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from device_runner.results import recommend
from device_runner.results.recommend import Constraints, Objective, Recommendation
from device_runner.results.report import numbers
from device_runner.results.report.gather import Entry, Report, Section
from edgedeploy.record import RunRecord
from edgedeploy.terminal import size

#: of accuracy, in the question that stands first when no constraint is given
POINTS_ASKED = 1.0
#: names of alternatives that are said before "and n more"
_NAMED = 4


@dataclass(frozen=True)
class Answer:
    """question: in words. entry: None where nothing meets the constraints. facts: (what, how much, with interval).
    sure: how sure that is, a sentence each."""

    question: str
    entry: Entry | None
    found: Recommendation
    facts: tuple[tuple[str, str], ...]
    sure: tuple[str, ...]


def answers(section: Section, report: Report, limits: Constraints, objective: Objective) -> list[Answer]:
    """The answers for one subject, the one to act on first."""
    if limits != Constraints():
        return [_ask(_question(limits, objective), section, report, limits, objective)]
    asked = [
        _ask(f"fastest that loses at most {POINTS_ASKED:g} point of accuracy", section, report,
             Constraints(max_drop=POINTS_ASKED), "latency"),
        _ask("fastest, whatever it loses", section, report, limits, "latency"),
        _ask("most accurate", section, report, limits, "accuracy"),
    ]  # fmt: skip
    return asked


def _question(limits: Constraints, objective: Objective) -> str:
    best = {"latency": "fastest", "accuracy": "most accurate", "size": "smallest"}[objective]
    said = []
    if limits.max_latency_ms is not None:
        said.append(f"a median of at most {limits.max_latency_ms:g} ms")
    if limits.max_drop is not None:
        said.append(f"at most {limits.max_drop:g} points of accuracy lost")
    if limits.max_bytes is not None:
        said.append(f"a file of at most {size(limits.max_bytes)}")
    if limits.max_memory_bytes is not None:
        said.append(f"at most {size(limits.max_memory_bytes)} of memory")
    if limits.tier is not None:
        said.append(f"on tier {limits.tier}")
    return f"{best} with {', '.join(said)}"


def _ask(question: str, section: Section, report: Report, limits: Constraints, objective: Objective) -> Answer:
    records = [entry.record for entry in section.entries]
    found = recommend.recommend(records, limits, objective, report.margin)
    by_id = {entry.record.id: entry for entry in section.entries}
    entry = by_id[found.choice.id] if found.choice is not None else None
    if entry is None:
        return Answer(question, None, found, (), (_closest(found.ruled_out),))
    return Answer(question, entry, found, _facts(entry, report), _sure(found, by_id))


def _closest(ruled: Sequence[recommend.Ruled]) -> str:
    why: dict[str, int] = {}
    for each in ruled:
        for reason in each.because:
            kind = reason.partition(":")[0]
            why[kind] = why.get(kind, 0) + 1
    told = ", ".join(f"{count} by {kind}" for kind, count in sorted(why.items(), key=lambda item: -item[1]))
    return f"Ruled out: {told}." if told else "There is nothing to choose from."


def _facts(entry: Entry, report: Report) -> tuple[tuple[str, str], ...]:
    cold = entry.record.cold_start_ms
    artifact, over = entry.record.artifact, "the baseline" if report.baseline is not None else "identity"
    return (
        ("median", numbers.times(entry.record.median_ms, " ms")),
        (f"over {over}", numbers.ratio(entry.speedup)),
        (artifact.accuracy.metric if artifact.accuracy else "accuracy", numbers.accuracy(artifact.accuracy)),
        ("points lost", numbers.drop(artifact.drop)),
        ("file", size(artifact.model_bytes)),
        *([("cold start", numbers.times(cold, " ms"))] if cold is not None else []),
        ("on", entry.place),
    )


def _sure(found: Recommendation, by_id: dict[str, Entry]) -> tuple[str, ...]:
    assert found.choice is not None
    said = [f"{_sentence(found.reason)}."]
    if found.alike:
        said.append(f"Cannot be told apart from it: {_names(found.alike, by_id)}.")
    if found.choice.median_ms is not None and found.choice.median_ms.low is None:
        said.append("There are too few launches for an interval: bench --launches 3 or more.")
    return (*said, *(f"{_sentence(note)}." for note in found.notes))


def _sentence(text: str) -> str:
    """What `recommend` says after a colon, as a sentence; one that begins with an artifact's name keeps it as it is."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first in ("it", "its", "the") else text


def _names(records: Sequence[RunRecord], by_id: dict[str, Entry]) -> str:
    places = len({entry.place for entry in by_id.values()}) > 1
    entries = [by_id[record.id] for record in records[:_NAMED]]
    names = [f"{entry.name} ({entry.place})" if places else entry.name for entry in entries]
    more = len(records) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
