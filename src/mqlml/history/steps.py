"""Questions about what single leads did: their last steps, and what such steps usually are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mqlml.history.contract import History

__all__ = ["last_steps", "usual_events"]

# An event that was recorded late was no sign of life until then.
_KNOWN = "greatest(e.occurred_at, coalesce(e.recorded_at, e.occurred_at))"


def last_steps(
    history: History, lead_id: str, *, before: datetime, fields: Sequence[str], most: int
) -> list[dict[str, Any]]:
    """What became known of a lead at its last moments strictly before one.

    Parameters
    ----------
    history : History
    lead_id : str
    before : datetime
        An aware moment.
    fields : sequence of str
        Fields whose changes are told.
    most : int
        Moments; several things may have become known at each.

    Returns
    -------
    list of dict
        ``at`` (aware, UTC), ``kind`` (event, change or stage), ``name`` (event type, field or stage), ``detail`` (asset
        or new value, None where there is none) and ``times``; oldest first.
    """
    queries = {
        "events": f"SELECT {_KNOWN} AS moment, 'event' AS kind, event_type AS name, asset AS detail FROM events e "
        f"WHERE lead_id = $lead AND {_KNOWN} < $before",
        "changes": "SELECT changed_at, 'change', field, value FROM changes "
        "WHERE lead_id = $lead AND changed_at < $before AND list_contains($fields, field)",
        "stages": "SELECT entered_at, 'stage', stage, NULL FROM stages "
        "WHERE lead_id = $lead AND entered_at < $before AND entered_at IS NOT NULL",
    }
    parts = [query for table, query in queries.items() if table in history.tables]
    if not parts:
        return []
    moment = before.astimezone(UTC).replace(tzinfo=None)
    bound = {"lead": lead_id, "before": moment, "most": most, "fields": list(fields)}
    query = (
        f"SELECT moment, kind, name, detail, count(*) FROM ({' UNION ALL '.join(parts)}) "
        "GROUP BY moment, kind, name, detail "
        "QUALIFY dense_rank() OVER (ORDER BY moment DESC) <= $most "
        "ORDER BY moment, kind, name, detail NULLS FIRST"
    )
    rows = history.connection.execute(query, {k: v for k, v in bound.items() if f"${k}" in query}).fetchall()
    names = ("at", "kind", "name", "detail", "times")
    return [{**dict(zip(names, row, strict=True)), "at": row[0].replace(tzinfo=UTC)} for row in rows]


def usual_events(
    history: History, *, before: datetime, types: Sequence[str], assets: Sequence[str]
) -> list[dict[str, Any]]:
    """The usual event of each type and on each asset: with the asset and channel that go with it most often.

    Parameters
    ----------
    history : History
    before : datetime
        An aware moment; only what was known strictly before it counts.
    types, assets : sequence of str

    Returns
    -------
    list of dict
        ``criterion`` (the type or asset), ``event_type``, ``asset``, ``channel`` and ``value`` (median); in the order
        of the criteria.
    """
    if "events" not in history.tables:
        return []
    moment = before.astimezone(UTC).replace(tzinfo=None)
    found: dict[str, dict[str, Any]] = {}
    for column, names in (("event_type", types), ("asset", assets)):
        rows = history.connection.execute(
            f"""
            SELECT {column}, event_type, asset, channel, median(value) FROM events
            WHERE list_contains($names, {column}) AND occurred_at < $before
              AND (recorded_at IS NULL OR recorded_at < $before)
            GROUP BY event_type, asset, channel
            QUALIFY row_number() OVER (PARTITION BY {column}
                ORDER BY count(*) DESC, event_type, asset NULLS FIRST, channel NULLS FIRST) = 1
            """,
            {"names": list(names), "before": moment},
        ).fetchall()
        keys = ("criterion", "event_type", "asset", "channel", "value")
        found.update({row[0]: dict(zip(keys, row, strict=True)) for row in rows})
    return [found[name] for name in (*types, *assets) if name in found]
