"""Where the time of an inference goes, and what ran it: in a sentence for each run, and as a table for one."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

from edgedeploy.record import MemoryUse, OperatorGroup, Profile, RunRecord
from edgedeploy.terminal import table

#: kinds that a sentence names of what did not run where most did
_NAMED = 3
_HEADINGS = ("operators", "ran on", "stage", "how many", "ms", "share")


def places(profile: Profile) -> list[tuple[str, float]]:
    """(what ran operators, its share of the time), the largest first."""
    shares: dict[str, float] = {}
    for group in profile.groups:
        shares[group.where] = shares.get(group.where, 0.0) + group.share
    return sorted(shares.items(), key=lambda place: -place[1])


def elsewhere(profile: Profile) -> list[OperatorGroup]:
    """The kinds that ran on something else than what ran most of the time."""
    most = places(profile)[0][0] if profile.groups else ""
    return [group for group in profile.groups if group.where != most]


def in_float(profile: Profile) -> list[OperatorGroup]:
    """The kinds whose name says that they compute in floating point: XNNPACK's, and ONNX Runtime's by their first input."""
    return [group for group in profile.groups if re.search(r"\bF(?:32|16)\b|\((?:float|float16)\)", group.kind)]


def sentences(record: RunRecord) -> list[str]:
    """What the passes of a run found, each a line under the table of runs."""
    lines = []
    if record.profile is not None:
        lines.append(_profile(record.profile))
        floats = in_float(record.profile) if record.artifact.precision.startswith("int8") else []
        if floats:
            # in int8 that is what a conversion left behind, or could not take
            share = sum(group.share for group in floats)
            lines.append(f"profile: {_percent(share)} of the time in float ({_named(floats)})")
    if record.memory is not None:
        lines.append(_memory(record.memory))
    return lines


def _profile(profile: Profile) -> str:
    if not profile.groups:
        return f"profile: not available: {profile.unavailable}"
    shares = ", ".join(f"{_percent(share)} on {where}" for where, share in places(profile))
    others = elsewhere(profile)
    if not others:
        return f"profile: all {sum(group.operators for group in profile.groups)} operators on {places(profile)[0][0]}"
    return f"profile: {shares} ({_named(others)})"


def _named(groups: Sequence[OperatorGroup]) -> str:
    named = ", ".join(f"{group.operators} {group.kind}" for group in groups[:_NAMED])
    more = len(groups) - _NAMED
    return named + (f" and {more} more kind{'s' if more > 1 else ''}" if more > 0 else "")


def _memory(memory: MemoryUse) -> str:
    if memory.peak_kb is None:
        return f"memory: not available: {memory.unavailable or 'the device did not say'}"
    before = f", {memory.library_kb / 1024:.1f} of them before the model was loaded" if memory.library_kb is not None else ""
    return f"memory: {memory.peak_kb / 1024:.1f} MiB at its peak{before}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 or share == 0 else "under 0.1 %"


def rows(groups: Sequence[OperatorGroup]) -> list[tuple[str, str, str, str, str, str]]:
    """A row for each group, by the headings."""
    return [
        (group.kind, group.where, str(group.stage), str(group.operators), f"{group.time_ms:.4g}", _percent(group.share))
        for group in groups
    ]  # fmt: skip


def headings() -> Sequence[str]:
    return _HEADINGS


def show(record: RunRecord) -> None:
    """Print the table of one run on stdout; nothing where no profile was taken."""
    profile = record.profile
    if profile is None or not profile.groups:
        return
    inference = f", an inference took {profile.inference_ms:.4g} ms with the profiler on" if profile.inference_ms else ""
    click.echo(f"\nprofile: medians over {profile.inferences} inferences{inference}")
    table(_HEADINGS, rows(profile.groups), right=(2, 3, 4, 5))
