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
    others : int
        Names that are folded into ``OTHERS``: of fewer leads than may be told, or beyond the most that are.
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
    others: int
    lead: Integers
    code: Integers
    times: Integers
    first: Integers
    last: Integers


def read_touches(
    history: History, seen: pa.Table, *, without: Sequence[str], least: int, most: Mapping[str, int]
) -> dict[str, Touches]:
    """Sum up the events of each lead that were known strictly before its own moment, in two passes over them.

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
        Names told at most, by kind: those of most events, where they have enough leads.

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
        names = _sum_up(history, seen, without, most)
        found = {kind: _of_kind(connection, kind, names.get(kind, 0), least, most[kind]) for kind in TOUCH_KINDS}
        return {kind: touches for kind, touches in found.items() if touches is not None}
    except duckdb.Error as error:
        hint = "see whether the disk and memory suffice; running again is safe"
        raise EngineError(f"DuckDB failed while summing up touches: {error}.", hint=hint) from error
    finally:
        for name in ("brought", "candidates", "touched"):
            connection.execute(f"DROP TABLE IF EXISTS temp.{name}")


def read_spend_rows(history: History) -> list[tuple[str, int, float]]:
    """Campaign, start of the period (microseconds UTC) and cost: every row of ``[spend]``, sorted; none without it."""
    if "spend" not in history.tables:
        return []
    query = "SELECT campaign, epoch_us(period_start), cost FROM spend ORDER BY ALL"
    return [(str(row[0]), int(row[1]), float(row[2])) for row in history.connection.execute(query).fetchall()]


def _sum_up(history: History, seen: pa.Table, without: Sequence[str], most: Mapping[str, int]) -> dict[str, int]:
    """Make ``temp.candidates`` (kind, name, code) and ``temp.touched`` (kind, lead, code, times, first, last).

    Names get a code first, those of most events: grouping by a few numbers is many times as fast as by all names.

    Returns
    -------
    dict of str to int
        Number of names of each kind, those without a code included.
    """
    connection = history.connection
    bound = {} if history.remote is not None else {"without": list(without)}
    if history.remote is not None:
        sources = {"remote_touches": history.remote.touches(seen, without=without)}
    else:
        sources = {"seen_leads": seen}
    for name, source in sources.items():
        connection.register(name, source)
    try:
        if history.remote is not None:
            connection.execute(f"CREATE TEMP TABLE brought AS SELECT {', '.join(TOUCHED.names)} FROM remote_touches")
        counts = _REMOTE_COUNTS if history.remote is not None else _local_counts()
        names = _choose(connection, counts, bound, most)
        query = _REMOTE_TOUCHED if history.remote is not None else _local_touched()
        connection.execute(f"CREATE TEMP TABLE touched AS {query}", bound)
    finally:
        for name in sources:
            connection.unregister(name)
    return names


_REMOTE_COUNTS = "SELECT kind, name, sum(times)::BIGINT AS events FROM brought GROUP BY ALL"
_REMOTE_TOUCHED = (
    f"SELECT b.kind, b.lead, coalesce(c.code, {OTHERS}) AS code, sum(b.times)::BIGINT AS times, min(b.first) AS first, "
    "max(b.last) AS last FROM brought b LEFT JOIN candidates c ON c.kind = b.kind AND c.name = b.name GROUP BY ALL"
)


def _choose(
    connection: duckdb.DuckDBPyConnection, counts: str, bound: Mapping[str, Any], most: Mapping[str, int]
) -> dict[str, int]:
    """Give a code to the names of most events of each kind, twice as many as are told: some may have too few leads."""
    rows = connection.execute(
        "SELECT kind, name, count(*) OVER (PARTITION BY kind) AS names, "
        "row_number() OVER (PARTITION BY kind ORDER BY events DESC, name) - 1 AS place "
        f"FROM ({counts}) QUALIFY place < $most ORDER BY kind, place",
        {**bound, "most": 2 * max(most.values())},
    ).fetchall()
    connection.execute("CREATE TEMP TABLE candidates (kind VARCHAR, name VARCHAR, code BIGINT)")
    chosen = [(kind, name, place) for kind, name, _, place in rows if place < 2 * most[kind]]
    if chosen:
        connection.executemany("INSERT INTO candidates VALUES (?, ?, ?)", chosen)
    return {kind: int(names) for kind, _, names, _ in rows}


def _local_events() -> str:
    kinds = ", ".join(f"e.{kind}" for kind in TOUCH_KINDS)
    return (
        f"SELECT s.lead, epoch_us(e.occurred_at) AS moment, {kinds} "
        f"FROM events e JOIN seen_leads s ON s.lead_id = e.lead_id "
        f"WHERE {_KNOWN} < s.before AND NOT list_contains($without, e.event_type)"
    )


def _local_counts() -> str:
    sets = ", ".join(f"({kind})" for kind in TOUCH_KINDS)
    return (
        f"SELECT CASE {_of_set()} END AS kind, coalesce({', '.join(TOUCH_KINDS)}) AS name, count(*) AS events "
        f"FROM ({_local_events()}) GROUP BY GROUPING SETS ({sets}) HAVING name IS NOT NULL"
    )


def _local_touched() -> str:
    coded = ", ".join(
        f"CASE WHEN v.{kind} IS NOT NULL THEN coalesce({kind}_c.code, {OTHERS}) END AS {kind}" for kind in TOUCH_KINDS
    )
    joins = " ".join(
        f"LEFT JOIN candidates {kind}_c ON {kind}_c.kind = '{kind}' AND {kind}_c.name = v.{kind}"
        for kind in TOUCH_KINDS
    )
    sets = ", ".join(f"(lead, {kind})" for kind in TOUCH_KINDS)
    return (
        f"SELECT CASE {_of_set()} END AS kind, lead, coalesce({', '.join(TOUCH_KINDS)}) AS code, count(*) AS times, "
        "min(moment) AS first, max(moment) AS last "
        f"FROM (SELECT v.lead, v.moment, {coded} FROM ({_local_events()}) v {joins}) "
        f"GROUP BY GROUPING SETS ({sets}) HAVING code IS NOT NULL"
    )


def _of_set() -> str:
    return " ".join(f"WHEN grouping({kind}) = 0 THEN '{kind}'" for kind in TOUCH_KINDS)


def _of_kind(connection: duckdb.DuckDBPyConnection, kind: str, names: int, least: int, most: int) -> Touches | None:
    """Read one kind from ``temp.touched``; None where no event has a name of it."""
    if not names:
        return None
    told = connection.execute(
        "SELECT c.name, c.code FROM candidates c JOIN touched t ON t.kind = c.kind AND t.code = c.code "
        "WHERE c.kind = $kind GROUP BY ALL HAVING count(*) >= $least ORDER BY count(*) DESC, c.name LIMIT $most",
        {"kind": kind, "least": least, "most": most},
    ).fetchall()
    rows = connection.execute(
        f"SELECT lead, coalesce(list_position($told, code) - 1, {OTHERS})::BIGINT AS code, "
        "sum(times)::BIGINT AS times, min(first) AS first, max(last) AS last "
        "FROM touched WHERE kind = $kind GROUP BY ALL ORDER BY lead, code",
        {"told": [code for _, code in told], "kind": kind},
    ).fetchnumpy()
    arrays = {name: np.asarray(rows[name], dtype=np.int64) for name in ("lead", "code", "times", "first", "last")}
    return Touches(tuple(name for name, _ in told), names - len(told), **arrays)
