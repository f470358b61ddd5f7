"""Distillation: the small model learns from the large one's soft answers beside the labels.

G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network", 2015, https://arxiv.org/abs/1503.02531
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from exporter.fetch import cache_root
from exporter.subjects.base import Progress, Split, Weights
from exporter.training import processes
from exporter.training.evaluate import logits_of
from exporter.training.obtain import Plan, obtain
from exporter.training.weights import read_metadata, state_digest


def hinton_loss(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, alpha: float) -> Tensor:
    """alpha * T^2 * KL(teacher/T || student/T) + (1 - alpha) * cross-entropy, a scalar (mean over the batch).

    student, teacher: logits [b, classes]. labels: int64 [b]. temperature T > 0 softens both distributions; the
    factor T^2 keeps the soft term's gradient as large whatever T is (section 2 of the paper). alpha in 0..1 is the
    soft term's share.
    """
    soft = functional.kl_div(
        torch.log_softmax(student.float() / temperature, dim=1),
        torch.log_softmax(teacher.float() / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    hard = functional.cross_entropy(student.float(), labels)
    return alpha * temperature**2 * soft + (1 - alpha) * hard


def hidden_loss(student: Sequence[Tensor], teacher: Sequence[Tensor], present: Tensor) -> Tensor:
    """How far the student's layers are from the teacher's, a scalar: squared error over the teacher's mean square.

    student, teacher: as many layer outputs [b, l, hidden] each, of equal widths. present: float32 [b, l], 1 where
    there is a token; padding does not count. The mean over the layers; 0 is the same, 1 is as good as zeros, so that
    the weight of this loss does not depend on how large a layer's outputs are.
    After X. Jiao et al., "TinyBERT: Distilling BERT for Natural Language Understanding", 2020,
    https://arxiv.org/abs/1909.10351 (its hidden-state loss; no projection, as the widths agree).
    """
    weight = present[:, :, None]
    shares = [
        ((made.float() - like.float()).square() * weight).sum() / (like.float().square() * weight).sum()
        for made, like in zip(student, teacher, strict=True)
    ]
    return torch.stack(shares).mean()


def soft_answers(teacher: nn.Module, split: Split, inputs: tuple[str, ...], what: str, progress: Progress | None) -> Tensor:
    """The teacher's logits for every example, float32 [n, classes]; kept in the cache, so a resumed run has them.

    The main process asks the teacher, and all have its answers.
    """
    return processes.current().from_main(lambda: _soft_answers(teacher, split, inputs, what, progress))


def _soft_answers(teacher: nn.Module, split: Split, inputs: tuple[str, ...], what: str, progress: Progress | None) -> Tensor:
    key = hashlib.sha256(f"{state_digest(teacher)} {split.digest()}".encode()).hexdigest()
    path = cache_root() / "answers" / f"{key}.safetensors"
    # a damaged file is as good as none
    with contextlib.suppress(OSError, SafetensorError, KeyError):
        kept: Tensor = load_file(path)["logits"]
        return kept
    # faster by half for convolutions on a CPU, and no difference to anything else
    laid_out = copy.deepcopy(teacher).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    processes.current().placed(laid_out)
    logits = torch.from_numpy(logits_of(laid_out, split, inputs, progress=progress, what=what))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    save_file({"logits": logits}, partial)
    partial.replace(path)
    return logits


@dataclass(frozen=True)
class DistilledStudent:
    """A subject's student. `plan` says how it is distilled from a given teacher."""

    plan: Callable[[nn.Module], Plan]

    def distilled(self, teacher: nn.Module, *, retrain: bool = False, progress: Progress | None = None) -> Weights:
        """The student in eval mode. Shipped weights are taken only for the teacher that they were distilled from."""
        plan = self.plan(teacher)
        if plan.shipped is not None and not retrain:
            taught_by = read_metadata(plan.shipped.path).get("inputs", {}).get("teacher")
            # None: of a student that learnt from the labels alone
            if taught_by is not None and taught_by != state_digest(teacher):
                plan = replace(plan, shipped=None)
        return obtain(plan, retrain, progress)
