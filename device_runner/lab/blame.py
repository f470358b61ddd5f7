"""Whose trouble a failure was, a device's own or an artifact's own, by how the other combinations of the two went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["device", "artifact", "combination", "unclear"]
#: failures in a row, of the device's own making, after which it gets no more work
MOST_IN_A_ROW = 3
#: artifacts that fail one after the other on a device, none of them tried anywhere else, after which it is not they
_ALL_BUT = 2


@dataclass(frozen=True)
class Tried:
    """One artifact on one device. attempt: the same for all artifacts of one try of a job. trouble: as in queue.Trouble."""

    attempt: str
    device: str
    artifact: str
    ok: bool
    trouble: str = ""
    text: str = ""


def verdict(failure: Tried, tries: Sequence[Tried]) -> Verdict:
    """Who is to blame for `failure`, by everything that is known now; another answer may come with more tries.

    tries: of this device, and of the artifacts that were tried on it anywhere, the oldest first.
    """
    if failure.trouble == "device":
        return "device"
    works_elsewhere = fails_elsewhere = False
    for other in tries:
        if other.artifact == failure.artifact and other.device != failure.device and other.trouble != "device":
            works_elsewhere, fails_elsewhere = works_elsewhere or other.ok, fails_elsewhere or not other.ok
    here = _of_others_here(failure, tries)
    device_works = here[-1].ok if here else None
    if works_elsewhere:
        return "combination" if device_works else "device"
    if fails_elsewhere:
        return "unclear" if device_works is False else "artifact"
    failing = {other.artifact for other in _since_it_worked(here)}
    return "device" if device_works is False and len(failing) >= _ALL_BUT else "unclear"


def _of_others_here(failure: Tried, tries: Sequence[Tried]) -> list[Tried]:
    """Other artifacts on the device, without those that fail wherever they are tried."""
    elsewhere: dict[str, bool] = {}
    for other in tries:
        if other.device != failure.device and other.trouble != "device":
            elsewhere[other.artifact] = elsewhere.get(other.artifact, False) or other.ok
    return [
        other
        for other in tries
        if other.device == failure.device and other.artifact not in ("", failure.artifact)
        and (other.ok or elsewhere.get(other.artifact, True))
    ]  # fmt: skip


def _since_it_worked(tries: Sequence[Tried]) -> list[Tried]:
    last = max((at for at, each in enumerate(tries) if each.ok), default=-1)
    return list(tries[last + 1 :])


def in_a_row(device: Iterable[Tried], judge: Callable[[Tried], Verdict]) -> tuple[int, str]:
    """(tries of a device that failed by its own making since the last that went well, what the last of them said).

    device: its tries, the latest first. What an artifact is to blame for neither counts nor breaks the row.
    """
    failed: dict[str, str] = {}
    for each in device:
        if each.ok:
            break
        if judge(each) == "device":
            failed.setdefault(each.attempt, each.text)
    return len(failed), next(iter(failed.values()), "")
