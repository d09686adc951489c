"""A lead and its account copied, each copy with one more event: the world as it would be if the lead did that now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.history.facts import NUMBER
from mqlml.history.session import quoted

if TYPE_CHECKING:
    from mqlml.history.contract import History

__all__ = ["copied", "copy_id"]

_EVENT = ("lead_id", "occurred_at", "event_type", "asset", "channel", "value")
# What a field held before a change is read from that change, so later changes are kept, out of reach.
_READ = {
    "events": "occurred_at < $1 AND (recorded_at IS NULL OR recorded_at < $1)",
    "changes": "true",
    "stages": "entered_at < $1",
}
_LATER = "INTERVAL 100 YEAR"


def copy_id(number: int, lead_id: str) -> str:
    """Id of a lead in one of the copies."""
    return f"{number:04d}:{lead_id}"


@contextmanager
def copied(
    history: History, lead_id: str, *, before: datetime, more: Sequence[Mapping[str, Any] | None]
) -> Iterator[History]:
    """Open a small history that holds one lead and the leads of its account, once for each of ``more``.

    Copies know nothing of each other, and nothing that was not known strictly before ``before``.

    Parameters
    ----------
    history : History
        Read here, not by another engine.
    lead_id : str
    before : datetime
        An aware moment.
    more : sequence of mapping or None
        What the lead does a microsecond before that moment: ``event_type``, ``asset``, ``channel`` and ``value``; None
        for a copy in which it does nothing more. Copies are numbered in this order (see `copy_id`).
    """
    members = _members(history, lead_id, before)
    prefixes = pa.array([copy_id(k, "") for k in range(len(more))], pa.string())
    moment = before.astimezone(UTC).replace(tzinfo=None)
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("prefixes", pa.table({"prefix": prefixes}))
        for table in sorted(history.tables & set(_READ)):
            _copy(history, table, members["lead_id"], moment, connection)
        if "events" in history.tables:
            _add(connection, lead_id, moment - timedelta(microseconds=1), more)
        rows = pc.index_in(members["lead_id"], value_set=history.leads["lead_id"].combine_chunks())
        yield replace(
            history,
            leads=pa.concat_tables([_renamed(members, prefix.as_py()) for prefix in prefixes]),
            attributes=history.attributes.take(pa.chunked_array([rows.combine_chunks()] * len(more), pa.int32())),
            connection=connection,
            tables=history.tables & frozenset(_READ),
            cleanup=lambda: None,
            remote=None,
        )


def _members(history: History, lead_id: str, before: datetime) -> pa.Table:
    """The lead, and those of its account that were there by then, in order of their ids."""
    leads = history.leads
    mine = pc.equal(leads["lead_id"], lead_id)
    account = leads.filter(mine)["account_id"][0]
    if account.as_py() is None:
        return leads.filter(mine)
    there = pc.less(leads["created_at"], pa.scalar(before, leads.schema.field("created_at").type))
    mates = pc.and_(pc.equal(leads["account_id"], account), there)
    return leads.filter(pc.or_(mine, pc.fill_null(mates, False)))  # noqa: FBT003 - as pyarrow has it


def _renamed(members: pa.Table, prefix: str) -> pa.Table:
    for name in ("lead_id", "account_id"):
        place = members.column_names.index(name)
        members = members.set_column(place, name, pc.binary_join_element_wise(prefix, members[name], ""))
    return members


def _copy(
    history: History, table: str, lead_ids: pa.ChunkedArray, moment: datetime, connection: duckdb.DuckDBPyConnection
) -> None:
    history.connection.register("copied_leads", pa.table({"lead_id": lead_ids}))
    try:
        columns = history.connection.sql(f"FROM {table}").columns
        kept = ", ".join(quoted(name) for name in columns if name != NUMBER)
        query = f"SELECT {kept} FROM {table} SEMI JOIN copied_leads USING (lead_id) WHERE {_READ[table]}"
        rows = history.connection.sql(query, params=[moment] if "$1" in query else []).to_arrow_table()
    finally:
        history.connection.unregister("copied_leads")
    connection.register("rows_to_copy", rows)
    changed = f"changed_at + CASE WHEN changed_at < $1 THEN INTERVAL 0 DAY ELSE {_LATER} END AS changed_at"
    renamed = ["prefix || lead_id AS lead_id", *([changed] if table == "changes" else [])]
    query = (
        f"CREATE TABLE {table} AS SELECT * EXCLUDE (prefix) REPLACE ({', '.join(renamed)}) FROM rows_to_copy, prefixes"
    )
    connection.execute(query, [moment] if "$1" in query else [])
    connection.unregister("rows_to_copy")


def _add(
    connection: duckdb.DuckDBPyConnection, lead_id: str, at: datetime, more: Sequence[Mapping[str, Any] | None]
) -> None:
    query = f"INSERT INTO events ({', '.join(_EVENT)}) VALUES (?, ?, ?, ?, ?, ?)"
    for number, event in enumerate(more):
        if event is not None:
            values = [event["event_type"], event["asset"], event["channel"], event["value"]]
            connection.execute(query, [copy_id(number, lead_id), at, *values])
