"""How often attributes changed when a lead was known, or decided, already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.history.contract import History

__all__ = ["Edits", "count_edits"]


@dataclass(frozen=True)
class Edits:
    """Leads whose field changed after they were created, and at or after their decision."""

    field: str
    after_creation: int
    after_decision: int


def count_edits(history: History, moments: pa.Table, *, until: int) -> tuple[Edits, ...]:
    """Count leads by field of ``[history]`` that changed when the lead was known, or decided, already.

    Parameters
    ----------
    history : History
    moments : pa.Table
        ``lead_id``, ``created`` and ``decided``: microseconds in UTC, null where there is none.
    until : int
        Changes from this moment on are not known yet (microseconds in UTC).

    Returns
    -------
    tuple of Edits
        By name of the field; empty without a table of changes.
    """
    if "changes" not in history.tables:
        return ()
    history.connection.register("audited_leads", moments)
    try:
        rows = history.connection.execute(
            """
            SELECT field, count(DISTINCT lead_id) FILTER (epoch_us(changed_at) > created),
                   count(DISTINCT lead_id) FILTER (epoch_us(changed_at) >= decided)
            FROM changes JOIN audited_leads USING (lead_id)
            WHERE epoch_us(changed_at) < $1 GROUP BY field ORDER BY field
            """,
            [until],
        ).fetchall()
    finally:
        history.connection.unregister("audited_leads")
    return tuple(Edits(*row) for row in rows)
