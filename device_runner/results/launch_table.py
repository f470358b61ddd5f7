"""The launches of one run, in the order they were started."""

from __future__ import annotations

import click

from device_runner.validity import words
from edgedeploy.record import RunRecord
from edgedeploy.terminal import table

_HEADINGS = ("launch", "position", "block", "cold load ms", "load ms", "first ms", "median ms", "samples", "peak MiB", "state")


def show(record: RunRecord) -> None:
    """Print the table on stdout."""
    lines = []
    for launch in record.launches:
        times = (launch.load_cold_ns, launch.load_warm_ns, launch.first_ns, launch.steady_median_ns)
        cells = [str(launch.index), str(launch.position), str(launch.block)]
        cells += ["–" if value is None else f"{value / 1e6:.3f}" for value in times]
        cells.append(str(launch.steady_count))
        cells.append("–" if launch.peak_rss_kb is None else f"{launch.peak_rss_kb / 1024:.1f}")
        flags = words.named(launch)
        state = "valid" if launch.valid else "; ".join(launch.invalid_because)
        cells.append(f"{state} ({flags})" if flags else state)
        lines.append(cells)
    click.echo()
    table(_HEADINGS, lines, right=range(len(_HEADINGS) - 1))
