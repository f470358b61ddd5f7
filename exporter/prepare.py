"""A subject made ready to export: weights loaded or trained, sets loaded and checked, float outputs computed once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from edgedeploy.errors import UserError
from exporter import choose, conversions, macs, operator_tables, traced, verify
from exporter.operators.base import Operator, Transform, parameter_count
from exporter.partition.division import CutRequest, Division, divide
from exporter.runtimes.base import Lowered, Work
from exporter.subjects.base import Progress, Split, SplitName, Subject, Weights
from exporter.subjects.disjoint import require_disjoint

if TYPE_CHECKING:
    import torch

#: golden inputs of a bundle: the first of the evaluation set
GOLDEN_CASES = 16


class FloatModel:
    """A float model with what it says of the evaluation and validation sets, computed on first use."""

    def __init__(self, prepared: Prepared, weights: Weights) -> None:
        self.weights = weights
        self._prepared = prepared
        self._divisions: dict[tuple[CutRequest, bool], Division] = {}
        self._lowered: dict[tuple[str, ...], tuple[Lowered, ...]] = {}
        given = prepared.subject.given
        self.parameters = given.parameters if given is not None else parameter_count(weights.model)
        self.macs = given.macs if given is not None else macs.count(weights.model, prepared.example)

    @cached_property
    def evaluation(self) -> verify.Outputs:
        """Outputs over the evaluation set, name -> [n, ...]."""
        return self._outputs("evaluation", None)

    @cached_property
    def validation(self) -> npt.NDArray[Any]:
        """The first output over the validation examples that candidates are judged on, [n, ...]; computed on first use."""
        return self._outputs("validation", choose.JUDGED_ON)[self._prepared.primary]

    def lacks(self, runtime: str) -> str | None:
        """Which of its operators the runtime has nothing for, and what to do; None where none is known to be missing."""
        if self._program is None:
            return None
        names = operator_tables.lacking(self._program, runtime)
        if not names:
            return None
        return (
            f"{runtime} lacks {', '.join(names)}: its converter makes nothing of {'it' if len(names) == 1 else 'them'}; "
            "use operators that it has in the model's code, or another --runtime"
        )

    @cached_property
    def _program(self) -> torch.export.ExportedProgram | None:
        """As torch.export traces it; None for a file as given, and where it cannot: the runtimes say so themselves."""
        if self._prepared.subject.given is not None:
            return None
        try:
            return traced.program(self.weights.model, self._prepared.example)
        except Exception:  # whatever the model's code raises under tracing
            return None

    def division(self, request: CutRequest, *, quantised: bool) -> Division:
        """The model cut as asked, once for all runtimes. Raises UserError where it cannot be, or not there."""
        if (request, quantised) not in self._divisions:
            prepared = self._prepared
            given, signature = prepared.subject.given, prepared.subject.signature
            if given is not None:
                from exporter.given.onnx_cut import divide_file

                made = divide_file(given, signature, request, quantised=quantised, say=prepared.say)
            else:
                made = divide(self.weights.model, signature, prepared.example, request, quantised=quantised, say=prepared.say)
            self._divisions[request, quantised] = made
        return self._divisions[request, quantised]

    def lowered_once(self, key: tuple[str, ...], lower: Callable[[Path], tuple[Lowered, ...]]) -> tuple[Lowered, ...]:
        """What `lower` makes in a folder that stays as long as this subject is worked on; `key` says of what it is made.

        A float model is the artifact of one operator and the twin of every other, and converting it takes longest of all.
        """
        if key not in self._lowered:
            self._lowered[key] = lower(self._prepared.folder())
        return self._lowered[key]

    def _outputs(self, name: SplitName, n: int | None) -> verify.Outputs:
        split = self._prepared.splits[name]
        if n is not None:
            split = split.take(np.arange(min(n, len(split))))
        label = f"{self._prepared.subject.name}: float model on the {name} set"
        given, signature = self._prepared.subject.given, self._prepared.subject.signature

        def what() -> dict[str, Any] | None:
            model = traced.digest(self.weights.model, self._prepared.example) if given is None else None
            return None if model is None else {"model": model, "examples": verify.fed_digest(signature, split)}

        def make() -> None:
            made = verify.run_torch(self.weights.model, signature, split, label, self._prepared.progress)
            np.savez(target, *(made[spec.name] for spec in signature.outputs))

        target = self._prepared.folder() / "outputs.npz"
        conversions.kept(what, target, make)
        with np.load(target) as found:
            return {spec.name: found[f"arr_{index}"] for index, spec in enumerate(signature.outputs)}


@dataclass
class Prepared:
    """A subject, its sets and its own model. Makes the float model of a recipe, once per recipe."""

    subject: Subject
    splits: dict[SplitName, Split]
    retrain: bool
    progress: Progress | None
    say: Callable[[str], None] = lambda text: None

    def __post_init__(self) -> None:
        self._made: dict[tuple[str, ...], FloatModel] = {}
        # removed with this object
        self._scratch = tempfile.TemporaryDirectory(prefix="edgedeploy-prepared-")

    def folder(self) -> Path:
        """A new folder that stays as long as this object."""
        return Path(tempfile.mkdtemp(dir=self._scratch.name))

    @property
    def primary(self) -> str:
        """The output that the metric looks at: the signature's first."""
        return self.subject.signature.outputs[0].name

    @cached_property
    def example(self) -> tuple[torch.Tensor, ...]:
        """One real example as torch tensors, in the signature's order."""
        import torch

        batch = self.splits["evaluation"].batch(0, 1)
        return tuple(torch.from_numpy(np.ascontiguousarray(batch[spec.name])) for spec in self.subject.signature.inputs)

    @cached_property
    def original(self) -> FloatModel:
        """The subject's own model."""
        return FloatModel(self, self.subject.model(self.retrain, self.progress))

    def float_model(self, operators: list[Operator]) -> FloatModel:
        """The subject's model after the float transforms among `operators`."""
        transforms = [cast(Transform, operator) for operator in operators if hasattr(operator, "transform")]
        key = tuple(operator.name for operator in transforms)
        if not key:
            return self.original
        if key not in self._made:
            weights = self.original.weights
            for operator in transforms:
                weights = operator.transform(self.subject, weights, retrain=self.retrain, progress=self.progress)
            self._made[key] = FloatModel(self, weights)
        return self._made[key]

    def work(self, made: FloatModel, target: str, samples: int) -> Work:
        """What a runtime is given to lower. Calibration is on the first `samples` calibration examples."""
        calibration = self.splits["calibration"]
        return Work(
            model=made.weights.model, signature=self.subject.signature, family=self.subject.quantise, target=target,
            calibration=calibration.take(np.arange(min(samples, len(calibration)))), progress=self.progress,
            trained=made.weights.ranges,
        )  # fmt: skip

    @cached_property
    def set_digests(self) -> dict[str, str]:
        """Digest of each set, for the manifest."""
        return {name: split.digest() for name, split in self.splits.items()}


