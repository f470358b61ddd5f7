"""Making the weights that ship with edgedeploy, and saying how good they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedeploy.metrics import accuracy, paired_drop
from exporter.fetch import sha256_of
from exporter.subjects.base import Progress, SplitName, Subject, Weights
from exporter.training import processes
from exporter.training.evaluate import right_of
from exporter.training.obtain import Plan, obtain
from exporter.training.prune import pruned_plan
from exporter.training.prune_recipes import prune_recipe
from exporter.training.qat import qat_plan
from exporter.training.qat_recipes import qat_recipe
from exporter.training.weights import SHIPPED_FOLDER, save_weights

#: of the evaluation set, how many examples a quick test repeats
QUICK = 1000


def ship(module: ModuleType, which: tuple[str, ...], *, retrain: bool, progress: Progress | None) -> list[str]:
    """Train (or take from the cache) the models of a built-in subject and write them where shipped weights are.

    module: a subject's module, with SUBJECT, teacher_plan() and student_plan(teacher). which: "teacher", "student",
    "pruned", "qat". A student is always taught by the teacher that the same module describes, and that one is what is
    pruned, and trained quantisation-aware. What is said of "qat" is of the model as training simulates it in int8.
    Returns the report's lines. Of several processes, which train together, only the main one writes and reports. The
    evaluation set is looked at here only, after everything has been chosen.
    """
    subject: Subject = module.SUBJECT
    # a teacher that is only needed for the others is the one that ships
    plan = replace(module.teacher_plan(), shipped=None) if "teacher" in which else module.teacher_plan()
    main = processes.current().main
    teacher = obtain(plan, retrain and "teacher" in which, progress)
    lines, right = _written(subject, "teacher", teacher, progress) if "teacher" in which and main else ([], None)
    plans: dict[str, Callable[[], Plan]] = {
        "student": lambda: replace(module.student_plan(teacher.model), shipped=None),
        "pruned": lambda: _pruned_plan(subject, teacher),
        "qat": lambda: qat_plan(subject, teacher.model, qat_recipe(subject)),
    }
    for name in [name for name in plans if name in which]:
        made = obtain(plans[name](), retrain, progress)
        if not main:
            continue
        more, made_right = _written(subject, name, made, progress)
        lines += more
        if right is None:
            right = _right(subject, teacher, "evaluation", progress)
        drop = paired_drop(right, made_right, None)
        lines.append(
            f"{subject.name}: {name} loses {drop.points:+.2f} points on the evaluation set, 95 % interval "
            f"{drop.low:+.2f} .. {drop.high:+.2f} (paired, n {drop.n:,}, lost {drop.lost}, won {drop.won})"
        )
    return lines


def _pruned_plan(subject: Subject, teacher: Weights) -> Plan:
    recipe = prune_recipe(subject)
    return pruned_plan(subject, teacher.model, recipe.pruning, recipe.train)


def _right(subject: Subject, weights: Weights, name: SplitName, progress: Progress | None) -> npt.NDArray[np.bool_]:
    inputs = tuple(spec.name for spec in subject.signature.inputs)
    return right_of(weights.model, subject.split(name), inputs, progress, f"{subject.name} {name} set")


def _written(
    subject: Subject, which: str, weights: Weights, progress: Progress | None
) -> tuple[list[str], npt.NDArray[np.bool_]]:
    """Write the weights with what they were measured to do; the report's lines, and what was right of the evaluation."""
    measured = {name: _right(subject, weights, name, progress) for name in ("validation", "evaluation")}
    path = SHIPPED_FOLDER / f"{subject.name}-{which}.safetensors"
    metadata: dict[str, Any] = {
        **weights.recipe,
        "evaluation": {
            "n": len(measured["evaluation"]),
            "right": int(measured["evaluation"].sum()),
            "right_of_first_1000": int(measured["evaluation"][:QUICK].sum()),
        },
    }
    save_weights(weights.model, path, metadata)
    lines = [f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, sha256 {sha256_of(path)} ({weights.origin})"]
    for name, right in measured.items():
        found = accuracy(right)
        lines.append(f"  {name}: {found.value:.4f}, 95 % interval {found.low:.4f} .. {found.high:.4f}, n {found.n:,}")
    return lines, measured["evaluation"]
