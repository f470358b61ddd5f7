"""`edgedeploy verify`: is a bundle whole, and does it still say what it said at export?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edgedeploy.errors import EdgedeployError
from edgedeploy.limits import MAX_SECONDS
from edgedeploy.ranges import FiniteRange


class NotVerified(EdgedeployError):
    """A bundle is whole but its model does not do what its manifest says."""


@click.command()
@click.argument("paths", metavar="BUNDLE...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--no-run", is_flag=True, help="Check digests and schema alone; run nothing.")
@click.option(
    "--max-seconds", type=FiniteRange(1, MAX_SECONDS), default=120.0, show_default=True, help="Longest a model may take."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, nothing else there.")
def command(paths: tuple[Path, ...], no_run: bool, max_seconds: float, as_json: bool) -> None:
    """Check each BUNDLE: digests of all files, the manifest's schema, and its outputs on the golden inputs.

    The model runs in the native runner, a process of its own with limits on time and memory, so a bundle of unknown
    origin can be checked.

    \b
    Example:
      edgedeploy verify artifacts/fashion-lite0/dsptq/onnx-cpu
    """
    import json

    from edgedeploy import bundle
    from edgedeploy.progress import StatusLine
    from edgedeploy.terminal import clean

    progress = StatusLine(sys.stderr)

    reports = []
    failures: list[EdgedeployError] = []
    for path in paths:
        report: dict[str, object] = {"path": str(path), "ok": False}
        try:
            progress.now(f"{path}: digests")
            read = bundle.read(path)
            bundle.check_files(read)
            report["digest"] = read.digest
            if not no_run:
                from device_runner import conformance

                def say(what: str, path: Path = path) -> None:
                    progress.now(f"{path}: {what}")

                outcome = conformance.check(read, max_seconds=max_seconds, say=say)
                report |= {"max_abs": outcome.max_abs, "cases": outcome.cases}
                if not outcome.ok:
                    raise NotVerified(f"{path}: {outcome.detail}")
            report["ok"] = True
            progress.done()
            if not as_json:
                ran = (
                    "" if no_run else f", {report['cases']} golden cases reproduced (worst difference {report['max_abs']:.3g})"
                )
                click.echo(f"ok: {clean(path)}: digests and schema{ran}")
        except EdgedeployError as error:
            report["error"] = str(error)
            failures.append(error)
        finally:
            progress.done()
        reports.append(report)
    if as_json:
        click.echo(json.dumps({"bundles": reports}))
    if failures:
        listed = "; ".join(str(failure) for failure in failures)
        verdict = NotVerified(f"{len(failures)} of {len(paths)} not verified: {listed}")
        verdict.reported = True
        verdict.exit_code = max(failure.exit_code for failure in failures)
        raise verdict
