"""DuckDB as everything here opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def connect() -> duckdb.DuckDBPyConnection:
    """An empty database in memory that prints nothing and fetches nothing."""
    import duckdb

    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
    # a query of over two seconds would draw a bar on stdout, where our one JSON document goes
    connection.execute("SET enable_progress_bar = false")
    return connection
