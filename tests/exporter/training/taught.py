"""The tiny subject with a student that is really distilled: `tests/exporter/training/taught.py:subject`."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from exporter.subjects.base import Progress
from exporter.training.distill import DistilledStudent
from exporter.training.obtain import Plan
from exporter.training.recipe import Recipe
from exporter.training.tune import Changed, tune_plan
from tests.exporter import tiny


def student(progress: Progress | None) -> nn.Module:
    torch.manual_seed(2)
    return tiny.Net(8)


def plan(teacher: nn.Module) -> Plan:
    changed = Changed(what="student", skeleton=student, inputs={}, teacher=teacher)
    return tune_plan(tiny.subject, changed, Recipe(epochs=12, batch=32, lr=1e-2))


subject = replace(tiny.subject, name="taught", student=DistilledStudent(plan))
