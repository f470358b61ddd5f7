"""All looks at a launch, and at a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from device_runner.conditions import app_heat
from device_runner.samples import Ns, Samples
from device_runner.validity import busy, drift, outliers, throttled, two_speeds, warm_up
from device_runner.validity.stretches import Floats
from edgedeploy.record import Finding, Launch

#: what a sample is marked with
WARMING, OUTLIER = "warm-up", "outlier"


def at_samples(samples: Samples, *, ordered: bool = True) -> tuple[int, tuple[Finding, ...]]:
    """(how many of the first timed samples are warm-up still, what was found).

    ordered: whether the samples are in the order they were taken; of imported ones nobody knows. Of several streams the
    warm-up is not looked for: what one of them meets at first is the others' work.
    """
    if not len(samples.steady):
        return 0, ()
    logs = _logs(_by_time(samples))
    unsettled, warming = warm_up.unsettled(logs) if ordered and not len(samples.streams) else (0, None)
    settled = logs[unsettled:]
    found = [
        warming,
        drift.found(settled) if ordered else None,
        two_speeds.in_launch(settled),
        outliers.found(settled, outliers.of(settled)),
    ]
    return unsettled, tuple(one for one in found if one is not None)


def at_launch(launch: Launch, samples: Samples, *, leaves_out: bool) -> Launch:
    """The launch with what was found of it. leaves_out: whether what is warm-up still stays out of its median."""
    unsettled, found = at_samples(samples)
    of_device = (
        busy.found(launch.involuntary_switches, _worked_sec(launch, samples)),
        throttled.in_launch(launch.before, launch.after, launch.during, app_heat.of_flags(launch.flags)),
    )
    findings = (*found, *(one for one in of_device if one is not None))
    return launch.model_copy(update={"unsettled_count": unsettled if leaves_out else 0, "findings": findings})


def at_run(launches: Sequence[Launch], *, ordered: bool = True) -> tuple[Finding, ...]:
    """What is found of a run from its launches that count. ordered: whether they are in the order they were started."""
    valid = [launch for launch in launches if launch.valid]
    timed = sorted((launch.position, launch.steady_median_ns) for launch in valid if launch.steady_median_ns)
    medians = [median for _, median in timed]
    found = (
        two_speeds.among_launches(medians),
        drift.among_launches(np.array(medians, np.float64)) if ordered else None,
        throttled.among_launches(valid),
    )
    return tuple(one for one in found if one is not None)


def marked(samples: Samples, unsettled: int) -> Samples:
    """The samples with what is said of each: that it is warm-up still, or an outlier. The marks of streams stay."""
    if len(samples.streams) or not len(samples.steady):
        return samples
    far = outliers.of(_logs(samples.steady[unsettled:]))
    if not unsettled and not far.any():
        return samples
    said = np.where(far, OUTLIER, "").tolist()
    return replace(samples, flags=(*([WARMING] * unsettled), *said))


def _by_time(samples: Samples) -> Ns:
    return samples.steady[np.argsort(samples.steady[:, 0], kind="stable")] if len(samples.streams) else samples.steady


def _logs(steady: Ns) -> Floats:
    # a device's clock may stand still: a time is 1 ns at least
    return np.log(np.maximum(steady[:, 1], 1).astype(np.float64))


def _worked_sec(launch: Launch, samples: Samples) -> float:
    """Seconds at work: loading, and one stream's worth of inferences."""
    streams = max(1, len(np.unique(samples.streams)))
    elapsed = [int(each[:, 1].sum()) for each in (samples.warmup, samples.steady)]
    return ((launch.load_cold_ns or 0) + (launch.load_warm_ns or 0) + sum(elapsed) / streams) / 1e9
