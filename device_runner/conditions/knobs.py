"""What can be set on a device: one small class per thing, each read before it is written and read again after.

A knob's `key` is what a journal keeps of it, so that `from_key` makes the same knob when the device is put back later.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from device_runner.conditions import files
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Completed, Transport

_CPUS = "/sys/devices/system/cpu"
_VALUE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Knob(Protocol):
    """`read` is None where the thing is not there, or nobody can say. `write` raises UserError when the device refuses."""

    key: str
    #: False for what can be set but not read
    readable: bool

    def read(self, transport: Transport, deadline: Deadline) -> str | None: ...

    def write(self, transport: Transport, value: str, deadline: Deadline) -> None: ...


class Governor:
    """The cpufreq governor of a CPU."""

    readable = True

    def __init__(self, cpu: str) -> None:
        self.key = f"governor:{cpu}"
        self._path = f"{_CPUS}/{cpu}/cpufreq/scaling_governor"

    def read(self, transport: Transport, deadline: Deadline) -> str | None:
        return files.read(transport, [self._path], deadline).get(self._path)

    def write(self, transport: Transport, value: str, deadline: Deadline) -> None:
        # the script is constant; path and value are its arguments
        wrote = transport.run(["sh", "-c", 'printf "%s\\n" "$2" > "$1"', "sh", self._path, value], deadline)
        _check(wrote, f"the governor of {self.key.partition(':')[2]} could not be set to {value}; it needs root there")

    @staticmethod
    def all(transport: Transport, deadline: Deadline) -> list[Governor]:
        """Of every CPU that has one."""
        names = [name for name in files.entries(transport, _CPUS, deadline) if re.fullmatch(r"cpu\d{1,4}", name)]
        there = files.read(transport, [f"{_CPUS}/{name}/cpufreq/scaling_governor" for name in names], deadline)
        return [Governor(name) for name in names if f"{_CPUS}/{name}/cpufreq/scaling_governor" in there]


class StayAwake:
    """Android: on which chargers the screen stays on (1 mains, 2 USB, 4 wireless, 8 dock, added up). "null" is not set."""

    key = "stay-awake"
    readable = True
    WANTED = "15"
    _SETTING = ("global", "stay_on_while_plugged_in")

    def read(self, transport: Transport, deadline: Deadline) -> str | None:
        found = transport.run(["settings", "get", *self._SETTING], deadline)
        value = found.text.strip()
        return value if found.exit_code == 0 and _VALUE.fullmatch(value) else None

    def write(self, transport: Transport, value: str, deadline: Deadline) -> None:
        change = ["delete", *self._SETTING] if value == "null" else ["put", *self._SETTING, value]
        _check(transport.run(["settings", *change], deadline), "the screen cannot be kept on (settings put)")


class FixedPerformance:
    """Android: clocks that can be held for long. The phone says whether it took it, and never what is set: off is normal."""

    key = "fixed-performance"
    readable = False
    ON, OFF = "true", "false"

    def read(self, transport: Transport, deadline: Deadline) -> str | None:
        return self.OFF

    def write(self, transport: Transport, value: str, deadline: Deadline) -> None:
        said = transport.run(["cmd", "power", "set-fixed-performance-mode-enabled", value], deadline)
        _check(said, "this phone has no fixed-performance mode", failed="Failed" in said.text + said.error_text)


def from_key(key: str) -> Knob:
    """The knob of a journal's entry. Raises UserError for one that is none of ours."""
    if re.fullmatch(r"governor:cpu\d{1,4}", key):
        return Governor(key.partition(":")[2])
    for knob in (StayAwake(), FixedPerformance()):
        if knob.key == key:
            return knob
    raise UserError(f"{key[:100]!r} is nothing that edgedeploy changes")


def plain(value: str) -> bool:
    """Whether a value can be one of a knob's."""
    return _VALUE.fullmatch(value) is not None


def _check(said: Completed, refusal: str, *, failed: bool = False) -> None:
    if said.exit_code or failed:
        detail = said.error_text or said.text.strip()[-200:] or f"exit code {said.exit_code}"
        raise UserError(f"{refusal} ({detail})")
