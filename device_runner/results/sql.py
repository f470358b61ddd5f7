"""SQL over a store, as somebody typed it: it sees the samples and the runs, and no other file."""

from __future__ import annotations

import json
from typing import Any

from device_runner.results import compaction, index
from device_runner.results.duck import connect
from device_runner.results.store import Store
from edgedeploy.errors import UserError

#: more than this is for `results export`
MAX_ROWS = 1_000_000
_TYPES = {"threads": "INTEGER", "valid": "BOOLEAN", "median_ms": "DOUBLE"}


def ask(store: Store, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """(column names, rows) of a query over `samples` and `runs`.

    Raises UserError for SQL that cannot be run, that is no SELECT, that reaches for a file outside of the store, or that gives
    over MAX_ROWS rows.
    """
    import duckdb

    connection = connect()
    try:
        said = connection.extract_statements(sql)
        if len(said) != 1 or said[0].type != duckdb.StatementType.SELECT:
            raise UserError("give one SELECT; nothing in a store is changed by a query")
        compaction.create_view(connection, store)
        _runs(connection, store)
        # the views read the store's files; nothing else of this host is any of the query's business
        connection.execute(
            "SET allowed_directories = ?",
            [[f"{path}/" for root in (store.root, store.beside) for path in (root, root.resolve())]],
        )
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        asked = connection.execute(sql)
        names = [str(column[0]) for column in asked.description or ()]
        rows = asked.fetchmany(MAX_ROWS + 1)
    except duckdb.Error as error:
        raise UserError(f"the query was not answered: {str(error).splitlines()[0]}") from None
    finally:
        connection.close()
    if len(rows) > MAX_ROWS:
        raise UserError(f"over {MAX_ROWS} rows; aggregate them, or take them with: edgedeploy results export")
    return names, rows


def _runs(connection: Any, store: Store) -> None:
    found, _ = index.entries(store)
    fields = {name: _TYPES.get(name, "VARCHAR") for name in index.Entry._fields}
    # as one document: a row at a time, 20,000 of them would take longer than most questions
    document = json.dumps([entry._asdict() for entry in found])
    connection.execute(
        "CREATE TABLE runs AS SELECT unnest(from_json(?, ?), recursive := true)", [document, json.dumps([fields])]
    )
