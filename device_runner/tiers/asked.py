"""The pair and the plans that a command line asks for: by devices, or by a preset's tiers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_runner import inventory
from device_runner.device_plan import for_device
from device_runner.tiers import presets, shape
from device_runner.tiers.benching import Plans
from device_runner.tiers.pair import TIERS, Pair
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.inventory import Device
    from device_runner.tiers.shape import Shape
    from edgedeploy.record import Plan

#: of a preset, where no tiers are named
_USUAL = "mobile,edge"


def devices(tiers: str | None, preset: str | None, file: Path | None) -> dict[str, Device]:
    """The devices of `--tiers` by tier, the near one first; with `--preset` a tier without a device has the preset's.

    file: the inventory's, where one was named. Raises UserError for what is no pair of tiers.
    """
    if tiers is None and preset is None:
        raise UserError("name the two devices: --tiers mobile=pixel7,edge=rpi5, or --preset study")
    named_by = presets.named(preset) if preset is not None else None
    names = named(tiers or _USUAL, without_devices=named_by is not None)
    return {
        tier: inventory.resolve(name or (named_by.device_name(tier) if named_by else ""), file) for tier, name in names.items()
    }


def link(text: str | None, preset: str | None, tiers: Mapping[str, Device], direct: str | None) -> Shape | None:
    """What the link is made to be: as `--link` says, else as the preset has it; a direct one is not shaped."""
    if text is not None:
        return shape.parse(text)
    return presets.named(preset).link(*tiers) if preset is not None and direct is None else None


def plans(
    pair: Pair, plan: Plan, *, threads: int | None, affinity: tuple[int, ...] | None, gates: Mapping[str, Any],
    preparation: Mapping[str, Any],
) -> Plans:  # fmt: skip
    """The plan for each side; threads and affinity, where given, are of both, as what the inventory says is of each."""
    near, far = (
        for_device(plan, device, threads=threads, affinity=affinity, gates=gates, preparation=preparation)
        for device in (pair.near, pair.far)
    )
    return Plans(near, far)


def named(text: str, *, without_devices: bool = False) -> dict[str, str]:
    """tier -> what its device is called, the near tier first, of "mobile=pixel7,edge=rpi5"; "" for a tier alone, where a preset
    has its device. Raises UserError."""
    form = "mobile,edge" if without_devices else "mobile=pixel7,edge=rpi5"
    found: dict[str, str] = {}
    for part in text.split(","):
        tier, separator, name = part.strip().partition("=")
        alone = without_devices and not separator
        if tier not in TIERS or tier in found or not (name or alone):
            raise UserError(f"--tiers {text[:100]!r}: give two of {', '.join(TIERS)}, each once: {form}")
        found[tier] = name
    if len(found) != 2:
        raise UserError(f"--tiers {text[:100]!r}: a run is over two tiers, and this names {len(found)}: {form}")
    return {tier: found[tier] for tier in TIERS if tier in found}
