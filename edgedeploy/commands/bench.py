"""`edgedeploy bench`: measure bundles, or a bare model file, on a device."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal

import click

from edgedeploy.commands.arguments import cache_limit, conditions, device_names, devices_option
from edgedeploy.commands.measuring import Measuring, measuring
from edgedeploy.errors import EdgedeployError, TransientError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from device_runner import benching
    from device_runner.inventory import Device
    from device_runner.results.store import Store
    from device_runner.side_by_side import Failure
    from edgedeploy.progress import StatusLine
    from edgedeploy.record import RunRecord


class Stopped(EdgedeployError):
    """Ctrl-C after the experiment was written down: it can be gone on with."""

    exit_code = 130
    reported = True


def _shapes(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for value in values:
        name, separator, dims = value.rpartition("=")
        try:
            shape = tuple(int(dim) for dim in dims.split(","))
        except ValueError:
            shape = ()
        if not separator or not name or not shape or min(shape) < 1:
            raise click.BadParameter(f"{value!r}: give NAME=1,3,224,224")
        shapes[name] = shape
    return shapes


@click.command()
@click.argument("what", nargs=-1, type=click.Path(), metavar="[BUNDLE_OR_MODEL]...")
@click.option(
    "--device",
    "named",
    multiple=True,
    shell_complete=device_names,
    help="A name of devices.yaml, local (this host), adb:SERIAL or ssh://USER@HOST; once for each.  [default: local]",
)
@click.option(
    "--tiers",
    metavar="mobile=A,edge=B",
    help="Over two devices: the input on one, what computes on the other, or cut between them (docs/tiers.md).",
)
@click.option("--preset", metavar="NAME", help="Tiers and links by name, as shares of this host: study (docs/tiers.md).")
@click.option("--link", metavar="200mbit,2ms", help="Of --tiers: make the link this slow, rate and delay each way.")
@click.option("--direct", metavar="ADDRESS", help="Of --tiers: the far device's address, to reach it not through this host.")
@devices_option
@click.option(
    "--bundle", type=click.Choice(["portable"]), help="The runner with its own C library, in place of the one that fits."
)
@click.option(
    "--in-app", is_flag=True, help="Inside an Android app that is installed for it and removed (docs/android-app.md)."
)
@cache_limit
@click.option("--wait", is_flag=True, help="Wait for a device that another process uses.")
@measuring
@conditions
@click.option("--shape", "shapes", multiple=True, callback=_shapes, metavar="NAME=1,3,64,64", help="Input shape (bare models).")
@click.option("--accuracy", is_flag=True, help="Also accuracy on the device, over each bundle's samples.")
@click.option("--profile", is_flag=True, help="Also where the time goes, by operator and backend, in a launch of its own.")
@click.option("--memory", is_flag=True, help="Also resident memory, in a launch of its own.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of order and made-up inputs.")
@click.option("--out", type=click.Path(file_okay=False), default="runs", show_default=True, help="Where runs are kept.")
@click.option("--resume", "experiment", metavar="EXPERIMENT", help="Go on with an experiment that was stopped.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(
    context: click.Context, what: tuple[str, ...], named: tuple[str, ...], tiers: str | None, preset: str | None,
    link: str | None, direct: str | None, file: Path | None, bundle: Literal["portable"] | None, in_app: bool,
    cache_limit_mb: int | None,
    wait: bool, measuring: Measuring, gates: dict[str, Any], preparation: dict[str, Any],
    shapes: dict[str, tuple[int, ...]], accuracy: bool, profile: bool, memory: bool, seed: int, out: str,
    experiment: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Measure bundles, or bare model files, on a device.

    With no BUNDLE_OR_MODEL, every bundle under ./artifacts. Each artifact is launched several times and the launches of all
    are interleaved; every median and every ratio has a 95 % interval over launches. Ctrl-C keeps what is done: --resume goes
    on with it. The exit code is 1 when a run is not valid.

    \b
    Modes:
      quick       3 short launches: to see that it works
      standard    5 launches of a second
      mlperf      MLPerf's single-stream rules for mobile: 1,024 inferences and 60 s at least, reported as p90
      sustained   10 minutes at full load (--min-ms): the curve, when it throttles, minute 10 against minute 1
      throughput  --streams sessions side by side: inferences a second, and latency under that load

    --until 1% adds launches until the median is known to 1 % either way; its 95 % interval is a little wider for that, so that
    it still holds what it says. An artifact that is there has no more launches; --budget ends the rest.

    Several devices measure side by side, each on its own; this host, and what is the same machine as another, waits for its
    turn. One that fails does not stop the others: the rest of it is done by --resume, alone with --device NAME.

    --tiers mobile=pixel7,edge=rpi5 measures over two devices, from the first one's side. Of a bundle that was cut, the first
    stage runs there and the others on the second; a whole model runs on the second, and its input is sent. An inference is then
    the whole: what the first device does, the link, what the second one does, each of which the record has by itself.

    --profile says what share of an inference each kind of operator takes and what ran it, so that one that fell back from the
    fast backend is seen (docs/profiling.md). It and --memory have launches of their own, when the timed ones are done.

    What devices.yaml says of the device (threads, cores, limits, prepare) is used where no option says it. A launch whose
    limits (--max-temperature-c, --max-load, --min-battery) are not met in time is not valid, and the next one is tried.

    \b
    Examples:
      edgedeploy bench --device local
      edgedeploy bench artifacts/film-minilm --launches 10 --threads 2
      edgedeploy bench artifacts/film-minilm --device ssh://pi@192.168.1.20
      edgedeploy bench artifacts/film-minilm --device adb:R5CT10XYZ
      edgedeploy bench --mode mlperf --device pixel7
      edgedeploy bench artifacts/film-minilm --profile --memory
      edgedeploy bench artifacts/film-minilm --device pixel7 --in-app
      edgedeploy bench --device pixel7 --device rpi5
      edgedeploy bench artifacts/film-partition --tiers mobile=pixel7,edge=rpi5 --link 200mbit,2ms
      edgedeploy bench artifacts/film-partition --preset study --tiers mobile,edge
      edgedeploy bench --until 1% --budget 10m
      edgedeploy bench old.onnx new.onnx --shape input=1,3,224,224 --in-turns
      edgedeploy bench model.onnx --shape input=1,3,224,224 --json
      edgedeploy bench --device pixel7 --max-temperature-c 38 --min-battery 40 --stay-awake
      edgedeploy bench --resume 20260131-120000-abc123
    """
    from pathlib import Path

    from device_runner import benching, inventory, side_by_side
    from device_runner import experiment as experiments
    from device_runner.device_plan import for_device
    from device_runner.passes import PASSES
    from device_runner.results.opening import open_store
    from edgedeploy.progress import StatusLine

    store, progress = open_store(out), StatusLine(sys.stderr)
    running: list[str] = []
    finished: benching.Finished | side_by_side.Finished
    try:
        if experiment is not None:
            if what:
                raise click.UsageError("--resume goes on with what the experiment was started with; name nothing else")
            written = experiments.read(store, experiment)
            if len(written.parts) == 1 and not named:
                finished = benching.resume(experiment, store, progress, running.append, devices=file, wait=wait)
            else:
                only = [inventory.resolve(name, file) for name in named]
                finished = side_by_side.resume(
                    written, store, progress, running.append, only=only, devices=file, waits=wait
                )  # fmt: skip
        elif tiers is not None or preset is not None:
            if named or profile or memory or in_app or "in_turns" in measuring.numbers:
                raise click.UsageError("--tiers names its devices, and is not with --profile, --memory, --in-turns or --in-app")
            finished = _over_two(
                [Path(path) for path in what], tiers, preset, link, direct, file, bundle, cache_limit_mb, measuring, gates,
                preparation, store, seed, shapes, progress, running.append, accuracy=accuracy, wait=wait,
            )  # fmt: skip
        else:
            if link is not None or direct is not None:
                raise click.UsageError("--link and --direct are of --tiers")
            targets = [
                _with_runner(inventory.resolve(name, file), bundle, cache_limit_mb, in_app=in_app)
                for name in named or ("local",)
            ]  # fmt: skip
            wanted = [
                (
                    target,
                    for_device(
                        measuring.plan(), target, threads=measuring.threads, affinity=measuring.affinity, gates=gates,
                        preparation=preparation,
                    ),
                )
                for target in targets
            ]  # fmt: skip
            paths = [Path(path) for path in what]
            passes = [name for name in PASSES if {"profile": profile, "memory": memory}[name]]
            if len(wanted) == 1:
                finished = benching.bench(
                    paths, *wanted[0], store, seed, shapes, progress, running.append, accuracy, passes=passes, wait=wait
                )  # fmt: skip
            else:
                finished = side_by_side.bench(
                    paths, wanted, store, seed, shapes, progress, running.append, accuracy, passes=passes, waits=wait
                )  # fmt: skip
    except KeyboardInterrupt:
        if not running:
            raise
        raise _stopped(running[0], out, as_json=as_json) from None
    except (TransientError, UserError) as error:
        if not running:
            raise
        # as for a Ctrl-C: the device went away, or lets us in no more
        message = f"{str(error).rstrip('.')}. What was measured is kept; go on with: {_resume(running[0], out)}"
        # of its kind, not of its class: some are made of other things than a message
        raise (TransientError if isinstance(error, TransientError) else UserError)(message) from None
    failures = finished.failures if isinstance(finished, side_by_side.Finished) else []
    _show(finished.id, finished.records, failures, store, out, as_json=as_json)
    if failures:
        return max(failure.error.exit_code for failure in failures)
    return 0 if all(record.valid for record in finished.records) else 1


