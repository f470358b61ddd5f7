"""Whether two runs were measured under the same conditions: what differs, by aspect, in words."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from edgedeploy.record import Context, Device, Launch, RunRecord

#: two runs whose chips were further apart than this may have been throttled differently
MAX_APART_C = 10.0


def differences(one: RunRecord, other: RunRecord) -> dict[str, str]:
    """aspect -> what differs; empty where the two may be compared. Aspects are the keys of ASPECTS."""
    found = {aspect: look(one, other) for aspect, look in ASPECTS.items()}
    return {aspect: text for aspect, text in found.items() if text}


def _unlike(what: str, one: Any, other: Any) -> str:
    return "" if one == other else f"{what} {_shown(one)} and {_shown(other)}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {value[key]}" for key in sorted(value)) or "none"
    return "not said" if value in (None, "", ()) else str(value)


def _subject(one: RunRecord, other: RunRecord) -> str:
    return _unlike("subjects", one.artifact.subject, other.artifact.subject)


def _origin(one: RunRecord, other: RunRecord) -> str:
    imported = [record.artifact.kind == "imported" for record in (one, other)]
    files = [record.software.get("imported_sha256", "") for record in (one, other)]
    if imported[0] != imported[1]:
        return f"{(one if imported[0] else other).id} is imported, the other was measured here"
    return _unlike("files imported", *(record.artifact.path for record in (one, other))) if files[0] != files[1] else ""


def _device(one: RunRecord, other: RunRecord) -> str:
    if len(one.devices) != len(other.devices):
        return _unlike("places", one.place, other.place)
    return _joined([_one_device(a, b) for a, b in zip(one.devices, other.devices, strict=True)])


def _one_device(a: Device, b: Device) -> str:
    cpus = [each.facts.get("cpu") for each in (a, b)]
    models = [cpu.get("model") if isinstance(cpu, dict) else cpu for cpu in cpus]
    seen = [
        _unlike("devices", a.name, b.name),
        _unlike("CPUs", *models),
        _unlike("CPUs allowed", a.facts.get("cpus_allowed"), b.facts.get("cpus_allowed")),
        _unlike("ABIs", a.facts.get("abi"), b.facts.get("abi")),
        _unlike("inside an app:", *("in_app" in each.facts for each in (a, b))),
        _unlike("threads of the far side", a.facts.get("threads"), b.facts.get("threads")),
        _unlike("CPUs of the far side", a.facts.get("affinity"), b.facts.get("affinity")),
    ]
    return _joined(seen)


def _link(one: RunRecord, other: RunRecord) -> str:
    """Where the model is cut is what is compared; that, and how, the two devices reach each other is a condition."""
    a, b = one.path, other.path
    if a is None or b is None:
        return "" if a is b else f"{(one if a is None else other).id} is not over two devices"
    return _joined(
        [
            _unlike("paths", a.kind, b.kind),
            _unlike("hops", ", ".join(a.hops), ", ".join(b.hops)),
            _unlike("links", a.shaped, b.shaped),
        ]
    )


def _emulation(one: RunRecord, other: RunRecord) -> str:
    # alike or not: of an emulated CPU there is nothing to compare
    of = [record.id for record in (one, other) if any(device.facts.get("emulated") for device in record.devices)]
    return f"{' and '.join(of)} ran on an emulated CPU, whose times mean nothing" if of else ""


def _software(one: RunRecord, other: RunRecord) -> str:
    seen = [
        _unlike(what, a.facts.get(fact), b.facts.get(fact))
        for a, b in zip(one.devices, other.devices, strict=False)
        for what, fact in (("kernels", "kernel"), ("runners", "runner"))
    ]
    if one.artifact.runtime == other.artifact.runtime:
        # another runtime is what is compared, another version of the same one is a condition
        seen.append(_unlike(f"{one.artifact.runtime} versions", _versions(one), _versions(other)))
    return _joined(seen)


def _versions(record: RunRecord) -> str:
    sides = [side for launch in record.launches for side in (launch, launch.far) if side is not None]
    return ", ".join(sorted({side.runtime_version for side in sides if side.runtime_version}))


def _threads(one: RunRecord, other: RunRecord) -> str:
    return _unlike("threads", one.plan.threads, other.plan.threads)


def _cores(one: RunRecord, other: RunRecord) -> str:
    return _unlike("pinned to CPUs", one.plan.affinity, other.plan.affinity)


def _plan(one: RunRecord, other: RunRecord) -> str:
    a, b = one.plan, other.plan
    return _joined(
        [
            _unlike("warm-ups", str(a.warmup), str(b.warmup)),
            _unlike("timed phases", str(a.steady), str(b.steady)),
            _unlike("streams", a.streams, b.streams),
            _unlike("in turns", *(len(each.experiment.runs) if each.plan.turn_ms else 0 for each in (one, other))),
            _unlike("turns of", *(f"{each.turn_ms} ms" if each.turn_ms else "no time" for each in (a, b))),
        ]
    )


def _governor(one: RunRecord, other: RunRecord) -> str:
    def of(record: RunRecord) -> str:
        seen = {name for context in _contexts(record) for name in (context.governors or {}).values()}
        return ", ".join(sorted(seen))

    return _unlike("governors", of(one), of(other))


def _thermal(one: RunRecord, other: RunRecord) -> str:
    hottest = [
        [max(context.temperatures_c.values()) for context in _contexts(record) if context.temperatures_c]
        for record in (one, other)
    ]
    if not all(hottest):
        return ""
    first, second = (statistics.median(each) for each in hottest)
    return f"hottest sensor at {first:.0f} and {second:.0f} °C" if abs(first - second) > MAX_APART_C else ""


def _contexts(record: RunRecord) -> Iterable[Context]:
    for launch in _valid(record):
        looks = [launch.before, launch.after, *((launch.far.before, launch.far.after) if launch.far else ())]
        yield from (context for context in looks if context is not None)


def _valid(record: RunRecord) -> list[Launch]:
    return [launch for launch in record.launches if launch.valid]


def _joined(parts: list[str]) -> str:
    return "; ".join(part for part in parts if part)


#: what must be alike, in the order it is said
ASPECTS: dict[str, Callable[[RunRecord, RunRecord], str]] = {
    "subject": _subject,
    "origin": _origin,
    "device": _device,
    "link": _link,
    "emulation": _emulation,
    "software": _software,
    "threads": _threads,
    "cores": _cores,
    "plan": _plan,
    "governor": _governor,
    "thermal": _thermal,
}
