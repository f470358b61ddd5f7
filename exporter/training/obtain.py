"""A trained model: the shipped weights, those in the cache, or a training run now, in that order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgedeploy.errors import UserError
from exporter.fetch import cache_root, sha256_of
from exporter.subjects.base import Progress, Weights
from exporter.training import processes
from exporter.training.how_long import say_how_long
from exporter.training.lock import one_at_a_time
from exporter.training.loop import CHECKPOINT, CHECKPOINT_INTERVAL_S, Run, StepLoss, resumable, train
from exporter.training.recipe import Recipe, run_key
from exporter.training.weights import SHIPPED_FOLDER, load_weights, read_metadata, save_weights, state_digest

MODEL_FILE = "model.safetensors"


@dataclass(frozen=True)
class Shipped:
    """Weights that come with edgedeploy: the file's name in exporter/subjects/weights and its sha256."""

    file: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where the file is, also in an installed wheel."""
        return SHIPPED_FOLDER / self.file


@dataclass(frozen=True)
class Plan:
    """How one model of a subject is made. Everything is a callable: loading shipped weights needs hardly any of it.

    skeleton: the architecture, its frozen parameters loaded and marked requires_grad=False.
    start: sets a skeleton's remaining weights to what training starts from.
    examples: how many training examples there are, and the loss of a step over some of them.
    inputs: name -> sha256 of everything training reads: sets, base weights, the teacher.
    validate: accuracy on the validation set, 0..1.
    rebuild: a weight file's metadata -> the architecture it is of, where that is known only once a run has made it
        (pruned: it has other shapes); None where it is the skeleton.
    remarks: what else belongs into the weight file's metadata, such as what `rebuild` needs.
    """

    what: str
    recipe: Recipe
    skeleton: Callable[[Progress | None], nn.Module]
    start: Callable[[nn.Module, Progress | None], None]
    examples: Callable[[Progress | None], tuple[int, StepLoss]]
    inputs: Callable[[], Mapping[str, str]]
    validate: Callable[[nn.Module], float]
    shipped: Shipped | None = None
    rebuild: Callable[[Mapping[str, Any]], nn.Module] | None = None
    remarks: Callable[[], Mapping[str, Any]] | None = None

    def key(self) -> str:
        """The run's name in the cache: the same recipe on the same data from the same weights."""
        return run_key(self.what, self.recipe, self.inputs())


def obtain(
    plan: Plan,
    retrain: bool = False,
    progress: Progress | None = None,
    checkpoint_interval_s: float = CHECKPOINT_INTERVAL_S,
) -> Weights:
    """The trained model. `retrain` passes over shipped and finished weights, but goes on with an interrupted run.

    Several processes come here together, train together, and read what the main one has written.
    Raises UserError where shipped weights are not what their digest says, or the cache cannot be written.
    """
    together = processes.current()
    if progress is not None and not together.main:
        # not None: who is told nothing does the same work as who is told
        progress = _tell_nobody
    if not retrain and plan.shipped is not None:
        if not plan.shipped.path.is_file() or sha256_of(plan.shipped.path) != plan.shipped.sha256:
            raise UserError(
                f"{plan.shipped.path} is missing or not the file that was shipped (sha256 {plan.shipped.sha256}); "
                "reinstall edgedeploy, or train the weights with --retrain."
            )
        return _load(plan, plan.shipped.path, "shipped", progress)
    key = plan.key()
    folder = cache_root() / "training" / key
    try:
        with one_at_a_time(folder, plan.what, progress) if together.main else nullcontext(False) as waited:
            return _found_or_trained(plan, key, folder, retrain and not waited, progress, checkpoint_interval_s)
    except OSError as error:
        raise UserError(f"cannot keep the training run in {folder}: {error}. Set EDGEDEPLOY_CACHE.") from error


def _found_or_trained(
    plan: Plan, key: str, folder: Path, retrain: bool, progress: Progress | None, checkpoint_interval_s: float
) -> Weights:
    together = processes.current()
    finished = folder / MODEL_FILE
    of_main, there = together.from_main(lambda: (key, finished.is_file() and not retrain))
    if of_main != key:
        raise UserError(
            f"{plan.what}: process {together.rank} has other data, starting weights or code than the main process; all "
            "need the same, and what makes them (a subject's own file) must make the same in each"
        )
    if there:
        return _load(plan, finished, "cache", progress)
    _train(plan, key, folder, progress, checkpoint_interval_s)
    return _load(plan, finished, "trained now", progress)


def _tell_nobody(what: str, done: int, total: int, note: str = "") -> None:
    pass


def _load(plan: Plan, path: Path, origin: str, progress: Progress | None) -> Weights:
    if not path.is_file() and not processes.current().main:
        raise UserError(f"{path} is not there, though the main process has it; all need the same EDGEDEPLOY_CACHE")
    metadata = read_metadata(path)
    model = plan.skeleton(progress) if plan.rebuild is None else plan.rebuild(metadata)
    load_weights(model, path)
    return Weights(model, state_digest(model), origin, {**metadata, "recipe": plan.recipe.as_dict()})


def _train(plan: Plan, key: str, folder: Path, progress: Progress | None, checkpoint_interval_s: float) -> None:
    model = plan.skeleton(progress)
    plan.start(model, progress)
    run = Run(plan.what, key, plan.recipe, *plan.examples(progress))
    # a run that goes on says how long it still takes at its first step
    if progress is not None and run.recipe.steps(run.examples) and processes.current().from_main(lambda: not resumable(folder)):
        say_how_long(model, run, progress)
    train(model, run, folder, progress, checkpoint_interval_s)
    together = processes.current()
    if together.main:
        _keep(plan, key, folder, model, together.count)
    together.wait()


def _keep(plan: Plan, key: str, folder: Path, model: nn.Module, made_by: int) -> None:
    # what is judged, used and shipped is the rounded model, so it is judged as it is read back
    draft = folder / f"draft-{MODEL_FILE}"
    save_weights(model, draft, {})
    load_weights(model, draft)
    metadata: dict[str, Any] = {
        "what": plan.what,
        "key": key,
        "recipe": plan.recipe.as_dict(),
        "inputs": dict(plan.inputs()),
        "validation_accuracy": plan.validate(model),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        **({"processes": made_by} if made_by > 1 else {}),
        **(plan.remarks() if plan.remarks is not None else {}),
    }
    save_weights(model, folder / MODEL_FILE, metadata)
    draft.unlink()
    (folder / CHECKPOINT).unlink(missing_ok=True)
