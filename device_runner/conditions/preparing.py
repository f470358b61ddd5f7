"""A device set for a run, and put back as it was found: on the end, an error, Ctrl-C, and after a crash of this host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from device_runner.conditions import journal
from device_runner.conditions.journal import Change, Changes
from device_runner.conditions.knobs import FixedPerformance, Governor, Knob, StayAwake, from_key, plain
from device_runner.deadline import Deadline
from device_runner.retry import with_backoff
from edgedeploy.errors import EdgedeployError, UserError
from edgedeploy.interrupt import held

if TYPE_CHECKING:
    from device_runner.conditions.system import System
    from device_runner.inventory.device import Device
    from device_runner.transports.base import Transport
    from edgedeploy.preparation import Preparation

#: for one change
_CALL_SEC = 30.0


@contextmanager
def prepared(
    transport: Transport, device: Device, wanted: Preparation, system: System, say: Callable[[str], None]
) -> Iterator[None]:
    """Inside, the device is as `wanted`; after it, as it was found. What a run before left changed is put back first.

    Raises UserError, with everything put back, when the device does not take a change or does not keep it. What cannot be
    put back at the end, since the device is gone, stays in the journal, and `say` is told how to do it.
    """
    knobs = _knobs(transport, wanted, system)
    if _is_other(journal.read(device), knobs):
        left = restore(transport, device)
        say(f"put back what a run before had left changed on {device.name}: {', '.join(left)}")
    try:
        for knob, value in knobs:
            _set(transport, device, knob, value)
        yield
    finally:
        if journal.path_of(device).exists():
            with held():
                _put_back(transport, device, say)


def restore(transport: Transport, device: Device) -> list[str]:
    """Put back everything the journal has; returns what that was, in words. The last change is undone first.

    Raises TransientError when the device does not answer, and UserError when it refuses one, with the others put back; what is
    not put back stays in the journal.
    """
    found = journal.read(device)
    remaining = [(from_key(change.key), change) for change in found.changes] if found else []
    done: list[str] = []
    refused: list[UserError] = []
    for entry in reversed(remaining[:]):
        knob, change = entry
        try:
            with_backoff(lambda k=knob, c=change: _undo(transport, k, c))  # type: ignore[misc]
        except UserError as error:
            refused.append(error)
            continue
        remaining.remove(entry)
        journal.write(device, tuple(change for _, change in remaining))
        done.append(f"{change.key} to {change.found}")
    if refused:
        raise refused[0]
    return done


def _undo(transport: Transport, knob: Knob, change: Change) -> None:
    # one that was never made, or was undone by a restart of the device, needs no right to write
    if not knob.readable or knob.read(transport, Deadline.after(_CALL_SEC)) != change.found:
        _write(transport, knob, change.found)


def _is_other(left: Changes | None, knobs: list[tuple[Knob, str]]) -> bool:
    """Whether something is left changed that is not wanted now. What is stays: a launch may still run under it."""
    wanted = {(knob.key, value) for knob, value in knobs}
    return left is not None and any((change.key, change.wanted) not in wanted for change in left.changes)


def _knobs(transport: Transport, wanted: Preparation, system: System) -> list[tuple[Knob, str]]:
    """What to set, to which value. Raises UserError for what the device does not have."""
    knobs: list[tuple[Knob, str]] = []
    if wanted.governor is not None:
        governors = with_backoff(lambda: Governor.all(transport, Deadline.after(_CALL_SEC)))
        if not governors:
            raise UserError("--governor: this device shows no cpufreq governor (a virtual machine has none); leave it out")
        knobs += [(knob, wanted.governor) for knob in governors]
    if (wanted.stay_awake or wanted.fixed_performance) and not system.android:
        raise UserError("--stay-awake and --fixed-performance are for Android; this device has neither, leave them out")
    if wanted.stay_awake:
        knobs.append((StayAwake(), StayAwake.WANTED))
    if wanted.fixed_performance:
        knobs.append((FixedPerformance(), FixedPerformance.ON))
    return knobs


def _set(transport: Transport, device: Device, knob: Knob, value: str) -> None:
    found = with_backoff(lambda: knob.read(transport, Deadline.after(_CALL_SEC)))
    if found is None or not plain(found):
        raise UserError(f"{knob.key}: the device does not say what it is now, so it could not be put back; leave it alone")
    if found == value:
        return
    before = journal.read(device)
    changes = before.changes if before else ()
    if knob.key not in {change.key for change in changes}:
        # on the disk first: a crash between the two leaves a device that is as the journal says, or still as it was
        journal.write(device, (*changes, Change(key=knob.key, found=found, wanted=value)))
    with_backoff(lambda: _write(transport, knob, value))


def _write(transport: Transport, knob: Knob, value: str) -> None:
    deadline = Deadline.after(_CALL_SEC)
    knob.write(transport, value, deadline)
    now = knob.read(transport, deadline) if knob.readable else value
    if now != value:
        raise UserError(f"{knob.key}: was set to {value}, and the device has {str(now)[:64]!r}")


def _put_back(transport: Transport, device: Device, say: Callable[[str], None]) -> None:
    try:
        restore(transport, device)
    except EdgedeployError as error:
        # not raised: it would hide why the run ended, and what was measured is good
        say(f"{device.name} is not put back as it was found ({error}); do it with: edgedeploy devices restore {device.name}")
