"""Numbers on the command line."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
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


class Quantity(click.ParamType[float]):
    """A number above 0 with a unit, as a number of the unit that counts as 1: 20ms, 1.5 MB."""

    def __init__(self, name: str, units: Mapping[str, float], example: str) -> None:
        self.name, self._units, self._example = name, units, example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*([a-zµ]{1,3})", str(value).strip().lower())
        if found is None or found[2] not in self._units or float(found[1]) <= 0:
            self.fail(f"{value!r}: give a number above 0 with its unit, such as {self._example}", param, ctx)
        return float(found[1]) * self._units[found[2]]


def milliseconds(example: str) -> Quantity:
    """A time: 20ms, 800us, 2s."""
    return Quantity("time", {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1000.0}, example)


def size_bytes(example: str) -> Quantity:
    """A size: 5MB, 800kB (powers of ten), 1GiB (of two)."""
    units = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
    return Quantity("size", units, example)


def age(example: str) -> Quantity:
    """A time of days, in seconds: 90d, 12h, 8w."""
    return Quantity("age", {"h": 3600, "d": 86_400, "w": 7 * 86_400}, example)
