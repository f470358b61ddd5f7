"""What can be done with a file as given, and why not the rest."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.given import SAVED_MODEL, TENSORFLOW_FORMS
from exporter.operators.base import Draft, Operator

#: why no operator but identity goes: what the file says is final
_FINISHED = {
    ".pte": "a .pte is a lowered program, its weights packed for its backend",
}
#: why it cannot be cut
_UNCUT = {
    ".tflite": "nothing here takes a .tflite apart",
    ".keras": "TensorFlow converts a .keras whole, and nothing here takes a .tflite apart",
    SAVED_MODEL: "TensorFlow converts a SavedModel whole, and nothing here takes a .tflite apart",
}
_SOURCE = "use the model it was made from (a .pt2 program with --data, or FILE.py:ATTRIBUTE)"


def refusal(
    form: str, runtime_of_form: str, small: str, draft: Draft, operators: Sequence[Operator], runtime: str
) -> str | None:
    """Why a file of this form cannot be exported so, and what to do; None where it can. small: as in GivenFile."""
    if runtime != runtime_of_form and form in TENSORFLOW_FORMS:
        return (
            f"TensorFlow's converter makes a .tflite of a {form}, and nothing here leads from it to {runtime}; "
            f"use --runtime {runtime_of_form}"
        )
    if runtime != runtime_of_form:
        return (
            f"a {form} file is for {runtime_of_form}, and nothing here converts it to {runtime}; "
            f"use --runtime {runtime_of_form}, or for {runtime} {_SOURCE}"
        )
    trained = [operator.name for operator in operators if hasattr(operator, "transform")]
    if trained:
        return (
            f"{trained[0]} trains, and the weights in a {form} file cannot be trained; {_SOURCE}, or an operator that does "
            "not train (--op sptq)"
        )
    if form in _FINISHED and draft != Draft(draft.asked):
        what = "cut" if draft.cut else "quantised or converted to another precision"
        return f"{_FINISHED[form]}, so it cannot be {what}; {_SOURCE}"
    if draft.cut and form in _UNCUT:
        return f"{_UNCUT[form]}, so it cannot be partitioned; {_SOURCE}"
    if draft.precision != "fp32" and small:
        return f"it cannot be had in {draft.precision}: {small}; give the float32 file, or {_SOURCE}"
    return None
