"""Whether a device can be measured on, and what it is: everything that `edgedeploy devices check` says, in one look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_runner import conditions, device_lock, install, model_fit
from device_runner.conditions import cores, cpu_features, cpus, journal, space, waiting
from device_runner.conditions.asking import ask
from device_runner.conditions.heat import hottest
from device_runner.conditions.system import detect
from device_runner.deadline import Deadline
from device_runner.device_cache import cache_of
from device_runner.offers import summary
from device_runner.runner import CALL_SEC
from device_runner.transports.base import NotAuthorised
from edgedeploy.errors import EdgedeployError, UserError

if TYPE_CHECKING:
    from device_runner.bundles import RunnerBundle
    from device_runner.conditions.system import System
    from device_runner.inventory.device import Device
    from device_runner.transports.base import Transport
    from edgedeploy.record import Context

#: beside the runner itself: models, inputs, samples
_ROOM_BYTES = 100 * 10**6


@dataclass(frozen=True)
class Line:
    """`ok`: True or False for what must hold, None for what is good to know."""

    name: str
    text: str
    ok: bool | None = None


@dataclass
class Report:
    """`facts` is the same for machines."""

    device: Device
    lines: list[Line] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        return all(line.ok is not False for line in self.lines)

    def say(self, name: str, text: str, ok: bool | None = None) -> None:
        self.lines.append(Line(name, text, ok))


def check(device: Device, artifacts: Sequence[Path] = ()) -> Report:
    """Look at the device; nothing is pushed or changed. What is wrong with it is in the report, never raised.

    artifacts: bundles and model files; whether they can be run there is in it too.
    """
    report = Report(device)
    try:
        with device_lock.locked(device):
            _look(report, artifacts)
    except device_lock.DeviceInUse as error:
        report.say("free", str(error), False)
    except NotAuthorised as error:
        report.say("authorised", str(error), False)
    except EdgedeployError as error:
        report.say("reachable", str(error), False)
    report.facts["usable"] = report.usable
    return report


def _look(report: Report, artifacts: Sequence[Path]) -> None:
    transport = report.device.connect()
    try:
        # a transport may connect only when it is first used
        who = transport.run(["id", "-u"], Deadline.after(CALL_SEC)).text.strip()
        report.say("reachable", f"over {transport.kind}", True)
        report.say("authorised", "as root" if who == "0" else f"as user {who[:20]}" if who.isdigit() else "yes", True)
        report.facts |= {"transport": transport.kind, "root": who == "0"}
        system = detect(transport, Deadline.after(CALL_SEC))
        report.facts["android"] = system.android
        needed = _bundle(report, transport, artifacts)
        _room(report, transport, needed)
        _cache(report, transport)
        _cpu(report, transport)
        _doing(report, conditions.snapshot(transport, Deadline.after(CALL_SEC), system))
        _left(report, transport, system)
    finally:
        transport.close()


def _bundle(report: Report, transport: Transport, artifacts: Sequence[Path] = ()) -> int:
    """Which runner fits. Returns the bytes it takes there."""
    abi = install.abi(transport, Deadline.after(CALL_SEC))
    report.facts |= {"abi": abi, "bundle": None, "artifacts": []}
    report.say("ABI", abi)
    try:
        found, unfit = install.fitting(transport, Deadline.after(CALL_SEC), report.device.bundle)
    except UserError as error:
        report.say("runner", str(error), False)
        return 0
    built = found.manifest.abi
    report.facts["bundle"] = {"abi": built, "key": found.manifest.key, "path": str(found.root), "unfit": unfit}
    if "" in unfit:
        report.say("runner", unfit[""], False)
    else:
        report.say("runner", f"{built} is built" + (", which brings its own C library" if found.manifest.loader else ""), True)
    for runtime, version in found.manifest.runtimes.items():
        offer = found.manifest.offers.get(runtime)
        if runtime in unfit:
            report.say(runtime, f"does not run here: {unfit[runtime]}")
        else:
            report.say(runtime, f"{version}, {summary(offer) if offer else 'and nobody could ask it what it can run'}")
    _artifacts(report, found, unfit, artifacts)
    return sum(file.bytes for file in found.manifest.files)


def _artifacts(report: Report, runner: RunnerBundle, unfit: Mapping[str, str], artifacts: Sequence[Path]) -> None:
    """Which of them can be run here."""
    for path in artifacts:
        try:
            model_fit.require(runner, unfit, model_fit.models(path))
        except UserError as error:
            report.say("artifact", str(error), False)
            report.facts["artifacts"].append({"path": str(path), "fits": False, "why": str(error)})
        else:
            report.say("artifact", f"{path} can be run here", True)
            report.facts["artifacts"].append({"path": str(path), "fits": True, "why": ""})


def _room(report: Report, transport: Transport, needed: int) -> None:
    free = space.free_bytes(transport, Deadline.after(CALL_SEC))
    report.facts["free_bytes"] = free
    if free is None:
        report.say("space", "the device does not say")
        return
    enough = free >= needed + _ROOM_BYTES
    least = "" if enough else f"; at least {(needed + _ROOM_BYTES) / 1e6:.0f} MB are needed, make room"
    report.say("space", f"{free / 1e6:.0f} MB free{least}", enough)


def _cache(report: Report, transport: Transport) -> None:
    cache = cache_of(report.device, transport)
    held = cache.holdings()
    limit = cache.limit_bytes(held, report.facts["free_bytes"])
    report.facts["cache"] = {"bytes": held.bytes, "files": held.count, "limit_bytes": limit}
    over = f"; over it by what is in use or was put there before, empty it with: edgedeploy devices clean {report.device.name}"
    report.say("cache", f"{held.bytes / 1e6:.0f} of {limit / 1e6:.0f} MB{over if held.bytes > limit else ''}")


def _cpu(report: Report, transport: Transport) -> None:
    deadline = Deadline.after(CALL_SEC)
    found, allowed = cores.read(transport, deadline), cpus.allowed(ask(transport, cpus.ASKS, deadline))
    features = cpu_features.read(transport, deadline)
    report.facts |= {
        "cores": [vars(core) for core in found],
        "cpus_allowed": sorted(allowed) if allowed is not None else None,
        "features": sorted(features) if features is not None else None,
    }  # fmt: skip
    if found:
        report.say("cores", cores.summary(found))
    if allowed is not None:
        missing = sorted(set(report.device.cores or ()) - allowed)
        wrong = f"; cores in devices.yaml name {','.join(map(str, missing))}, which are not" if missing else ""
        report.say("CPUs for us", ",".join(map(str, sorted(allowed))) + wrong, False if missing else None)
    governors = sorted({core.governor for core in found if core.governor})
    report.say("governor", ", ".join(governors) if governors else "not shown")
    if features is None:
        report.say("features", "the device does not say")
        return
    report.say("features", ", ".join(sorted(features)) or "none of those that matter here")


def _doing(report: Report, context: Context) -> None:
    report.facts["context"] = context.model_dump(mode="json")
    warm = hottest(context.temperatures_c)
    report.say("temperature", f"{warm[1]:.1f} °C ({warm[0]}, the hottest)" if warm else "not shown")
    if context.throttling is not None:
        report.say("throttling", ", ".join(context.throttling) or "none")
    if context.battery_percent is not None:
        charging = {True: ", charging", False: ", not charging", None: ""}[context.charging]
        report.say("battery", f"{context.battery_percent:.0f} %{charging}")
    else:
        report.say("battery", "none shown")
    if context.screen_on is not None:
        report.say("screen", "on" if context.screen_on else "off; most phones lower their clocks then (bench --stay-awake)")
    if context.load_1m is not None:
        report.say("load", f"{context.load_1m:.2f}")


def _left(report: Report, transport: Transport, system: System) -> None:
    gates = report.device.gates
    shut = waiting.shut(transport, gates, system, Deadline.after(CALL_SEC)) if gates.asked else []
    report.facts["gates_shut"] = shut
    if shut:
        report.say("limits", f"a launch would wait now: {'; '.join(shut)}")
    left = journal.read(report.device)
    report.facts["changed"] = [change.model_dump() for change in left.changes] if left else []
    if left:
        what = ", ".join(f"{change.key} was {change.found}" for change in left.changes)
        report.say("changed", f"{what}; put it back with: edgedeploy devices restore {report.device.name}")
