"""Figures with their headings and captions: which runs are in, which are not and why, and what was thinned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from device_runner.plans import words as mode_words
from device_runner.results.recommend import Constraints, recommend
from device_runner.results.report import axes, distributions, forest, profiles, scatter, series
from device_runner.results.report.answers import Answer
from device_runner.results.report.appendix import traced
from device_runner.results.report.escape import markup
from device_runner.results.report.gather import Entry, Section
from device_runner.results.report.limits import MAX_DRAWN, MAX_LAUNCHES, MAX_POINTS, MAX_PROFILES, MAX_SERIES
from device_runner.results.report.samples import LaunchSamples, steady
from device_runner.results.store import Store
from device_runner.validity import words
from edgedeploy.record import Launch

#: run ids that a caption names before it counts the rest
_NAMED = 3


def _figure(draw: Callable[[int], str], *caption: str) -> str:
    """Drawn twice, for a desk and for a phone; the style sheet shows one."""
    wide, narrow = (
        draw(width).replace('class="plot ', f'class="plot {kind} ', 1)
        for width, kind in ((axes.WIDE, "wide"), (axes.NARROW, "narrow"))
    )
    said = " ".join(markup(text, 2000) for text in caption if text)
    return f"<figure>{wide}{narrow}<figcaption>{said}</figcaption></figure>"


def _runs(entries: Sequence[Entry]) -> str:
    named = ", ".join(traced(entry.record) for entry in entries[:_NAMED])
    more = f" and {len(entries) - _NAMED} more; each mark links to its run" if len(entries) > _NAMED else ""
    return f"Runs (artifact digests): {named}{more}."


def _absent(entries: Sequence[Entry]) -> str:
    """The runs that are not valid, for a figure they are not in."""
    out = [entry for entry in entries if not entry.drawable]
    if not out:
        return ""
    named = "; ".join(f"{entry.name} ({'; '.join(entry.record.invalid_because) or 'no median'})" for entry in out[:6])
    return f"Not drawn, because not valid: {named}{f' and {len(out) - 6} more' if len(out) > 6 else ''}."


def _most(entries: Sequence[Entry], first: Sequence[str]) -> tuple[list[Entry], str]:
    """At most MAX_DRAWN: those of `first`, then the fastest. And what is to be said of it."""
    if len(entries) <= MAX_DRAWN:
        return list(entries), ""

    def rank(entry: Entry) -> tuple[bool, float]:
        median = entry.record.median_ms
        return entry.record.id not in first, median.estimate if median else float("inf")

    kept = {entry.key for entry in sorted(entries, key=rank)[:MAX_DRAWN]}
    return [
        e for e in entries if e.key in kept
    ], f"Of {len(entries)} runs the {MAX_DRAWN} fastest are drawn; the table has all."


def scatters(section: Section, found: Sequence[Answer], margin: float) -> str:
    """One for each place."""
    choice = found[0].entry.record.id if found[0].entry is not None else None
    parts = ["<h3>Accuracy against latency</h3>"]
    for place, entries in section.places().items():
        drawable = [entry for entry in entries if entry.drawable]
        front = _front(drawable, margin)
        shown, cut = _most(drawable, front)
        if len(section.places()) > 1:
            parts.append(f"<h4>{markup(place)}</h4>")
        if not shown:
            parts.append(f'<p class="note">{markup(_absent(entries))}</p>')
            continue
        metric = next((e.record.artifact.accuracy.metric for e in shown if e.record.artifact.accuracy), "accuracy")
        parts.append(
            _figure(
                partial(scatter.draw, shown, front, choice, metric),
                "Bars are 95 % intervals, of the median across and of the accuracy up. The line is the front: below and right "
                "of it something else is both faster and more accurate. Near it, read the intervals.",
                _absent(entries), cut, _runs(shown),
            )
        )  # fmt: skip
    return "".join(parts)


def _front(entries: Sequence[Entry], margin: float) -> list[str]:
    """Run ids, the fastest first, as `recommend` has it; of what has an accuracy."""
    if not entries:
        return []
    found = recommend([entry.record for entry in entries], Constraints(), "latency", margin).front
    return [record.id for record in found if record.artifact.accuracy is not None]


def forests(section: Section, over: str, margin: float) -> str:
    """All places in one."""
    rows = forest.rows_of(section.entries)
    parts = [f"<h3>Speed-up over {markup(over)}</h3>"]
    if not rows:
        why = (
            f"No run here can be set against {over}: the same device, plan and runtime in the same experiment would be needed."
        )
        if over != "identity":
            why = "No run here may be compared with the baseline; the reasons are with each run below."
        return "".join([*parts, f'<p class="note">{markup(why)}</p>'])
    shown, cut = _most(rows, [])
    drawn = _figure(
        partial(forest.draw, shown, over, margin),
        f"The time of {over} over that of the run, with its 95 % interval; an arrow head where that goes on. The band is the "
        f"margin of {100 * margin:g} % within which a change is of no consequence.",
        _absent(section.entries), cut, _runs(shown),
    )  # fmt: skip
    return "".join([*parts, drawn])


def samples_of(section: Section, found: Sequence[Answer], store: Store) -> dict[str, list[LaunchSamples]]:
    """By run id, of the runs whose samples are drawn; a run without samples is not in it."""
    chosen = [answer.entry.record.id for answer in found if answer.entry is not None]
    read = {}
    for entries in _panels(section).values():
        for entry in _most(entries, chosen)[0]:
            launches, _ = steady(store, entry.record.id)
            if launches:
                read[entry.record.id] = launches
    return read


def _panels(section: Section) -> dict[tuple[str, str], list[Entry]]:
    panels: dict[tuple[str, str], list[Entry]] = {}
    for entry in section.entries:
        panels.setdefault((entry.place, entry.runtime), []).append(entry)
    return panels


def spreads(section: Section, samples: Mapping[str, Sequence[LaunchSamples]]) -> str:
    """One panel for each place and runtime."""
    parts = [
        '<h3>How the times are spread</h3><p class="note">One curve for each launch, over every sample of it, and under it a '
        "tick at its median. Dashed red with a cross: a launch that is not valid, which no number counts.</p>"
    ]
    for (place, runtime), entries in _panels(section).items():
        shown = [entry for entry in entries if entry.record.id in samples]
        parts.append(f"<h4>{markup(runtime)} · {markup(place)}</h4>")
        if not shown:
            parts.append('<p class="note">These runs have no samples in this store.</p>')
            continue
        cut = max(len(e.record.launches) for e in shown) > MAX_LAUNCHES
        without = len(entries) - len(shown)
        parts.append(
            _figure(
                partial(distributions.draw, shown, samples),
                f"At most {MAX_LAUNCHES} launches of a run are drawn, evenly spread over those there are." if cut else "",
                f"{without} more runs have no samples here or are beyond the {MAX_DRAWN} that are drawn." if without else "",
                _runs(shown),
            )
        )  # fmt: skip
    return "".join(parts)


def courses(section: Section, found: Sequence[Answer], samples: Mapping[str, Sequence[LaunchSamples]]) -> str:
    """The answers over time, then runs with something to look at in them."""
    by_id = {entry.record.id: entry for entry in section.entries if entry.record.id in samples}
    answered = [answer.entry.record.id for answer in found if answer.entry is not None]
    odd = [run for run, entry in by_id.items() if any(map(_odd, entry.record.launches))]
    wanted = [run for run in dict.fromkeys([*answered, *odd, *by_id]) if run in by_id][:MAX_SERIES]
    parts = ["<h3>Over time</h3>"]
    if not wanted:
        return "".join([*parts, '<p class="note">These runs have no samples in this store.</p>'])
    chosen = " The answers above, then runs with a launch that is flagged or not valid; for another: edgedeploy report RUN."
    rest = chosen if len(section.entries) > len(wanted) else ""
    parts.append(f'<p class="note">Launches stand side by side; the time between them is not drawn.{rest}</p>')
    for run in wanted:
        entry = by_id[run]
        parts.append(f"<h4>{markup(entry.name)} · {markup(entry.place)}</h4>")
        thinned = max(-(-len(launch.elapsed_ms) // MAX_POINTS) for launch in samples[run])
        silent = series.missing(entry)
        bad = [launch for launch in entry.record.launches if not launch.valid]
        parts.append(
            _figure(
                partial(series.draw, entry, samples[run]),
                f"Each point is the median of up to {thinned} samples in a row, the band their least and largest; all are "
                "in the store." if thinned > 1 else "Every sample is drawn.",
                f"The device, {entry.device.name}, did not say: {', '.join(silent)}." if silent else "",
                "".join(f"Launch {launch.index} is not valid: {'; '.join(launch.invalid_because)}. " for launch in bad[:6]),
                "".join(f"{line[:1].upper()}{line[1:]}. " for line in mode_words.said(entry.record)),
                "".join(f"Flag {line}. " for line in words.said(entry.record)),
                f"Run (artifact digest): {traced(entry.record)}.",
            )
        )  # fmt: skip
    return "".join(parts)


def operators(section: Section) -> str:
    """Where the time goes, of the runs that were profiled; nothing where none was."""
    rows = profiles.rows_of(section.entries)
    if not rows:
        return ""
    shown = rows[:MAX_PROFILES]
    cut = f"Of {len(rows)} runs with a profile the first {len(shown)} are drawn; the others are with each run below."
    drawn = _figure(
        partial(profiles.draw, shown),
        "From a launch of its own with the runtime's profiler on: shares mean something, times are longer than without. Hollow "
        "bars ran elsewhere than most of the time is spent.",
        cut if len(rows) > len(shown) else "", _runs(shown),
    )  # fmt: skip
    return f"<h3>Where the time of an inference goes</h3>{drawn}"


def _odd(launch: Launch) -> bool:
    return bool(launch.flags or launch.findings or not launch.valid)
