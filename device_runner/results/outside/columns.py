"""Which column of somebody's table is which of our fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgedeploy.errors import UserError

#: what a run is known by: rows that agree in these are one run
KEYS = ("subject", "operator", "runtime", "device", "tier")
#: of one row; latency in ms or in s, accuracy as a share 0..1 or in percent, over so many examples
VALUES = ("launch", "latency_ms", "latency_s", "accuracy", "accuracy_percent", "examples")
FIELDS = (*KEYS, *VALUES)


@dataclass(frozen=True)
class Columns:
    """columns: field -> column. constants: field -> what it is in every row."""

    columns: Mapping[str, str]
    constants: Mapping[str, str]

    def text(self) -> str:
        """The same for the same mapping."""
        return repr((sorted(self.columns.items()), sorted(self.constants.items())))


def parse(maps: Sequence[str], constants: Sequence[str]) -> Columns:
    """From `COLUMN=FIELD`s and `FIELD=VALUE`s. Raises UserError for what is no field, said twice, or missing."""
    columns: dict[str, str] = {}
    fixed: dict[str, str] = {}
    for given in maps:
        # the last sign: a column may have one in its name, a field has none
        column, sign, field = given.rpartition("=")
        _enter(columns, field, column, given, sign, "--map COLUMN=FIELD")
    for given in constants:
        field, sign, value = given.partition("=")
        _enter(fixed, field, value, given, sign, "--set FIELD=VALUE")
    both = sorted(set(columns) & set(fixed))
    if both:
        raise UserError(f"{', '.join(both)}: given by --map and by --set; leave one of them out")
    has = {*columns, *fixed}
    missing = [field for field in ("subject", "operator") if field not in has]
    if missing:
        raise UserError(
            f"say which column is {' and which is '.join(missing)} (--map COLUMN={missing[0]}), or --set {missing[0]}=NAME"
        )
    if len(has & {"latency_ms", "latency_s"}) != 1:
        raise UserError("say which column is the latency, in one unit: --map COLUMN=latency_ms or --map COLUMN=latency_s")
    if len(has & {"accuracy", "accuracy_percent"}) > 1:
        raise UserError("give accuracy or accuracy_percent, not both")
    if has & {"accuracy", "accuracy_percent"} and "examples" not in has:
        raise UserError("an accuracy has no interval without the number of examples it is over: --set examples=N")
    return Columns(columns, fixed)


def _enter(into: dict[str, str], field: str, value: str, given: str, sign: str, form: str) -> None:
    if not sign or not value or field not in FIELDS:
        raise UserError(f"{given[:120]!r}: give {form}, FIELD one of {', '.join(FIELDS)}")
    if field in into:
        raise UserError(f"{field}: given twice")
    into[field] = value
