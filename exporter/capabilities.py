"""What cannot be done, said before any work: operator x runtime x subject.

Operators in torch that a runtime lacks are looked for once the model is there: see `operator_tables`.
"""

from __future__ import annotations

from collections.abc import Sequence

from exporter.given import rules
from exporter.operators.base import Draft, Operator
from exporter.runtimes.base import Runtime
from exporter.subjects.base import Subject


def refusal(draft: Draft, operators: Sequence[Operator], subject: Subject, runtime: Runtime) -> str | None:
    """Why this subject cannot be exported under these operators to this runtime, and what to do; None where it can.

    Cheap: no weights are loaded and nothing is lowered.
    """
    given = subject.given
    if given is not None:
        final = rules.refusal(given.form, given.runtime, given.small, draft, operators, runtime.name)
        if final is not None:
            return final
    for operator in operators:
        # only operators that change the float model ask something of the subject
        refuses = getattr(operator, "refuses", None)
        why: str | None = refuses(subject) if refuses is not None else None
        if why is not None:
            return why
    if draft.precision != "fp32":
        return runtime.refuses(subject.quantise, draft.precision)
    return None
