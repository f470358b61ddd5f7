"""Training a changed form of a subject's model further: pruned, quantisation-aware or whatever comes.

Works for every subject that has labelled training examples: its augmentation where it brings one
(`Subject.train_batch`), and the unchanged model's soft answers to learn from beside the labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgedeploy.errors import UserError
from exporter.subjects.base import Progress, Subject, TrainBatch
from exporter.training import processes
from exporter.training.distill import hinton_loss, soft_answers
from exporter.training.evaluate import right_of
from exporter.training.loop import StepLoss
from exporter.training.obtain import Plan, Shipped
from exporter.training.recipe import Recipe, Rows
from exporter.training.trainable import require_trainable
from exporter.training.weights import state_digest

#: Hinton's temperature and the soft answers' share, where a recipe's `extra` does not say
TEMPERATURE, ALPHA = 2.0, 0.7


@dataclass(frozen=True)
class Changed:
    """What is trained.

    what: names it, in messages and in the cache key ("pruned"). skeleton: its architecture with the weights that
    training starts from. inputs: digests of what it was made from, beside the training set and the teacher.
    rebuild, remarks: as in Plan, for a form whose shapes are known only once it is made.
    teacher: gives the soft answers; None to learn from the labels alone.
    whole: it takes the signature's own shapes only, as a traced graph does; a batch that the subject cut short, such as a
    text's padding, is then fed as the set gives it.
    """

    what: str
    skeleton: Callable[[Progress | None], nn.Module]
    inputs: Mapping[str, str]
    teacher: nn.Module | None
    rebuild: Callable[[Mapping[str, Any]], nn.Module] | None = None
    remarks: Callable[[], Mapping[str, Any]] | None = None
    whole: bool = False


def input_names(subject: Subject) -> tuple[str, ...]:
    """The signature's inputs, in order."""
    return tuple(spec.name for spec in subject.signature.inputs)


def train_batches(subject: Subject, *, whole: bool = False) -> TrainBatch:
    """How the subject's training examples are fed: its own augmentation, else the train set as it is. whole: see Changed."""
    own = subject.train_batch
    if own is not None and not whole:
        return own
    shapes = [spec.shape[1:] for spec in subject.signature.inputs]
    train, names = subject.split("train"), input_names(subject)

    def plain(rows: Rows, rng: np.random.Generator) -> tuple[Tensor, ...]:
        arrays = train.take(rows).batch(0, len(rows))
        return tuple(torch.from_numpy(np.ascontiguousarray(arrays[name])) for name in names)

    def of_full_size(rows: Rows, rng: np.random.Generator) -> tuple[Tensor, ...]:
        assert own is not None
        made = own(rows, rng)
        return made if [tuple(x.shape[1:]) for x in made] == shapes else plain(rows, rng)

    return plain if own is None else of_full_size


def tune_plan(subject: Subject, changed: Changed, recipe: Recipe, shipped: Shipped | None = None) -> Plan:
    """How `changed` is trained by `recipe`, whose `extra` may say "temperature" and "alpha" (see hinton_loss).

    A model without a parameter that may train has them all trained: its owner froze it to serve, not for this.
    Raises UserError for a subject that has nothing to train on.
    """
    what = f"{subject.name} {changed.what}"
    temperature, alpha = float(recipe.extra.get("temperature", TEMPERATURE)), float(recipe.extra.get("alpha", ALPHA))

    def skeleton(progress: Progress | None) -> nn.Module:
        require_trainable(subject, changed.what)
        return _unfrozen(changed.skeleton(progress))

    def rebuild(metadata: Mapping[str, Any]) -> nn.Module:
        assert changed.rebuild is not None
        return _unfrozen(changed.rebuild(metadata))

    def examples(progress: Progress | None) -> tuple[int, StepLoss]:
        train, feed = subject.split("train"), train_batches(subject, whole=changed.whole)
        labels = torch.from_numpy(train.labels)
        if len(train) < recipe.batch:
            raise UserError(
                f"subject {subject.name} cannot be {changed.what}: it has {len(train)} training examples, and training "
                f"takes batches of {recipe.batch}; give it more"
            )
        soft = None
        if changed.teacher is not None:
            # its answers to the examples as they are stand for the augmented ones too: what augmentation changes is
            # what a model is trained not to see
            soft = soft_answers(changed.teacher, train, input_names(subject), f"{what}: the teacher's answers", progress)

        def loss(model: nn.Module, rows: Rows, rng: np.random.Generator) -> Tensor:
            *given, right = processes.current().mine(*feed(rows, rng), labels[rows])
            logits = _logits(model(*_laid_out(given)))
            if soft is None:
                return functional.cross_entropy(logits.float(), right)
            (said,) = processes.current().mine(soft[rows])
            return hinton_loss(logits, said, right, temperature, alpha)

        return len(train), loss

    def start(model: nn.Module, progress: Progress | None) -> None:
        # faster by half for convolutions on a CPU, and no difference to anything else
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def inputs() -> dict[str, str]:
        found = {"train": subject.split("train").digest(), **changed.inputs}
        return found if changed.teacher is None else {**found, "teacher": state_digest(changed.teacher)}

    return Plan(
        what=what,
        recipe=recipe,
        skeleton=skeleton,
        start=start,
        examples=examples,
        inputs=inputs,
        validate=lambda model: float(right_of(model, subject.split("validation"), input_names(subject)).mean()),
        shipped=shipped,
        rebuild=None if changed.rebuild is None else rebuild,
        remarks=changed.remarks,
    )


def _unfrozen(model: nn.Module) -> nn.Module:
    if not any(parameter.requires_grad for parameter in model.parameters()):
        model.requires_grad_(True)
    return model


def _logits(output: Any) -> Tensor:
    found: Tensor = output[0] if isinstance(output, tuple) else output
    return found


def _laid_out(inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x for x in inputs)
