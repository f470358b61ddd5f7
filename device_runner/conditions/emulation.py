"""Whether the device's programs run on another CPU than theirs: then no time that is taken there means anything."""

from __future__ import annotations

from device_runner.conditions.asking import Answers, Files

#: what the kernel was built for (Linux 6.1 and newer); an emulator of programs answers `uname` for itself, not this
_ARCH = Files("/proc/sys/kernel/arch")
ASKS = (_ARCH,)
_MACHINES = {"arm64": "aarch64"}


def emulated(answers: Answers, abi: str) -> bool | None:
    """Whether programs of that ABI ("android-arm64") are emulated; None where the kernel does not say.

    An emulator of a whole machine brings a kernel of its own and is not seen.
    """
    kernel = answers.text(_ARCH)
    machine = abi.partition("-")[2].removesuffix("-portable")
    return None if not kernel else kernel != _MACHINES.get(machine, machine)
