"""Full load for ten minutes: the curve, when the device begins to throttle, and minute 10 against minute 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_runner.plans.mode import Mode
from edgedeploy.record import Sustained, Window

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: one launch without a warm-up: what a cold device does first is part of the curve
MODE = Mode(
    "sustained", "10 minutes at full load: the curve, when it throttles, minute 10 against minute 1",
    {"launches": 1, "warmup_count": 0, "warmup_ms": 0.0, "min_count": 100, "min_ms": 600_000.0},
    most_samples=2**23,
    lasts=True,
    leaves_out=False,
    look_sec=30.0,
)  # fmt: skip

#: what is compared at both ends, of a load of ten minutes or more; a tenth of a shorter one
_MINUTE_SEC = 60.0
_WINDOWS_PER_END = 6
#: this much slower than at first, to the end: throttled
THROTTLED = 1.10


def curve(launch: int, steady: npt.NDArray[np.int64]) -> Sustained | None:
    """What became of the speed in a launch's timed phase, [n, 2] of start and duration in ns. None from too few samples."""
    import numpy as np

    if len(steady) < 2 * _WINDOWS_PER_END:
        return None
    start_sec = (steady[:, 0] - steady[0, 0]) / 1e9
    whole_sec = float(start_sec[-1] + steady[-1, 1] / 1e9)
    end_sec = min(_MINUTE_SEC, whole_sec / 10)
    window_sec = end_sec / _WINDOWS_PER_END
    place = np.minimum((start_sec / window_sec).astype(np.int64), int(whole_sec / window_sec + 1e-9) - 1)
    windows = []
    for number in np.unique(place):
        of = steady[place == number, 1] / 1e6
        p90 = float(np.quantile(of, 0.9)) if len(of) >= 20 else None
        windows.append(Window(start_sec=float(number * window_sec), count=len(of), median_ms=float(np.median(of)), p90_ms=p90))
    first_ms = float(np.median(steady[start_sec < end_sec, 1])) / 1e6
    last = start_sec >= whole_sec - end_sec
    last_ms = float(np.median(steady[last, 1])) / 1e6 if last.any() else float(steady[-1, 1]) / 1e6
    return Sustained(
        launch=launch, window_sec=window_sec, curve=tuple(windows), compared_sec=end_sec, first_ms=first_ms,
        last_ms=last_ms, ratio=last_ms / first_ms, throttled_after_sec=_throttled_after(windows, first_ms),
    )  # fmt: skip


def _throttled_after(windows: list[Window], first_ms: float) -> float | None:
    """When the windows that are all slow to the end begin; three at least, so that one busy moment is none."""
    slow = 0
    for window in reversed(windows):
        if window.median_ms <= THROTTLED * first_ms:
            break
        slow += 1
    return windows[-slow].start_sec if slow >= 3 else None


def in_words(found: Sustained) -> str:
    """A sentence of it."""
    change = 100 * (found.ratio - 1)
    throttled = (
        f"slower by over {100 * (THROTTLED - 1):.0f} % from {found.throttled_after_sec:.0f} s on"
        if found.throttled_after_sec is not None
        else "not throttled"
    )
    return (
        f"under load: the first {found.compared_sec:g} s took {found.first_ms:.4g} ms, the last {found.last_ms:.4g} ms "
        f"({change:+.1f} %); {throttled}"
    )
