"""Rows of a CSV file or a spreadsheet: bounded, and nothing in it obeyed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from device_runner.results.outside import spreadsheet
from device_runner.results.outside.bounds import MAX_BYTES, MAX_CELL, MAX_COLUMNS, MAX_ROWS
from edgedeploy.errors import UserError
from edgedeploy.regular_file import read_regular

CSV = ".csv"


def content_of(file: Path) -> bytes:
    """Raises UserError for what is no plain file of at most MAX_BYTES, or by its name none that can be read."""
    if file.suffix.lower() not in (CSV, *spreadsheet.FORMATS):
        raise UserError(f"{file}: save the table as .csv (UTF-8), {' or '.join(spreadsheet.FORMATS)} first")
    return read_regular(file, MAX_BYTES)


def rows(content: bytes, file: Path, sheet: str | None) -> Iterator[tuple[str, dict[str, str]]]:
    """("line 2", column -> cell) from the content of a file, cells bounded to MAX_CELL characters. Raises UserError naming the
    line (of a spreadsheet, the row)."""
    where = file.name
    if file.suffix.lower() != CSV:
        lines = spreadsheet.lines(content, where, sheet)
    elif sheet is not None:
        raise UserError(f"{where}: a CSV file has no sheets; leave --sheet out")
    else:
        lines = _csv_lines(content, where)
    _, heading = next(lines, ("", []))
    if not heading or len(heading) > MAX_COLUMNS or len(set(heading)) != len(heading):
        raise UserError(f"{where}: the first line must name the columns, each once, at most {MAX_COLUMNS}")
    for number, (line, cells) in enumerate(lines):
        if number >= MAX_ROWS:
            raise UserError(f"{where}: over {MAX_ROWS} rows; import it in parts")
        if len(cells) != len(heading):
            raise UserError(f"{where}: {line} has {len(cells)} cells, the heading {len(heading)}")
        if max(map(len, cells)) > MAX_CELL:
            raise UserError(f"{where}: {line}: a cell of over {MAX_CELL} characters")
        yield line, dict(zip(heading, cells, strict=True))


def _csv_lines(content: bytes, where: str) -> Iterator[tuple[str, list[str]]]:
    """Those with something in them."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: not UTF-8 at byte {error.start}; save it as CSV in UTF-8") from None
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in lines:
            if cells:
                yield f"line {lines.line_num}", cells
    except csv.Error as error:
        raise UserError(f"{where}: line {lines.line_num}: {error}") from None
