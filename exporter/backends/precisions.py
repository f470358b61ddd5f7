"""What a backend says of the precisions it does not have."""

from __future__ import annotations

from collections.abc import Mapping

from edgedeploy.artifact import Precision

#: every runtime has these: `lower` and `lower_int8`
EVERYWHERE = ("fp32", "int8-static")


def refusal(precisions: tuple[Precision, ...], lacks: Mapping[tuple[str, str], str], family: str, precision: str) -> str | None:
    """The reason in `lacks`, whose keys are (family or "*", precision); None where the backend has the precision."""
    if precision in EVERYWHERE:
        return None
    reason = lacks.get((family, precision)) or lacks.get(("*", precision))
    if reason is None and precision not in precisions:
        reason = f"it has {', '.join((*EVERYWHERE, *precisions))}"
    return reason
