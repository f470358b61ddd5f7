"""Classifiers of transformers by name on the Hugging Face hub, or from a folder: texts and images.

Only architectures that transformers itself has; code from the hub is never run, weights are safetensors.
"""

from __future__ import annotations

import copy
import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgedeploy.errors import UserError
from exporter.subjects.zoo import hub, state
from exporter.subjects.zoo.ends import Ends
from exporter.subjects.zoo.hf_shapes import SHAPES
from exporter.subjects.zoo.reference import Reference
from exporter.subjects.zoo.vision_import import zoo_module
from exporter.subjects.zoo.wrappers import ImageModel, TextModel

#: tokens of a text where no size is asked for; what the study used (arXiv 2411.00907)
TOKENS = 128
PIXELS = 224


def ends(reference: Reference) -> Ends:
    """What the model takes and gives. Raises UserError where its configuration cannot be had or is of no classifier."""
    config = _config(reference)
    made = _ends(reference, config)
    if isinstance(reference.weights, Path):
        blank = _class(reference, config)._from_config(copy.deepcopy(config), attn_implementation="eager")
        classes = state.classes_in(blank, made.classes, state.read(reference.weights))
        made = replace(made, classes=classes)
    return made


def _ends(reference: Reference, config: Any) -> Ends:
    model_class = _class(reference, config)
    if _is_text(config):
        longest = getattr(config, "max_position_embeddings", None) or TOKENS
        size = reference.size or min(TOKENS, longest)
        if size > longest:
            raise UserError(f"{reference.title} takes at most {longest} tokens.")
        types = getattr(config, "type_vocab_size", 0) > 1 and _takes(model_class, "token_type_ids")
        return Ends("text", size, config.num_labels, vocabulary=config.vocab_size, types=types,
                    prepared="ids of the model's own tokeniser, padding after the text")  # fmt: skip
    own = getattr(config, "image_size", PIXELS)
    return Ends("image", reference.size or (own if isinstance(own, int) else own[0]), config.num_labels,
                prepared="as its preprocessor_config.json says")  # fmt: skip


def build(reference: Reference, ends: Ends) -> nn.Module:
    """The model with its weights. Raises UserError where these cannot be had, or lack what the model needs."""
    config = _config(reference)
    model_class = _class(reference, config)
    config.num_labels = ends.classes
    if ends.kind == "image" and hasattr(config, "image_size") and reference.size is not None:
        config.image_size = ends.size
    if reference.random:
        model = model_class._from_config(config, attn_implementation="eager")
    else:
        model = _loaded(reference, model_class, config)
    model = model.float().eval()
    return ImageModel(model) if ends.kind == "image" else _text(reference, model, ends)


def _config(reference: Reference) -> Any:
    transformers = zoo_module("transformers")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if reference.folder is None and reference.random and reference.name in SHAPES:
        shape = copy.deepcopy(SHAPES[reference.name])
        return transformers.AutoConfig.for_model(shape.pop("model_type"), **shape)
    # --weights random is an answer only where the shape is known
    known = reference.name in SHAPES
    folder = reference.folder or hub.config_folder(reference.name, hub.INSTEAD if known else hub.A_FOLDER)
    try:
        return transformers.AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    except Exception as error:  # whatever the fields of a stranger's file make it raise
        raise UserError(f"the configuration of {reference.title} cannot be used: {_first(error)}") from error


def _class(reference: Reference, config: Any) -> Any:
    transformers = zoo_module("transformers")
    mappings = (transformers.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, transformers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING)
    for mapping in mappings:
        if type(config) in mapping:
            found = mapping[type(config)]
            return found[0] if isinstance(found, tuple | list) else found
    raise UserError(f"{reference.title} is a {config.model_type}, which transformers has no text or image classifier of.")


def _is_text(config: Any) -> bool:
    return type(config) in zoo_module("transformers").MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING


def _takes(model_class: Any, name: str) -> bool:
    return name in inspect.signature(model_class.forward).parameters


def _loaded(reference: Reference, model_class: Any, config: Any) -> nn.Module:
    how: dict[str, Any] = {
        "config": config, "dtype": torch.float32, "attn_implementation": "eager", "use_safetensors": True,
        "local_files_only": True, "output_loading_info": True,
    }  # fmt: skip
    where: str | None
    if isinstance(reference.weights, Path):
        where, how["state_dict"] = None, state.read(reference.weights)
        del how["use_safetensors"]
    else:
        where = str(reference.folder or hub.model_folder(reference.name))
    try:
        model, told = model_class.from_pretrained(where, **how)
    except Exception as error:  # whatever a stranger's file makes it raise
        raise UserError(f"the weights of {reference.title} cannot be used: {_first(error)}") from error
    missing = sorted(told["missing_keys"])
    if missing:
        raise UserError(
            f"the weights of {reference.title} lack {missing[0]} ({len(missing)} in all), so it would answer at random: give "
            "a folder of a model that was fine-tuned for classification (hf:./folder), or --weights random."
        )
    return model  # type: ignore[no-any-return]


def _text(reference: Reference, model: nn.Module, ends: Ends) -> nn.Module:
    """The model behind a wrapper that gives what the model gives by itself, padding and all."""
    types = getattr(model.config, "type_vocab_size", 0) > 0 and _takes(type(model), "token_type_ids")
    first = _first_position(model) if _takes(type(model), "position_ids") else None
    ids = (torch.arange(ends.size)[None] * 7 + 5) % ends.vocabulary
    mask = torch.ones_like(ids)
    mask[:, -max(1, ends.size // 3) :] = 0
    inputs = (ids, mask, *([torch.zeros_like(ids)] if ends.types else []))
    why: Exception | None = None
    with torch.no_grad():
        try:
            expected = model(input_ids=ids, attention_mask=mask).logits
        except Exception as error:
            raise UserError(f"{reference.title} does not run on ids and a mask alone: {_first(error)}") from error
        for positions, additive in ((first, True), (None, True), (None, False)):
            wrapped = TextModel(model, ends.size, positions=positions, types=types, additive=additive)
            try:
                given = wrapped(*inputs)
            except Exception as error:
                why = error
                continue
            if given.shape == expected.shape and _same(given, expected):
                return wrapped.eval()
    cause = f": {_first(why)}" if why is not None else ", as with models that read from left to right"
    raise UserError(f"{reference.title} cannot be given its attention mask as an input of the graph{cause}.")


def _same(given: Tensor, expected: Tensor) -> bool:
    return bool(torch.allclose(given, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max().clamp(min=1e-3))))


def _first_position(model: nn.Module) -> int:
    """RoBERTa and its kin count positions from the padding's number on."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding) and module.padding_idx is not None:
            return int(module.padding_idx) + 1
    return 0


def _first(error: BaseException) -> str:
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)[:250]
