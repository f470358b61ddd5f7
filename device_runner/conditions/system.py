"""What a device can be asked with, found out once a session: each question that nothing there answers costs a round trip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport


@dataclass(frozen=True)
class System:
    """`android`: dumpsys, settings and cmd are there. `vcgencmd`: the firmware of a Raspberry Pi can be asked."""

    android: bool = False
    vcgencmd: bool = False


def detect(transport: Transport, deadline: Deadline) -> System:
    """Raises TransientError when the device does not answer."""
    release = transport.run(["getprop", "ro.build.version.sdk"], deadline)
    if release.exit_code == 0 and release.text.strip().isdigit():
        return System(android=True)
    return System(vcgencmd=transport.run(["vcgencmd", "version"], deadline).exit_code == 0)
