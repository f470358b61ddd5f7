"""What a .pte file asks of ExecuTorch: kernels, and backends that parts of it were made for.

Places of fields are those of https://github.com/pytorch/executorch/blob/main/schema/program.fbs.
"""

from __future__ import annotations

from device_runner.needs.flatbuffer import Data, root
from device_runner.needs.words import BACKEND, KERNEL, Needs

IDENTIFIERS = (b"ET12",)
#: what the runner runs of it
METHOD = "forward"
_PLANS = 1
_PLAN_NAME, _PLAN_OPERATORS, _PLAN_DELEGATES = 0, 6, 7
_OPERATOR_NAME, _OPERATOR_OVERLOAD = 0, 1
_DELEGATE_ID = 0


def read(data: Data) -> Needs:
    """Raises Malformed for what is no program."""
    needs: Needs = {}
    for plan in root(data, IDENTIFIERS).tables(_PLANS):
        if plan.text(_PLAN_NAME) != METHOD:
            continue
        for operator in plan.tables(_PLAN_OPERATORS):
            name, overload = operator.text(_OPERATOR_NAME), operator.text(_OPERATOR_OVERLOAD)
            needs.setdefault(KERNEL, {})[f"{name}.{overload}" if overload else name] = 1
        for delegate in plan.tables(_PLAN_DELEGATES):
            needs.setdefault(BACKEND, {})[delegate.text(_DELEGATE_ID)] = 1
    return needs
