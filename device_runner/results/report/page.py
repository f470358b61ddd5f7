"""The report as one HTML file: nothing in it is fetched, and what could be executed is named by its digest.

The Content-Security-Policy lets in our style sheet and our script by their hashes and nothing else, so that even a string
that got past escape.py would do nothing: an inline handler, a style attribute, a second script or a request is refused by the
browser.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from device_runner.results.recommend import Constraints, Objective
from device_runner.results.report import appendix, figures, svg, table
from device_runner.results.report.answers import Answer, answers
from device_runner.results.report.escape import markup, plain, script_json
from device_runner.results.report.gather import Entry, Report, Section
from device_runner.results.report.limits import MAX_BYTES
from device_runner.results.report.samples import LaunchSamples
from device_runner.results.report.scatter import describe
from device_runner.results.statistics import MIN_LAUNCHES
from device_runner.results.store import Store
from edgedeploy import __version__
from edgedeploy.errors import UserError

_HERE = Path(__file__).parent


def render(report: Report, store: Store, limits: Constraints, objective: Objective) -> str:
    """The whole file. Raises UserError where it would be too large to be of use."""
    style, script = ((_HERE / name).read_text("utf-8") for name in ("style.css", "script.js"))
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'; object-src 'none'"
    )
    asked = [answers(section, report, limits, objective) for section in report.sections]
    body = [_top(report, [found[0] for found in asked])]
    for number, (section, found) in enumerate(zip(report.sections, asked, strict=True)):
        body.append(_section(section, found, report, store, number))
    body.append(_appendix(report))
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{markup(_title(report))}</title><style>{style}</style></head>\n<body>{_skippable(''.join(body))}"
        f'<div id="detail" role="status" hidden></div>\n<script type="application/json" id="data">{script_json(_data(report))}'
        f"</script>\n<script>{script}</script></body></html>\n"
    )
    if len(page.encode()) > MAX_BYTES:
        raise UserError(f"the report would be over {MAX_BYTES // 2**20} MiB; name fewer runs, or one subject with --subject")
    return page


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _title(report: Report) -> str:
    return f"What to deploy: {', '.join(section.subject for section in report.sections[:4])}"


def _data(report: Report) -> dict[str, Any]:
    """What the figures show, for the page's script and for whoever wants the numbers."""
    runs = {}
    for entry in report.entries:
        record, artifact = entry.record, entry.record.artifact
        runs[entry.key] = {
            "id": record.id, "digest": artifact.digest, "text": describe(entry), "subject": artifact.subject,
            "operator": artifact.operator, "runtime": entry.runtime, "place": entry.place, "valid": record.valid,
            "median_ms": record.median_ms.model_dump(mode="json", exclude={"method"}) if record.median_ms else None,
            "accuracy": artifact.accuracy.model_dump(mode="json") if artifact.accuracy else None,
            "speedup": entry.speedup.model_dump(mode="json", exclude={"method"}) if entry.speedup else None,
            "launches": [
                {"index": launch.index, "valid": launch.valid, "median_ns": launch.steady_median_ns}
                for launch in record.launches
            ],
        }  # fmt: skip
    # `describe` cuts nothing, and a name in it may be long: the text is cut as every other
    found: dict[str, Any] = plain({"runs": runs})
    return found


def _skippable(body: str) -> str:
    """With a link past each figure, whose marks are as many stops of the keyboard. Only our own markup has a < in it."""
    parts = body.split("<figure>")
    for number, part in enumerate(parts[1:], 1):
        anchor = f'</figure><span id="past{number}"></span>'
        parts[number] = part.replace("</figure>", anchor, 1)
        parts[number - 1] += f'<a class="skip" href="#past{number}">Skip this figure</a>'
    return "<figure>".join(parts)


