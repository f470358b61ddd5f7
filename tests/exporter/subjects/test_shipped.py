"""The weights in the repository: what they are, where they are from, and that they still do what was measured."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch

from exporter.fetch import sha256_of
from exporter.subjects import load, module_of, names
from exporter.subjects.base import Weights
from exporter.training.evaluate import right_of
from exporter.training.obtain import Plan, Shipped
from exporter.training.prune import pruned, pruned_plan
from exporter.training.prune_recipes import prune_recipe
from exporter.training.ship import QUICK
from exporter.training.weights import SHIPPED_FOLDER, read_metadata, state_digest

MODELS = [(name, which) for name in names() for which in ("teacher", "student")]


def shipped(name: str, which: str) -> Shipped:
    found: Shipped = getattr(importlib.import_module(module_of(name)), f"{which.upper()}_SHIPPED")
    return found


def weights(name: str, which: str) -> Weights:
    subject = load(name)
    teacher = subject.model(False, None)
    if which == "teacher":
        return teacher
    assert subject.student is not None
    return subject.student.distilled(teacher.model, retrain=False, progress=None)


def plan(name: str, which: str) -> Plan:
    module = importlib.import_module(module_of(name))
    made: Plan = module.teacher_plan() if which == "teacher" else module.student_plan(weights(name, "teacher").model)
    return made


def test_the_files_are_those_that_are_pinned_and_small() -> None:
    files = {shipped(*model).path: shipped(*model).sha256 for model in MODELS}
    files |= {each.path: each.sha256 for name in names() if (each := prune_recipe(load(name)).shipped) is not None}
    assert set(files) == set(SHIPPED_FOLDER.glob("*.safetensors"))
    assert {path: sha256_of(path) for path in files} == files
    sizes = [path.stat().st_size for path in files]
    assert max(sizes) < 25e6
    assert sum(sizes) < 120e6


@pytest.mark.parametrize(("name", "which"), MODELS)
def test_they_were_trained_by_the_recipe_in_the_code_on_the_data_in_the_code(name: str, which: str) -> None:
    """So a recipe cannot be changed, nor a set, without training anew; a student belongs to the teacher beside it."""
    metadata = read_metadata(shipped(name, which).path)
    made = plan(name, which)
    assert metadata["key"] == made.key()
    assert metadata["recipe"] == made.recipe.as_dict()
    assert metadata["inputs"] == made.inputs()


@pytest.mark.parametrize(("name", "which"), MODELS)
def test_they_do_on_the_first_thousand_examples_what_was_recorded(name: str, which: str) -> None:
    subject, made = load(name), weights(name, which)
    assert made.origin == "shipped"
    evaluation = subject.split("evaluation")
    recorded: dict[str, Any] = made.recipe["evaluation"]
    inputs = tuple(spec.name for spec in subject.signature.inputs)
    right = right_of(made.model, evaluation.take(np.arange(QUICK)), inputs)
    # another CPU adds in another order, which may turn an example that is on the edge
    assert abs(int(right.sum()) - recorded["right_of_first_1000"]) <= 2
    assert recorded["n"] == len(evaluation)


@pytest.mark.parametrize("name", names())
def test_the_pruned_model_is_the_teachers_by_the_recipe_in_the_code(name: str) -> None:
    """And does on the first thousand examples what was recorded."""
    subject, recipe = load(name), prune_recipe(load(name))
    assert recipe.shipped is not None
    teacher = subject.model(False, None).model
    made_by = pruned_plan(subject, teacher, recipe.pruning, recipe.train, recipe.shipped)
    metadata = read_metadata(recipe.shipped.path)
    assert metadata["key"] == made_by.key()
    assert metadata["inputs"] == made_by.inputs()
    made = pruned(made_by, teacher, False, None)
    assert made.origin == "shipped"
    evaluation = subject.split("evaluation")
    inputs = tuple(spec.name for spec in subject.signature.inputs)
    right = right_of(made.model, evaluation.take(np.arange(QUICK)), inputs)
    assert abs(int(right.sum()) - metadata["evaluation"]["right_of_first_1000"]) <= 2
    parameters = [sum(each.numel() for each in model.parameters() if each.requires_grad) for model in (made.model, teacher)]
    assert parameters[0] < 0.6 * parameters[1]


@pytest.mark.parametrize("name", names())
def test_the_student_keeps_what_it_must(name: str) -> None:
    """Recorded, fp32: a teacher worth having, and a student that leaves room for int8 below 3 points."""
    share = {
        which: (found := read_metadata(shipped(name, which).path)["evaluation"])["right"] / found["n"]
        for which in ("teacher", "student")
    }
    assert share["teacher"] > {"fashion-lite0": 0.92, "fashion-lite2": 0.93, "film-minilm": 0.80, "news-minilm": 0.80}[name]
    assert share["teacher"] - share["student"] < 0.02


@pytest.mark.parametrize("name", names())
def test_teacher_and_student_take_and_give_the_same(name: str) -> None:
    subject = load(name)
    batch = subject.split("calibration").batch(0, 1)
    inputs = tuple(torch.from_numpy(batch[spec.name]) for spec in subject.signature.inputs)
    assert [tuple(x.shape) for x in inputs] == [spec.shape for spec in subject.signature.inputs]
    for which in ("teacher", "student"):
        model = weights(name, which).model
        program = torch.export.export(model, inputs)
        placeholders = [node.target for node in program.graph.nodes if node.op == "placeholder"]
        assert placeholders[-len(inputs) :] == [spec.name for spec in subject.signature.inputs]
        with torch.no_grad():
            made, again = model(*inputs), program.module()(*inputs)
        assert tuple(made.shape) == subject.signature.outputs[0].shape
        assert torch.allclose(made, again, atol=1e-5)


@pytest.mark.parametrize("name", names())
def test_a_student_of_another_teacher_is_not_the_shipped_one(name: str) -> None:
    """The shipped student is only that of the shipped teacher: with one weight changed there must be a training run."""
    subject = load(name)
    assert subject.student is not None
    teacher = subject.model(False, None).model
    before = state_digest(teacher)
    with torch.no_grad():
        next(parameter for parameter in teacher.parameters() if parameter.requires_grad).view(-1)[0] += 0.5
    assert state_digest(teacher) != before

    class Started(Exception):
        pass

    def progress(what: str, done: int, total: int, note: str = "") -> None:
        raise Started

    with pytest.raises(Started):
        subject.student.distilled(teacher, retrain=False, progress=progress)
