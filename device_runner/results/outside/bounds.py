"""How large somebody else's table may be."""

from __future__ import annotations

#: of the file
MAX_BYTES = 64 * 2**20
MAX_ROWS = 1_000_000
MAX_COLUMNS = 1000
#: characters
MAX_CELL = 200
#: of a spreadsheet, which is a zip: what its parts say they unpack to, and how many there are
MAX_UNPACKED = 2**30
MAX_PARTS = 10_000
