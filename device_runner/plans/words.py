"""What a run's mode is for, in words: under the table, and in the document."""

from __future__ import annotations

from device_runner.plans import MODES, sustained
from edgedeploy.record import Interval, RunRecord

_LABELS = {"p90_ms": "90th percentile {} ms", "inferences_per_sec": "{} inferences a second"}


def said(record: RunRecord) -> list[str]:
    """Lines for people; none where the table says it all."""
    mode = MODES.get(record.plan.mode)
    lines = [sustained.in_words(found) for found in record.sustained]
    if mode is None or not record.valid or mode.metric not in _LABELS:
        return lines
    number = getattr(record, mode.metric)
    if number is not None:
        lines.append(f"{mode.name}: {_LABELS[mode.metric].format(_shown(number))}")
    return lines


def _shown(interval: Interval) -> str:
    bounds = f" [{interval.low:.4g}, {interval.high:.4g}]" if interval.low is not None and interval.high is not None else ""
    return f"{interval.estimate:.4g}{bounds}"
