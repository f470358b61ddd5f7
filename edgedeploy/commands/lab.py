"""`edgedeploy lab`: many runs on many devices, unattended."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from edgedeploy.commands import lab_cluster
from edgedeploy.commands.arguments import device_names, devices_option
from edgedeploy.errors import EdgedeployError
from edgedeploy.limits import MAX_SECONDS
from edgedeploy.ranges import Duration

if TYPE_CHECKING:
    from device_runner.lab.queue import Job, Put, Queue


class Stopped(EdgedeployError):
    """Ctrl-C: the same command goes on."""

    exit_code = 130


_cluster_option = click.option(
    "--cluster", metavar="ADDRESS", help="The lab of the cluster whose head is there (docs/lab-cluster.md), not this host's."
)
_lab_option = click.option(
    "--lab", "where", type=click.Path(file_okay=False, path_type=Path), metavar="DIRECTORY",
    help="Where the lab keeps its queue.  [default: $EDGEDEPLOY_LAB, or ~/.local/state/edgedeploy/lab]",
)  # fmt: skip


def _common(function: Callable[..., Any]) -> Callable[..., Any]:
    """Which lab, and how it is answered."""
    as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
    return _lab_option(_cluster_option(as_json(function)))


@click.group()
def command() -> None:
    """Work through many runs over many devices, unattended. docs/lab.md says how to set one up, and what a plan is.

    \b
    Examples:
      edgedeploy lab run plan.yaml
      edgedeploy lab status
      edgedeploy lab watch
    """


@command.command("run")
@click.argument("plan", type=click.Path(path_type=Path), metavar="PLAN.YAML")
@devices_option
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where runs are kept.  [default: the plan's]")
@click.option("--again", is_flag=True, help="Measure anew what this plan has measured before.")
@click.option(
    "--patience", "patience_sec", type=Duration(0, MAX_SECONDS), default="10m", show_default=True, metavar="10m",
    help="How long to wait for devices that are not there when nothing else is to be done.",
)  # fmt: skip
@_common
def run(
    plan: Path, file: Path | None, out: Path | None, again: bool, patience_sec: float, where: Path | None,
    cluster: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Put a plan in the lab's queue, and run the lab until all of it is done.

    Each device has a worker of its own; each experiment's artifacts are interleaved on one device. Ctrl-C, a crash, a power
    loss: the same command goes on, and measures nothing twice. Where a lab is run already, the plan is added to it. A plan that
    was changed takes the place of the one of its name. The exit code is 1 when a run is not valid or could not be made.

    \b
    Examples:
      edgedeploy lab run plan.yaml
      edgedeploy lab run plan.yaml --patience 2h --json
      edgedeploy lab run plan.yaml --cluster 10.0.0.5:6399
    """
    if cluster is not None:
        return _report(
            *lab_cluster.run_there(cluster, plan, file, out, where, again=again, patience_sec=patience_sec), as_json=as_json
        )
    from device_runner.lab import plan_file
    from device_runner.lab.expanding import expand
    from device_runner.lab.place import Place
    from device_runner.lab.running import until_done
    from device_runner.lab.sqlite_queue import SqliteQueue
    from edgedeploy.interrupt import stopping_raises
    from edgedeploy.terminal import clean

    asked = plan_file.read(plan)
    jobs = expand(asked, plan.parent, file, out)
    place = Place.of(where)
    queue = SqliteQueue(place.queue)
    put = queue.put(asked.name, asked.priority, jobs, again=again)
    click.echo(said(asked.name, put), err=True)

    def say(device: str, text: str) -> None:
        click.echo(clean(f"{device}: {text}" if device else text), err=True)

    try:
        with stopping_raises():
            until_done(place, queue, asked.name, file, say, patience_sec)
    except KeyboardInterrupt:
        options = {"--devices": file, "--out": out, "--lab": where}
        words = [str(plan), *(word for name, path in options.items() if path is not None for word in (name, str(path)))]
        again_by = f"edgedeploy lab run {shlex.join(words)}"
        raise Stopped(f"stopped; what was measured is kept. Go on with: {again_by}") from None
    return _report(asked.name, queue.jobs(asked.name), as_json=as_json)


def said(plan: str, put: Put) -> str:
    """What came of putting a plan in."""
    parts = [f"{put.added} experiments put in"]
    parts += [f"{put.waiting} there already"] if put.waiting else []
    parts += [f"{put.over} measured before (--again measures them anew)"] if put.over else []
    parts += [f"{put.withdrawn} withdrawn, since the plan has them no more"] if put.withdrawn else []
    return f"{plan}: {', '.join(parts)}"