def _top(report: Report, first: Sequence[Answer]) -> str:
    experiments = report.experiments
    entries = report.entries
    bad = sum(not entry.record.valid for entry in entries)
    launches = sum(len(entry.record.launches) for entry in entries)
    words = [
        f"{_count(len(entries), 'run')} of {_count(launches, 'launch', 'launches')}, {_count(len(experiments), 'experiment')}",
        f"{bad} of the runs not valid" if bad else "every run valid",
        f"taken {_days(entries)}",
    ]
    against = (
        ""
        if report.baseline is None
        else f"<p>Compared with the baseline {markup(report.baseline.id)}, {markup(report.baseline.artifact.label)}.</p>"
    )
    links = "".join(
        f'<li><a href="#subject{at}">{markup(section.subject)}</a>{_headline(answer)}</li>'
        for at, (section, answer) in enumerate(zip(report.sections, first, strict=True))
    )
    question = f'<p class="soft">{markup(_sentence(first[0].question))}:</p>'
    left_out = "".join(f'<p class="bad">Left out: {markup(reason)}</p>' for reason in report.left_out)
    return (
        f'<header><a class="skip" href="#main">Skip to the answers</a><div class="bar-top"><h1>What should I deploy?</h1>'
        f'<button type="button" id="scheme" hidden>Dark colours</button></div>'
        f'<p class="soft">{markup("; ".join(words))}. Experiment{"s" if len(experiments) > 1 else ""} '
        f"{markup(', '.join(experiments[:6]))}{' …' if len(experiments) > 6 else ''}.</p>{against}{left_out}"
        f'{question}<nav aria-label="sections"><ul>{links}<li><a href="#appendix">every run</a></li></ul></nav></header>'
        '<main id="main">'
    )


def _days(entries: Sequence[Entry]) -> str:
    first, last = min(e.record.created for e in entries)[:10], max(e.record.finished for e in entries)[:10]
    return first if first == last else f"{first} to {last}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _headline(answer: Answer) -> str:
    """The answer on one line, for who reads no further."""
    if answer.entry is None:
        return ": nothing that was measured"
    facts = dict(answer.facts)
    return f": <strong>{markup(answer.entry.name)}</strong>, {markup(facts['median'])} on {markup(answer.entry.place)}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _answer(answer: Answer) -> str:
    if answer.entry is None:
        choice = "nothing that was measured"
    else:
        choice = f'<a href="#{answer.entry.key}">{markup(answer.entry.name)}</a>'
    facts = "".join(f"<dt>{markup(what)}</dt><dd>{markup(text)}</dd>" for what, text in answer.facts)
    sure = "".join(f'<p class="sure">{markup(text, 1000)}</p>' for text in answer.sure)
    return (
        f'<article class="answer"><p class="question">{markup(_sentence(answer.question))}</p>'
        f'<p class="choice">{choice}</p><dl>{facts}</dl>{sure}</article>'
    )


def _section(section: Section, found: Sequence[Answer], report: Report, store: Store, number: int) -> str:
    samples: Mapping[str, list[LaunchSamples]] = figures.samples_of(section, found, store)
    over = "the baseline" if report.baseline is not None else "identity"
    parts = [
        f'<section id="subject{number}" aria-labelledby="subject{number}-name"><h2 id="subject{number}-name">'
        f"{markup(section.subject)}</h2>",
        f'<div class="answers">{"".join(map(_answer, found))}</div>',
        _legend(section),
        figures.scatters(section, found, report.margin),
        figures.forests(section, over, report.margin),
        f"<h3>All runs</h3>{table.draw(section.entries, report, f'table{number}')}",
        figures.spreads(section, samples),
        figures.operators(section),
        figures.courses(section, found, samples),
        "</section>",
    ]
    return "".join(parts)


def _legend(section: Section) -> str:
    used = sorted({(entry.series, entry.runtime) for entry in section.entries})
    items = [_key(f"s{series}", svg.marker(series, 8, 8, "solid", 6), runtime) for series, runtime in used]
    items.append(_key("s5", svg.marker(0, 8, 8, "hollow", 5), "hollow: float weights; filled: int8"))
    items.append(_key("s5", svg.element("circle", cx=8.0, cy=8.0, r=6.5, class_="chosen"), "the first answer above"))
    return f'<ul class="legend" aria-label="what the marks are">{"".join(items)}</ul>'


def _key(class_: str, mark: str, text: str) -> str:
    drawn = svg.element("svg", None, mark, viewBox="0 0 16 16", aria_hidden="true")
    return f'<li class="{class_}">{drawn}{markup(text)}</li>'


_METHODS = f"""Intervals of times are 95 % t intervals over launches, on logarithms, from {MIN_LAUNCHES} launches on; of ratios
paired by block within an experiment, Welch's t between experiments; of accuracies Wilson's; of points lost paired with
identity. The samples themselves are in the store: edgedeploy results samples RUN. This page fetches nothing and sends
nothing. Made by"""


def _appendix(report: Report) -> str:
    return (
        '<section id="appendix"><h2>Every run</h2><p>Each with the digest of its artifact, its device, its plan and its '
        f"launches. A launch that is not valid is listed and counts in no number above.</p>{appendix.draw(report.entries)}"
        f'<p class="note">{_METHODS} edgedeploy {markup(__version__)}.</p></section></main>'
    )
