"""Small questions to a history that a person asks about one lead."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mqlml.history.contract import History

__all__ = ["recent_events"]


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
