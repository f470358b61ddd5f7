"""Hundreds of damaged plans, manifests, inputs and models: each ends in an error line or a result, none in a traceback."""

from __future__ import annotations

import collections
from pathlib import Path

from exporter.export import Outcome
from tests.fuzz import cases

#: `scripts/fuzz` does a thousand, and more
CASES, SEED = 200, 1


def test_every_damage_ends_well(tiny_export: tuple[Path, list[Outcome]], tmp_path: Path) -> None:
    out, _ = tiny_export
    sources = sorted(found.parent for found in out.glob("*/*/*/manifest.json"))
    endings = [cases.run(number, SEED, sources, tmp_path / str(number)) for number in range(CASES)]
    faults = [f"case {number} ({ending.kind}): {ending.fault}" for number, ending in enumerate(endings) if ending.fault]
    assert not faults, "\n".join(faults)
    # the fuzz must reach what it is meant to reach: the runtimes' loaders, and behind them the runs
    seen = collections.Counter(ending.what for ending in endings)
    assert {"plan_invalid", "model_invalid", "input_size", "end", "bench exit 0", "bench exit 1", "bench exit 2"} <= set(
        seen
    ), seen
    assert cases.peak_child_mb() < 2 * cases.MAX_MEMORY_MB
