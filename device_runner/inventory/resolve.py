"""From what a person calls a device to the device."""

from __future__ import annotations

import difflib
import fnmatch
import re
from dataclasses import dataclass, replace
from pathlib import Path

from device_runner.inventory import address, discover, file
from device_runner.inventory.device import LOCAL, Device
from device_runner.transports.base import Target
from edgedeploy.errors import EdgedeployError, UserError


def listed(stated: Path | None = None) -> dict[str, Device]:
    """This host and what devices.yaml names. Raises UserError for a file that is wrong."""
    path = file.locate(stated)
    entries = file.read(path).inventory.devices if path is not None else {}
    return {LOCAL.name: LOCAL, **{name: entry.device(name) for name, entry in entries.items()}}


@dataclass(frozen=True)
class Known:
    """`trouble`: why attached phones could not be looked for, "" when they were."""

    devices: list[Device]
    phones: list[discover.Phone]
    trouble: str = ""


def known(stated: Path | None = None) -> Known:
    """Every device: listed, or attached and named by no file. Raises UserError for a file that is wrong."""
    named = listed(stated)
    try:
        phones = discover.attached()
    except EdgedeployError as error:
        return Known(list(named.values()), [], f"attached phones could not be looked for: {error}")
    return Known(_with_attached(named, phones), phones)


def _with_attached(named: dict[str, Device], phones: list[discover.Phone]) -> list[Device]:
    by_serial = {phone.serial: phone for phone in phones}
    devices = []
    for device in named.values():
        phone = by_serial.pop(device.target.address, None) if device.target.transport == "adb" else None
        devices.append(replace(device, model=phone.model) if phone is not None else device)
    return devices + [
        Device(phone.serial, Target("adb", phone.serial), "mobile", model=phone.model, source="attached")
        for phone in by_serial.values()
    ]


def resolve(name: str, stated: Path | None = None) -> Device:
    """The device of that name: as listed, an address, a serial, a model ("pixel7" is Pixel 7), or a glob over all of them.

    stated: the inventory's file, where one was named. Raises UserError: with the matches when there are several, with what
    is known, and what is spelt alike, when there is none.
    """
    named = listed(stated)
    if name in named:
        return named[name]
    if address.looks_direct(name):
        return Device(name, address.parse(name), source="address")
    if (share := _of_preset(name)) is not None:
        return share
    found_now = known(stated)
    devices, trouble = found_now.devices, f" ({found_now.trouble})" if found_now.trouble else ""
    for matches in (_is_called, _is_alike, _is_globbed):
        found = [device for device in devices if matches(device, name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f"{name!r} can be {len(found)} devices: {', '.join(map(_shown, found))}; name one of them")
    raise UserError(f"no device {name[:100]!r}{trouble}; {_near(name, devices)}known: {', '.join(map(_shown, devices))}")


def _of_preset(name: str) -> Device | None:
    # who knows presets knows devices, and so cannot be known to a module that devices are read by
    from device_runner.tiers import presets

    return presets.device_called(name)


def plain(text: str) -> str:
    """`text` as far as it counts in a model's name: "Pixel 7", "pixel_7" and "pixel7" are one."""
    return re.sub(r"[^a-z0-9]", "", text.casefold())


def _calls(device: Device) -> list[str]:
    """What it can be called."""
    return [call for call in (device.name, device.target.address, device.model) if call]


def _is_called(device: Device, name: str) -> bool:
    return name in _calls(device)


def _is_alike(device: Device, name: str) -> bool:
    return bool(plain(name)) and plain(name) in [plain(call) for call in (device.name, device.model)]


def _is_globbed(device: Device, name: str) -> bool:
    if not any(character in name for character in "*?["):
        return False
    return any(fnmatch.fnmatchcase(call.casefold(), name.casefold()) for call in _calls(device))


def _shown(device: Device) -> str:
    if device == LOCAL:
        return "local (this host)"
    model = f", {device.model}" if device.model else ""
    return f"{device.name} ({address.shown(device.target)}{model})"


def _near(name: str, devices: list[Device]) -> str:
    calls = {plain(call): call for device in devices for call in _calls(device)}
    near = difflib.get_close_matches(plain(name), list(calls), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(calls[call] for call in near)}? " if near else ""
