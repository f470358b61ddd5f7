"""Where every number comes from: each run with its artifact's digest, its device, its plan and its launches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from device_runner.plans import words
from device_runner.results import profile_table
from device_runner.results.report import numbers, series
from device_runner.results.report.escape import markup
from device_runner.results.report.gather import Entry
from device_runner.results.report.limits import MAX_LISTED, spread
from edgedeploy.record import Context, Device, Launch, RunRecord

_COLUMNS = (
    "launch", "started", "state", "median, ms", "samples", "first, ms", "load, ms", "memory, MiB", "load average",
    "hottest, °C", "fastest core, GHz", "governor", "throttled by", "battery", "outputs",
)  # fmt: skip


def draw(entries: Sequence[Entry]) -> str:
    """All runs, each closed until it is asked for."""
    most = max(1, MAX_LISTED // max(1, len(entries)))
    return "".join(_run(entry, most) for entry in entries)


def _run(entry: Entry, most: int) -> str:
    record = entry.record
    launches = [record.launches[at] for at in spread(len(record.launches), max(2, most))]
    state = "valid" if record.valid else "not valid"
    rows = "".join(_launch(launch) for launch in launches)
    cut = len(record.launches) - len(launches)
    left_out = (
        f'<p class="note">{cut} more launches are not listed here: edgedeploy results show {markup(record.id)}</p>'
        if cut
        else ""
    )
    heads = "".join(f'<th scope="col">{markup(name)}</th>' for name in _COLUMNS)
    return (
        f'<details id="{entry.key}" class="run"><summary><span class="id">{markup(record.id)}</span> '
        f"{markup(record.artifact.subject)} {markup(entry.name)}, {markup(entry.place)} "
        f'<span class="{"ok" if record.valid else "bad"}">{state}</span></summary>'
        f"<dl>{''.join(f'<dt>{markup(what)}</dt><dd>{markup(text, 2000)}</dd>' for what, text in _facts(entry))}</dl>"
        f'<div class="scroll" tabindex="0" role="region" aria-label="launches of {markup(record.id)}"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{left_out}{_profile(record)}</details>"
    )


def _profile(record: RunRecord) -> str:
    """The operators by their share of an inference, and what ran them."""
    profile = record.profile
    if profile is None or not profile.groups:
        return ""
    heads = "".join(f'<th scope="col">{markup(name)}</th>' for name in profile_table.headings())
    body = "".join(
        f"<tr>{''.join(f'<td>{markup(cell)}</td>' for cell in row)}</tr>" for row in profile_table.rows(profile.groups)
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="operators of {markup(record.id)}"><table>'
        f"<caption>Operators, medians over {profile.inferences} inferences with the profiler on</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _facts(entry: Entry) -> list[tuple[str, str]]:
    record, artifact = entry.record, entry.record.artifact
    plan = record.plan
    pinned = f", pinned to CPUs {', '.join(map(str, plan.affinity))}" if plan.affinity else ", not pinned"
    turns = f", in turns of {plan.turn_ms} ms with the others of its experiment" if plan.turn_ms is not None else ""
    facts = [
        ("artifact", artifact.path),
        ("artifact digest", artifact.digest),
        ("made for", f"{artifact.target_isa}, {artifact.precision}, {artifact.model_bytes} bytes"),
        ("experiment", f"{record.experiment.id}, seed {record.experiment.seed}, of {len(record.experiment.runs)} runs"),
        ("taken", f"{record.created} to {record.finished}"),
        ("plan", f"mode {plan.mode}, {plan.launches} launches{turns}, threads: {plan.threads}{pinned}; "
                 f"warm-up of at least {plan.warmup.min_count} "
                 f"calls and {plan.warmup.min_ms:g} ms, timed for {plan.steady.min_count} and {plan.steady.min_ms:g} ms"),
        ("software", ", ".join(f"{name} {version}" for name, version in record.software.items()) or numbers.NOTHING),
        ("median", f"{numbers.times(record.median_ms, ' ms')}" + (f" ({record.median_ms.method})" if record.median_ms else "")),
    ]  # fmt: skip
    starts = (("first inference", record.first_ms), ("load, file cached", record.load_ms), ("cold start", record.cold_start_ms))
    facts += [(what, numbers.times(found, " ms")) for what, found in starts if found is not None]
    if record.device_accuracy is not None:
        facts.append(
            ("accuracy on the device", f"{numbers.accuracy(record.device_accuracy)} of {record.device_accuracy.n} samples")
        )
    facts += [("passes of their own", line) for line in profile_table.sentences(record)]
    facts += [("what its mode is for", line) for line in words.said(record)]
    facts += [("device", _device(device)) for device in record.devices]
    facts += [("not valid because", reason) for reason in record.invalid_because]
    facts += [("warning", warning) for warning in entry.row.warnings]
    if entry.against is not None:
        facts.append(
            ("against the baseline", ": ".join(part for part in (entry.against.verdict, entry.against.refused) if part))
        )
    return facts


def _device(device: Device) -> str:
    facts = "; ".join(f"{name}: {_told(value)}" for name, value in device.facts.items())
    tier = f", tier {device.tier}" if device.tier else ""
    return f"{device.name} over {device.transport}, {device.role}{tier}. {facts}"


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_told(entry)}" for name, entry in value.items())
    return " ".join(_told(entry) for entry in value) if isinstance(value, list | tuple) else str(value)


def _launch(launch: Launch) -> str:
    state = "valid" if launch.valid else f"not valid: {'; '.join(launch.invalid_because) or 'no reason given'}"
    flags = [*launch.flags, *(f"{finding.flag}, {finding.text}" for finding in launch.findings or ())]
    if flags:
        state += f" (flags: {'; '.join(flags)})"
    values = [
        str(launch.index), launch.started, state, _ms(launch.steady_median_ns), str(launch.steady_count), _ms(launch.first_ns),
        _ms(launch.load_warm_ns), numbers.NOTHING if launch.peak_rss_kb is None else f"{launch.peak_rss_kb / 1024:.1f}",
        _both(launch, lambda context: context.load_1m, "{:.2f}"),
        _both(launch, series.hottest, "{:.1f}"),
        _both(launch, series.fastest, "{:.2f}"),
        _each(launch, lambda context: (context.governors or {}).values()),
        _each(launch, lambda context: context.throttling or ()),
        _both(launch, lambda context: context.battery_percent, "{:.0f} %"), launch.conformance_detail or numbers.NOTHING,
    ]  # fmt: skip
    told = "".join(f"<td>{markup(value)}</td>" for value in values)
    return f'<tr class="{"valid" if launch.valid else "invalid"}">{told}</tr>'


def _ms(nanoseconds: float | None) -> str:
    return numbers.NOTHING if nanoseconds is None else numbers.significant(nanoseconds / 1e6)


def _contexts(launch: Launch) -> list[Context | None]:
    return [launch.before, launch.after]


def _both(launch: Launch, read: Callable[[Context], float | None], how: str) -> str:
    """Before and after the launch; a dash for what was not read."""
    seen = [None if context is None else read(context) for context in _contexts(launch)]
    if all(value is None for value in seen):
        return numbers.NOTHING
    return " → ".join(numbers.NOTHING if value is None else how.format(value) for value in seen)


def _each(launch: Launch, read: Callable[[Context], Iterable[str]]) -> str:
    """Every word that was read before or after, once."""
    seen = dict.fromkeys(word for context in _contexts(launch) if context is not None for word in read(context))
    return ", ".join(seen) or numbers.NOTHING


def traced(record: RunRecord) -> str:
    """A run and its artifact in a few characters each, for a caption."""
    return f"{record.id} ({record.artifact.digest[:12]})"
