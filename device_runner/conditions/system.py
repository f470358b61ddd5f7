"""What a device can be asked with, found out once a session: what nothing there answers need not be asked again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_runner.conditions import android_battery, thermalservice
from device_runner.conditions.asking import Answers, Program, ask

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport

_SDK, _FIRMWARE = Program(("getprop", "ro.build.version.sdk")), Program(("vcgencmd", "version"))
ASKS = (_SDK, _FIRMWARE, *thermalservice.ASKS, *android_battery.ASKS)


@dataclass(frozen=True)
class System:
    """`android`: dumpsys, settings and cmd are there. `vcgencmd`: the firmware of a Raspberry Pi can be asked.

    `zones`, `supplies`: temperatures and battery are looked for in /sys; not on a phone whose services say them.
    """

    android: bool = False
    vcgencmd: bool = False
    zones: bool = True
    supplies: bool = True


def found(answers: Answers) -> System:
    """From the answers to `ASKS`."""
    release = answers.said(_SDK)
    if release.exit_code == 0 and release.text.strip().isdigit():
        sensors, _ = thermalservice.read(answers)
        charge, *_ = android_battery.read(answers)
        return System(android=True, zones=sensors is None, supplies=charge is None)
    return System(vcgencmd=answers.said(_FIRMWARE).exit_code == 0)


def detect(transport: Transport, deadline: Deadline) -> System:
    """Raises TransientError when the device does not answer."""
    return found(ask(transport, ASKS, deadline))