def _report(plan: str, jobs: list[Job], *, as_json: bool) -> int:
    from edgedeploy.terminal import clean

    jobs = [job for job in jobs if job.state != "withdrawn"]
    wrong = [job for job in jobs if job.state != "done" or not job.valid]
    if as_json:
        listed = [
            {
                "label": job.label, "state": job.state, "valid": job.valid, "device": job.device, "experiment": job.experiment,
                "runs": list(job.runs), "tries": job.tries, "crashes": job.crashes, "reason": job.reason,
            }
            for job in jobs
        ]  # fmt: skip
        click.echo(json.dumps({"plan": plan, "done": len(jobs) - len(wrong), "of": len(jobs), "jobs": listed}, indent=1))
        return 1 if wrong else 0
    for job in wrong:
        word = "not valid" if job.state == "done" else "waits" if job.state == "queued" else job.state
        where = job.device or ", ".join(job.pool)
        click.echo(clean(f"{word}: {job.label} on {where}" + (f": {job.reason}" if job.reason else "")))
    click.echo(clean(f"{plan}: {len(jobs) - len(wrong)} of {len(jobs)} experiments done and valid"))
    return 1 if wrong else 0


def _opened(where: Path | None, cluster: str | None) -> tuple[Callable[[], bool], Queue]:
    """(whether a process runs the lab, its queue)."""
    from device_runner.lab.place import Place
    from device_runner.lab.sqlite_queue import SqliteQueue
    from edgedeploy.errors import UserError

    if cluster is not None:
        from device_runner.lab.cluster.client import Cluster

        if where is not None:
            raise UserError("--lab names a lab of this host, --cluster one of many; give one of them")
        found = Cluster(cluster)
        return found.is_run, found.queue
    place = Place.of(where)
    return place.is_run, SqliteQueue(place.there())


@command.command("status")
@_common
def status(where: Path | None, cluster: str | None, as_json: bool) -> None:
    """Say what each device does, how far each plan is, and what failed because of whom.

    \b
    Examples:
      edgedeploy lab status
      edgedeploy lab status --json
    """
    from device_runner.lab import view
    from edgedeploy.terminal import clean, table

    is_run, queue = _opened(where, cluster)
    shown, blamed = view.snapshot(queue, is_run=is_run()), queue.verdicts()
    if as_json:
        troubles = [dict(zip(("device", "artifact", "whose", "text"), line, strict=True)) for line in blamed]
        click.echo(json.dumps({**view.as_json(shown), "troubles": troubles}, indent=1))
        return
    if not shown.is_run:
        click.echo("no process runs this lab now; go on with: edgedeploy lab run PLAN.YAML")
    if shown.held:
        click.echo(f"the lab is {shown.held}; let it go on with: edgedeploy lab resume")
    rows = [
        [
            each.state.name, each.word, f"{each.state.temperature_c:.0f}" if each.state.temperature_c is not None else "",
            f"{each.queued}" + (f"+{each.shared}" if each.shared else ""),
            view.duration(each.left_sec) if each.left_sec else "", clean(each.says, 100),
        ]
        for each in shown.devices
    ]  # fmt: skip
    table(["device", "state", "°C", "queued", "left", "doing"], rows, right=(2, 3, 4))
    for plan in shown.plans:
        counts = ", ".join(f"{number} {state}" for state, number in plan.counts.items())
        click.echo(clean(f"{plan.name}: {counts}" + (f", {plan.not_valid} not valid" if plan.not_valid else "")))
    if shown.left_sec is not None:
        click.echo(f"about {view.duration(shown.left_sec)} left")
    for device, artifact, whose, text in blamed:
        what = {"device": "the device's own", "artifact": "the artifact's own", "unclear": "not clear yet whose"}
        says = what.get(whose, "of this artifact on this device alone")
        click.echo(clean(f"trouble, {says}: {device}" + (f", artifact {artifact[:12]}" if artifact else "") + f": {text}", 400))


@command.command("watch")
@_lab_option
@_cluster_option
def watch(where: Path | None, cluster: str | None) -> None:
    """Show the lab while it works: redrawn on a terminal, a line for each event elsewhere. Ends when the lab's work does.

    \b
    Example:
      edgedeploy lab watch
    """
    from device_runner.lab import watching

    is_run, queue = _opened(where, cluster)
    try:
        watching.watch(queue, is_run)
    except KeyboardInterrupt:
        # the usual end of watching, and no end of what is watched
        click.echo("edgedeploy: watched no longer; the lab goes on", err=True)
        raise click.exceptions.Exit(130) from None


