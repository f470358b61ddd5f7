"""What a mode is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from device_runner.plans.in_turns import TURN_MS
from edgedeploy.errors import UserError
from edgedeploy.record import Limits, Plan

if TYPE_CHECKING:
    from device_runner.samples import Samples

#: past the longest timed phase: the load, the warm-up, the outputs
_AROUND_SEC = 60.0


@dataclass(frozen=True)
class Mode:
    """options: by the names of bench's options, what a plan has where nothing else is said. least: what its rules demand.

    metric: the field of a run record that this mode is for. lasts: it is about the time that its phase takes, so that one
    whose room for samples was full before is not valid.
    """

    name: str
    what: str
    options: Mapping[str, float]
    least: Mapping[str, float] = field(default_factory=dict)
    metric: str = "median_ms"
    lasts: bool = False
    #: whether timed samples that were warm-up still are left out of the medians; not where every sample is to count
    leaves_out: bool = True
    #: samples of the timed phase that there is room for
    most_samples: int = 1_000_000
    #: about how often the device is looked at while a launch runs; None: not
    look_sec: float | None = None

    def plan(self, given: Mapping[str, Any]) -> Plan:
        """The plan. given: options that were said. Raises UserError for one that the rules of this mode forbid."""
        for name, least in self.least.items():
            if given.get(name, least) < least:
                raise UserError(f"--mode {self.name} demands --{name.replace('_', '-')} of at least {least:g}")
        values = {**self.options, **given}
        values.setdefault("max_seconds", max(120.0, 2 * (values["warmup_ms"] + values["min_ms"]) / 1000 + _AROUND_SEC))
        return Plan(
            mode=self.name, launches=int(values["launches"]), streams=int(values.get("streams", 1)),
            warmup=Limits(min_count=int(values["warmup_count"]), min_ms=values["warmup_ms"], max_count=100_000),
            steady=Limits(
                min_count=int(values["min_count"]), min_ms=values["min_ms"],
                max_count=max(self.most_samples, int(values["min_count"])),
            ),
            max_seconds=values["max_seconds"], max_memory_mb=int(values.get("max_memory_mb", Plan().max_memory_mb)),
            until=values.get("until"), budget_sec=values.get("budget_sec"),
            turn_ms=TURN_MS if values.get("in_turns") else None,
        )  # fmt: skip


def broken_rules(plan: Plan, samples: Samples) -> tuple[str, ...]:
    """What a launch that ran to its end lacks of what was asked: a phase also ends when its room for samples is full."""
    wanted = plan.steady
    if not len(samples.steady):
        return ()
    elapsed_ms = (int(samples.steady.sum(axis=1).max()) - int(samples.steady[:, 0].min())) / 1e6
    # a phase begins a little before its first sample does
    if elapsed_ms >= wanted.min_ms * 0.99 - 1:
        return ()
    return (
        f"its timed phase lasted {elapsed_ms / 1000:.1f} s, and {wanted.min_ms / 1000:g} s were asked for: "
        f"its {len(samples.steady)} samples are all there is room for",
    )
