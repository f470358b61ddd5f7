"""Whether the device's programs run on another CPU than theirs: then no time that is taken there means anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_runner.conditions import files

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport

#: what the kernel was built for (Linux 6.1 and newer); an emulator of programs answers `uname` for itself, not this
_ARCH = "/proc/sys/kernel/arch"
_MACHINES = {"arm64": "aarch64"}


def emulated(transport: Transport, abi: str, deadline: Deadline) -> bool | None:
    """Whether programs of that ABI ("android-arm64") are emulated; None where the kernel does not say.

    An emulator of a whole machine brings a kernel of its own and is not seen.
    """
    kernel = files.read(transport, [_ARCH], deadline).get(_ARCH)
    machine = abi.partition("-")[2].removesuffix("-portable")
    return None if kernel is None else kernel != _MACHINES.get(machine, machine)
