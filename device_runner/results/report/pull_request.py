"""The report as Markdown for a pull request: the answers, and a table with verdicts."""

from __future__ import annotations

from device_runner.results.recommend import Constraints, Objective
from device_runner.results.report import table
from device_runner.results.report.answers import Answer, answers
from device_runner.results.report.escape import markdown
from device_runner.results.report.gather import Report, Section

#: what GitHub takes in one comment is 65,536 characters; the rest of the rows is counted
_MAX_CHARACTERS = 60_000
#: columns that would make the table wider than a comment
_LEFT_TO_THE_PAGE = {"p", "p90, ms", "cold start, ms", "memory, MiB", "precision"}


def render(report: Report, limits: Constraints, objective: Objective) -> str:
    """The whole text, short enough for a comment."""
    lines = ["## What to deploy", ""]
    if report.baseline is not None:
        label = markdown(report.baseline.artifact.label)
        lines += [f"Against the baseline {markdown(report.baseline.id)}, {label}; margin {100 * report.margin:g} %.", ""]
    for section in report.sections:
        lines += [f"### {markdown(section.subject)}", ""]
        for answer in answers(section, report, limits, objective):
            lines += _answer(answer)
        lines += ["", *_table(section, report), ""]
        lines += _warnings(section)
    lines += [f"Left out: {markdown(reason)}" for reason in report.left_out]
    runs = ", ".join(markdown(name) for name in report.experiments[:6])
    lines += ["", f"Experiments {runs}. Intervals are of 95 %, over launches; launches that are not valid count in no number."]
    return _bounded("\n".join(lines).rstrip() + "\n")


def _answer(answer: Answer) -> list[str]:
    question = markdown(answer.question[:1].upper() + answer.question[1:])
    if answer.entry is None:
        return [f"- {question}: **nothing that was measured.** {markdown(' '.join(answer.sure), 1000)}"]
    facts = "; ".join(f"{markdown(what)} {markdown(text)}" for what, text in answer.facts)
    return [f"- {question}: **{markdown(answer.entry.name)}**. {facts}. {markdown(' '.join(answer.sure), 1000)}"]


def _table(section: Section, report: Report) -> list[str]:
    there = table.headings(report)
    shown = [number for number, (heading, _) in enumerate(there) if heading not in _LEFT_TO_THE_PAGE]
    columns = [*(there[number] for number in shown), ("run", False), ("artifact", False)]
    lines = [
        f"| {' | '.join(markdown(name) for name, _ in columns)} |",
        f"|{'|'.join('---:' if numeric else '---' for _, numeric in columns)}|",
    ]
    for entry in section.entries:
        cells = table.cells(entry, report)
        found = [markdown(cells[number].text) for number in shown]
        lines.append(f"| {' | '.join([*found, markdown(entry.record.id), markdown(entry.record.artifact.digest[:12])])} |")
    return lines


def _warnings(section: Section) -> list[str]:
    found = []
    for entry in section.entries:
        found += [f"- {markdown(entry.name)}: {markdown(warning)}" for warning in entry.row.warnings]
        if entry.against is not None and entry.against.refused:
            found.append(f"- {markdown(entry.name)}, {entry.against.verdict}: {markdown(entry.against.refused)}")
    return [f"<details><summary>{len(found)} notes</summary>", "", *found, "", "</details>", ""] if found else []


def _bounded(text: str) -> str:
    if len(text) <= _MAX_CHARACTERS:
        return text
    # whole lines, so that no escape is cut in two
    kept = text[:_MAX_CHARACTERS].rpartition("\n")[0]
    rest = text[len(kept) :].count("\n")
    closing = "\n</details>\n" if kept.count("<details>") > kept.count("</details>") else ""
    return f"{kept}\n{closing}\n{rest} more lines do not fit in a comment; the HTML report has all.\n"
