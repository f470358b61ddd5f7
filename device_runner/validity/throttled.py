"""Throttling: what the device says of it, and clocks that were lower in one launch, or later in one, than they could be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from device_runner.conditions.heat import throttled_meanwhile
from edgedeploy.record import Context, Finding, Launch

#: a clock this much below the best one seen
MAX_DROP = 0.15


def in_launch(
    before: Context | None, after: Context | None, during: Sequence[Context] = (), told: Sequence[str] = ()
) -> Finding | None:  # fmt: skip
    """The finding for what the device said meanwhile, or for a clock that came down under load and stayed down.

    told: what it said by other ways, in words.
    """
    words = (*throttled_meanwhile(before.throttling if before else None, after.throttling if after else None), *told)
    if words:
        return Finding(flag="throttled", text=f"the device throttled: {', '.join(words)}")
    # while it works alone: between launches a clock rests low
    clocks = [max(context.frequencies_khz.values()) for context in during if context.frequencies_khz]
    if len(clocks) < 3:
        return None
    best, last = float(max(clocks)), float(max(clocks[-max(2, len(clocks) // 10) :]))
    if last >= (1 - MAX_DROP) * best:
        return None
    text = f"the fastest core came down from {best / 1e6:.2f} to {last / 1e6:.2f} GHz under load"
    return Finding(flag="throttled", text=text, numbers={"best_khz": best, "last_khz": last})


def among_launches(launches: Sequence[Launch]) -> Finding | None:
    """The finding for a run one of whose launches had the clocks down."""
    clocks = {launch.index: clock for launch in launches if (clock := mean_clock_khz(launch.before, launch.after))}
    if not clocks:
        return None
    best = max(clocks.values())
    slow = [index for index, clock in clocks.items() if clock < (1 - MAX_DROP) * best]
    if not slow:
        return None
    lowest = 100 * (1 - min(clocks.values()) / best)
    text = f"the clocks were down by up to {lowest:.0f} % in {len(slow)} of {len(clocks)} launches"
    return Finding(
        flag="throttled", text=text,
        numbers={"drop_percent": lowest, "launches": float(len(slow)), "best_khz": best},
    )  # fmt: skip


def mean_clock_khz(before: Context | None, after: Context | None) -> float | None:
    """The mean clock between two looks, of the cores that were fastest, from the time spent at each; None where not said."""
    if before is None or after is None or not before.time_in_state_ms or not after.time_in_state_ms:
        return None
    means = [
        mean
        for policy, later in after.time_in_state_ms.items()
        if (mean := _mean(before.time_in_state_ms.get(policy, {}), later)) is not None
    ]
    return max(means, default=None)


def _mean(earlier: Mapping[str, int], later: Mapping[str, int]) -> float | None:
    spent = {int(clock): ms - earlier.get(clock, 0) for clock, ms in later.items() if clock.isdigit()}
    total = sum(spent.values())
    # less than before: the device was started again in between
    return sum(clock * ms for clock, ms in spent.items()) / total if total > 0 and min(spent.values()) >= 0 else None
