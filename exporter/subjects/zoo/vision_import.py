"""Importing torchvision, timm and transformers, which need more care than an import statement.

torchvision's wheel on PyPI is built for CUDA: its compiled part does not load beside a CPU build of torch, and then
`import torchvision` itself fails, because it attaches meta functions to operators that were never defined
("operator torchvision::nms does not exist"). timm imports torchvision always, transformers does where it is
installed. The models use none of the compiled operators. So where the compiled part does not load, the two operators
that the import looks for are defined, without an implementation; where it loads, nothing is done.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from edgedeploy.errors import UserError

#: operators defined in place of the compiled ones; a torch library ends with its object, so it is kept
_stand_ins: list[Any] = []


def zoo_module(name: str) -> ModuleType:
    """The module (`timm`, `torchvision.models`, `transformers`), imported. Raises UserError where it is not installed."""
    package = name.split(".")[0]
    if importlib.util.find_spec(package) is None:
        raise UserError(f"models by name from {package} need it installed: pip install 'edgedeploy[zoo]'.")
    from exporter.runtimes.quiet import quiet

    with quiet():
        _make_importable()
        if package == "transformers":
            # where its models begin, and what brings the noise of others along; the package itself loads nothing
            importlib.import_module("transformers.modeling_utils")
        return importlib.import_module(name)


def _make_importable() -> None:
    spec = importlib.util.find_spec("torchvision")
    if _stand_ins or spec is None or spec.origin is None:
        return
    import torch

    compiled = sorted(Path(spec.origin).parent.glob("_C*.so")) + sorted(Path(spec.origin).parent.glob("_C*.pyd"))
    with contextlib.suppress(OSError):
        # as torchvision does it itself; loading a library twice is loading it once
        for library in compiled:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
        if compiled:
            return
    stand_in = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        stand_in.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    _stand_ins.append(stand_in)
