"""Rows of a CSV file: bounded, and nothing in it obeyed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from edgedeploy.errors import UserError
from edgedeploy.regular_file import read_regular

MAX_BYTES = 64 * 2**20
MAX_ROWS = 1_000_000
MAX_COLUMNS = 1000
MAX_CELL = 200


def content_of(file: Path) -> bytes:
    """Raises UserError for what is no plain file of at most MAX_BYTES, or no CSV by its name."""
    if file.suffix.lower() != ".csv":
        raise UserError(f"{file}: save the table as .csv (UTF-8) first; a spreadsheet's own format is not read")
    return read_regular(file, MAX_BYTES)


def rows(content: bytes, where: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, column -> cell), cells bounded to MAX_CELL characters. Raises UserError naming the line."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: not UTF-8 at byte {error.start}; save it as CSV in UTF-8") from None
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        heading = next(lines, [])
        if not heading or len(heading) > MAX_COLUMNS or len(set(heading)) != len(heading):
            raise UserError(f"{where}: the first line must name the columns, each once, at most {MAX_COLUMNS}")
        for number, cells in enumerate(lines):
            if not cells:
                continue
            if number >= MAX_ROWS:
                raise UserError(f"{where}: over {MAX_ROWS} rows; import it in parts")
            if len(cells) != len(heading):
                raise UserError(f"{where}: line {lines.line_num} has {len(cells)} cells, the heading {len(heading)}")
            if max(map(len, cells)) > MAX_CELL:
                raise UserError(f"{where}: line {lines.line_num}: a cell of over {MAX_CELL} characters")
            yield lines.line_num, dict(zip(heading, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{where}: line {lines.line_num}: {error}") from None
