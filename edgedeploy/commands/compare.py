"""`edgedeploy compare`: one run against another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from edgedeploy.ranges import Percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device_runner.results.several import Together
    from device_runner.results.store import Store
    from device_runner.results.versus import Comparison
    from edgedeploy.record import RunRecord


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="BASELINE CANDIDATE... | EXPERIMENT")
@click.option(
    "--margin", type=Percent(0, 100), default="2%", show_default=True, help="A change that is of no practical consequence."
)
@click.option(
    "--despite", default="", metavar="ASPECT[,ASPECT…]",
    help="Although these differ: subject, origin, device, emulation, software, threads, cores, plan, governor, thermal; all.",
)  # fmt: skip
@click.option(
    "--fail-if-slower", "limit", type=Percent(0, 10_000), metavar="PERCENT",
    help="Exit code 1 when the candidate takes surely this much longer (its whole interval is beyond).",
)  # fmt: skip
@click.option(
    "--out", "--runs", "out", type=click.Path(file_okay=False), default="runs", show_default=True, help="Where runs are kept."
)
@click.option(
    "--to", "target", type=click.Path(dir_okay=False), metavar="FILE",
    help="Write the JSON document there too; `results prune` leaves the runs that a file names.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(
    runs: tuple[str, ...], margin: float, despite: str, limit: float | None, out: str, target: str | None, as_json: bool
) -> int:  # fmt: skip
    """Say how many times as long one run takes as another, and how sure that is.

    Names two runs, or an experiment that has two. The ratio's 95 % interval is over launches: paired by blocks where both are
    of one experiment, else by Welch's t. The verdict is of the whole interval against the margin: faster, slower, same within
    the margin, or cannot tell, where more launches would help. Runs that were measured differently are refused.

    Of more than two: whether any differ (Kruskal-Wallis), which pairs do (Conover, adjusted by Holm), and how far apart they
    lie (Cliff's delta), over the medians of the launches.

    \b
    Examples:
      edgedeploy compare 20260131-120000-abc123.00 20260131-120000-abc123.01
      edgedeploy compare 20260131-120000-abc123 --margin 1%
      edgedeploy compare BASELINE CANDIDATE --fail-if-slower 2% --json
      edgedeploy compare IDENTITY SPTQ DSPTQ
    """
    from device_runner.results import several, versus
    from device_runner.results.opening import open_store

    store = open_store(out)
    _refuse(target)
    records = _records(store, runs)
    if len(records) > 2:
        if limit is not None:
            raise click.UsageError("--fail-if-slower is of one candidate: name a baseline and a candidate")
        together = several.compare_all(records, _aspects(despite))
        _keep(store, target, records, _document_of_several(together))
        if as_json:
            click.echo(json.dumps(_document_of_several(together), indent=1))
        else:
            _print_several(together)
        return 0
    baseline, candidate = records
    found = versus.compare(baseline, candidate, margin, _aspects(despite))
    failed = limit is not None and found.slower_than(limit)
    _keep(store, target, records, _document(found, limit, failed=failed))
    if as_json:
        click.echo(json.dumps(_document(found, limit, failed=failed), indent=1))
    else:
        _print(found)
        if failed:
            click.echo(f"failed: slower by more than {100 * (limit or 0):g} %", err=True)
    return 1 if failed else 0


def _refuse(target: str | None) -> None:
    from pathlib import Path

    from edgedeploy.errors import UserError

    if target is not None and Path(target).exists():
        raise UserError(f"{target} is there already; name another file with --to, or remove it")


def _keep(store: Store, target: str | None, records: Sequence[RunRecord], document: dict[str, Any]) -> None:
    """Write the comparison to a file, and note in the store which runs it names."""
    from pathlib import Path

    from device_runner.durable import write_whole
    from device_runner.results import named
    from edgedeploy.terminal import clean

    if target is None:
        return
    file = Path(target)
    file.parent.mkdir(parents=True, exist_ok=True)
    said = named.leave_or_say(store, "comparison", file, [record.id for record in records])
    if said:
        click.echo(clean(f"edgedeploy: {said}"), err=True)
    write_whole(file, (json.dumps(document, indent=1) + "\n").encode())


def _aspects(given: str) -> Sequence[str]:
    from device_runner.results.contexts import ASPECTS

    named = [part.strip() for part in given.split(",") if part.strip()]
    if named == ["all"]:
        return list(ASPECTS)
    for name in named:
        if name not in ASPECTS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(ASPECTS)}, all", param_hint="--despite")
    return named


def _records(store: Store, runs: tuple[str, ...]) -> list[RunRecord]:
    from device_runner.results import checking
    from edgedeploy.errors import UserError

    if len(runs) == 1 and store.has_experiment(runs[0]):
        of_experiment = store.runs_of(runs[0])
        if len(of_experiment) < 2:
            raise UserError(f"{runs[0]} has {len(of_experiment)} finished runs; name two to compare")
        runs = tuple(of_experiment)
    if len(runs) < 2:
        raise click.UsageError("name a baseline and a candidate, or one experiment that has two runs or more")
    return checking.looked_at(store, [store.read(run) for run in runs])


def _print(found: Comparison) -> None:
    from device_runner.results.table import bounds_of
    from edgedeploy.terminal import clean

    interval = found.ratio
    for role, record in (("baseline", found.baseline), ("candidate", found.candidate)):
        median = f", median {record.median_ms.estimate:.4g} ms" if record.median_ms else ""
        click.echo(clean(f"{role:9}  {record.id}  {record.artifact.label}{median}"))
    how = "launches paired by block" if found.paired else "launches of each, not interleaved"
    ratio = f"{interval.estimate:.3f}{bounds_of(interval, 3)}"
    click.echo(f"candidate / baseline: {ratio} ({interval.launches} {how}; margin {found.margin:.1%})")
    click.echo(f"verdict: {found.verdict}")
    for aspect, text in found.despite.items():
        click.echo(clean(f"warning: {aspect} differs: {text}"))
    for note in found.notes:
        click.echo(f"warning: {note}")


def _document(found: Comparison, limit: float | None, *, failed: bool) -> dict[str, Any]:
    return {
        "baseline": found.baseline.id,
        "candidate": found.candidate.id,
        "ratio": found.ratio.model_dump(mode="json"),
        "paired": found.paired,
        "margin": found.margin,
        "verdict": found.verdict,
        "despite": found.despite,
        "notes": list(found.notes),
        "fail_if_slower": limit,
        "failed": failed,
    }


def _print_several(found: Together) -> None:
    from device_runner.results.several import LEVEL
    from device_runner.results.table import bounds_of
    from edgedeploy.terminal import clean, table

    for number, record in enumerate(found.records, 1):
        median = f", median {record.median_ms.estimate:.4g} ms" if record.median_ms else ""
        click.echo(clean(f"{number}  {record.id}  {record.artifact.label}{median}"))
    said = "they differ" if found.differ else "no difference was shown"
    click.echo(f"\nKruskal-Wallis over launch medians: H {found.h:.4g}, p {found.p:.3g}: {said} (level {LEVEL:.0%})\n")
    places = {record.id: number for number, record in enumerate(found.records, 1)}
    rows = [
        (
            f"{places[pair.second.id]} / {places[pair.first.id]}", f"{pair.ratio.estimate:.3f}{bounds_of(pair.ratio, 3)}",
            f"{pair.p:.3g}", f"{pair.effect.delta:+.2f} {pair.effect.magnitude}", "yes" if pair.shown else "not shown",
        )
        for pair in found.pairs
    ]  # fmt: skip
    table(("pair", "ratio of times", "Conover p (Holm)", "Cliff's delta", "differ"), rows)
    for aspect, text in found.despite.items():
        click.echo(clean(f"warning: {aspect} differs: {text}"))
    for note in found.notes:
        click.echo(f"warning: {note}")


def _document_of_several(found: Together) -> dict[str, Any]:
    return {
        "runs": [record.id for record in found.records],
        "kruskal_wallis": {"h": found.h, "p": found.p, "differ": found.differ},
        "pairs": [
            {
                "first": pair.first.id, "second": pair.second.id, "ratio": pair.ratio.model_dump(mode="json"),
                "conover_holm_p": pair.p, "cliffs_delta": pair.effect.delta, "magnitude": pair.effect.magnitude,
                "shown": pair.shown,
            }
            for pair in found.pairs
        ],
        "despite": found.despite,
        "notes": list(found.notes),
    }  # fmt: skip
