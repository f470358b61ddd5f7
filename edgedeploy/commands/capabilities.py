"""`edgedeploy capabilities`: which operator goes with which runtime and kind of model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from exporter.capability_table import Row


@click.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="KIND",
    help="torch, .pt2, .onnx, .tflite, .pte, .keras or SavedModel. Default: all.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, nothing else there.")
def command(models: tuple[str, ...], as_json: bool) -> None:
    """Print what can be exported: operator x runtime x kind of model, and why not the rest.

    It is what `edgedeploy export` asks before any work. A model in torch is also looked through for operators that a
    runtime lacks, which are then named.

    \b
    Examples:
      edgedeploy capabilities
      edgedeploy capabilities --model .onnx --json
    """
    import json

    from edgedeploy.errors import UserError
    from exporter.capability_table import rows

    found = list(rows())
    known = list(dict.fromkeys(row.model for row in found))
    for model in models:
        if model not in known:
            raise UserError(f"--model {model}: choose of {', '.join(known)}")
    found = [row for row in found if not models or row.model in models]
    if as_json:
        click.echo(json.dumps({"capabilities": [_entry(row) for row in found]}))
    else:
        _print(found)


def _entry(row: Row) -> dict[str, object]:
    return {
        "model": row.model, "family": row.family, "runtime": row.runtime, "backend": row.backend, "operator": row.operator,
        "possible": row.why is None, "why": row.why,
    }  # fmt: skip


def _print(rows: list[Row]) -> None:
    """A table: a line for each kind of model on each runtime, a column for each operator, reasons numbered below."""
    reasons: dict[str, int] = {}
    operators = list(dict.fromkeys(row.operator for row in rows))
    lines: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in rows:
        if row.why is not None:
            reasons.setdefault(row.why, len(reasons) + 1)
        where = (row.model, row.family, f"{row.runtime}-{row.backend}")
        lines.setdefault(where, {})[row.operator] = "yes" if row.why is None else f"no {reasons[row.why]}"
    table: list[tuple[str, ...]] = [("model", "family", "runtime", *operators)]
    for where, answers in lines.items():
        told = [answers[operator] for operator in operators]
        # one reason for all of them is said once
        table.append((*where, *(told if len(set(told)) > 1 else [told[0], *("." for _ in told[1:])])))
    widths = [max(len(cells[column]) for cells in table) for column in range(len(table[0]))]
    for cells in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    for why, number in reasons.items():
        click.echo(f"{number}: {why}")