def _over_two(
    paths: list[Path], tiers: str | None, preset: str | None, link: str | None, direct: str | None, file: Path | None,
    bundle: Literal["portable"] | None, cache_limit_mb: int | None, measuring: Measuring, gates: dict[str, Any],
    preparation: dict[str, Any], store: Store, seed: int, shapes: dict[str, tuple[int, ...]], progress: StatusLine,
    started: Callable[[str], None], *, accuracy: bool, wait: bool,
) -> benching.Finished:  # fmt: skip
    """What --tiers asks for. --threads and --affinity are of both devices, as what devices.yaml says is of each."""
    from device_runner.tiers import asked
    from device_runner.tiers import benching as over_two
    from device_runner.tiers.pair import paired

    devices = {
        tier: _with_runner(device, bundle, cache_limit_mb, in_app=False)
        for tier, device in asked.devices(tiers, preset, file).items()
    }
    both = paired(devices, shape=asked.link(link, preset, devices, direct), direct=direct)
    how = asked.plans(
        both, measuring.plan(), threads=measuring.threads, affinity=measuring.affinity, gates=gates, preparation=preparation
    )
    return over_two.bench(
        paths, both, how, store, seed, shapes, progress, started, accuracy, wait=wait
    )  # fmt: skip


def _with_runner(
    target: Device, bundle: Literal["portable"] | None, cache_limit_mb: int | None, *, in_app: bool
) -> Device:  # fmt: skip
    """The device with the kind of runner, and the limit of its cache, that were asked for."""
    from dataclasses import replace

    if in_app and bundle is not None:
        raise click.UsageError("--in-app brings its own runner; leave out --bundle")
    limited = target if cache_limit_mb is None else replace(target, cache_limit_mb=cache_limit_mb)
    return replace(limited, bundle="app" if in_app else bundle or target.bundle)


