"""What leads touched before a moment of their own: each page, type of event, channel and campaign, once a lead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import numpy.typing as npt

from mqlml.errors import EngineError
from mqlml.history.contract import TOUCHED

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.history.contract import History

__all__ = ["OTHERS", "TOUCH_KINDS", "Touches", "read_spend_rows", "read_touches"]

Integers = npt.NDArray[np.int64]

TOUCH_KINDS = ("event_type", "channel", "asset", "campaign")
"""Columns of the events by which touches are told apart."""
OTHERS = -1
"""Code of every name that is not told by itself."""
# Strictly before, in both times: an event recorded late was not known until then.
_KNOWN = "epoch_us(greatest(e.occurred_at, coalesce(e.recorded_at, e.occurred_at)))"


@dataclass(frozen=True)
class Touches:
    """What leads touched, of one kind; arrays of shape (k,), sorted by lead, then code.

    Attributes
    ----------
    names : tuple of str
        The names told by themselves, those of most leads first.
    rare : int
        Names of fewer leads than may be told, folded into ``OTHERS``.
    more : int
        Names beyond the most that are told, folded into ``OTHERS``.
    lead : ndarray of int64
        As the caller numbered them.
    code : ndarray of int64
        Place in ``names``, or ``OTHERS``.
    times : ndarray of int64
        Events.
    first, last : ndarray of int64
        Microseconds UTC of the first and last of them.
    """

    names: tuple[str, ...]
    rare: int
    more: int
    lead: Integers
    code: Integers
    times: Integers
    first: Integers
    last: Integers


def read_touches(
    history: History, seen: pa.Table, *, without: Sequence[str], least: int, most: Mapping[str, int]
) -> dict[str, Touches]:
    """Sum up the events of each lead that were known strictly before its own moment, in one pass over them.

    Parameters
    ----------
    history : History
    seen : pa.Table
        ``lead`` (int64, the caller's number), ``lead_id`` and ``before`` (int64, microseconds UTC), one row a lead.
    without : sequence of str
        Event types that do not count, such as those made by sales.
    least : int
        Leads that a name needs to be told: rarer ones could point to a person.
    most : mapping of str to int
        Names told at most, by kind.

    Returns
    -------
    dict of str to Touches
        By kind; kinds that no event fills are absent, and all of them without events.

    Raises
    ------
    EngineError
        The engine that reads the events failed.
    """
    if not history.has_events or not seen.num_rows:
        return {}
    connection = history.connection
    try:
        _sum_up(history, seen, without)
        found = {kind: _of_kind(connection, kind, least, most[kind]) for kind in TOUCH_KINDS}
        return {kind: touches for kind, touches in found.items() if touches is not None}
    except duckdb.Error as error:
        hint = "see whether the disk and memory suffice; running again is safe"
        raise EngineError(f"DuckDB failed while summing up touches: {error}.", hint=hint) from error
    finally:
        connection.execute("DROP TABLE IF EXISTS temp.touched")


def read_spend_rows(history: History) -> list[tuple[str, int, float]]:
    """Campaign, start of the period (microseconds UTC) and cost: every row of ``[spend]``, sorted; none without it."""
    if "spend" not in history.tables:
        return []
    query = "SELECT campaign, epoch_us(period_start), cost FROM spend ORDER BY ALL"
    return [(str(row[0]), int(row[1]), float(row[2])) for row in history.connection.execute(query).fetchall()]


def _sum_up(history: History, seen: pa.Table, without: Sequence[str]) -> None:
    """Make ``temp.touched`` with the columns of ``TOUCHED``."""
    connection = history.connection
    columns = ", ".join(TOUCHED.names)
    if history.remote is not None:
        sources = {"remote_touches": history.remote.touches(seen, without=without)}
        query, bound = f"SELECT {columns} FROM remote_touches", {}
    else:
        sources = {"seen_leads": seen}
        query, bound = _local_sql(), {"without": list(without)}
    for name, source in sources.items():
        connection.register(name, source)
    try:
        connection.execute(f"CREATE TEMP TABLE touched AS {query}", bound)
    finally:
        for name in sources:
            connection.unregister(name)


def _local_sql() -> str:
    kinds = " ".join(f"WHEN grouping({kind}) = 0 THEN '{kind}'" for kind in TOUCH_KINDS)
    sets = ", ".join(f"(lead, {kind})" for kind in TOUCH_KINDS)
    at = "epoch_us(e.occurred_at) AS moment"
    named = f"coalesce({', '.join(TOUCH_KINDS)})"
    return (
        f"SELECT CASE {kinds} END AS kind, lead, {named} AS name, count(*) AS times, "
        "min(moment) AS first, max(moment) AS last "
        f"FROM (SELECT s.lead, {at}, {', '.join(f'e.{kind}' for kind in TOUCH_KINDS)} "
        f"FROM events e JOIN seen_leads s ON s.lead_id = e.lead_id "
        f"WHERE {_KNOWN} < s.before AND NOT list_contains($without, e.event_type)) "
        f"GROUP BY GROUPING SETS ({sets}) HAVING name IS NOT NULL"
    )


def _of_kind(connection: duckdb.DuckDBPyConnection, kind: str, least: int, most: int) -> Touches | None:
    """Read one kind from ``temp.touched``; None where no event has a name of it."""
    counts = "SELECT name, count(*) AS leads FROM touched WHERE kind = $kind GROUP BY name"
    bound: dict[str, Any] = {"kind": kind, "least": least, "most": most}
    chosen = connection.execute(
        f"SELECT name FROM ({counts}) WHERE leads >= $least ORDER BY leads DESC, name LIMIT $most", bound
    ).fetchall()
    del bound["most"]
    query = f"SELECT count(*), count(*) FILTER (leads < $least) FROM ({counts})"
    names, rare = connection.execute(query, bound).fetchall()[0]
    if not names:
        return None
    told = [name for (name,) in chosen]
    rows = connection.execute(
        f"SELECT lead, coalesce(list_position($told, name) - 1, {OTHERS})::BIGINT AS code, "
        "sum(times)::BIGINT AS times, min(first) AS first, max(last) AS last "
        "FROM touched WHERE kind = $kind GROUP BY ALL ORDER BY lead, code",
        {"told": told, "kind": kind},
    ).fetchnumpy()
    arrays = {name: np.asarray(rows[name], dtype=np.int64) for name in ("lead", "code", "times", "first", "last")}
    return Touches(tuple(told), int(rare), int(names) - int(rare) - len(told), **arrays)
