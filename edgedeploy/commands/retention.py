"""`edgedeploy results prune` and `kept`: which runs stay in a store."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from edgedeploy.ranges import FiniteRange, age

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device_runner.results.pruning import Chosen, Group


@click.command("prune")
@click.option("--older-than", "older_than", type=age("90d"), metavar="AGE", help="Experiments older than that: 90d, 12h, 8w.")
@click.option(
    "--keep-gb", "keep_gb", type=FiniteRange(0, 1e6), metavar="GB",
    help="The oldest experiments until no more than this is left (10^9 bytes).",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--out", "--runs", "out", type=click.Path(file_okay=False), default="runs", show_default=True, help="Where runs are kept."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def prune(
    older_than: float | None, keep_gb: float | None, dry_run: bool, yes: bool, out: str, as_json: bool
) -> int:  # fmt: skip
    """Remove old runs, with their samples, an experiment at a time.

    What a report or a comparison that was written to a file names stays (`results kept`), and so does an experiment that is not
    finished. In a directory and in a bucket, while others measure.

    \b
    Examples:
      edgedeploy results prune --older-than 90d --dry-run
      edgedeploy results prune --older-than 90d --keep-gb 5 --yes
    """
    from device_runner.results import pruning
    from device_runner.results.opening import open_store
    from edgedeploy.errors import UserError
    from edgedeploy.progress import Reporter
    from edgedeploy.terminal import clean

    if older_than is None and keep_gb is None:
        raise click.UsageError("say which: --older-than 90d, --keep-gb 5, or both")
    store = open_store(out)
    chosen = pruning.choose(store, older_than, None if keep_gb is None else keep_gb * 1e9)
    for reason in chosen.broken:
        click.echo(clean(f"edgedeploy: {reason}"), err=True)
    if not as_json:
        _print(chosen, keep_gb)
    gone: list[str] = []
    if not dry_run:
        if chosen.gone and not yes:
            if as_json or not sys.stdin.isatty():
                raise UserError("nothing is removed unless told to: --yes, after a look with --dry-run")
            click.confirm("Remove them?", abort=True)
        gone = pruning.carry_out(store, chosen, Reporter())
    if as_json:
        click.echo(json.dumps(_document(chosen, gone, dry_run=dry_run), indent=1))
    elif not dry_run:
        click.echo(f"{len(gone)} run(s) removed")
    return 0


def _print(chosen: Chosen, keep_gb: float | None) -> None:
    from edgedeploy.terminal import clean, size

    for group in chosen.gone:
        days = (time.time() - (group.created or 0)) / 86_400
        click.echo(clean(f"{group.experiment}  {len(group.runs)} run(s), {size(group.size_bytes)}, {days:.1f} days old"))
    runs = sum(len(group.runs) for group in chosen.gone)
    total = sum(group.size_bytes for group in chosen.gone)
    click.echo(f"to go: {runs} run(s) of {len(chosen.gone)} experiment(s), {size(total)}; {size(chosen.left_bytes)} stay")
    for why, groups in _stay(chosen).items():
        if groups:
            named = ", ".join(group.experiment for group in groups[:3]) + (" …" if len(groups) > 3 else "")
            click.echo(clean(f"stay, {why}: {len(groups)} experiment(s) ({named})"))
    if keep_gb is not None and chosen.left_bytes > keep_gb * 1e9:
        click.echo(f"warning: over {keep_gb:g} GB stay all the same", err=True)


def _stay(chosen: Chosen) -> dict[str, Sequence[Group]]:
    return {
        "named by a report or a comparison (results kept)": chosen.named,
        "not finished (bench --resume)": chosen.unfinished,
        "without a time that can be read": chosen.undated,
    }


def _document(chosen: Chosen, gone: Sequence[str], *, dry_run: bool) -> dict[str, Any]:
    def told(groups: Sequence[Group]) -> list[dict[str, Any]]:
        return [{"experiment": each.experiment, "runs": list(each.runs), "bytes": each.size_bytes} for each in groups]

    return {
        "dry_run": dry_run, "chosen": told(chosen.gone), "removed": list(gone), "left_bytes": chosen.left_bytes,
        "stay": {"named": told(chosen.named), "unfinished": told(chosen.unfinished), "undated": told(chosen.undated)},
        "unreadable": list(chosen.broken),
    }  # fmt: skip


@click.command("kept")
@click.option("--release", metavar="KEY", help="Forget this list: its runs may be pruned again.")
@click.option(
    "--out", "--runs", "out", type=click.Path(file_okay=False), default="runs", show_default=True, help="Where runs are kept."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def kept(release: str | None, out: str, as_json: bool) -> int:
    """List the reports and comparisons whose runs `results prune` leaves.

    \b
    Examples:
      edgedeploy results kept
      edgedeploy results kept --release 4f1c22a90b7e
    """
    from device_runner.results import named
    from device_runner.results.opening import open_store
    from edgedeploy.terminal import clean

    store = open_store(out)
    if release is not None:
        named.release(store, release)
    found = named.lists(store)
    if as_json:
        lists = [{"key": e.key, "what": e.what, "file": e.file, "written": e.written, "runs": list(e.runs)} for e in found]
        click.echo(json.dumps({"kept": lists}, indent=1))
    elif not found:
        click.echo(f"no list in {out}; report and compare --to leave one", err=True)
    else:
        for each in found:
            click.echo(clean(f"{each.key}  {each.what} {each.file}, {each.written}: {len(each.runs)} run(s)"))
    return 0
