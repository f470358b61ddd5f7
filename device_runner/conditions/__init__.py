"""What a device is doing: one small file per thing that is read. A thing that cannot be read is None, never a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_runner.conditions.system import System
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport
    from edgedeploy.record import Context


def snapshot(transport: Transport, deadline: Deadline, system: System | None = None) -> Context:
    """Everything that is read, in one command. system: as found before. TransientError where the device does not answer."""
    from device_runner.conditions import battery, cpufreq, heat, load, memory, screen, time_in_state
    from device_runner.conditions.asking import ask
    from device_runner.conditions.system import detect
    from device_runner.instant import now
    from edgedeploy.record import Context

    system = system or detect(transport, deadline)
    always = (*load.ASKS, *memory.ASKS, *cpufreq.ASKS, *time_in_state.ASKS)
    on_android = screen.ASKS if system.android else ()
    answers = ask(transport, (*always, *battery.asks(system), *heat.asks(system), *on_android), deadline)
    governors, frequencies = cpufreq.clocks(answers)
    charge, warmth = battery.read(answers, system), heat.read(answers, system)
    temperatures = dict(warmth.temperatures_c)
    if charge.temperature_c is not None:
        temperatures.setdefault("battery", charge.temperature_c)
    return Context(
        taken=now(),
        load_1m=load.load_1m(answers),
        memory_available_kb=memory.meminfo_kb(answers, "MemAvailable"),
        governors=governors,
        frequencies_khz=frequencies,
        temperatures_c=temperatures or None,
        time_in_state_ms=time_in_state.time_in_state_ms(answers),
        throttling=warmth.throttling,
        battery_percent=charge.percent,
        charging=charge.charging,
        screen_on=screen.screen_on(answers) if system.android else None,
    )
