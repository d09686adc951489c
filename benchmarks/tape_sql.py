"""The default features in DuckDB SQL, written to be fast: every column of mqlml's, none that is off by default.

What an event means for its lead (its session, whether it is the newest of its day or asset, whether it ends a pair) is
found once with window functions. Marks then join with the events and aggregate: all events by the shortest window that
holds them, then each type, asset and channel, and each type of the other leads of the account.

Tried and slower. Pairs: an ASOF join of the events with themselves (twice as slow), a running maximum over first and
then events together, one window maximum or list of types for each event. Colleagues: an ASOF join for the newest event
of each, an aggregate for each mark and colleague, totals of the account without the own (running sums at the ends of
all windows, found with an ASOF join), one wide aggregate of counts by type. Own events: wide counts by channel, FILTER
in place of CASE; a second window function for the place in a session. The table: filtered maxima or lists in place of
joins, inner joins of dense cells; positional joins of sorted cells were as fast.
"""

from __future__ import annotations

from pathlib import Path

from tape_data import CHANNELS, DAY, PAIR_DAYS, PAIRS, TYPES
from tape_sql_table import HALF_LIVES, LONG, MINUTE, WINDOWS, table

FAR = 2**61


def duckdb_full(folder: Path, out: Path, assets: tuple[str, ...]) -> None:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET TimeZone = 'UTC'")
    for query in queries(folder, assets):
        connection.execute(query)
    connection.execute(f"COPY ({table(assets)}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")


def queries(folder: Path, assets: tuple[str, ...]) -> list[str]:
    """Everything before the table."""
    facts = [_people(folder), _marks(folder), _assets(folder, assets), _events(folder), _clocked(), _SEEN]
    return [*facts, _windows(), _any(), *_cells(), *_colleagues()]


def _people(folder: Path) -> str:
    """Numbers instead of ids and accounts."""
    return f"""
        CREATE TEMP TABLE people AS
        SELECT lead_id, (row_number() OVER ())::INTEGER AS lead, account_id, epoch_us(created_at) AS created
        FROM '{folder}/leads.parquet'
    """


def _marks(folder: Path) -> str:
    return f"""
        CREATE TEMP TABLE m AS
        SELECT (row_number() OVER ())::INTEGER AS mark, lead_id, "at", epoch_us("at") AS s, lead, account_id, created
        FROM '{folder}/marks.parquet' JOIN people USING (lead_id)
    """


def _assets(folder: Path, assets: tuple[str, ...]) -> str:
    return f"""
        CREATE TEMP TABLE assets AS
        SELECT asset AS name, (row_number() OVER ())::INTEGER AS asset,
               (coalesce(list_position({list(assets)}, asset), {len(assets) + 1}) - 1)::TINYINT AS page
        FROM (SELECT DISTINCT asset FROM '{folder}/events.parquet' WHERE asset IS NOT NULL)
    """


def _events(folder: Path) -> str:
    """Codes instead of names; -1 for none."""
    return f"""
        CREATE TEMP TABLE e AS
        SELECT lead, epoch_us(occurred_at) AS t, (list_position({list(TYPES)}, event_type) - 1)::TINYINT AS type,
               coalesce(value, 0) AS value,
               (coalesce(list_position({list(CHANNELS)}, channel), 0) - 1)::TINYINT AS channel,
               coalesce(a.asset, -1) AS asset, coalesce(page, -1) AS page
        FROM '{folder}/events.parquet' e JOIN people USING (lead_id) LEFT JOIN assets a ON a.name = e.asset
    """


def _clocked() -> str:
    """What was before and after, and whether the first type of the pair that an event may end was lately before."""
    firsts = {TYPES.index(then): 1 << TYPES.index(first) for first, then in PAIRS}
    awaited = [firsts.get(code, 0) for code in range(len(TYPES))]
    return f"""
        CREATE TEMP TABLE clocked AS
        SELECT * EXCLUDE (lately), coalesce(t - before > {30 * MINUTE}, true) AS starts,
               coalesce(lately & {awaited}[type + 1], 0) <> 0 AS follows
        FROM (
            SELECT *, t // {DAY} AS day, lag(t) OVER w AS before, coalesce(lead(t) OVER w, {FAR}) AS after,
                   row_number() OVER w AS place,
                   bit_or(1 << type::INTEGER) OVER (
                       PARTITION BY lead ORDER BY t RANGE BETWEEN {PAIR_DAYS * DAY} PRECEDING AND 1 PRECEDING
                   ) AS lately
            FROM e WINDOW w AS (PARTITION BY lead ORDER BY t)
        )
    """


_SEEN = f"""
    CREATE TEMP TABLE seen AS
    SELECT lead, t, type, value, channel, page, day, after, place, starts, follows, asset >= 0 AS paged,
           CASE WHEN starts THEN 0 ELSE t - before END AS pause,
           t - last_value(CASE WHEN starts THEN t END IGNORE NULLS) OVER so_far AS session_time,
           row_number() OVER visits AS uses, coalesce(lead(t) OVER visits, {FAR}) AS next_use
    FROM clocked
    WINDOW so_far AS (PARTITION BY lead ORDER BY place ROWS UNBOUNDED PRECEDING),
           visits AS (PARTITION BY lead, asset ORDER BY t)
"""

