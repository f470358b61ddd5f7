"""What MiniLM's subjects have in common: signature, fine-tuning all six layers, distilling them into fewer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from edgedeploy.signature import Signature, TensorSpec
from exporter.subjects import minilm_sources
from exporter.subjects.base import Progress, Split, SplitName
from exporter.subjects.minilm import Config, MiniLM, rename_published
from exporter.subjects.minilm_tokens import LENGTH, PREPROCESSING, preprocess
from exporter.training import processes
from exporter.training.distill import hidden_loss, hinton_loss, soft_answers
from exporter.training.evaluate import right_of
from exporter.training.loop import StepLoss
from exporter.training.obtain import Plan, Shipped
from exporter.training.recipe import Recipe, Rows
from exporter.training.weights import state_digest

INPUTS = ("input_ids", "attention_mask")


@cache
def _published() -> dict[str, Tensor]:
    published: dict[str, Tensor] = load_file(minilm_sources.base_weights())
    return published


def taken_over(teacher: dict[str, Tensor], layers: Sequence[int]) -> dict[str, Tensor]:
    """The teacher's tensors under the names they have in a student of these layers."""
    taken = {name: tensor for name, tensor in teacher.items() if not name.startswith("layers.")}
    for ours, theirs in enumerate(layers):
        prefix = f"layers.{theirs}."
        for name, tensor in teacher.items():
            if name.startswith(prefix):
                taken[f"layers.{ours}.{name.removeprefix(prefix)}"] = tensor
    return taken


