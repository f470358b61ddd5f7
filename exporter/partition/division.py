"""A float model divided into stages, as asked for: by name, at a fraction of its work, or where a search finds best."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgedeploy.errors import UserError
from edgedeploy.signature import Signature
from exporter.partition import graph as graphs
from exporter.partition import profile, search
from exporter.partition.graph import Piece, Position
from exporter.partition.search import Pair

if TYPE_CHECKING:
    import torch
    from torch import nn

AUTO = "auto"


@dataclass(frozen=True)
class CutRequest:
    """Where to cut. where: a module's or operator's name, a fraction between 0 and 1, or "auto" for a search over `pair`."""

    where: str = AUTO
    pair: Pair = field(default_factory=Pair)

    def __post_init__(self) -> None:
        if not self.where or (self.fraction is not None and not 0 < self.fraction < 1):
            raise UserError(f"--cut {self.where}: give a module's name, a fraction between 0 and 1, or auto")

    @property
    def fraction(self) -> float | None:
        """The fraction, where one was given."""
        try:
            return float(self.where)
        except ValueError:
            return None

    def key(self) -> dict[str, Any]:
        """What a bundle's identity depends on. A pair is of no consequence where the place is given."""
        pair = [self.pair.first_speed, self.pair.second_speed, self.pair.mbit_s, self.pair.latency_ms]
        return {"where": self.where, "pair": pair if self.where == AUTO else None}


@dataclass(frozen=True)
class Division:
    """The stages of a model, and how the cut between them was found. parameters: for the manifest."""

    pieces: tuple[Piece, Piece]
    position: Position
    parameters: dict[str, Any]

    @property
    def name(self) -> str:
        """The cut, for people."""
        module = f" (in {self.position.module})" if self.position.module else ""
        return f"after {self.position.after}{module}"


def divide(
    model: nn.Module,
    signature: Signature,
    example: tuple[torch.Tensor, ...],
    request: CutRequest,
    *,
    quantised: bool,
    say: Callable[[str], None] = lambda text: None,
) -> Division:
    """Cut a float model (eval mode) as asked; `say` is told the predicted breakdown.

    quantised: large float tensors will cross as int8. Raises UserError where the model cannot be cut, or not there.
    """
    graph = graphs.trace(model, signature, example)
    candidates = graphs.positions(graph)
    measured = profile.operators_ms(graph, example)
    named = functools.partial(search.named, graph, candidates)
    position = decide(graph, candidates, measured, request, named, quantised=quantised)
    pieces = graphs.cut(graph, position)
    return described(graph, pieces, position, measured, request, len(candidates), quantised=quantised, say=say)


def decide(
    graph: search.Costed, candidates: Sequence[Position], measured: Sequence[float], request: CutRequest,
    named: Callable[[str], Position], *, quantised: bool,
) -> Position:  # fmt: skip
    """The valid cut that is asked for. measured: milliseconds of each operator. Raises UserError where there is none."""
    if not candidates:
        raise UserError("this model has no place where it can be cut in two stages that both have work")
    if request.where == AUTO:
        return search.fastest(graph, candidates, measured, request.pair, quantised=quantised)
    if request.fraction is not None:
        return search.at_fraction(graph, candidates, request.fraction)
    return named(request.where)


def described(
    graph: search.Costed, pieces: tuple[Piece, Piece], position: Position, measured: Sequence[float], request: CutRequest,
    valid: int, *, quantised: bool, say: Callable[[str], None],
) -> Division:  # fmt: skip
    """The division with what the manifest says of it; `say` is told the predicted breakdown."""
    predicted = search.predict(graph, position, measured, request.pair, quantised=quantised)
    whole = search.uncut(graph, measured, request.pair)
    division = Division(
        pieces,
        position,
        {
            "asked": request.where,
            "after": position.after,
            "module": position.module,
            "valid_cuts": valid,
            "macs_share_first": round(position.macs_before / sum(graph.macs), 5),
            "pair": {
                "first_speed": request.pair.first_speed, "second_speed": request.pair.second_speed,
                "mbit_s": request.pair.mbit_s, "latency_ms": request.pair.latency_ms,
            },
        },
    )  # fmt: skip
    say(_breakdown(division, predicted, whole, request.pair, valid))
    return division


def _breakdown(
    division: Division, predicted: search.Prediction, whole: dict[str, search.Prediction], pair: Pair, valid: int
) -> str:
    others = "; ".join(f"{name} {each.total_ms:.2f} ms" for name, each in whole.items())
    return (
        f"  cut {division.name}, of {valid} valid cuts; {predicted.nbytes:,} bytes cross; predicted for speeds "
        f"{pair.first_speed:g} and {pair.second_speed:g}, {pair.mbit_s:g} Mbit/s, {pair.latency_ms:g} ms: "
        f"first {predicted.first_ms:.2f} + there {predicted.there_ms:.2f} + second {predicted.second_ms:.2f} + "
        f"back {predicted.back_ms:.2f} = {predicted.total_ms:.2f} ms ({others})"
    )
