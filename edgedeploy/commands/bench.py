"""`edgedeploy bench`: measure bundles, or a bare model file, on a device."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal

import click

from edgedeploy.commands.arguments import conditions, cpus, device_names, devices_option
from edgedeploy.errors import EdgedeployError, TransientError, UserError
from edgedeploy.limits import MAX_MEMORY_MB, MAX_PHASE_MS, MAX_SECONDS, MAX_THREADS
from edgedeploy.ranges import FiniteRange

if TYPE_CHECKING:
    from pathlib import Path

    from edgedeploy.record import Plan

#: 3 short launches: to see that it works, not to compare
_QUICK = {"launches": 3, "warmup_count": 3, "warmup_ms": 50.0, "min_count": 20, "min_ms": 200.0}


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
    default="local",
    show_default=True,
    shell_complete=device_names,
    help="A name of devices.yaml, local (this host), adb:SERIAL or ssh://USER@HOST.",
)
@devices_option
@click.option(
    "--bundle", type=click.Choice(["portable"]), help="The runner with its own C library, in place of the one that fits."
)
@click.option("--wait", is_flag=True, help="Wait for a device that another process uses.")
@click.option("--launches", type=click.IntRange(1, 1000), default=5, show_default=True, help="Launches of each artifact.")
@click.option("--threads", type=click.IntRange(1, MAX_THREADS), default=1, show_default=True, help="Threads of the runtime.")
@click.option("--affinity", callback=cpus, metavar="0,1", help="CPUs to pin to.  [default: none]")
@click.option("--warmup-count", type=click.IntRange(0, 100_000), default=5, show_default=True, help="Least warm-up inferences.")
@click.option("--warmup-ms", type=FiniteRange(0, MAX_PHASE_MS), default=200.0, show_default=True, help="Least warm-up time.")
@click.option("--min-count", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="Least timed inferences.")
@click.option("--min-ms", type=FiniteRange(0, MAX_PHASE_MS), default=1000.0, show_default=True, help="Least timed time.")
@click.option(
    "--max-seconds", type=FiniteRange(1, MAX_SECONDS), default=120.0, show_default=True, help="Longest a launch may take."
)
@click.option(
    "--max-memory-mb", type=click.IntRange(16, MAX_MEMORY_MB), default=4096, show_default=True, help="Memory a launch may use."
)
@conditions
@click.option("--quick", is_flag=True, help="3 short launches: to see that it works, not to compare.")
@click.option("--shape", "shapes", multiple=True, callback=_shapes, metavar="NAME=1,3,64,64", help="Input shape (bare models).")
@click.option("--accuracy", is_flag=True, help="Also accuracy on the device, over each bundle's samples.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of order and made-up inputs.")
@click.option("--out", type=click.Path(file_okay=False), default="runs", show_default=True, help="Where runs are kept.")
@click.option("--resume", "experiment", metavar="EXPERIMENT", help="Go on with an experiment that was stopped.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(
    context: click.Context, what: tuple[str, ...], device: str, file: Path | None,
    bundle: Literal["portable"] | None, wait: bool, launches: int, threads: int,
    affinity: tuple[int, ...] | None, warmup_count: int, warmup_ms: float, min_count: int, min_ms: float, max_seconds: float,
    max_memory_mb: int, gates: dict[str, Any], preparation: dict[str, Any], quick: bool,
    shapes: dict[str, tuple[int, ...]], accuracy: bool, seed: int, out: str, experiment: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Measure bundles, or bare model files, on a device.

    With no BUNDLE_OR_MODEL, every bundle under ./artifacts. Each artifact is launched several times and the launches of all
    are interleaved; every median and every ratio has a 95 % interval over launches. Ctrl-C keeps what is done: --resume goes
    on with it. The exit code is 1 when a run is not valid.

    What devices.yaml says of the device (threads, cores, limits, prepare) is used where no option says it. A launch whose
    limits (--max-temperature-c, --max-load, --min-battery) are not met in time is not valid, and the next one is tried.

    \b
    Examples:
      edgedeploy bench --device local
      edgedeploy bench artifacts/film-minilm --launches 10 --threads 2
      edgedeploy bench artifacts/film-minilm --device ssh://pi@192.168.1.20
      edgedeploy bench artifacts/film-minilm --device adb:R5CT10XYZ
      edgedeploy bench model.onnx --shape input=1,3,224,224 --json
      edgedeploy bench --device pixel7 --max-temperature-c 38 --min-battery 40 --stay-awake
      edgedeploy bench --resume 20260131-120000-abc123
    """
    from dataclasses import replace
    from pathlib import Path

    from device_runner import benching, inventory
    from device_runner.device_plan import for_device
    from device_runner.results import summary, table
    from device_runner.results.store import Store
    from edgedeploy.progress import StatusLine

    store, progress = Store(Path(out)), StatusLine(sys.stderr)
    running: list[str] = []
    try:
        if experiment is not None:
            if what:
                raise click.UsageError("--resume goes on with what the experiment was started with; name nothing else")
            finished = benching.resume(experiment, store, progress, running.append, devices=file, wait=wait)
        else:
            options = {
                "launches": launches, "warmup_count": warmup_count, "warmup_ms": warmup_ms,
                "min_count": min_count, "min_ms": min_ms,
            }  # fmt: skip
            if quick:
                options |= {name: value for name, value in _QUICK.items() if _not_given(context, name)}
            target = inventory.resolve(device, file)
            if bundle is not None:
                target = replace(target, bundle=bundle)
            plan = for_device(
                _plan(options, max_seconds, max_memory_mb), target,
                threads=None if _not_given(context, "threads") else threads, affinity=affinity,
                gates=gates, preparation=preparation,
            )  # fmt: skip
            paths = [Path(path) for path in what]
            finished = benching.bench(
                paths, target, plan, store, seed, shapes, progress, running.append, accuracy, wait=wait
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
    rows = summary.rows(finished.records)
    if as_json:
        import json

        runs = [summary.as_json(row, store.directory(row.record.id)) for row in rows]
        click.echo(json.dumps({"experiment": finished.id, "runs": runs}, indent=1))
    else:
        table.show(rows)
    return 0 if all(record.valid for record in finished.records) else 1


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


def _not_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) == click.core.ParameterSource.DEFAULT


def _plan(options: dict[str, float], max_seconds: float, max_memory_mb: int) -> Plan:
    from edgedeploy.record import Limits, Plan

    return Plan(
        launches=int(options["launches"]),
        warmup=Limits(min_count=int(options["warmup_count"]), min_ms=options["warmup_ms"], max_count=100_000),
        steady=Limits(min_count=int(options["min_count"]), min_ms=options["min_ms"]),
        max_seconds=max_seconds, max_memory_mb=max_memory_mb,
    )  # fmt: skip
