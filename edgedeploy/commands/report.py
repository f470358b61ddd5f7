"""`edgedeploy report`: runs as a page that opens anywhere, or as Markdown for a pull request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from edgedeploy.commands.constraints import constraints
from edgedeploy.ranges import Percent

if TYPE_CHECKING:
    from pathlib import Path

    from device_runner.results.recommend import Constraints

_PAGE = "report.html"


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN_OR_EXPERIMENT]...")
@click.option("--last", type=click.IntRange(1, 1000), metavar="N", help="The newest N experiments.  [default: 1]")
@click.option("--baseline", metavar="RUN", help="Compare every run with this one, instead of with its identity.")
@click.option("--subject", help="Only runs of this subject.")
@click.option("--device", help="Only runs on this device.")
@constraints
@click.option(
    "--objective", type=click.Choice(["latency", "accuracy", "size"]), default="latency", show_default=True,
    help="What the answer is to be best in, of what meets these constraints.",
)  # fmt: skip
@click.option(
    "--margin", type=Percent(0, 100), default="2%", show_default=True, help="A difference in latency of no consequence."
)
@click.option("--format", "kind", type=click.Choice(["html", "markdown"]), default="html", show_default=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help=f"Where to write.  [default: {_PAGE}; Markdown goes to stdout]",
)
@click.option("--force", is_flag=True, help="Replace FILE where it is there.")
@click.option(
    "--runs", "root", type=click.Path(file_okay=False), default="runs", show_default=True, help="Where runs are kept."
)
@click.option("--json", "as_json", is_flag=True, help="What was written, as one JSON document on stdout.")
def command(
    runs: tuple[str, ...], last: int | None, baseline: str | None, subject: str | None, device: str | None,
    limits: Constraints, objective: Any, margin: float, kind: str, out: str | None,
    force: bool, root: str, as_json: bool,
) -> int:  # fmt: skip
    """Draw runs: which to deploy, accuracy against latency, speed-ups, how the times are spread, each run and its launches.

    Of the runs and experiments named, or of the newest. HTML is one file that fetches nothing: open it, mail it, keep it beside
    a release. Markdown is for a pull request. A file that is there is not replaced unless told to. What is in a report that is
    a file, `results prune` leaves.

    \b
    Examples:
      edgedeploy report
      edgedeploy report 20260131-120000-abc123 --max-drop 1 --out film.html
      edgedeploy report --last 3 --baseline 20260131-120000-abc123.00 --format markdown
    """
    from pathlib import Path

    from device_runner.results import checking
    from device_runner.results.opening import open_store
    from device_runner.results.report import gather, page, pull_request

    if runs and last is not None:
        raise click.UsageError("give runs or --last, not both")
    target = Path(out or _PAGE) if out or kind == "html" else None
    _refuse(target, force)
    store = open_store(root)
    records, broken = gather.select(store, runs, last or 1)
    kept = [
        r for r in records if subject in (None, r.artifact.subject) and device in (None, r.place, *(d.name for d in r.devices))
    ]
    kept = checking.looked_at(store, kept)
    report = gather.gather(kept, store.read(baseline) if baseline else None, margin, broken)
    text = page.render(report, store, limits, objective) if kind == "html" else pull_request.render(report, limits, objective)
    if target is not None:
        from device_runner.results import named
        from edgedeploy.terminal import clean

        runs_in = [entry.record.id for entry in report.entries] + ([baseline] if baseline else [])
        said = named.leave_or_say(store, "report", target, runs_in)
        if said:
            click.echo(clean(f"edgedeploy: {said}"), err=True)
        _write(target, text.encode())
    if as_json:
        click.echo(json.dumps(_document(report, limits, objective, target, text, kind), indent=1))
    elif target is None:
        click.echo(text, nl=False)
    else:
        from edgedeploy.terminal import clean

        click.echo(clean(f"{target}: {len(report.entries)} runs, {len(text.encode()) / 1e6:.2f} MB"))
    return 0


def _refuse(target: Path | None, force: bool) -> None:
    from edgedeploy.errors import UserError

    if target is not None and target.exists() and not force:
        raise UserError(f"{target} is there already; replace it with --force, or name another with --out")


def _write(target: Path, data: bytes) -> None:
    from device_runner.durable import write_whole

    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, data)


def _document(report: Any, limits: Any, objective: Any, target: Path | None, text: str, kind: str) -> dict[str, Any]:
    from device_runner.results.report.answers import answers

    def told(answer: Any) -> dict[str, Any]:
        entry = answer.entry
        return {
            "question": answer.question,
            "run": entry.record.id if entry else None,
            "digest": entry.record.artifact.digest if entry else None,
            "artifact": entry.record.artifact.path if entry else None,
            "why": list(answer.sure), "alike": [record.id for record in answer.found.alike],
        }  # fmt: skip

    return {
        "format": kind,
        "file": str(target) if target is not None else None,
        "bytes": len(text.encode()),
        "markdown": text if kind == "markdown" and target is None else None,
        "baseline": report.baseline.id if report.baseline is not None else None,
        "experiments": report.experiments,
        "left_out": list(report.left_out),
        "subjects": [
            {
                "subject": section.subject,
                "answers": [told(answer) for answer in answers(section, report, limits, objective)],
                "runs": [
                    {
                        "run": entry.record.id, "digest": entry.record.artifact.digest, "valid": entry.record.valid,
                        "verdict": entry.against.verdict if entry.against is not None else None,
                        "speedup": entry.speedup.model_dump(mode="json") if entry.speedup is not None else None,
                    }
                    for entry in section.entries
                ],
            }
            for section in report.sections
        ],
    }  # fmt: skip