def prepare(
    subject: Subject, *, retrain: bool, progress: Progress | None, say: Callable[[str], None] = lambda text: None
) -> Prepared:
    """Load a subject's sets, check that they fit the signature and are disjoint, by digest of each example.

    Raises UserError for sets that do not fit, ClaimError where an example is in two of them.
    """
    names: tuple[SplitName, ...] = ("validation", "calibration", "evaluation")
    splits = {name: subject.split(name) for name in names}
    # only what trains needs a train set, and says so itself where there is none
    with contextlib.suppress(UserError):
        splits = {"train": subject.split("train"), **splits}
    for name, split in splits.items():
        if not len(split) and name != "train":
            raise UserError(f"subject {subject.name}: its {name} set is empty")
    if progress is not None:
        progress(f"{subject.name}: checking that the sets are disjoint", 0, 0)
    require_disjoint(splits)
    evaluation = splits["evaluation"]
    batch = evaluation.batch(0, 1)
    for spec in subject.signature.inputs:
        if spec.name not in batch:
            raise UserError(f"subject {subject.name}: its sets give no input {spec.name!r}, which its signature names")
        found = batch[spec.name]
        if found.dtype != np.dtype(spec.dtype) or found.shape != spec.shape:
            raise UserError(
                f"subject {subject.name}: input {spec.name!r} is {found.dtype} {list(found.shape)}, "
                f"its signature says {spec.dtype} {list(spec.shape)}"
            )
    return Prepared(subject, splits, retrain, progress, say)


def request_digest(request: dict[str, Any]) -> str:
    """sha256 of what was asked for, so that the same request keeps a bundle that is there."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
