"""ONNX Runtime's own trace (Chrome's trace format): every call of every node, since the session was made."""

from __future__ import annotations

import json
import statistics
from typing import Any

from device_runner.passes.operators import Operator

#: of the trace's file; a call of a node takes about a kilobyte
MAX_BYTES = 128 * 2**20
_TIMES = "_kernel_time"
_PROVIDER = "ExecutionProvider"


class NoTrace(Exception):
    """What is there is no trace that anything can be read from; the message says why."""


def read(text: str, stage: int, inferences: int) -> list[Operator]:
    """The nodes, each with the median over the last `inferences` runs, so that warm-up is not in it."""
    calls: dict[tuple[str, str, str], list[float]] = {}
    runs = _runs(text)
    if not runs:
        raise NoTrace("ONNX Runtime's trace has no inference")
    for run in runs[-inferences:]:
        seen: dict[tuple[str, str, str], float] = {}
        for key, microseconds in run:
            # a node in a loop is called several times in one inference
            seen[key] = seen.get(key, 0.0) + microseconds
        for key, microseconds in seen.items():
            calls.setdefault(key, []).append(microseconds)
    return [Operator(stage, name, kind, where, 1000 * statistics.median(each)) for (name, kind, where), each in calls.items()]


def _runs(text: str) -> list[list[tuple[tuple[str, str, str], float]]]:
    """(name, kind, where) and microseconds of each call, by inference; what a run ends with is its own event."""
    try:
        events = json.loads(text)
    except (ValueError, RecursionError):
        raise NoTrace("ONNX Runtime's trace is not whole") from None
    if not isinstance(events, list):
        raise NoTrace("ONNX Runtime's trace is none")
    runs: list[list[tuple[tuple[str, str, str], float]]] = []
    current: list[tuple[tuple[str, str, str], float]] = []
    for event in events:
        name, duration = (event.get("name"), event.get("dur")) if isinstance(event, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(duration, int | float) or isinstance(duration, bool) or duration < 0:
            continue
        if event.get("cat") == "Session" and name == "model_run":
            runs.append(current)
            current = []
        elif event.get("cat") == "Node" and name.endswith(_TIMES) and isinstance(event.get("args"), dict):
            current.append((_key(name.removesuffix(_TIMES), event["args"]), float(duration)))
    return runs


def _key(name: str, args: dict[str, Any]) -> tuple[str, str, str]:
    operator, provider = str(args.get("op_name") or "?")[:200], str(args.get("provider") or "?")[:200]
    dtype = _first_dtype(args.get("input_type_shape"))
    return (name or operator)[:400], f"{operator} ({dtype})" if dtype else operator, provider.removesuffix(_PROVIDER).lower()


def _first_dtype(inputs: object) -> str:
    """Of the first input: whether an int8 model's node still computes in float is what one wants to see."""
    first = inputs[0] if isinstance(inputs, list) and inputs else None
    return str(next(iter(first)))[:50] if isinstance(first, dict) and first else ""
