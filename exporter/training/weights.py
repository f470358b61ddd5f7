"""Weight files: what training changed, as safetensors, matrices in float16, with the recipe in the metadata."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from edgedeploy.errors import InternalError, UserError

#: where the weights that ship with edgedeploy are, beside the subjects
SHIPPED_FOLDER = Path(__file__).parent.parent / "subjects" / "weights"


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """What training may have changed: every parameter that is not frozen, and every buffer."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}


def save_weights(model: nn.Module, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write the trained part of `model`, beside and then renamed.

    Matrices and kernels are rounded to float16. Vectors (biases, norms, running variances, which may be tiny) stay
    float32: they are a hundredth of the bytes. Raises InternalError where a weight does not fit float16.
    """
    rounded = {}
    for name, tensor in trained_state(model).items():
        keep = tensor.ndim < 2 or not tensor.is_floating_point()
        rounded[name] = (tensor if keep else tensor.half()).contiguous().clone()
        if tensor.is_floating_point() and not bool(torch.isfinite(rounded[name]).all()):
            raise InternalError(f"{path.name}: {name} has values that are not finite in float16")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    save_file(rounded, partial, {key: json.dumps(value, sort_keys=True) for key, value in metadata.items()})
    # safetensors makes files that only their owner may read
    partial.chmod(0o644)
    partial.replace(path)


def read_metadata(path: Path) -> dict[str, Any]:
    """What `save_weights` was told about the weights. Raises UserError where it is no such file."""
    try:
        with safe_open(path, framework="pt") as file:
            return {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{path} is not a weight file of edgedeploy: {error}") from error


def load_weights(model: nn.Module, path: Path) -> None:
    """Put the file's tensors into `model`, widened to float32, and set eval mode.

    The file must hold exactly what `trained_state` of the model has: same names, same shapes. Raises UserError
    otherwise.
    """
    wanted = trained_state(model)
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot read the weights {path}: {error}") from error
    if {n: t.shape for n, t in wanted.items()} != {n: t.shape for n, t in found.items()}:
        differ = sorted(wanted.keys() ^ found.keys()) or [n for n in wanted if wanted[n].shape != found[n].shape]
        raise UserError(f"the weights {path} are of another model: {differ[0]} differs ({len(differ)} in all)")
    model.load_state_dict({n: t.to(wanted[n].dtype) for n, t in found.items()}, strict=False)
    model.eval()


def state_digest(model: nn.Module) -> str:
    """sha256 (hex) over every parameter and buffer of the model, by name: what the model is, wherever it is kept."""
    total = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        plain = tensor.detach().cpu().contiguous()
        total.update(f"{name} {plain.dtype} {tuple(plain.shape)}".encode())
        total.update(plain.numpy().tobytes())
    return total.hexdigest()
