"""The words in which a model file asks and a runtime offers, so that the two can be held against each other."""

from __future__ import annotations

#: kind -> name -> the newest version that is asked for, or offered. Where a kind has no versions, it is 1
Needs = dict[str, dict[str, int]]

IR_VERSION = "IR version"
OPSET = "opset"
OPERATOR = "operator"
CUSTOM_OPERATOR = "custom operator"
KERNEL = "kernel"
BACKEND = "backend"
#: how the file itself is made, where not every version of a runtime reads it so
LAYOUT = "layout"


def operator_of(domain: str) -> str:
    """The kind that operators of an ONNX domain besides ONNX's own are."""
    return f"operator of {domain}"
