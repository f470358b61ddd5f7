"""Image classifiers of torchvision. It publishes weights as pickles, so they come from a safetensors file or a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from edgedeploy.errors import UserError
from exporter.subjects.zoo import hub, state
from exporter.subjects.zoo.ends import Ends
from exporter.subjects.zoo.pictures import Pixels
from exporter.subjects.zoo.reference import Reference
from exporter.subjects.zoo.vision_import import zoo_module
from exporter.subjects.zoo.wrappers import ImageModel


def ends(reference: Reference) -> Ends:
    """What the model takes and gives. Raises UserError for a name that torchvision does not know, or for its own weights."""
    models = zoo_module("torchvision.models")
    known = models.list_models(module=models)
    if reference.name not in known:
        near = [name for name in known if name.startswith(reference.name[:5])][:6]
        listed = ", ".join(near or known[:6])
        raise UserError(f"torchvision has no image classifier {reference.name!r}; there is {listed}.")
    if not (reference.random or isinstance(reference.weights, Path)):
        raise UserError(
            f"torchvision publishes the weights of {reference.name} as a pickle, which is not read; timm has many of the "
            f"same as safetensors (timm:resnet50.tv2_in1k). Otherwise {hub.INSTEAD}."
        )
    published = models.get_model_weights(reference.name).DEFAULT
    transform, classes = published.transforms(), len(published.meta["categories"])
    size = reference.size or transform.crop_size[0]
    if isinstance(reference.weights, Path):
        classes = state.classes_in(_create(reference, size, classes), classes, state.read(reference.weights))
    crop = transform.crop_size[0] / transform.resize_size[0]
    pixels = Pixels(tuple(transform.mean), tuple(transform.std), crop, transform.interpolation.value)
    return Ends("image", size, classes, prepared=str(pixels), pixels=pixels)


def build(reference: Reference, ends: Ends) -> nn.Module:
    """The model with its weights. Raises UserError where these are another model's."""
    model = _create(reference, ends.size, ends.classes)
    if isinstance(reference.weights, Path):
        state.put(model, state.read(reference.weights), reference.weights, reference.title)
    return ImageModel(model)


def _create(reference: Reference, size: int, classes: int) -> nn.Module:
    models = zoo_module("torchvision.models")
    given: dict[str, Any] = {"weights": None, "num_classes": classes}
    if reference.name.startswith("vit_"):
        given["image_size"] = size
    elif reference.name in ("inception_v3", "googlenet"):
        # without the heads that only training uses, and without their slow initialisation
        given |= {"aux_logits": False, "init_weights": False}
    model: nn.Module = models.get_model(reference.name, **given)
    return model.eval()
