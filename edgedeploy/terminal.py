"""Text from devices, manifests and models made safe to print, and the one way tables are printed."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import click


def clean(text: object, limit: int = 2000) -> str:
    """`text` with control and formatting characters (escape codes, line breaks, bidirectional marks) made visible."""
    shown = str(text)[: limit + 1]
    # nearly every text; all that is replaced below counts as not printable
    shown = shown if shown.isprintable() else "".join(
        character if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        else character.encode("unicode_escape").decode()
        for character in shown
    )  # fmt: skip
    return shown if len(shown) <= limit else shown[:limit] + "…"


def clean_lines(text: object, limit: int = 20_000) -> str:
    """`text` of several lines with each line cleaned: for messages that quote a file, a device or a program."""
    return "\n".join(clean(line) for line in str(text)[:limit].split("\n"))


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> None:
    """Print a table on stdout; cells are cleaned. `right` lists the columns aligned to the right."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(headers), *cells]) for i in range(len(headers))]
    for line in [list(headers), ["─" * width for width in widths], *cells]:
        sized = enumerate(zip(line, widths, strict=True))
        padded = [cell.rjust(width) if i in right else cell.ljust(width) for i, (cell, width) in sized]
        click.echo("  ".join(padded).rstrip())


def size(count: int) -> str:
    """Bytes for people: 14.1 MB (powers of ten, as file sizes are quoted)."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}" if count < 100 * scale else f"{count / scale:.0f} {unit}"
    return f"{count} B"
