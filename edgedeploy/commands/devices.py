"""`edgedeploy devices`: which devices there are, whether they can be used, and the file that names them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedeploy.commands.arguments import cache_limit, conditions, cpus, device_names, devices_option
from edgedeploy.limits import MAX_THREADS

if TYPE_CHECKING:
    from device_runner.inventory import Device


def _common(function: Callable[..., Any]) -> Callable[..., Any]:
    return devices_option(click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(function))


@click.group()
def command() -> None:
    """Say which devices there are, whether they can be used, and keep the file that names them.

    A device is called by its name in devices.yaml, its serial, its model (pixel7 is Pixel 7), a glob, or an address
    (adb:SERIAL, ssh://USER@HOST:PORT). local is this host. docs/devices.md has the file's keys.

    \b
    Examples:
      edgedeploy devices list
      edgedeploy devices add rpi5 ssh://pi@192.168.1.20 --tier edge
      edgedeploy devices check rpi5
    """


@command.command("list")
@click.option("--no-probe", is_flag=True, help="Do not ask the devices; their state is then unknown.")
@_common
def list_(no_probe: bool, file: Path | None, as_json: bool) -> None:
    """List devices: named, attached over USB, and this host; each asked now whether it answers.

    \b
    Examples:
      edgedeploy devices list
      edgedeploy devices list --no-probe --json
    """
    from device_runner import inventory, probing
    from edgedeploy.terminal import clean_lines, table

    known = inventory.known(file)
    unasked = probing.Probe("unknown", "not asked")
    probes = [unasked] * len(known.devices) if no_probe else probing.probe_all(known.devices, known.phones)
    if known.trouble:
        click.echo(f"edgedeploy: {clean_lines(known.trouble)}", err=True)
    entries = [
        {**_described(device), "state": probe.state, "detail": probe.detail}
        for device, probe in zip(known.devices, probes, strict=True)
    ]
    if as_json:
        click.echo(json.dumps({"devices": entries, "trouble": known.trouble}, indent=1))
        return
    columns = ("name", "transport", "address", "model", "tier", "state", "detail")
    table(list(columns), [[_short(entry[column]) for column in columns] for entry in entries])


@command.command("add")
@click.argument("name")
@click.argument("address")
@click.option("--setting", "settings", multiple=True, metavar="KEY=VALUE", help="Of the transport; may be given again.")
@click.option("--tier", type=click.Choice(["mobile", "edge", "cloud"]), help="Where the device stands.")
@click.option("--label", "labels", multiple=True, help="For finding it again; may be given again.")
@click.option("--threads", type=click.IntRange(1, MAX_THREADS), help="Threads of the runtime, when bench is told none.")
@click.option("--cores", callback=cpus, metavar="4,5,6,7", help="CPUs to pin to, when bench is told none.")
@cache_limit
@conditions
@_common
def add(
    name: str, address: str, settings: tuple[str, ...], tier: str | None, labels: tuple[str, ...], threads: int | None,
    cores: tuple[int, ...] | None, cache_limit_mb: int | None, gates: dict[str, Any], preparation: dict[str, Any],
    file: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Name a device in devices.yaml. Comments in the file stay; a name that is taken is refused.

    ADDRESS is adb:SERIAL, adb:HOST:PORT, ssh://USER@HOST:PORT, or local for this host under another name.

    \b
    Examples:
      edgedeploy devices add pixel7 adb:28251FDH2000AB --tier mobile --min-battery 40 --max-temperature-c 38
      edgedeploy devices add rpi5 ssh://pi@192.168.1.20:22 --tier edge --cores 2,3 --threads 2
    """
    from device_runner.inventory import adding

    values = {"tier": tier, "labels": labels, "threads": threads, "cores": cores, "cache_limit_mb": cache_limit_mb}
    path = adding.add(file, name, address, settings, values, gates, preparation)
    _done(name, path, "added to", as_json=as_json)


@command.command("remove")
@click.argument("name", shell_complete=device_names)
@_common
def remove(name: str, file: Path | None, as_json: bool) -> None:
    """Take a device out of devices.yaml. Everything else in the file stays as it is.

    \b
    Example:
      edgedeploy devices remove rpi5
    """
    from device_runner.inventory import adding

    path = adding.remove(file, name)
    _done(name, path, "removed from", as_json=as_json)


@command.command("show")
@click.argument("name", shell_complete=device_names)
@_common
def show(name: str, file: Path | None, as_json: bool) -> None:
    """Print which device NAME is and what is set for it. The device is not asked.

    \b
    Examples:
      edgedeploy devices show pixel7
      edgedeploy devices show 'pixel*' --json
    """
    from device_runner import inventory
    from edgedeploy.terminal import clean

    entry = _described(inventory.resolve(name, file))
    if as_json:
        click.echo(json.dumps(entry, indent=1))
        return
    width = max(map(len, entry))
    for key, value in entry.items():
        click.echo(f"{key.ljust(width)}  {clean(_short(value))}".rstrip())


@command.command("check")
@click.argument("name", shell_complete=device_names)
@click.option(
    "--artifact",
    "artifacts",
    multiple=True,
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="A bundle, a model file, or a directory of bundles: can NAME run it? May be given again.",
)
@_common
def check(name: str, artifacts: tuple[Path, ...], file: Path | None, as_json: bool) -> int:
    """Look whether NAME can be measured on. Nothing is pushed or changed. The exit code is 1 when it cannot.

    \b
    Examples:
      edgedeploy devices check rpi5
      edgedeploy devices check pixel7 --artifact artifacts
      edgedeploy devices check adb:28251FDH2000AB --json
    """
    from device_runner import checking, inventory
    from device_runner.artifacts import find
    from edgedeploy.terminal import clean

    report = checking.check(inventory.resolve(name, file), find(artifacts) if artifacts else ())
    if as_json:
        lines = [{"name": line.name, "ok": line.ok, "text": line.text} for line in report.lines]
        click.echo(json.dumps({"device": _described(report.device), "lines": lines, **report.facts}, indent=1))
        return 0 if report.usable else 1
    marks = {True: "ok ", False: "NO ", None: "   "}
    width = max(len(line.name) for line in report.lines)
    for line in report.lines:
        click.echo(f"{marks[line.ok]} {line.name.ljust(width)}  {clean(line.text, 500)}")
    click.echo(f"{clean(report.device.name)} is {'usable' if report.usable else 'not usable'}")
    return 0 if report.usable else 1


@command.command("restore")
@click.argument("name", shell_complete=device_names)
@_common
def restore(name: str, file: Path | None, as_json: bool) -> None:
    """Put back what a run changed on NAME and could not put back itself: governor, stay-awake, fixed-performance mode.

    \b
    Example:
      edgedeploy devices restore pixel7
    """
    from device_runner import inventory, restoring
    from edgedeploy.terminal import clean

    device = inventory.resolve(name, file)
    done = restoring.restore(device)
    if as_json:
        click.echo(json.dumps({"device": device.name, "restored": done}))
    else:
        click.echo(clean(f"{device.name}: {', '.join(done) if done else 'nothing was left changed'}"))


@command.command("clean")
@click.argument("name", shell_complete=device_names)
@click.option("--launches", is_flag=True, help="Also launches that nobody has fetched: their experiments start those anew.")
@_common
def clean_(name: str, launches: bool, file: Path | None, as_json: bool) -> None:
    """Remove models, inputs and runners that are kept on NAME so that they need not be sent again.

    What a launch uses stays, and what another host uses. Nothing measured is lost, but with --launches.

    \b
    Examples:
      edgedeploy devices clean pixel7
      edgedeploy devices clean rpi5 --launches
    """
    from device_runner import cleaning, inventory
    from edgedeploy.terminal import clean

    device = inventory.resolve(name, file)
    done = cleaning.clean(device, launches=launches)
    if as_json:
        document = {"device": device.name, "freed_bytes": done.freed_bytes, "left_bytes": done.left_bytes, "runs": done.runs}
        click.echo(json.dumps(document))
        return
    runs = f", with launches of {', '.join(done.runs)}" if done.runs else ""
    left = f"; {done.left_bytes / 1e6:.1f} MB are in use and stay" if done.left_bytes else ""
    click.echo(clean(f"{device.name}: {done.freed_bytes / 1e6:.1f} MB freed{runs}{left}"))


@command.command("pair")
@click.argument("address", metavar="HOST:PORT")
@click.option("--code", prompt="Pairing code", help="The six digits that the phone shows; asked for when not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def pair(address: str, code: str, as_json: bool) -> None:
    """Make this computer known to a phone with wireless debugging (Android 11 or newer), through the adb server.

    HOST:PORT and the code are those that the phone shows under Developer options, Wireless debugging, Pair device with pairing
    code. The port to connect to afterwards (adb://HOST:PORT) is another one, on the page above.

    \b
    Example:
      edgedeploy devices pair 192.168.1.30:37123 --code 123456
    """
    from device_runner.transports.adb import pairing
    from edgedeploy.terminal import clean

    said = pairing.pair(address, code)
    click.echo(json.dumps({"address": address, "said": said}) if as_json else clean(said))


def _described(device: Device) -> dict[str, Any]:
    return {
        "name": device.name, "transport": device.target.transport, "address": device.target.address, "model": device.model,
        "tier": device.tier, "labels": list(device.labels), "threads": device.threads,
        "cores": list(device.cores) if device.cores is not None else None, "settings": dict(device.target.settings),
        "limits": device.gates.model_dump(mode="json"), "prepare": device.preparation.model_dump(mode="json"),
        "cache_limit_mb": device.cache_limit_mb, "source": device.source,
    }  # fmt: skip


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {part}" for key, part in value.items() if part not in (None, False)) or ""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _done(name: str, path: Path, what: str, *, as_json: bool) -> None:
    from edgedeploy.terminal import clean

    click.echo(json.dumps({"device": name, "file": str(path)}) if as_json else clean(f"{name} {what} {path}"))
