"""The operators by name. Adding one is a file here and a line in NAMES."""

from __future__ import annotations

import importlib

from edgedeploy.errors import UserError
from exporter.operators.base import Draft, Operator

NAMES = ("identity", "distilled", "pruned", "qat", "partition", "sptq", "fp16", "int8-dynamic", "int8-weights")
#: names of the study (arXiv 2411.00907) for combinations
ALIASES = {"dsptq": ("distilled", "sptq"), "sptq-partition": ("partition", "sptq")}
#: the study's eight, which `--op all` stands for, in its order
STUDY = ("identity", "qat", "pruned", "distilled", "sptq", "partition", "dsptq", "sptq-partition")


def get(name: str) -> Operator:
    """The operator of that name. Raises UserError naming the choices."""
    if name not in NAMES:
        known = ", ".join((*NAMES, *ALIASES))
        raise UserError(f"no operator {name!r}; there are {known}, and combinations such as distilled+sptq")
    operator: Operator = importlib.import_module(f"exporter.operators.{name.replace('-', '_')}").operator
    return operator


def parse(asked: str) -> tuple[Draft, list[Operator]]:
    """The recipe draft and the operators behind what was typed: a name, an alias, or names joined by "+".

    The steps come in the canonical order (float transforms, cut, quantisation), whatever order was typed.
    Raises UserError for an unknown name or steps that do not go together.
    """
    names = [step for part in asked.split("+") for step in ALIASES.get(part, (part,))]
    operators = [get(name) for name in names]
    if len(operators) > 1 and any(operator.name == "identity" for operator in operators):
        raise UserError(f"--op {asked}: identity goes with nothing else")
    # NAMES is in the canonical order
    operators.sort(key=lambda operator: NAMES.index(operator.name))
    draft = Draft(asked)
    for operator in operators:
        draft = operator.extend(draft)
    return draft, operators