_JOINED = "seen JOIN m ON m.lead = seen.lead AND seen.t < m.s"


def _windows() -> str:
    """One row for each mark and the shortest window that holds an event; what lies before all windows is the last."""
    part = " + ".join(f"(s - t > {w * DAY})::INTEGER" for w in WINDOWS)
    faded = [f"sum(exp((t - s) * {0.6931471805599453 / (h * DAY)!r})) AS intensity_{h}d" for h in HALF_LIVES]
    return f"""
        CREATE TEMP TABLE windows AS
        SELECT 8 * mark + {part} AS part, count(*) AS events, min(t) AS first, max(t) AS last,
               count_if(after >= s OR after // {DAY} > day) AS days, count_if(starts) AS sessions,
               count_if(paged AND next_use >= s) AS assets, count_if(paged AND uses > 1) AS again,
               sum(pause)::DOUBLE AS pauses, max(CASE WHEN paged THEN uses END) AS most, max(session_time) AS longest,
               max(CASE WHEN starts THEN t END) AS session, max(CASE WHEN starts THEN place END) AS session_place,
               {", ".join(faded)}
        FROM {_JOINED} GROUP BY part
    """


def _any() -> str:
    """One row a mark: what is asked of all events together."""
    columns = []
    for i, w in enumerate((*WINDOWS, None)):
        name = "ever" if w is None else f"{w}d"
        measures = ["events", "days", "sessions"] + (["assets", "again", "pauses"] if w is None or w in LONG else [])
        columns += [f"sum(CASE WHEN part % 8 <= {i} THEN {m} END)::DOUBLE AS {m}_{name}" for m in measures]
    columns += [f"sum(intensity_{h}d) AS intensity_{h}d" for h in HALF_LIVES]
    columns += [f"max({m}) AS {m}" for m in ("last", "most", "longest", "session", "session_place")]
    return f"""
        CREATE TEMP TABLE anything AS
        SELECT part // 8 AS mark, min(first) AS first, {", ".join(columns)} FROM windows GROUP BY part // 8
    """


def _cells() -> list[str]:
    """One row for each mark and type, asset or channel."""
    counts = {w: f"count(*) FILTER (s - t <= {w * DAY}) AS count_{w}d" for w in WINDOWS}
    sums = ", ".join(f"coalesce(sum(value) FILTER (s - t <= {w * DAY}), 0) AS value_{w}d" for w in LONG)
    long = ", ".join(counts[w] for w in LONG)
    last = f"min(s - t) / {DAY}.0 AS days_since_last"
    pairs = f"count(*) FILTER (follows) AS pairs, min(s - t) FILTER (follows) / {DAY}.0 AS days_since_pair"

    def cells(name: str, measures: str) -> str:
        return (
            f"CREATE TEMP TABLE {name}s AS SELECT 32 * mark + {name} AS cell, {measures}, count(*) AS count_ever "
            f"FROM {_JOINED} WHERE {name} >= 0 GROUP BY cell"
        )

    return [
        cells("type", f"{', '.join(counts.values())}, {last}, {sums}, sum(value) AS value_ever, {pairs}"),
        cells("page", f"{long}, {last}"),
        cells("channel", long),
        # A channel was used in a window if any of its events lies in it.
        f"CREATE TEMP TABLE used AS SELECT cell // 32 AS mark, count(*) AS channels_ever, "
        f"{', '.join(f'count(*) FILTER (count_{w}d > 0) AS channels_{w}d' for w in LONG)} FROM channels GROUP BY mark",
    ]


def _colleagues() -> list[str]:
    """What the other leads of the account did that existed by then: their newest events, and all by type."""
    counts = ", ".join(f"count(*) FILTER (s - t <= {w * DAY}) AS account_{w}d" for w in WINDOWS)
    active = ", ".join(f"count(*) FILTER (s - t <= {w * DAY}) AS active_{w}d" for w in WINDOWS)
    totals = ", ".join(
        f"sum(account_{name})::DOUBLE AS account_{name}" for name in (*(f"{w}d" for w in WINDOWS), "ever")
    )
    joined = "seen JOIN colleagues c ON c.lead = seen.lead AND seen.t < c.s"
    return [
        """
        CREATE TEMP TABLE colleagues AS SELECT m.mark, m.s, c.lead, c.created
        FROM m JOIN people c ON c.account_id = m.account_id AND c.lead <> m.lead AND c.created < m.s
        """,
        "CREATE TEMP TABLE team AS SELECT mark, count(*) AS colleagues, min(created) AS first_colleague "
        "FROM colleagues GROUP BY mark",
        f"CREATE TEMP TABLE newest AS SELECT mark, max(t) AS account_last, {active}, count(*) AS active_ever "
        f"FROM {joined} AND after >= c.s GROUP BY mark",
        f"CREATE TEMP TABLE deeds AS SELECT 32 * mark + type AS cell, {counts}, count(*) AS account_ever "
        f"FROM {joined} GROUP BY cell",
        f"CREATE TEMP TABLE account AS SELECT cell // 32 AS mark, {totals} FROM deeds GROUP BY mark",
    ]
