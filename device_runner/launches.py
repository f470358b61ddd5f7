"""What a launch left behind, as an entry of the run record: its times, and whether they count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device_runner.compare import conforms
from device_runner.conditions import app_heat
from device_runner.plans import MODES, in_turns, throughput
from device_runner.plans.mode import broken_rules
from device_runner.results.statistics import quantile
from device_runner.tiers import crossings
from device_runner.validity import look
from edgedeploy.record import Context, Launch, Plan

if TYPE_CHECKING:
    from device_runner.session import Measured
    from device_runner.workload import Workload

#: errors that another launch of the same artifact under the same plan would meet again
LASTING = frozenset(
    (
        "plan_missing", "plan_invalid", "path_outside", "input_missing", "input_size", "model_missing", "model_invalid",
        "signature_mismatch", "unsupported_dtype", "library_missing", "runtime_error", "output_failed", "time_limit",
        "memory_limit",
    )
)  # fmt: skip


#: of those, what says nothing of an artifact that has kept to the limit before: one process hung, or met a busy device
_BY_CHANCE = frozenset(("time_limit", "memory_limit"))


def lasting(launch: Launch, worked_before: bool = False) -> bool:
    """Whether the artifact itself failed, so that its further launches are not worth their time.

    worked_before: whether an earlier launch of the same run is valid.
    """
    error = launch.error or {}
    code = error.get("code")
    if code == "time_limit" and error.get("phase") == "plan":
        return False  # it never had a turn: another one held it up
    return code in LASTING and not (worked_before and code in _BY_CHANCE)


def entry(
    workload: Workload, measured: Measured, *, index: int, position: int, block: int, started: str,
    before: Context | None, after: Context | None, plan: Plan, flags: tuple[str, ...] = (), stopped: str = "",
    during: tuple[Context, ...] = (),
) -> Launch:  # fmt: skip
    """The record's entry. `stopped`: why the host ended the launch, if it did; then nothing of it counts."""
    error = _error(measured.event("error"))
    conforming, detail = _conformance(workload, measured) if not (error or stopped) else (None, "")
    reasons = [stopped] if stopped else []
    if error and not stopped:
        reasons.append(_reason(error))
    if not error and not stopped and not measured.event("end"):
        reasons.append("the runner ended without saying how")
    if conforming is False:
        reasons.append(f"its outputs are not what the host got at export: {detail}")
    load, adapters, usage = (measured.event(name) for name in ("load", "adapters", "rusage"))
    steady = measured.samples.steady
    if not reasons and not len(steady):
        reasons.append("there is no steady sample")
    elif not reasons and plan.turn_ms is not None:
        reasons += in_turns.broken(plan, measured)
    elif not reasons and plan.mode in MODES and MODES[plan.mode].lasts:
        reasons += broken_rules(plan, measured.samples)
    launch = Launch(
        index=index, position=position, block=block, started=started,
        valid=not reasons, invalid_because=tuple(text[:4000] for text in reasons),
        flags=(*flags, *app_heat.flags(measured.events)),
        load_cold_ns=_whole(load, "load_cold_ns"), load_warm_ns=_whole(load, "load_warm_ns"),
        first_ns=_whole(measured.event("first"), "elapsed_ns"),
        input_adapters_ns=_whole(adapters, "input_ns"), output_adapters_ns=_whole(adapters, "output_ns"),
        warmup_count=len(measured.samples.warmup), steady_count=len(steady),
        peak_rss_kb=_whole(usage, "peak_rss_kb"), involuntary_switches=_whole(usage, "involuntary_switches"),
        conforms=conforming, conformance_detail=detail[:4000],
        runtime_version=str(measured.event("hello").get("runtime_version") or "")[:500],
        before=before, after=after, during=during, error=error, inferences_per_sec=throughput.per_second(measured.samples),
    )  # fmt: skip
    looked = look.at_launch(launch, measured.samples, leaves_out=plan.mode not in MODES or MODES[plan.mode].leaves_out)
    settled = steady[looked.unsettled_count :, 1]
    made_of: dict[str, Any] = dict(measured.entry)
    if measured.crossings is not None:
        made_of["crossing"] = crossings.summed_up(measured.crossings[looked.unsettled_count :], measured.events)
        made_of["flags"] = (*looked.flags, *crossings.flags(made_of["crossing"]))
    return looked.model_copy(
        update={"steady_median_ns": quantile(settled, 0.5), "steady_p90_ns": quantile(settled, 0.9), **made_of}
    )  # fmt: skip


def failed(index: int, position: int, block: int, started: str, code: str, reason: str) -> Launch:
    """A launch that never came about, or of which nothing is known but that it was started."""
    return Launch(
        index=index, position=position, block=block, started=started, valid=False, invalid_because=(reason[:4000],),
        error={"event": "error", "code": code, "phase": "host", "message": reason[:4000]},
    )  # fmt: skip


def overtime(max_seconds: float) -> dict[str, Any]:
    """The error line of a launch that the host had to end, since the runner's own limit did not."""
    message = f"not done {max_seconds:g} s after its start, and the runner did not end it"
    return {"event": "error", "code": "time_limit", "phase": "host", "message": message}


def first_sample(measured: Measured) -> tuple[int, int] | None:
    """(start_ns, elapsed_ns) of the first inference."""
    line = measured.event("first")
    start, elapsed = _whole(line, "start_ns"), _whole(line, "elapsed_ns")
    return None if start is None or elapsed is None else (start, elapsed)


def _conformance(workload: Workload, measured: Measured) -> tuple[bool | None, str]:
    if not workload.checked or workload.conformance is None:
        return None, ""
    details = []
    ok = True
    for product, given in zip(workload.products, measured.outputs, strict=True):
        if product.expected is None:
            continue
        if given is None:
            return False, f"{product.tensor.name}: was not written"
        comparison = conforms(product.expected, given, workload.conformance, product.tensor.name)
        ok = ok and comparison.ok
        details.append(comparison.detail)
    return ok, "; ".join(details)


def _error(line: dict[str, Any]) -> dict[str, Any] | None:
    # the keys of the protocol alone, and short: the text is from a device, and may be from a model
    kept: dict[str, Any] = {}
    for key in ("event", "code", "phase", "message", "signal"):
        value = line.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool):
            kept[key] = value[:2000] if isinstance(value, str) else value
    return kept or None


def _reason(error: dict[str, Any]) -> str:
    signal = f" (signal {error['signal']})" if "signal" in error else ""
    return f"{error.get('code', 'error')} in phase {error.get('phase', '?')}{signal}: {error.get('message', '')}"


def _whole(line: dict[str, Any], key: str) -> int | None:
    value = line.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None
