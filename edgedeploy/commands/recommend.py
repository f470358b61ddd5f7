"""`edgedeploy recommend`: which measured artifact to deploy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from edgedeploy.commands.constraints import constraints
from edgedeploy.ranges import Percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device_runner.results.recommend import Constraints, Recommendation
    from device_runner.results.store import Store
    from edgedeploy.record import RunRecord


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN_OR_EXPERIMENT]...")
@constraints
@click.option("--subject", help="Only runs of this subject.")
@click.option("--device", help="Only runs on this device.")
@click.option(
    "--objective", type=click.Choice(["latency", "accuracy", "size"]), default="latency", show_default=True,
    help="What is to be best of what meets the constraints.",
)  # fmt: skip
@click.option(
    "--margin", type=Percent(0, 100), default="2%", show_default=True, help="A difference in latency of no consequence."
)
@click.option(
    "--out", "--runs", "out", type=click.Path(file_okay=False), default="runs", show_default=True, help="Where runs are kept."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(
    runs: tuple[str, ...], limits: Constraints, subject: str | None, device: str | None, objective: Any, margin: float,
    out: str, as_json: bool,
) -> int:  # fmt: skip
    """Say which of the measured artifacts to deploy, and why.

    Of the runs named, or of the newest experiment. Prints the choice, what cannot be told apart from it, the front of latency
    against accuracy, and what was ruled out by which constraint. The exit code is 1 when nothing meets the constraints.

    \b
    Examples:
      edgedeploy recommend --max-drop 1 --max-size 5MB
      edgedeploy recommend 20260131-120000-abc123 --max-latency 20ms --objective accuracy
      edgedeploy recommend --subject film-minilm --json
    """
    from device_runner.results import recommend
    from device_runner.results.opening import open_store

    records = [
        record
        for record in _records(open_store(out), runs)
        if subject in (None, record.artifact.subject)
        and (device is None or device in {record.place, *(each.name for each in record.devices)})
    ]
    found = recommend.recommend(records, limits, objective, margin)
    if as_json:
        click.echo(json.dumps(_document(found), indent=1))
    else:
        _print(found)
    return 0 if found.choice is not None else 1


def _records(store: Store, named: Sequence[str]) -> list[RunRecord]:
    """The runs that are meant, each once."""
    from edgedeploy.errors import UserError

    if not named:
        runs = store.ids()
        if not runs:
            raise UserError(f"no runs in {store}; make some with: edgedeploy bench")
        named = [store.read(runs[-1]).experiment.id]
    ids: list[str] = []
    for identifier in named:
        found = store.runs_of(identifier) if store.has_experiment(identifier) else [identifier]
        if not found:
            raise UserError(f"{identifier} has no finished run; go on with: edgedeploy bench --resume {identifier}")
        ids += found
    return [store.read(run) for run in dict.fromkeys(ids)]


def _line(record: RunRecord, *, place: bool) -> str:
    from device_runner.results.recommend import name

    accuracy, median = record.artifact.accuracy, record.median_ms
    shown = f"{100 * accuracy.value:.2f} %" if accuracy is not None else "accuracy not measured"
    bounds = "" if median is None or median.low is None else f" [{median.low:.4g}, {median.high:.4g}]"
    return f"{name(record, place=place)}: {median.estimate if median else float('nan'):.4g} ms{bounds}, {shown}"


def _print(found: Recommendation) -> None:
    from edgedeploy.terminal import clean

    def line(record: RunRecord) -> str:
        return _line(record, place=found.places)

    lines = ["nothing" if found.choice is None else line(found.choice), f"because {found.reason}"]
    lines += [f"note: {note}" for note in found.notes]
    for heading, records in (("cannot be told apart from it", found.alike), ("the front", found.front)):
        if records:
            lines += ["", f"{heading}:", *(f"  {line(record)}" for record in records)]
    if found.ruled_out:
        lines += ["", "ruled out:"]
        lines += [f"  {line(each.record)}: {'; '.join(each.because)}" for each in found.ruled_out]
    for number, text in enumerate(lines):
        click.echo(clean(("recommended: " if number == 0 else "") + text))


def _document(found: Recommendation) -> dict[str, Any]:
    def told(record: RunRecord) -> dict[str, Any]:
        artifact = record.artifact
        return {
            "run": record.id, "artifact": artifact.path, "digest": artifact.digest, "operator": artifact.operator,
            "runtime": artifact.runtime, "backend": artifact.backend, "device": record.place, "tier": record.tier,
            "median_ms": record.median_ms.model_dump(mode="json") if record.median_ms else None,
            "accuracy": artifact.accuracy.model_dump(mode="json") if artifact.accuracy else None,
            "drop": artifact.drop.model_dump(mode="json") if artifact.drop else None,
        }  # fmt: skip

    return {
        "objective": found.objective,
        "choice": None if found.choice is None else told(found.choice),
        "reason": found.reason,
        "notes": list(found.notes),
        "alike": [told(record) for record in found.alike],
        "front": [told(record) for record in found.front],
        "ruled_out": [{**told(each.record), "because": list(each.because)} for each in found.ruled_out],
    }
