"""What a device is doing: one small file per thing that is read. A thing that cannot be read is None, never a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_runner.conditions.system import System
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport
    from edgedeploy.record import Context


def snapshot(transport: Transport, deadline: Deadline, system: System | None = None) -> Context:
    """Everything that is read, at once. `system`: as found before. Raises TransientError when the device does not answer."""
    from device_runner.conditions import battery, cpufreq, heat, load, memory, screen, time_in_state
    from device_runner.conditions.system import detect
    from device_runner.instant import now
    from edgedeploy.record import Context

    system = system or detect(transport, deadline)
    governors, frequencies = cpufreq.clocks(transport, deadline)
    charge = battery.read(transport, system, deadline)
    warmth = heat.read(transport, system, deadline)
    temperatures = dict(warmth.temperatures_c)
    if charge.temperature_c is not None:
        temperatures.setdefault("battery", charge.temperature_c)
    return Context(
        taken=now(),
        load_1m=load.load_1m(transport, deadline),
        memory_available_kb=memory.meminfo_kb(transport, "MemAvailable", deadline),
        governors=governors,
        frequencies_khz=frequencies,
        temperatures_c=temperatures or None,
        time_in_state_ms=time_in_state.time_in_state_ms(transport, deadline),
        throttling=warmth.throttling,
        battery_percent=charge.percent,
        charging=charge.charging,
        screen_on=screen.screen_on(transport, deadline) if system.android else None,
    )
