"""Devices of many hosts by name: `pixel7@lab1` is the device that host lab1's devices.yaml calls pixel7."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgedeploy.errors import UserError


def joined(device: str, host: str) -> str:
    return f"{device}@{host}"


def parted(name: str) -> tuple[str, str]:
    """(the device's name on its host, the host)."""
    device, _, host = name.rpartition("@")
    return device, host


@dataclass(frozen=True)
class Announced:
    """A device as its host tells of it."""

    name: str
    tier: str = ""
    labels: tuple[str, ...] = ()
    model: str = ""


class Everywhere:
    """The devices of all hosts. See expanding.Devices. hosts: as `Head.hosts` gives them."""

    def __init__(self, hosts: list[dict[str, Any]]) -> None:
        found: dict[str, Announced] = {}
        for host in hosts:
            for each in host["devices"]:
                name = joined(each["name"], host["name"])
                found[name] = Announced(name, each["tier"], tuple(each["labels"]), each["model"])
        self.labelled: Mapping[str, Announced] = found

    def resolve(self, said: str) -> str:
        """`said`: NAME@HOST; or a name, model or glob that one device of all has."""
        if said in self.labelled:
            return said
        found = [name for name, each in self.labelled.items() if said in (parted(name)[0], each.model)]
        found = found or [name for name in self.labelled if fnmatch.fnmatchcase(name, said)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(
                f"{said!r} can be {len(found)} devices: {', '.join(found)}; name one of them, or write *@HOST or NAME@*"
            )
        near = difflib.get_close_matches(said, [*self.labelled, *(parted(name)[0] for name in self.labelled)], n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(
            f"no host of the cluster has a device {said[:100]!r}; {hint}there are: {', '.join(self.labelled) or 'none yet'}"
        )
