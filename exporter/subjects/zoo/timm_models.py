"""Image classifiers of timm (PyTorch Image Models). Its weights are on the Hugging Face hub as safetensors."""

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
    """What the model takes and gives. Raises UserError for a name that timm does not know."""
    config = _config(reference)
    size = reference.size or (config.test_input_size or config.input_size)[-1]
    crop = config.test_crop_pct or config.crop_pct
    classes = int(config.num_classes)
    if isinstance(reference.weights, Path):
        classes = state.classes_in(_create(reference, size, classes), classes, state.read(reference.weights))
    if classes < 2:
        raise UserError(f"{reference.title} has no classifier; choose a variant with one, or a file of a fine-tuned model.")
    pixels = Pixels(tuple(config.mean), tuple(config.std), crop, config.interpolation)
    centred = config.crop_mode == "center"
    return Ends("image", size, classes, prepared=str(pixels) if centred else "", pixels=pixels if centred else None)


def build(reference: Reference, ends: Ends) -> nn.Module:
    """The model with its weights. Raises UserError where these cannot be had or are another model's."""
    if reference.random:
        return ImageModel(_create(reference, ends.size, ends.classes))
    path = reference.weights
    if not isinstance(path, Path):
        path = hub.weights_file(*_on_the_hub(reference))
    # timm reads the file itself: it knows the checkpoints whose names are not the model's, and resizes embeddings
    # (told another number of classes than its own, it would leave the classifier as it was drawn, without a word)
    overlay = {"file": str(path), "custom_load": False, "source": "", "state_dict": None, "num_classes": ends.classes}
    try:
        made = _create(reference, ends.size, ends.classes, pretrained=True, pretrained_cfg_overlay=overlay)
    except (RuntimeError, KeyError, ValueError, AssertionError) as error:
        line = next((line.strip() for line in str(error).splitlines()[1:] if line.strip()), str(error))
        raise UserError(f"the weights {path} are not those of {reference.title}: {line[:200]}") from error
    return ImageModel(made)


def require_weights(reference: Reference) -> None:
    """Raise UserError where published weights cannot be had, before they are fetched."""
    hub.require(*_on_the_hub(reference))


def _on_the_hub(reference: Reference) -> tuple[str, str]:
    """Repository and file of the published weights. Raises UserError where there are none."""
    config = _config(reference)
    if not config.hf_hub_id:
        raise UserError(f"timm has no weights of {reference.name} on the hub; {hub.INSTEAD}.")
    return config.hf_hub_id, config.hf_hub_filename or "model.safetensors"


def _config(reference: Reference) -> Any:
    timm = zoo_module("timm")
    if not timm.is_model(reference.name):
        part = reference.name.split(".")[0]
        near = timm.list_models(f"*{part}*")[:6] or timm.list_models(f"*{part[:5]}*")[:6]
        raise UserError(f"timm has no model {reference.name!r}; {'there is ' + ', '.join(near) if near else 'see its list'}.")
    config = timm.get_pretrained_cfg(reference.name)
    if config is None:
        raise UserError(f"timm has no configuration of {reference.name}; give a tag too, as in resnet18.a1_in1k.")
    return config


def _create(reference: Reference, size: int, classes: int, **weights: Any) -> nn.Module:
    timm = zoo_module("timm")
    # attention as two matrix products and a softmax: the fused operator is taken apart again by converters, with a
    # guard for rows that are masked out altogether, which stays on slow kernels
    timm.layers.set_fused_attn(False)
    given: dict[str, Any] = {"num_classes": classes, "exportable": True, **weights}
    if timm.get_pretrained_cfg(reference.name).fixed_input_size:
        given["img_size"] = size
    try:
        model: nn.Module = timm.create_model(reference.name, **given)
    except (AssertionError, TypeError) as error:
        raise UserError(f"timm cannot build {reference.title}: {error or type(error).__name__}") from error
    return model.eval()
