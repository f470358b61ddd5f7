"""What an artifact has to meet, as `recommend` and `report` have it typed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from edgedeploy.ranges import FiniteRange, milliseconds, size_bytes

_OPTIONS = (
    click.option("--max-latency", type=milliseconds("20ms"), help="Median of an inference, its whole interval: 20ms."),
    click.option("--max-drop", type=FiniteRange(-100, 100), metavar="POINTS", help="Points of accuracy lost against identity."),
    click.option("--max-size", type=size_bytes("5MB"), help="Of the model files: 5MB, 800kB, 1GiB."),
    click.option("--max-memory", type=size_bytes("200MB"), help="Peak memory of a launch: 200MB."),
    click.option("--tier", help="Only runs on devices of this tier: mobile, edge, cloud."),
)


def constraints(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of what is asked of an artifact. The command is called with `limits`, a Constraints."""

    @functools.wraps(function)
    def called(
        *args: Any, max_latency: float | None, max_drop: float | None, max_size: float | None, max_memory: float | None,
        tier: str | None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        from device_runner.results.recommend import Constraints

        limits = Constraints(
            max_latency, max_drop,
            None if max_size is None else int(max_size), None if max_memory is None else int(max_memory),
            tier,
        )  # fmt: skip
        return function(*args, limits=limits, **kwargs)

    for option in reversed(_OPTIONS):
        called = option(called)
    return called
