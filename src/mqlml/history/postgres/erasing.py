"""Rows of one person, taken out of a table of PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mqlml.history.postgres.connecting import transaction
from mqlml.history.postgres.upserting import columns_of_table, place_of
from mqlml.history.session import quoted

if TYPE_CHECKING:
    from mqlml.history.postgres.address import Address

__all__ = ["delete_rows"]


def delete_rows(address: Address, *, table: str, column: str, value: str, references: Sequence[str] = ()) -> int | None:
    """Delete the rows of a value, and empty references to it in other rows, in one transaction.

    Parameters
    ----------
    address : Address
    table : str
        ``table`` or ``schema.table``.
    column : str
        A column of text.
    value : str
    references : sequence of str
        Columns that may hold the value in rows of others; those that the table lacks are passed over.

    Returns
    -------
    int or None
        Rows deleted or changed; None where there is no such table, or it has no such column.

    Raises
    ------
    EngineError
        The server cannot be reached, or the user may not delete; nothing was changed.
    """
    place, touched = place_of(table), 0
    with transaction(address) as cursor:
        columns = columns_of_table(cursor, place)
        if column not in columns:
            return None
        statements = [f"DELETE FROM {place} WHERE {quoted(column)} = $1 RETURNING 1"]
        statements += [
            f"UPDATE {place} SET {quoted(name)} = NULL WHERE {quoted(name)} = $1 RETURNING 1"
            for name in references
            if name in columns
        ]
        for statement in statements:
            cursor.execute(statement, (value,))
            touched += len(cursor.fetchall())
    return touched