@dataclass(frozen=True)
class TextClassifier:
    """A classification of texts by MiniLM: the subject's name, its labels, and its sets of token ids."""

    name: str
    labels: tuple[str, ...]
    split: Callable[[SplitName], Split]

    def signature(self) -> Signature:
        """input_ids and attention_mask int64 [1, 64] -> logits float32 [1, classes]."""
        return Signature(
            task="text-classification",
            inputs=tuple(TensorSpec(name=name, dtype="int64", shape=(1, LENGTH)) for name in INPUTS),
            outputs=(TensorSpec(name="logits", dtype="float32", shape=(1, len(self.labels))),),
            layout="NL",
            preprocessing=PREPROCESSING,
            tokenizer=f"all-MiniLM-L6-v2 tokenizer.json sha256:{minilm_sources.TOKENIZER.sha256}",
            labels=self.labels,
        )

    def train_batch(self, rows: Rows, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Training inputs int64 [b, l]; columns that are padding in the whole batch are left out, which changes nothing."""
        arrays = preprocess({"ids": self.split("train").raw["ids"][rows]})
        longest = int(arrays["attention_mask"].sum(axis=1).max())
        ids, mask = (torch.from_numpy(np.ascontiguousarray(arrays[name][:, :longest])) for name in INPUTS)
        return ids, mask

    def validate(self, model: nn.Module) -> float:
        """Accuracy on the validation set, 0..1."""
        return float(right_of(model, self.split("validation"), INPUTS).mean())

    def teacher_plan(self, recipe: Recipe, shipped: Shipped | None) -> Plan:
        """How the published layers `recipe.extra["layers"]` are fine-tuned."""
        layers = list(recipe.extra["layers"])

        def examples(progress: Progress | None) -> tuple[int, StepLoss]:
            labels = torch.from_numpy(self.split("train").labels)

            def loss(model: nn.Module, rows: Rows, rng: np.random.Generator) -> Tensor:
                ids, mask, right = processes.current().mine(*self.train_batch(rows, rng), labels[rows])
                return functional.cross_entropy(model(ids, mask).float(), right)

            return len(labels), loss

        return Plan(
            what=f"{self.name} teacher",
            recipe=recipe,
            skeleton=lambda progress: self._skeleton(len(layers)),
            start=lambda model, progress: self._start(model, layers, recipe.seed),
            examples=examples,
            inputs=lambda: {"train": self.split("train").digest(), "base": minilm_sources.BASE_WEIGHTS.sha256},
            validate=self.validate,
            shipped=shipped,
        )

    def student_plan(self, teacher: nn.Module, recipe: Recipe, shipped: Shipped | None) -> Plan:
        """How the layers `recipe.extra["layers"]` of a fine-tuned model are distilled from it.

        recipe.extra also has the temperature and alpha of `hinton_loss` and, where the layers' outputs are to be
        learnt too, `match`: the teacher's layer that each of the student's is to be like, and `hidden`: the weight
        of that loss.
        """
        layers = list(recipe.extra["layers"])

        def examples(progress: Progress | None) -> tuple[int, StepLoss]:
            train = self.split("train")
            soft = soft_answers(teacher, train, INPUTS, f"{self.name} teacher's answers", progress)
            return len(train), self._student_loss(teacher, recipe, soft)

        return Plan(
            what=f"{self.name} student",
            recipe=recipe,
            skeleton=lambda progress: self._skeleton(len(layers)),
            start=lambda model, progress: self._start(model, layers, recipe.seed, teacher),
            examples=examples,
            inputs=lambda: {
                "train": self.split("train").digest(),
                "base": minilm_sources.BASE_WEIGHTS.sha256,
                "teacher": state_digest(teacher),
            },
            validate=self.validate,
            shipped=shipped,
        )

    def _student_loss(self, teacher: nn.Module, recipe: Recipe, soft: Tensor) -> StepLoss:
        labels = torch.from_numpy(self.split("train").labels)
        temperature, alpha = float(recipe.extra["temperature"]), float(recipe.extra["alpha"])
        hidden = float(recipe.extra.get("hidden", 0.0))
        mine = processes.current().mine
        if not hidden:

            def answers(model: nn.Module, rows: Rows, rng: np.random.Generator) -> Tensor:
                ids, mask, said, right = mine(*self.train_batch(rows, rng), soft[rows], labels[rows])
                return hinton_loss(model(ids, mask), said, right, temperature, alpha)

            return answers
        match = list(recipe.extra["match"])
        # elsewhere than on a CPU a copy, as the teacher itself stays where it is
        taught_by = teacher if processes.current().device == "cpu" else processes.current().placed(copy.deepcopy(teacher))

        def answers_and_layers(model: nn.Module, rows: Rows, rng: np.random.Generator) -> Tensor:
            assert isinstance(model, MiniLM)
            assert isinstance(taught_by, MiniLM)
            ids, mask, said, right = mine(*self.train_batch(rows, rng), soft[rows], labels[rows])
            present = mask.float()
            with torch.no_grad():
                like = taught_by.eval().layer_outputs(ids, present)
            made = model.layer_outputs(ids, present)
            logits = model.classify(made[-1], present)
            near = hidden_loss(made, [like[layer] for layer in match], present)
            return hinton_loss(logits, said, right, temperature, alpha) + hidden * near

        return answers_and_layers

    def _skeleton(self, layers: int) -> MiniLM:
        """A model whose frozen embeddings are the published ones; the rest waits for its weights."""
        model = MiniLM(Config(layers=layers, classes=len(self.labels), length=LENGTH))
        model.load_state_dict(rename_published(_published(), LENGTH, range(layers)), strict=False)
        return model

    def _start(self, model: nn.Module, layers: Sequence[int], seed: int, teacher: nn.Module | None = None) -> None:
        """The encoder from the teacher's layers, or from the published ones; the classifier from the seed or teacher."""
        torch.manual_seed(seed)
        head = nn.Linear(Config.hidden, len(self.labels))
        state = rename_published(_published(), LENGTH, layers)
        state |= {"classifier.weight": head.weight.detach(), "classifier.bias": head.bias.detach()}
        if teacher is not None:
            state |= taken_over(teacher.state_dict(), layers)
        model.load_state_dict(state)
