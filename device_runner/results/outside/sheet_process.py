"""The process that reads a spreadsheet: `python -m ...sheet_process MEMORY CPU_SEC TOLD [SHEET] < FILE`.

On stdout a line of JSON for each row with something in it, [number, [cells as text]], as far as the heading goes; at the
end {"refused": why} where there is something wrong. Formulas are what they gave when the file was saved; nothing is calculated.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

from device_runner.results.outside.bounds import MAX_CELL, MAX_COLUMNS, MAX_PARTS, MAX_ROWS, MAX_UNPACKED
from edgedeploy.limited_process import limit

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

_NAMED = 20


class Refused(Exception):
    """The file cannot be read; the message says why and what to do."""


def main(arguments: list[str]) -> None:
    """Read stdin, tell on stdout."""
    memory, cpu_sec, most = map(int, arguments[:3])
    # what is told is counted below; this is for when that is wrong
    limit(memory, cpu_sec, most + 2**20)
    from python_calamine import CalamineWorkbook

    named = arguments[3] if len(arguments) > 3 else None
    why = ""
    try:
        why = tell(rows(CalamineWorkbook.from_filelike, sys.stdin.buffer.read(), named), most)
    except Refused as error:
        why = str(error)
    except MemoryError:
        why = f"it needs more memory than the {memory >> 30} GB it may have"
    # a panic of the reader is none of Python's errors
    except BaseException as error:
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        why = f"it is damaged, or no spreadsheet by what is in it ({said[:300]})"
    if why:
        sys.stdout.write(json.dumps({"refused": why}) + "\n")


def tell(rows: Iterable[tuple[int, list[str]]], most: int) -> str:
    """Write the rows on stdout. What is wrong where they are over `most` bytes."""
    told = 0
    for row in rows:
        line = json.dumps(row) + "\n"
        told += len(line)
        if told > most:
            return f"its text is over {most >> 20} MB; import it in parts"
        sys.stdout.write(line)
    return ""


def rows(opened: Callable[[IO[bytes]], CalamineWorkbook], content: bytes, named: str | None) -> Iterator[tuple[int, list[str]]]:
    """(number from 1, cells) of the rows with something in them."""
    _unpacks(content)
    with opened(io.BytesIO(content)) as book:
        sheet = book.get_sheet_by_name(_chosen(book, named))
        if sheet.end is None:
            return
        if sheet.end[0] > 2 * MAX_ROWS or sheet.width > MAX_COLUMNS:
            raise Refused(f"over {MAX_COLUMNS} columns, or {2 * MAX_ROWS} rows with the empty ones")
        kept: list[int] = []
        for number, values in enumerate(sheet.iter_rows(), 1):
            cells = [_text(value) for value in values]
            # a column without a name is nobody's: the remarks beside a table, cells that are only coloured
            kept = kept or [at for at, cell in enumerate(cells) if cell]
            found = [cells[at] for at in kept]
            if any(found):
                yield number, found


def _unpacks(content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise Refused("it is no .xlsx or .ods by what is in it, or has a password; save it as one, or as CSV") from None
    size = sum(part.file_size for part in parts)
    if len(parts) > MAX_PARTS or size > MAX_UNPACKED:
        raise Refused(f"it unpacks to {len(parts)} parts of {size:,} bytes, over {MAX_PARTS} or {MAX_UNPACKED:,}")


def _chosen(book: CalamineWorkbook, named: str | None) -> str:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    sheets = [each for each in book.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    shown = [str(each.name) for each in sheets if each.visible == SheetVisibleEnum.Visible]
    listed = ", ".join(repr(name[:MAX_CELL]) for name in shown[:_NAMED])
    if named is None:
        if len(shown) == 1:
            return shown[0]
        raise Refused(f"it has {len(shown)} sheets; say which with --sheet: {listed}" if shown else "it has no sheet")
    if named not in [each.name for each in sheets]:
        raise Refused(f"it has no sheet {named[:MAX_CELL]!r}, but {listed or 'none'}")
    return named


def _text(value: Any) -> str:
    """A cell as a CSV file would have it; one character more than a cell may have is enough to refuse it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        # a spreadsheet has no integers: launch 3 is 3.0
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    # dates and times as ISO 8601 has them
    return (value if isinstance(value, str) else str(value)).strip()[: MAX_CELL + 1]


if __name__ == "__main__":
    main(sys.argv[1:])
