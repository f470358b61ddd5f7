"""What a model answers over a split, and which answers are right, in float32."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgedeploy.metrics import top1
from exporter.subjects.base import Progress, Split


def logits_of(
    model: nn.Module,
    split: Split,
    inputs: tuple[str, ...],
    batch: int = 32,
    progress: Progress | None = None,
    what: str = "evaluating",
) -> npt.NDArray[np.float32]:
    """The model's first output over the split, float32 [n, classes]. `inputs` is the signature's order."""
    model.eval()
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(split), batch):
            arrays = split.batch(start, min(start + batch, len(split)))
            output = model(*(torch.from_numpy(np.ascontiguousarray(arrays[name])).to(device) for name in inputs))
            parts.append((output[0] if isinstance(output, tuple) else output).float().cpu().numpy())
            if progress is not None:
                progress(what, min(start + batch, len(split)), len(split))
    return np.concatenate(parts).astype(np.float32)


def right_of(
    model: nn.Module, split: Split, inputs: tuple[str, ...], progress: Progress | None = None, what: str = "evaluating"
) -> npt.NDArray[np.bool_]:
    """Which examples of the split the model gets right, bool [n]."""
    return top1(logits_of(model, split, inputs, progress=progress, what=what), split.labels)
