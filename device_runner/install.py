"""Putting the runner and its libraries on a device: by content, so that only the first time costs anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_runner import fit, model_fit
from device_runner.bundles import known_abis, locate
from device_runner.retry import with_backoff
from device_runner.runner import Runner
from edgedeploy.errors import TransientError, UserError

if TYPE_CHECKING:
    from pathlib import Path

    from device_runner.bundles import RunnerBundle
    from device_runner.deadline import Deadline
    from device_runner.device_cache import DeviceCache
    from device_runner.model_fit import Model
    from device_runner.transports.base import Transport


_ANDROID_MACHINE = {"aarch64": "arm64"}
_LINUX_MACHINE = {"arm64": "aarch64"}
_LINKER, _LINKER_32 = "/system/bin/linker64", "/system/bin/linker"


def abi(transport: Transport, deadline: Deadline) -> str:
    """What the device's programs are built for: linux-x86_64, linux-aarch64, android-arm64, android-x86_64.

    Raises UserError for an Android that has 32-bit programs only, TransientError for a device that does not answer.
    """
    machine = transport.run(["uname", "-m"], deadline).text.strip()
    if not re.fullmatch(r"[A-Za-z0-9_]{1,20}", machine):
        raise TransientError("the device does not say which machine it is (uname -m)")
    # what starts Android's programs: of a chroot or a container too, whatever the kernel is
    linkers = transport.run(["ls", _LINKER, _LINKER_32], deadline).text.split()
    if _LINKER in linkers:
        return f"android-{_ANDROID_MACHINE.get(machine, machine)}"
    if _LINKER_32 in linkers:
        raise UserError("this Android runs 32-bit programs only; the runner and the runtimes are for 64 bits")
    return f"linux-{machine}"


def runner(transport: Transport, deadline: Deadline, bundle: str = "", cache: DeviceCache | None = None) -> Runner:
    """`put` of what `choose` finds."""
    return put(choose(transport, deadline, bundle), transport, deadline, cache)


@dataclass(frozen=True)
class Chosen:
    """The runner for a device, and which of its runtimes cannot run there, and why."""

    bundle: RunnerBundle
    unfit: Mapping[str, str]


def choose(transport: Transport, deadline: Deadline, bundle: str = "", wanted: Iterable[Model] = ()) -> Chosen:
    """The runner that fits the device. Nothing is pushed.

    bundle: "portable" for the one with its own C library, which a Linux whose own is too old gets anyway. wanted: models that
    are to run there. Raises UserError when none was built for it, when none can run there, and for a model that it cannot run.
    """
    found, unfit = fitting(transport, deadline, bundle)
    if "" in unfit:
        raise UserError(f"the runner cannot run on this device: {unfit['']}")
    model_fit.require(found, unfit, wanted)
    return Chosen(found, unfit)


def put(chosen: Chosen, transport: Transport, deadline: Deadline, cache: DeviceCache | None = None) -> Runner:
    """Push it, without the runtimes that cannot run there: `Runner.unfit` says why.

    cache: what it is leased in, and what makes room for it.
    """
    found, unfit = chosen.bundle, chosen.unfit
    name = f"{found.manifest.abi}-{found.manifest.key[:16]}"
    root = f"runners/{name}"
    if cache is not None:
        cache.use([name])
    for file in found.manifest.files:
        if file.path.startswith(("bin/", "lib/")) and file.runtime not in unfit:
            _push(transport, cache, found.root / file.path, f"{root}/{file.path}", deadline)
    loader = found.manifest.loader
    return Runner(transport, f"{root}/bin/edgebench", unfit, f"{root}/{loader}" if loader else None, found)


def fitting(transport: Transport, deadline: Deadline, asked: str = "") -> tuple[RunnerBundle, dict[str, str]]:
    """The runner for the device, and which runtime of it cannot run there and why ("" stands for the runner itself).

    Nothing is pushed. Raises UserError when there is none for it, or none was built, saying what was looked for.
    """
    there = with_backoff(lambda: abi(transport, deadline))
    host = with_backoff(lambda: fit.look(transport, deadline))
    portable = f"linux-{_LINUX_MACHINE.get(there.split('-')[1], there.split('-')[1])}-portable"
    if asked not in ("", "portable"):
        raise UserError(f"there is no kind of bundle {asked!r}; there is portable")
    if asked:
        found = locate(portable)
        return found, fit.misfits(found, host)
    if there not in known_abis():
        raise UserError(f"no bundle fits this device: it is {there}, and there are bundles for {', '.join(known_abis())}")
    found = locate(there)
    unfit = fit.misfits(found, host)
    if unfit and there.startswith("linux-") and portable in known_abis():
        try:
            found = locate(portable)
        except UserError as error:
            raise UserError(f"no bundle fits this device: {next(iter(unfit.values()))}; {error}") from None
        unfit = fit.misfits(found, host)
    return found, unfit


def _push(transport: Transport, cache: DeviceCache | None, source: Path, path: str, deadline: Deadline) -> None:
    executable = "/bin/" in path or "/lib/ld-" in path
    if cache is not None:
        cache.push(source, path, deadline, executable=executable)
    else:
        with_backoff(lambda: transport.push(source, path, deadline, executable=executable))
