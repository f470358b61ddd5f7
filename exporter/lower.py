"""One float model, whole or in stages, on one runtime: lowered in a precision, and run on this host as a device runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedeploy import adapters
from edgedeploy.artifact import Coverage, Precision
from edgedeploy.errors import UserError
from edgedeploy.signature import Signature
from exporter import crossing
from exporter.partition.graph import Piece
from exporter.partition.search import worth_quantising
from exporter.runtimes.base import CalibrationMethod, Lowered, PortedModel, Runtime, Work
from exporter.subjects.base import Split

Tensors = dict[str, npt.NDArray[Any]]


class Chain:
    """Stages one after the other: takes and gives the signature's tensors, batch 1."""

    def __init__(self, models: Sequence[PortedModel], outputs: Sequence[str]) -> None:
        self._models, self._outputs = models, tuple(outputs)

    def __call__(self, batch: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        tensors = dict(batch)
        for model in self._models:
            tensors |= model(tensors)
        return {name: tensors[name] for name in self._outputs}


def open_chain(runtime: Runtime, stages: Sequence[Lowered], outputs: Sequence[str]) -> Chain:
    """The lowered stages, loaded through the runtime's own Python API. outputs: names in the signature."""
    return Chain([PortedModel(runtime.open(each.file), each.inputs, each.outputs) for each in stages], outputs)


@dataclass(frozen=True)
class Lowering:
    """What is lowered. whole: the model with its signature and its calibration examples; pieces: its stages, in order.

    quantised_crossing: whether large float tensors between int8 stages travel as int8.
    """

    runtime: Runtime
    whole: Work
    pieces: tuple[Piece, ...]
    quantised_crossing: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """The signature's outputs, by name."""
        return tuple(spec.name for spec in self.whole.signature.outputs)

    @cached_property
    def _first(self) -> Work:
        # one object for every precision and method: a runtime keeps what it observed of a work
        return self._work(0, self.whole.calibration)

    @cached_property
    def _float_works(self) -> tuple[Work, ...]:
        """A work per stage, calibrated on what the float stages before it give."""
        works = [self._first]
        tensors = self._calibration_tensors()
        for index in range(1, len(self.pieces)):
            tensors |= _run_torch(self.pieces[index - 1], tensors)
            works.append(self._work(index, self._split(index, tensors)))
        return tuple(works)

    def lower(self, precision: Precision, folder: Path) -> tuple[Lowered, ...]:
        """Lower every stage in a precision that needs no calibration. Raises UserError where a stage cannot be."""
        folder.mkdir(parents=True, exist_ok=True)
        made = []
        for index, work in enumerate(self._float_works):
            target = folder / f"stage{index}{self.runtime.suffix}"
            lowered = (
                self.runtime.lower(work, target) if precision == "fp32" else self.runtime.lower_to(work, precision, target)
            )
            made.append(lowered)
        return tuple(made)

    def lower_int8(
        self, scheme: str, methods: Sequence[CalibrationMethod], folder: Path
    ) -> dict[CalibrationMethod, tuple[Lowered, ...] | UserError]:
        """Lower every stage as static int8 by each method; each stage is calibrated on what the int8 stages before it give."""
        done: dict[CalibrationMethod, list[Lowered]] = {method: [] for method in methods}
        failed: dict[CalibrationMethod, UserError] = {}
        seen = {method: self._calibration_tensors() for method in methods} if len(self.pieces) > 1 else {}
        # stage by stage, so that what is observed of the first one serves every method
        for index in range(len(self.pieces)):
            for method in methods:
                if method in failed:
                    continue
                if self.whole.progress is not None:
                    stage = f", stage {index}" if len(self.pieces) > 1 else ""
                    self.whole.progress(f"{self.runtime.name}: int8 {scheme}, {method}{stage}: lowering", 0, 0)
                work = self._first if index == 0 else self._work(index, self._split(index, seen[method]), done[method])
                try:
                    target = folder / f"{scheme}-{method}-stage{index}{self.runtime.suffix}"
                    lowered = self.runtime.lower_int8(work, scheme, method, target)
                    lowered = crossing.received(lowered, done[method])
                    if index + 1 < len(self.pieces):
                        lowered = self._run_lowered(lowered, seen[method], index, method)
                    done[method].append(lowered)
                except UserError as error:
                    failed[method] = error
        return {method: failed.get(method, tuple(done[method])) for method in methods}

    def _stage_signature(self, index: int) -> Signature:
        if len(self.pieces) == 1:
            return self.whole.signature
        piece = self.pieces[index]
        return Signature(task="other", inputs=piece.inputs, outputs=piece.outputs, metric="none")

    def _work(self, index: int, calibration: Split | None, before: Sequence[Lowered] = ()) -> Work:
        arriving = crossing.ways(before)
        return replace(
            self.whole, model=self.pieces[index].model, signature=self._stage_signature(index), calibration=calibration,
            leaving=self._leaving(index),
            arriving={spec.name: arriving[spec.name] for spec in self.pieces[index].inputs if spec.name in arriving},
        )  # fmt: skip

    def _calibration_tensors(self) -> Tensors:
        """The signature's inputs of the whole calibration set, name -> [n, ...]."""
        split = self.whole.calibration
        if split is None or not len(split):
            return self.whole.example()
        return dict(split.batch(0, len(split)))

    def _split(self, index: int, tensors: Tensors) -> Split:
        raw = {spec.name: tensors[spec.name] for spec in self.pieces[index].inputs}
        count = len(next(iter(raw.values())))
        return Split(raw, np.zeros(count, np.int64), dict)

    def _leaving(self, index: int) -> frozenset[str]:
        """The tensors that leave this stage for another one and are to travel as int8."""
        if not self.quantised_crossing:
            return frozenset()
        later = {spec.name for piece in self.pieces[index + 1 :] for spec in piece.inputs}
        return frozenset(spec.name for spec in self.pieces[index].outputs if spec.name in later and worth_quantising(spec))

    def _run_lowered(self, lowered: Lowered, tensors: Tensors, index: int, method: CalibrationMethod) -> Lowered:
        """Run an int8 stage over the calibration set, add to `tensors` what the next one will see of it, in float, and give
        the stage with its outputs as they travel."""
        given = _run_one_by_one(PortedModel(self.runtime.open(lowered.file), lowered.inputs, lowered.outputs), lowered, tensors)
        ports = []
        for port in lowered.outputs:
            array = given[port.source]
            if port.source in self._leaving(index):
                if port.quantisation is None:
                    port = crossing.quantised(port, array, method)
                    array = adapters.apply(array, port.adapters[-1:])
                array = adapters.apply(array, [crossing.of_output(port).dequantise()])
            tensors[port.source] = array
            ports.append(port)
        return replace(lowered, outputs=tuple(ports))


def _run_one_by_one(model: PortedModel, lowered: Lowered, tensors: Tensors) -> Tensors:
    needed = [port.source for port in lowered.inputs]
    parts: dict[str, list[npt.NDArray[Any]]] = {}
    for i in range(len(tensors[needed[0]])):
        for name, array in model({name: tensors[name][i : i + 1] for name in needed}).items():
            parts.setdefault(name, []).append(array)
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def combined(coverages: Sequence[Coverage]) -> Coverage:
    """The coverage of all stages together."""
    if len(coverages) == 1:
        return coverages[0]
    macs = sum(each.macs for each in coverages)
    off: dict[str, int] = {}
    for each in coverages:
        for kind, count in each.off_backend.items():
            off[kind] = off.get(kind, 0) + count
    return Coverage(
        method=coverages[0].method, macs=macs,
        fast_share=sum(each.fast_share * each.macs for each in coverages) / max(macs, 1),
        int8_share=sum(each.int8_share * each.macs for each in coverages) / max(macs, 1),
        partitions=sum(each.partitions or 0 for each in coverages), off_backend=off,
        heavy=tuple(op for each in coverages for op in each.heavy)[:2000],
    )  # fmt: skip


def _run_torch(piece: Piece, tensors: Tensors) -> Tensors:
    """A float stage over the calibration set, an example at a time, as it was traced."""
    import torch

    count = len(tensors[piece.inputs[0].name])
    parts: dict[str, list[npt.NDArray[Any]]] = {spec.name: [] for spec in piece.outputs}
    with torch.no_grad():
        for i in range(count):
            given = piece.model(*(torch.from_numpy(np.array(tensors[spec.name][i : i + 1])) for spec in piece.inputs))
            for spec, tensor in zip(piece.outputs, given, strict=True):
                parts[spec.name].append(tensor.numpy())
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}
