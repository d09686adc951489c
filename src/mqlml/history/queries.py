"""Questions to the facts of a history that need no features: one lead's last events, signs of life, stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from mqlml.errors import EngineError

if TYPE_CHECKING:
    from mqlml.history.contract import History

__all__ = [
    "entries_into",
    "event_days",
    "event_types_at",
    "leads_by_event_type",
    "recent_events",
    "signs_of_life",
    "stage_entries",
    "stage_names",
]

_BATCH_ROWS = 262_144
# An event that was recorded late was no sign of life until then.
_KNOWN = "epoch_us(greatest(e.occurred_at, coalesce(e.recorded_at, e.occurred_at)))"


def recent_events(history: History, lead_id: str, *, before: datetime | None, most: int) -> list[dict[str, Any]]:
    """The last events of a lead that were known strictly before a moment.

    Returns
    -------
    list of dict
        ``occurred_at`` (aware, UTC), ``event_type``, ``asset`` and ``value``; newest first, at most ``most``.
    """
    if "events" not in history.tables or before is None:
        return []
    moment = before.astimezone(UTC).replace(tzinfo=None)
    rows = history.connection.execute(
        """
        SELECT occurred_at, event_type, asset, value FROM events
        WHERE lead_id = $lead AND occurred_at < $before AND (recorded_at IS NULL OR recorded_at < $before)
        ORDER BY occurred_at DESC, event_type, asset, value LIMIT $most
        """,
        {"lead": lead_id, "before": moment, "most": most},
    ).fetchall()
    names = ("occurred_at", "event_type", "asset", "value")
    return [{**dict(zip(names, row, strict=True)), "occurred_at": row[0].replace(tzinfo=UTC)} for row in rows]


def event_types_at(history: History, moments: pa.Table) -> list[str | None]:
    """What leads did at given moments.

    Parameters
    ----------
    history : History
    moments : pa.Table
        ``lead_id`` and ``at`` (int64, microseconds UTC; null: never).

    Returns
    -------
    list of str or None
        Row for row the event type (of several at once the first by name); None where there is no such event, or the
        events lie on other machines.
    """
    if "events" not in history.tables:
        return [None] * moments.num_rows
    asked = moments.append_column("place", pa.array(range(moments.num_rows), pa.int64()))
    history.connection.register("moments_asked", asked)
    try:
        found = history.connection.execute(
            "SELECT m.place, min(e.event_type) FROM moments_asked AS m LEFT JOIN events AS e "
            "ON e.lead_id = m.lead_id AND epoch_us(e.occurred_at) = m.at GROUP BY m.place ORDER BY m.place"
        ).fetchall()
    finally:
        history.connection.unregister("moments_asked")
    return [event_type for _, event_type in found]


@contextmanager
def signs_of_life(
    history: History, spans: pa.Table, others: pa.Table, *, until: int, without: Sequence[str]
) -> Iterator[Iterator[pa.RecordBatch]]:
    """Stream what leads did themselves while they were no candidates, in one pass over the events.

    Parameters
    ----------
    history : History
    spans : pa.Table
        ``lead`` (int64), ``lead_id``, ``after`` and ``upto`` (int64, microseconds): the times of a lead in which an
        event counts, ``after < known <= upto``; the spans of a lead do not overlap.
    others : pa.Table
        Signs of life that are no events: ``lead`` and ``known`` (int64).
    until : int
        Microseconds: only what became known strictly before counts.
    without : sequence of str
        Event types that do not count, such as those made by sales.

    Yields
    ------
    iterator of RecordBatch
        ``lead`` and ``known`` (int64: when the event had happened and was recorded), sorted by both.
    """
    connection = history.connection
    parts, sources = ["SELECT lead, known FROM other_signs"], {"spans_of_life": spans, "other_signs": others}
    if history.remote is not None and spans.num_rows:
        sources["remote_signs"] = history.remote.signs_of_life(spans, until=until, without=without)
        parts.append("SELECT lead, known FROM remote_signs")
    elif "events" in history.tables and spans.num_rows:
        parts.append(
            f"SELECT s.lead, {_KNOWN} FROM events e JOIN spans_of_life s ON s.lead_id = e.lead_id "
            f"AND {_KNOWN} > s.after AND {_KNOWN} <= s.upto "
            f"WHERE {_KNOWN} < {until} AND NOT list_contains($without, e.event_type)"
        )
    query = f"SELECT lead, known FROM ({' UNION ALL '.join(parts)}) signs(lead, known) ORDER BY lead, known"
    for name, source in sources.items():
        connection.register(name, source)
    try:
        bound = {"without": list(without)} if "$without" in query else {}
        with connection.sql(query, params=bound).to_arrow_reader(_BATCH_ROWS) as reader:
            yield iter(reader)
    except duckdb.Error as error:
        hint = "see whether the disk and memory suffice; running again is safe"
        raise EngineError(f"DuckDB failed while looking for signs of life: {error}.", hint=hint) from error
    finally:
        for name in sources:
            connection.unregister(name)


def stage_names(history: History) -> dict[str, int]:
    """Stages that leads entered, and how often, the most frequent first."""
    if "stages" not in history.tables:
        return {}
    query = "SELECT stage, count(*) FROM stages GROUP BY stage ORDER BY count(*) DESC, stage"
    return dict(history.connection.execute(query).fetchall())


def stage_entries(history: History, stage: str) -> pa.Table:
    """When leads first entered a stage: ``lead_id`` and ``entered_at`` (UTC microseconds), sorted by id."""
    query = (
        "SELECT lead_id, min(entered_at)::TIMESTAMPTZ AS entered_at FROM stages WHERE stage = $stage "
        "GROUP BY lead_id ORDER BY lead_id"
    )
    return history.connection.sql(query, params={"stage": stage}).to_arrow_table()


def entries_into(history: History, stages: Sequence[str]) -> pa.Table:
    """Every entry into some stages: ``lead_id`` and ``entered_at`` (UTC microseconds), sorted."""
    query = (
        "SELECT lead_id, entered_at::TIMESTAMPTZ AS entered_at FROM stages "
        "WHERE list_contains($stages, stage) AND entered_at IS NOT NULL ORDER BY ALL"
    )
    return history.connection.sql(query, params={"stages": list(stages)}).to_arrow_table()


def event_days(history: History, *, until: int, days: int) -> list[tuple[str, int, int, int]]:
    """Events of each type and day that were known strictly before a moment.

    Parameters
    ----------
    history : History
    until : int
        Microseconds in UTC.
    days : int
        Looked back.

    Returns
    -------
    list of tuple
        Type, day counted back from ``until`` (0: the last 24 hours), events, and the newest of them in microseconds;
        empty without events, or where an engine keeps them elsewhere.
    """
    if "events" not in history.tables:
        return []
    day = 86_400_000_000
    rows = history.connection.execute(
        f"""
        SELECT e.event_type, ({until} - 1 - epoch_us(e.occurred_at)) // {day} AS day, count(*),
               max(epoch_us(e.occurred_at))
        FROM events e
        WHERE {_KNOWN} < {until} AND epoch_us(e.occurred_at) >= {until - days * day}
        GROUP BY ALL ORDER BY ALL
        """
    ).fetchall()
    return [(str(kind), int(back), int(n), int(newest)) for kind, back, n, newest in rows]


def leads_by_event_type(history: History, *, since: int, until: int) -> dict[str, int]:
    """Leads that did each type of event in ``[since, until)``, microseconds; known strictly before ``until``."""
    if "events" not in history.tables:
        return {}
    rows = history.connection.execute(
        f"""
        SELECT e.event_type, count(DISTINCT e.lead_id) FROM events e
        WHERE {_KNOWN} < {until} AND epoch_us(e.occurred_at) >= {since} GROUP BY ALL ORDER BY ALL
        """
    ).fetchall()
    return {str(kind): int(n) for kind, n in rows}
