"""Findings for people: a line each, with the page that says what to do."""

from __future__ import annotations

from device_runner.validity import busy, page
from edgedeploy.record import Finding, Launch, RunRecord

_LONGEST = 1000


def said(record: RunRecord) -> list[str]:
    """A line for each flag of a run and its launches; of launches, how many have it and what the first of them says."""
    lines = [_line(finding.flag, finding.text) for finding in record.findings or ()]
    valid = [launch for launch in record.launches if launch.valid]
    found: dict[str, list[tuple[Launch, Finding]]] = {}
    for launch in valid:
        for finding in launch.findings or ():
            found.setdefault(finding.flag, []).append((launch, finding))
    for flag, of in found.items():
        first, finding = of[0]
        left_out = "; left out of its median" if flag == "warm-up" and first.unsettled_count else ""
        load = busy.load([launch for launch, _ in of]) if flag == "busy" else ""
        text = f"{len(of)} of {len(valid)} launches; launch {first.index}: {finding.text}{left_out}"
        lines.append(_line(flag, f"{text}; {load}" if load else text))
    return lines


def named(launch: Launch) -> str:
    """The flags of a launch, by name."""
    return ", ".join(dict.fromkeys(finding.flag for finding in launch.findings or ()))


def all_named(record: RunRecord) -> str:
    """The flags of a run and its valid launches, by name; what nobody has looked at has none."""
    launches = [launch for launch in record.launches if launch.valid]
    findings = [*(record.findings or ()), *(finding for launch in launches for finding in launch.findings or ())]
    return ", ".join(dict.fromkeys(finding.flag for finding in findings))


def _line(flag: str, text: str) -> str:
    return f"{flag}: {text[:_LONGEST]} ({page(flag)})"
