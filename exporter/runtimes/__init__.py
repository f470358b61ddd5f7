"""The runtimes there are, each with its backends. To add one: its file here or in `exporter/backends`, and a line below."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass

from edgedeploy.errors import UserError
from exporter.runtimes.base import Runtime


@dataclass(frozen=True)
class _Entry:
    """Where a runtime and one of its backends are ("module:class"), and the modules that both need."""

    runtime: str
    backend: str
    runtime_class: str
    backend_class: str
    needs: tuple[str, ...]


#: the first backend of a runtime is its default
_ENTRIES = (
    _Entry(
        "onnx", "cpu", "exporter.runtimes.onnx:OnnxRuntime", "exporter.backends.onnx_cpu:OnnxCpu",
        ("torch", "onnx", "onnxruntime", "onnxscript"),
    ),
    _Entry(
        "tflite", "xnnpack", "exporter.runtimes.tflite:TfliteRuntime", "exporter.backends.tflite_xnnpack:TfliteXnnpack",
        ("torch", "litert_torch", "ai_edge_litert", "ai_edge_quantizer"),
    ),
    _Entry(
        "executorch", "xnnpack", "exporter.runtimes.executorch:ExecutorchRuntime",
        "exporter.backends.executorch_xnnpack:ExecutorchXnnpack",
        ("torch", "torchao", "executorch"),
    ),
)  # fmt: skip


def names() -> tuple[str, ...]:
    """The runtimes' names."""
    return tuple(dict.fromkeys(entry.runtime for entry in _ENTRIES))


def backends(name: str) -> tuple[str, ...]:
    """The backends of a runtime, its default first; empty for a runtime that is not known."""
    return tuple(entry.backend for entry in _ENTRIES if entry.runtime == name)


def described(name: str, backend: str) -> Runtime:
    """The runtime with this backend to be asked what it refuses, its packages installed or not."""
    entry = next(entry for entry in _ENTRIES if (entry.runtime, entry.backend) == (name, backend))
    runtime: Runtime = _load(entry.runtime_class)(_load(entry.backend_class)())
    return runtime


def get(name: str, backend: str | None = None) -> Runtime:
    """The runtime with this backend (its default where None).

    Raises UserError for a name that is not known and where a package is missing.
    """
    if name not in names():
        raise UserError(f"runtime {name!r} is not known; choose one of {', '.join(names())}")
    backend = backend or backends(name)[0]
    entry = next((entry for entry in _ENTRIES if (entry.runtime, entry.backend) == (name, backend)), None)
    if entry is None:
        raise UserError(f"runtime {name} has no backend {backend!r}; it has {', '.join(backends(name))}")
    missing = [module for module in entry.needs if importlib.util.find_spec(module) is None]
    if missing:
        raise UserError(f"runtime {name} needs {', '.join(missing)}: pip install 'edgedeploy[export]'")
    return described(name, entry.backend)


def _load(where: str) -> type:
    module, name = where.split(":")
    found: type = getattr(importlib.import_module(module), name)
    return found
