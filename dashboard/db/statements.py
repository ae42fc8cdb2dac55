"""INSERT statements with conflict handling, for SQLite and PostgreSQL alike.

Both databases spell `ON CONFLICT` the same way; SQLAlchemy keeps the two dialects apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table, bindparam, func, select


def insert(connection: Connection, table: Table) -> Any:
    """Return an INSERT of the connection's dialect, which supports `on_conflict_do_nothing` and `..._do_update`."""
    # Only the dialect that is used is loaded: that of PostgreSQL takes 2 MB.
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def bulk_insert(connection: Connection, table: Table) -> Any:
    """Return an INSERT for many rows at once, to be executed with the parameters that `bulk_rows` returns.

    PostgreSQL is given each column as one array. The statement text is then the same for every batch and is prepared
    once; 20,000 placeholders for each batch cost four times as much as the rows themselves.
    """
    if connection.dialect.name != "postgresql":
        return insert(connection, table)
    from sqlalchemy.dialects import postgresql

    columns = [
        func.unnest(bindparam(column.name, type_=postgresql.ARRAY(column.type))).label(column.name)
        for column in table.columns
    ]
    return postgresql.insert(table).from_select([column.name for column in table.columns], select(*columns))


def bulk_rows(connection: Connection, rows: list[dict[str, Any]]) -> Any:
    """Return the parameters of `bulk_insert` for at least one row; each row has all columns of the table."""
    if connection.dialect.name != "postgresql":
        return rows
    return {name: [row[name] for row in rows] for name in rows[0]}


def chunks(rows: Sequence[Any], size: int) -> Iterable[Any]:
    """Split a sequence into parts of at most `size` elements."""
    return (rows[start : start + size] for start in range(0, len(rows), size))
