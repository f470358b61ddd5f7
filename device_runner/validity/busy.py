"""A device that was not ours alone: how often the launch was put aside for something else, as its system counted.

The load average is not what is judged: Android's counts threads that wait for hardware, and is 5 on an idle phone.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgedeploy.record import Finding, Launch

#: what loading the model and the system's own threads come to
_ANYWAY = 30
#: and a second of work; quiet launches here had under 15 a second, those beside a busy neighbour over 100
_PER_SECOND = 50.0


def found(switches: int | None, seconds: float) -> Finding | None:
    """The finding of a launch that was put aside `switches` times while it worked for so many seconds."""
    if switches is None or seconds <= 0 or switches <= _ANYWAY + _PER_SECOND * seconds:
        return None
    text = f"put aside {switches} times in {seconds:.{0 if seconds >= 10 else 2}f} s for something else that ran"
    return Finding(flag="busy", text=text, numbers={"switches": float(switches), "worked_sec": seconds})


def load(launches: Sequence[Launch]) -> str:
    """What the load averages of flagged launches were, for people; "" where the device did not say."""
    seen = [
        launch.before.load_1m
        for launch in launches
        if launch.before is not None and launch.before.load_1m is not None
    ]  # fmt: skip
    if not seen:
        return ""
    return f"load average {min(seen):.1f}" + (f" to {max(seen):.1f}" if max(seen) > min(seen) else "")
