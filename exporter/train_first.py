"""The trainings of an export, by all processes that were launched, before the main one goes on to lower and write.

The others leave after that: lowering is the work of one process, and nothing waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exporter.operators.base import Operator
from exporter.prepare import Prepared
from exporter.subjects.base import Subject
from exporter.training import processes


def train_first(
    wanted: Sequence[tuple[Subject, Sequence[list[Operator]]]], prepared: Callable[[Subject], Prepared]
) -> list[Prepared]:
    """Make the float models of these subjects under these operators, in this order, and leave the other processes.

    Raises what a training raises, and no training comes after it: a process that went on to the next would there meet
    those that are still in this one.
    """
    ready = []
    for subject, recipes in wanted:
        made = prepared(subject)
        for operators in recipes:
            made.float_model(operators)
        ready.append(made)
    processes.part()
    return ready