def _show(
    identifier: str, records: list[RunRecord], failures: list[Failure], store: Store, out: str, *, as_json: bool
) -> None:  # fmt: skip
    from device_runner.results import summary, table
    from edgedeploy.terminal import clean_lines

    rows = summary.rows(records)
    if as_json:
        import json

        document: dict[str, Any] = {
            "experiment": identifier, "runs": [summary.as_json(row, store.place(row.record.id)) for row in rows]
        }  # fmt: skip
        if failures:
            failed = [
                {"device": failure.device, "kind": failure.error.kind, "message": str(failure.error)} for failure in failures
            ]
            document |= {"failed": failed, "resume": _resume(identifier, out)}
        click.echo(json.dumps(document, indent=1))
    elif rows:
        table.show(rows)
    for failure in failures:
        click.echo(f"edgedeploy: {clean_lines(f'{failure.device}: {failure.error}')}", err=True)
    if failures:
        click.echo(f"edgedeploy: what was measured is kept; go on with: {_resume(identifier, out)}", err=True)


def _resume(experiment: str, out: str) -> str:
    import shlex

    return f"edgedeploy bench --resume {experiment}" + ("" if out == "runs" else f" --out {shlex.quote(out)}")


def _stopped(experiment: str, out: str, *, as_json: bool) -> Stopped:
    import json

    resume = _resume(experiment, out)
    message = f"stopped; what was measured is kept. Go on with: {resume}"
    if as_json:
        error = {"kind": "interrupted", "message": message}
        click.echo(json.dumps({"error": error, "experiment": experiment, "resume": resume}))
    return Stopped(message)
