"""Rows of a sheet of an .xlsx or .ods file, read in a process with limits (sheet_process.py)."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator

from device_runner.results.outside.bounds import MAX_BYTES
from edgedeploy import limited_process
from edgedeploy.errors import UserError

FORMATS = (".xlsx", ".ods")
#: of address space: the file, and a table that fills it
MEMORY = 3 << 30
CPU_SEC, WALL_SEC = 120, 600
#: of what the process tells: as much as a CSV file may have, twice for the quotes and escapes of JSON
MAX_TOLD = 2 * MAX_BYTES


def lines(content: bytes, where: str, sheet: str | None) -> Iterator[tuple[str, list[str]]]:
    """("row 2", cells as text) of each row with something in it, as far as the heading goes; the heading is the first.

    Raises UserError where the sheet cannot be read, or where it is not said which of several.
    """
    arguments = [str(MEMORY), str(CPU_SEC), str(MAX_TOLD), *([] if sheet is None else [sheet])]
    with tempfile.TemporaryFile() as told:
        try:
            ended = limited_process.run(
                "device_runner.results.outside.sheet_process", arguments, WALL_SEC, given=content, to=told
            )
        except subprocess.TimeoutExpired:
            raise UserError(f"{where} was not read in {WALL_SEC} s; save the table as CSV") from None
        if ended.returncode:
            raise UserError(f"{where} cannot be read: {_death(ended)}")
        told.seek(0)
        for line in told:
            said = json.loads(line)
            if isinstance(said, dict):
                raise UserError(f"{where} cannot be read: {said['refused']}")
            row, cells = said
            yield f"row {row}", cells


def _death(ended: subprocess.CompletedProcess[bytes]) -> str:
    if b"memory allocation" in ended.stderr:
        return (
            f"it needs more than the {MEMORY >> 30} GB of memory it may have; a cell far from the table, in the last row or "
            "column of the sheet, makes a table of all between"
        )
    return limited_process.death(ended, "its reader", "reading it")
