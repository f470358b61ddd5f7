"""Safetensors files as the weights of a model from a zoo."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from edgedeploy.errors import UserError


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of the file, by name. Raises UserError where it is no safetensors."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot read the weights {path}: {error}") from error
    return found


def put(model: nn.Module, state: dict[str, Tensor], path: Path, title: str) -> None:
    """Put exactly these tensors into the model. Raises UserError where they are another model's."""
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    found = {name: tensor.shape for name, tensor in state.items()}
    if wanted != found:
        differ = sorted(wanted.keys() ^ found.keys()) or [name for name in wanted if wanted[name] != found[name]]
        raise UserError(f"the weights {path} are not those of {title}: {differ[0]} differs ({len(differ)} in all).")
    model.load_state_dict(state)


def classes_in(model: nn.Module, default: int, state: dict[str, Tensor]) -> int:
    """How many classes the file's last layer has: a fine-tuned model has its own. `default`: how many `model` has."""
    for name, module in reversed(list(model.named_modules())):
        width = module.out_features if isinstance(module, nn.Linear) else getattr(module, "out_channels", None)
        if width == default:
            weight = state.get(f"{name}.weight")
            return default if weight is None else int(weight.shape[0])
    return default
