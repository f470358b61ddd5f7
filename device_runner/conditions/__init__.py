"""What a device is doing: one small file per thing that is read. A thing that cannot be read is None, never a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport
    from edgedeploy.record import Context


def snapshot(transport: Transport, deadline: Deadline) -> Context:
    """Everything that is read, at once. Raises TransientError when the device does not answer."""
    from device_runner.conditions import cpufreq, load, memory, power, thermal
    from device_runner.instant import now
    from edgedeploy.record import Context

    governors, frequencies = cpufreq.clocks(transport, deadline)
    percent, charging = power.battery(transport, deadline)
    return Context(
        taken=now(),
        load_1m=load.load_1m(transport, deadline),
        memory_available_kb=memory.meminfo_kb(transport, "MemAvailable", deadline),
        governors=governors,
        frequencies_khz=frequencies,
        temperatures_c=thermal.temperatures_c(transport, deadline),
        battery_percent=percent,
        charging=charging,
    )
