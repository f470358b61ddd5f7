"""Which cut is best: the predicted time of every valid one, for two devices and the link between them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edgedeploy.errors import UserError
from edgedeploy.signature import Signature, TensorSpec
from exporter.partition.graph import Graph, Position, module_paths

#: a float tensor of fewer bytes than this crosses as it is: quantising it costs more than the bytes that it saves
WORTH_QUANTISING = 4096
#: shares of the MACs that are this near to each other are taken for the same
NEARLY = 0.03


@dataclass(frozen=True)
class Pair:
    """Two devices and the link between them.

    first_speed, second_speed: how many times as fast as this host each one is. mbit_s: bandwidth, either way.
    latency_ms: from one to the other. The defaults are the study's mobile and edge tiers (4 and 8 CPUs, 200 Mbit/s).
    """

    first_speed: float = 1.0
    second_speed: float = 2.0
    mbit_s: float = 200.0
    latency_ms: float = 1.0

    def __post_init__(self) -> None:
        if min(self.first_speed, self.second_speed, self.mbit_s) <= 0 or self.latency_ms < 0:
            raise UserError("speeds and bandwidth of a pair of devices are above 0, its latency is not below 0")

    def travel_ms(self, nbytes: int) -> float:
        """Milliseconds that so many bytes take from one device to the other."""
        return self.latency_ms + nbytes * 8 / (self.mbit_s * 1000)


@dataclass(frozen=True)
class Prediction:
    """Milliseconds of one inference, by where they go: both stages, the way there and the way back of the result."""

    first_ms: float
    there_ms: float
    second_ms: float
    back_ms: float
    nbytes: int

    @property
    def total_ms(self) -> float:
        """All of it, one after the other."""
        return self.first_ms + self.there_ms + self.second_ms + self.back_ms

    def entry(self) -> dict[str, float | int]:
        """For the manifest."""
        return {
            "first_ms": round(self.first_ms, 4), "there_ms": round(self.there_ms, 4), "second_ms": round(self.second_ms, 4),
            "back_ms": round(self.back_ms, 4), "total_ms": round(self.total_ms, 4), "bytes": self.nbytes,
        }  # fmt: skip


class Costed(Protocol):
    """A graph as far as costs go. macs: of each operator, in the order that positions count in."""

    @property
    def signature(self) -> Signature:
        """Of the whole model."""
        ...

    @property
    def macs(self) -> tuple[int, ...]:
        """Multiply-accumulates of each operator."""
        ...


def crossing_bytes(crossing: Sequence[TensorSpec], quantised: bool) -> int:
    """Bytes that cross; with `quantised`, large float tensors as int8."""
    return sum(spec.elements if quantised and worth_quantising(spec) else spec.nbytes for spec in crossing)


def worth_quantising(spec: TensorSpec) -> bool:
    """Whether a tensor that crosses is large enough to travel as int8."""
    return spec.dtype == "float32" and spec.nbytes >= WORTH_QUANTISING


def predict(graph: Costed, position: Position, profile_ms: Sequence[float], pair: Pair, *, quantised: bool) -> Prediction:
    """The time of one inference cut at `position`. profile_ms: of each operator, on a device of speed 1."""
    nbytes = crossing_bytes(position.crossing, quantised)
    return Prediction(
        first_ms=sum(profile_ms[: position.index + 1]) / pair.first_speed,
        there_ms=pair.travel_ms(nbytes),
        second_ms=sum(profile_ms[position.index + 1 :]) / pair.second_speed,
        back_ms=pair.travel_ms(sum(spec.nbytes for spec in graph.signature.outputs)),
        nbytes=nbytes,
    )


def uncut(graph: Costed, profile_ms: Sequence[float], pair: Pair) -> dict[str, Prediction]:
    """What the same model takes whole, on either device; on the second one, inputs and result travel."""
    total = sum(profile_ms)
    sent = sum(spec.nbytes for spec in graph.signature.inputs)
    result = sum(spec.nbytes for spec in graph.signature.outputs)
    return {
        "all on the first": Prediction(total / pair.first_speed, 0.0, 0.0, 0.0, 0),
        "all on the second": Prediction(0.0, pair.travel_ms(sent), total / pair.second_speed, pair.travel_ms(result), sent),
    }


def fastest(
    graph: Costed, candidates: Sequence[Position], profile_ms: Sequence[float], pair: Pair, *, quantised: bool
) -> Position:
    """The valid cut of the least predicted time: every one is looked at. The earliest of several equal ones."""
    return min(candidates, key=lambda place: predict(graph, place, profile_ms, pair, quantised=quantised).total_ms)


def named(graph: Graph, candidates: Sequence[Position], name: str) -> Position:
    """The cut after an operator of this name, or after the last operator of a module of this path.

    Raises UserError where nothing has the name, or no valid cut is there: with the nearest ones.
    """
    inside = [index for index, node in enumerate(graph.computed) if node.name == name or name in module_paths(node)]
    if not inside:
        modules = sorted({path for node in graph.computed for path in module_paths(node)[:2]}, key=_natural)
        raise UserError(
            f"--cut {name}: this model has no module or operator of that name; its outer modules are {', '.join(modules)}"
        )
    place = next((each for each in candidates if each.index == inside[-1]), None)
    if place is None:
        nearest = sorted(candidates, key=lambda each: abs(each.index - inside[-1]))[:4]
        listed = ", ".join(each.after for each in nearest) or "none"
        raise UserError(
            f"--cut {name}: no valid cut is there (it would tear fused operators apart, or leave a stage without work); "
            f"the nearest ones are after {listed}"
        )
    return place


def at_fraction(graph: Costed, candidates: Sequence[Position], fraction: float) -> Position:
    """The cut whose first stage has about this share of the MACs (0..1): of those that are nearly as close as the closest,
    the one where the fewest bytes cross."""
    total = sum(graph.macs)
    gaps = [abs(place.macs_before / total - fraction) for place in candidates]
    close = [(place.nbytes, gap, place.index) for place, gap in zip(candidates, gaps, strict=True) if gap <= min(gaps) + NEARLY]
    index = min(close)[2]
    return next(place for place in candidates if place.index == index)


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", text)]
