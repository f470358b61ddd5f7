"""`edgedeploy lab head`, `invite` and `join`: the lab over many hosts. docs/lab-cluster.md."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgedeploy.commands.arguments import devices_option
from edgedeploy.errors import EdgedeployError, UserError

if TYPE_CHECKING:
    from device_runner.lab.queue import Job


class Stopped(EdgedeployError):
    """Ctrl-C."""

    exit_code = 130


_insecure = click.option(
    "--insecure-no-tls", "insecure", is_flag=True,
    help="Beyond 127.0.0.1 without TLS: whoever reads that network can then run programs on every host of the lab.",
)  # fmt: skip


def _say(device: str, text: str) -> None:
    from edgedeploy.terminal import clean

    click.echo(clean(f"{device}: {text}" if device else text), err=True)


@click.command("head")
@click.option("--listen", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Of this machine, as hosts reach it.")
@click.option("--port", type=click.IntRange(1024, 65535), default=6399, show_default=True)
@click.option(
    "--lab", "where", type=click.Path(file_okay=False, path_type=Path), metavar="DIRECTORY",
    help="Where the lab keeps its queue.  [default: $EDGEDEPLOY_LAB, or ~/.local/state/edgedeploy/lab]",
)  # fmt: skip
@_insecure
def head(listen: str, port: int, where: Path | None, insecure: bool) -> None:
    """Run the lab of many hosts from here, until Ctrl-C: the queue is on this machine, the devices are on those that join.

    Beyond 127.0.0.1 all hosts show each other certificates that are made here. Started again after a crash, it goes on
    where it was, and the hosts join again by themselves.

    \b
    Examples:
      edgedeploy lab head
      edgedeploy lab head --listen 10.0.0.5
    """
    from device_runner.lab.cluster import serving
    from device_runner.lab.cluster.connecting import require_ray
    from device_runner.lab.cluster.home import Address, Home
    from device_runner.lab.place import Place
    from edgedeploy.interrupt import stopping_raises

    require_ray()
    home, address = Home.of_head(), Address.parse(f"{listen}:{port}")
    serving.prepare_head(home, address, insecure=insecure)
    try:
        with stopping_raises():
            serving.serve(Place.of(where), home, address, _say, insecure=insecure)
    except KeyboardInterrupt:
        raise Stopped("stopped; what was measured is kept, and the same command goes on") from None


@click.command("invite")
@click.argument("name")
@click.option(
    "--address", default="127.0.0.1", metavar="ADDRESS", help="The host's own, as the others reach it.  [default: 127.0.0.1]"
)
@click.option("--to", "target", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="[default: NAME.join]")
def invite(name: str, address: str, target: Path | None) -> None:
    """Write, on the head, the file by which a host called NAME joins. It is a secret: carry it by scp, and remove it.

    \b
    Examples:
      edgedeploy lab invite lab1 --address 10.0.0.6
    """
    from device_runner.lab.cluster import invitation
    from device_runner.lab.cluster.home import Address, Home

    home = Home.of_head()
    known = invitation.joined(home)
    if known is None or not home.token.is_file():
        raise UserError("no cluster has its head on this host; start one with: edgedeploy lab head")
    made = invitation.write(home, Address.parse(known.head), name, address)
    file = target or Path(f"{name}.join")
    # only for its owner, from the first moment
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise UserError(f"{file}: is there already; remove it, or name another with --to") from None
    with os.fdopen(descriptor, "w") as handle:
        handle.write(made.model_dump_json(indent=1) + "\n")
    click.echo(f"{file}: carry it to {name} (scp), and there: edgedeploy lab join {shlex.quote(file.name)}")


@click.command("join")
@click.argument("invitation", required=False, type=click.Path(dir_okay=False, path_type=Path), metavar="[FILE]")
@devices_option
@_insecure
def join(invitation: Path | None, file: Path | None, insecure: bool) -> None:
    """Give this host's devices to the lab of many hosts, until Ctrl-C. FILE is needed once: `edgedeploy lab invite` writes it.

    \b
    Examples:
      edgedeploy lab join lab1.join
      edgedeploy lab join --devices devices.yaml
    """
    from device_runner import inventory
    from device_runner.inventory import file as inventory_file
    from device_runner.lab.cluster import invitation as invitations
    from device_runner.lab.cluster import security, serving
    from device_runner.lab.cluster.connecting import require_ray
    from device_runner.lab.cluster.home import Address, Home
    from edgedeploy.interrupt import stopping_raises

    require_ray()
    home = Home.of_host()
    # a file that is wrong is said now; Ray's processes are in another directory
    inventory.listed(file)
    found = inventory_file.locate(file)
    if found is not None:
        os.environ["EDGEDEPLOY_DEVICES"] = str(found.resolve())
    if invitation is not None:
        read = invitations.read(invitation)
        # before anything of it is kept, or connected to
        security.check(Address.parse(read.head), has_tls=bool(read.certificate), insecure=insecure)
        joined = invitations.accept(read, home, insecure=insecure)
    else:
        known = invitations.joined(home)
        if known is None:
            raise UserError(
                "this host was not invited yet; write a file with `edgedeploy lab invite` on the head, and name it here"
            )
        joined = known
    try:
        with stopping_raises():
            serving.stay(home, joined, lambda text: _say("", text))
    except KeyboardInterrupt:
        raise Stopped("stopped; what ran here is kept and gone on with. Join again with: edgedeploy lab join") from None


def run_there(
    cluster: str, plan: Path, devices: Path | None, out: Path | None, where: Path | None, *, again: bool, patience_sec: float
) -> tuple[str, list[Job]]:  # fmt: skip
    """Put a plan into a cluster's queue, and follow it. (its name, its jobs)"""
    from device_runner.lab import plan_file
    from device_runner.lab.cluster import client
    from device_runner.lab.expanding import expand
    from edgedeploy.commands.lab import said
    from edgedeploy.interrupt import stopping_raises

    if devices is not None or where is not None:
        raise UserError("with --cluster, each host has its own devices.yaml (`lab join --devices`), and the head has the queue")
    asked = plan_file.read(plan)
    there = client.Cluster(cluster)
    jobs = expand(asked, plan.parent, None, out, there.devices())
    put = there.queue.put(asked.name, asked.priority, there.shipped(jobs, lambda text: _say("", text)), again=again)
    click.echo(said(asked.name, put), err=True)
    try:
        with stopping_raises():
            client.until_done(there.queue, asked.name, _say, patience_sec)
    except KeyboardInterrupt:
        # a second Ctrl-C, while Ray says goodbye, changes nothing
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        raise Stopped(
            f"not followed any more; the cluster goes on with it. Look with: edgedeploy lab status --cluster {cluster}; "
            f"take it out with: edgedeploy lab withdraw {shlex.quote(asked.name)} --cluster {cluster}"
        ) from None
    return asked.name, there.queue.jobs(asked.name)
