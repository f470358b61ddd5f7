"""`edgedeploy partition`: where to cut a model that runs over two devices."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedeploy.commands.arguments import devices_option
from edgedeploy.commands.measuring import Measuring, measuring

if TYPE_CHECKING:
    from device_runner.tiers.advising import Advice


@click.group()
def command() -> None:
    """Say where to cut a model that runs over two devices.

    \b
    Example:
      edgedeploy partition advise artifacts --tiers mobile=pixel7,edge=rpi5
    """


@command.command("advise")
@click.argument("what", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="BUNDLE...")
@click.option("--tiers", metavar="TIER=DEVICE,TIER=DEVICE", help="The two devices: mobile=pixel7,edge=rpi5.")
@click.option("--preset", metavar="NAME", help="Tiers by name, as shares of this host: study (docs/tiers.md).")
@devices_option
@click.option("--link", "shaped", metavar="200mbit,2ms", help="Make the link this slow and long, each way.")
@click.option("--direct", metavar="ADDRESS", help="From device to device, at the far one's numeric address.")
@click.option("--assume-link", "assumed", metavar="20mbit,5ms", help="Predict for this link, and measure none.")
@click.option("--measure", type=click.IntRange(2, 100), metavar="N", help="Then run the N fastest that cross the link.")
@measuring
@click.option("--wait", is_flag=True, help="Wait for a device that another process uses.")
@click.option("--out", type=click.Path(file_okay=False), default="runs", show_default=True, help="Where runs are kept.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def advise(
    what: tuple[Path, ...], tiers: str | None, preset: str | None, file: Path | None, shaped: str | None, direct: str | None,
    assumed: str | None, measure: int | None, measuring: Measuring, wait: bool, out: str, as_json: bool,
) -> int:  # fmt: skip
    """Predict the end-to-end time of every given cut on two devices, and with --measure say whether that was right.

    BUNDLEs are of one subject: some cut in two (`edgedeploy export --op partition --cut 0.25`), and whole ones if one device
    alone is to be compared. Each stage is measured alone on the device that would run it, unless --out has a run of it already.
    The link is measured too. The prediction is their sum, for an int8 cut with its fewer bytes.

    With --measure the predicted best is the measured best, or within 10 % of it, or the exit code is 1.

    \b
    Examples:
      edgedeploy partition advise artifacts --tiers mobile=pixel7,edge=rpi5
      edgedeploy partition advise artifacts --tiers mobile=pixel7,edge=rpi5 --measure 3
      edgedeploy partition advise artifacts --preset study --tiers mobile,edge --quick
      edgedeploy partition advise artifacts --tiers mobile=local,edge=rpi5 --assume-link 20mbit,5ms
    """
    from device_runner.results.opening import open_store
    from device_runner.tiers import advising, asked
    from device_runner.tiers.pair import paired
    from device_runner.tiers.shape import parse
    from edgedeploy.progress import StatusLine

    if assumed is not None and (shaped or direct or measure):
        raise click.UsageError("--assume-link measures no link; leave out --link, --direct and --measure")
    devices = asked.devices(tiers, preset, file)
    pair = paired(devices, shape=asked.link(shaped, preset, devices, direct), direct=direct)
    how = asked.plans(
        pair, measuring.plan(), threads=measuring.threads, affinity=measuring.affinity, gates={}, preparation={}
    )  # fmt: skip
    progress = StatusLine(sys.stderr)
    store = open_store(out)
    begun: list[str] = []
    try:
        advice = advising.advise(
            what, pair, how, parse(assumed) if assumed else None, store, progress, begun.append, measure=measure or 0, wait=wait
        )  # fmt: skip
    except KeyboardInterrupt:
        if begun:
            progress.line("stopped; stages that were measured are kept, and the same command goes on from there")
        raise
    finally:
        progress.done()
    _show(advice, as_json=as_json)
    return 0 if advice.verdict is None or advice.verdict.holds else 1


def _show(advice: Advice, *, as_json: bool) -> None:
    from edgedeploy.terminal import clean, size, table

    measured = {name: record.median_ms.estimate for name, record in advice.measured.items() if record.median_ms}
    if as_json:
        click.echo(json.dumps(_document(advice, measured), indent=1))
        return
    rows: list[list[str]] = []
    for place, each in enumerate(advice.predictions):
        found = measured.get(each.candidate.name)
        rows.append(
            [
                str(place + 1), each.candidate.name, f"{each.near_ms:.3f}", f"{each.there_ms:.3f}", f"{each.far_ms:.3f}",
                f"{each.back_ms:.3f}", f"{each.total_ms:.3f}", size(each.candidate.sent_bytes),
                f"{found:.3f}" if found is not None else "–",
            ]
        )  # fmt: skip
    headings = ("", "candidate", "near ms", "there ms", "far ms", "back ms", "predicted ms", "sent", "measured ms")
    table(headings, rows, right=(0, 2, 3, 4, 5, 6, 7, 8))
    link = advice.link
    up, down = (f"{rate:.1f} Mbit/s" if rate else "too fast to say" for rate in (link.up_mbit_s, link.down_mbit_s))
    click.echo(clean(f"link: {link.rtt_ms:.3f} ms there and back, {up} there, {down} back ({link.origin})"))
    if advice.verdict is not None:
        click.echo(clean(str(advice.verdict)))


def _document(advice: Advice, measured: dict[str, float]) -> dict[str, Any]:
    link, verdict = advice.link, advice.verdict
    return {
        "link": {
            "rtt_ms": link.rtt_ms, "up_mbit_s": link.up_mbit_s, "down_mbit_s": link.down_mbit_s, "origin": link.origin,
        },
        "candidates": [
            {
                **each.entry(), "measured_ms": measured.get(each.candidate.name),
                "measured_run": advice.measured[each.candidate.name].id if each.candidate.name in advice.measured else None,
            }
            for each in advice.predictions
        ],
        "verdict": None if verdict is None else {
            "predicted_best": verdict.predicted_best, "measured_best": verdict.measured_best, "ratio": verdict.ratio,
            "holds": verdict.holds,
        },
    }  # fmt: skip
