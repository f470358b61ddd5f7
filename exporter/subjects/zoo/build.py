"""A reference -> its model, with weights, in a form that every runtime can lower."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgedeploy.errors import UserError
from exporter.subjects.base import Weights
from exporter.subjects.zoo import random_weights, synthetic
from exporter.subjects.zoo.ends import Ends
from exporter.subjects.zoo.reference import PRETRAINED, Reference
from exporter.training.weights import state_digest

_MODULES = {"timm": "timm_models", "torchvision": "torchvision_models", "hf": "hf_models"}


def _zoo(reference: Reference) -> Any:
    return importlib.import_module(f"exporter.subjects.zoo.{_MODULES[reference.zoo]}")


def ends_of(reference: Reference) -> Ends:
    """What a model takes and gives, without its weights. Raises UserError where the zoo does not have it."""
    ends: Ends = _zoo(reference).ends(reference)
    return ends


def require_weights(reference: Reference) -> None:
    """Raise UserError where published weights are out of reach. The other zoos said so when they were asked for the ends."""
    if reference.zoo == "timm" and reference.weights == PRETRAINED:
        _zoo(reference).require_weights(reference)


def inputs(ends: Ends, count: int) -> tuple[Tensor, ...]:
    """`count` synthetic examples in the signature's order."""
    arrays = synthetic.arrays(ends, count, np.random.default_rng(0))
    return tuple(torch.from_numpy(arrays[spec.name]) for spec in ends.inputs)


def build(reference: Reference, ends: Ends) -> Weights:
    """The model in eval mode, giving logits float32 [b, classes] alone.

    Raises UserError where the weights cannot be had, are not the model's, or it does not run at this size.
    """
    try:
        if reference.random:
            model = random_weights.seeded(lambda: _zoo(reference).build(reference, ends))
            random_weights.settle(model, inputs(ends, random_weights.SEEN))
        else:
            model = _zoo(reference).build(reference, ends)
        model.requires_grad_(False)
        with torch.no_grad():
            given = model(*inputs(ends, 2))
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"{reference.title} does not run at size {ends.size}: {line[:200]}") from error
    if given.shape != (2, ends.classes):
        raise UserError(f"{reference.title} gives {list(given.shape)} for two examples, not one logit for each class.")
    if not bool(torch.isfinite(given).all()):
        raise UserError(f"{reference.title} gives values that are not finite.")
    recipe: dict[str, Any] = {"model": reference.title, "weights": str(reference.weights)}
    if reference.random:
        return Weights(model, state_digest(model), "random", {**recipe, "seed": random_weights.SEED, "trained": False})
    hub = reference.weights == PRETRAINED and reference.folder is None
    recipe["weights"] = "pretrained" if reference.weights == PRETRAINED else "a file's"
    return Weights(model, state_digest(model), "hub" if hub else "given", recipe)
