"""Numbers on the command line."""

from __future__ import annotations

import math
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """A number from `low` to `high`. click's own range lets NaN through, which is neither below nor above anything."""

    name = "number"

    def __init__(self, low: float, high: float) -> None:
        super().__init__(low, high)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number from {self.min:g} to {self.max:g}.", param, ctx)
        return number


class Percent(FiniteRange):
    """A share in percent, with or without the sign: 5 and 5% both are 0.05."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str):
            value = value.strip().removesuffix("%").strip()
        return super().convert(value, param, ctx) / 100


class Duration(FiniteRange):
    """A time in seconds; 90, 90s, 10m and 1h are taken."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        factor = 1
        if isinstance(value, str):
            value = value.strip()
            factor = {"s": 1, "m": 60, "h": 3600}.get(value[-1:], 0)
            value, factor = (value[:-1], factor) if factor else (value, 1)
            try:
                value = float(value) * factor
            except ValueError:
                self.fail(f"{value!r} is not a time; give 90s, 10m or 1h.", param, ctx)
        return super().convert(value, param, ctx)
