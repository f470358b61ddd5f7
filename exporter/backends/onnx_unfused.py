"""A graph as it is written, in ONNX Runtime: no node fused or left out, so every tensor is there under its own name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnxruntime

#: of its log: errors only; the optimiser's notes about the model are of no use to our callers
SEVERITY_ERROR = 3


def unfused(model: Any, file: Path, profile: Path | None = None) -> onnxruntime.InferenceSession:
    """Write the onnx.ModelProto to `file` and open it, on the CPU.

    profile: also time each node, with one thread inside an operator; begins the name of the file that
    `end_profiling` of the session then writes.
    """
    import onnx
    import onnxruntime

    onnx.save(model, str(file))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = SEVERITY_ERROR
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if profile is not None:
        options.intra_op_num_threads = 1
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
