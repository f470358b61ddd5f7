"""Whether devices answer now: many at a time, none longer than its share, and never on the word of something older."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from device_runner import device_lock
from device_runner.deadline import Deadline
from device_runner.inventory.device import Device
from device_runner.inventory.discover import Phone
from device_runner.transports.base import NotAuthorised
from edgedeploy.errors import EdgedeployError

State = Literal["reachable", "unreachable", "unauthorised", "unknown"]
#: of one device, connecting included
PROBE_SEC = 20.0
_WORD = "edgedeploy"


@dataclass(frozen=True)
class Probe:
    """`state` is "reachable" only when a program ran there just now. `detail`: why it is anything else."""

    state: State
    detail: str = ""


def probe(device: Device, phones: Sequence[Phone] = ()) -> Probe:
    """Run the smallest program there is on the device. One that is being measured on is left alone."""
    try:
        using = device_lock.in_use(device)
        if using is not None:
            by = f"process {using.holder.pid} ({using.holder.command})" if using.holder else "another process"
            return Probe("unknown", f"in use by {by}, so not disturbed")
        serial = device.target.address if device.target.transport == "adb" else None
        adb_says = next((phone.state for phone in phones if phone.serial == serial), "device")
        if adb_says == "unauthorized":
            return Probe("unauthorised", "accept this host's key on the phone's screen")
        if adb_says != "device":
            return Probe("unreachable", f"adb says {adb_says}")
        transport = device.connect()
        try:
            said = transport.run(["echo", _WORD], Deadline.after(PROBE_SEC))
        finally:
            transport.close()
    except NotAuthorised as error:
        return Probe("unauthorised", str(error))
    except EdgedeployError as error:
        return Probe("unreachable", str(error))
    if said.exit_code or said.text.strip() != _WORD:
        return Probe("unreachable", f"answers, but runs no program (exit code {said.exit_code}) {said.error_text}")
    return Probe("reachable")


def probe_all(devices: Sequence[Device], phones: Sequence[Phone]) -> list[Probe]:
    """All of them side by side, in their order. What does not answer within PROBE_SEC is unreachable."""
    found: dict[int, Probe] = {}

    def ask(index: int) -> None:
        found[index] = probe(devices[index], phones)

    # daemons: one that hangs in a connection is left behind, and does not keep the process from ending
    threads = [threading.Thread(target=ask, args=(index,), daemon=True) for index in range(len(devices))]
    deadline = Deadline.after(PROBE_SEC)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(deadline.remaining)
    late = Probe("unreachable", f"no answer within {PROBE_SEC:g} s")
    return [found.get(index, late) for index in range(len(devices))]