def _hold(
    where: Path | None, cluster: str | None, names: tuple[str, ...],
    kind: Literal["", "paused", "draining", "quarantined"], reason: str, *, as_json: bool,
) -> None:  # fmt: skip
    from edgedeploy.errors import UserError
    from edgedeploy.terminal import clean

    _, queue = _opened(where, cluster)
    known = {state.name for state in queue.devices()} | {name for job in queue.jobs() for name in job.pool}
    for name in names:
        if name not in known:
            raise UserError(f"the lab has no device {name!r}; it has: {', '.join(sorted(known)) or 'none yet'}")
    for name in names or ("",):
        queue.hold(name, kind, reason)
    if as_json:
        click.echo(json.dumps({"devices": list(names), "hold": kind, "reason": reason}))
    else:
        who = ", ".join(names) if names else "the lab"
        word = kind or ("may work again" if names else "at work again")
        click.echo(clean(f"{who}: {word}" + (f" ({reason})" if reason else "")))


_devices = click.argument("devices", nargs=-1, shell_complete=device_names, metavar="[DEVICE]...")
_reason = click.option("--reason", default="", help="For whoever looks at the lab.")


@command.command("pause")
@_devices
@_reason
@_common
def pause(devices: tuple[str, ...], reason: str, where: Path | None, cluster: str | None, as_json: bool) -> None:
    """Stop work on devices, or in the whole lab, now: what runs is stopped, kept, and gone on with after `resume`.

    \b
    Examples:
      edgedeploy lab pause
      edgedeploy lab pause pixel7 --reason "Anna needs it"
    """
    _hold(where, cluster, devices, "paused", reason, as_json=as_json)


@command.command("drain")
@_devices
@_reason
@_common
def drain(devices: tuple[str, ...], reason: str, where: Path | None, cluster: str | None, as_json: bool) -> None:
    """Let devices, or the whole lab, finish what runs and begin nothing more. A drained lab's `lab run` ends.

    \b
    Examples:
      edgedeploy lab drain
      edgedeploy lab drain pixel7
    """
    _hold(where, cluster, devices, "draining", reason, as_json=as_json)


@command.command("resume")
@_devices
@_common
def resume(devices: tuple[str, ...], where: Path | None, cluster: str | None, as_json: bool) -> None:
    """Take back `pause` and `drain`.

    \b
    Examples:
      edgedeploy lab resume
      edgedeploy lab resume pixel7
    """
    from edgedeploy.errors import UserError

    _, queue = _opened(where, cluster)
    quarantined = [state.name for state in queue.devices() if state.name in devices and state.hold == "quarantined"]
    if quarantined:
        raise UserError(f"{quarantined[0]} is in quarantine; let it out with: edgedeploy lab release {quarantined[0]}")
    _hold(where, cluster, devices, "", "", as_json=as_json)


@command.command("quarantine")
@click.argument("devices", nargs=-1, required=True, shell_complete=device_names, metavar="DEVICE...")
@_reason
@_common
def quarantine(devices: tuple[str, ...], reason: str, where: Path | None, cluster: str | None, as_json: bool) -> None:
    """Give devices no more work until `release`. The lab does so itself after three failures of a device's own making.

    \b
    Example:
      edgedeploy lab quarantine pixel7 --reason "swollen battery"
    """
    _hold(where, cluster, devices, "quarantined", reason, as_json=as_json)


@command.command("release")
@click.argument("devices", nargs=-1, required=True, shell_complete=device_names, metavar="DEVICE...")
@_common
def release(devices: tuple[str, ...], where: Path | None, cluster: str | None, as_json: bool) -> None:
    """Let devices out of quarantine, and forget their failures.

    \b
    Example:
      edgedeploy lab release pixel7
    """
    _hold(where, cluster, devices, "", "", as_json=as_json)


@command.command("withdraw")
@click.argument("plan", metavar="PLAN")
@_common
def withdraw(plan: str, where: Path | None, cluster: str | None, as_json: bool) -> None:
    """Take out of the queue what a plan still has in it, by the plan's name. What was measured stays.

    \b
    Example:
      edgedeploy lab withdraw nightly
    """
    from edgedeploy.errors import UserError
    from edgedeploy.terminal import clean

    _, queue = _opened(where, cluster)
    names = [state.name for state in queue.plans()]
    if plan not in names:
        raise UserError(f"the lab has no plan {plan[:100]!r}; it has: {', '.join(names) or 'none'}")
    count = queue.withdraw(plan)
    click.echo(json.dumps({"plan": plan, "withdrawn": count}) if as_json else clean(f"{plan}: {count} experiments withdrawn"))


command.add_command(lab_cluster.head)
command.add_command(lab_cluster.invite)
command.add_command(lab_cluster.join)
