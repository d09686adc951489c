"""The default features in DuckDB SQL, as far as SQL can reasonably express them.

What an event means for its lead (its session, whether it is the newest of its day, asset or channel, whether the asset
was used before) is found once with window functions; marks then join and aggregate. Left out, in favour of SQL: ordered
pairs, what colleagues of the account did, and the order of events of one microsecond (``journey``).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from tape_data import CHANNELS, DAY, TYPES

MINUTE = 60_000_000
LONG = (30, 90)
WINDOWS = (1, 7, 30, 90)
HALF_LIVES = (7, 30)


def duckdb_full(folder: Path, out: Path, assets: tuple[str, ...]) -> None:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET TimeZone = 'UTC'")
    for query in (_marks(folder), _events(folder, assets), _CLOCK, _SEEN, _any(), *_cells()):
        connection.execute(query)
    connection.execute(f"COPY ({_table(assets)}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")


def _marks(folder: Path) -> str:
    return f"""
        CREATE TEMP TABLE m AS
        SELECT (row_number() OVER ())::INTEGER AS mark, lead_id, "at", epoch_us("at") AS s,
               epoch_us(created_at) AS created
        FROM '{folder}/marks.parquet' JOIN '{folder}/leads.parquet' USING (lead_id)
    """


def _events(folder: Path, assets: tuple[str, ...]) -> str:
    """Codes instead of names; -1 for none."""
    return f"""
        CREATE TEMP TABLE e AS
        SELECT lead_id, epoch_us(occurred_at) AS t, (list_position({list(TYPES)}, event_type) - 1)::TINYINT AS type,
               coalesce(value, 0) AS value,
               (coalesce(list_position({list(CHANNELS)}, channel), 0) - 1)::TINYINT AS channel,
               asset, CASE WHEN asset IS NULL THEN -1
                      ELSE coalesce(list_position({list(assets)}, asset), {len(assets) + 1}) - 1 END::TINYINT AS page
        FROM '{folder}/events.parquet'
    """


# Days, pauses and hours; then the session that an event belongs to.
_CLOCK = f"""
    CREATE TEMP TABLE clocked AS
    SELECT *, max(CASE WHEN starts THEN t END) OVER w AS session_start,
           row_number() OVER w - max(CASE WHEN starts THEN place END) OVER w + 1 AS session_events
    FROM (
        SELECT *, t // {DAY} AS day, (t // {60 * MINUTE}) % 24 AS hour, (t // {DAY} + 3) % 7 AS weekday,
               lag(t) OVER w AS before, lead(t) OVER w AS after, row_number() OVER w AS place,
               coalesce(t - lag(t) OVER w > {30 * MINUTE}, true) AS starts
        FROM e WINDOW w AS (PARTITION BY lead_id ORDER BY t, type, page, channel, asset, value)
    )
    WINDOW w AS (PARTITION BY lead_id ORDER BY place)
"""

_SEEN = f"""
    CREATE TEMP TABLE seen AS
    SELECT lead_id, t, type, value, channel, page, day, after, before, starts, session_start, session_events,
           hour BETWEEN 8 AND 17 AND weekday < 5 AS working, weekday >= 5 AS weekend, hour >= 22 OR hour < 6 AS night,
           asset IS NOT NULL AS paged,
           row_number() OVER (PARTITION BY lead_id, asset ORDER BY place) AS uses,
           coalesce(lead(t) OVER (PARTITION BY lead_id, asset ORDER BY place), {2**62}) AS next_use,
           coalesce(lead(t) OVER (PARTITION BY lead_id, channel ORDER BY place), {2**62}) AS next_channel
    FROM clocked
"""


def _any() -> str:
    """One row a mark: what is asked of all events together."""
    gap = "(s - t)"
    newest_of_day = f"(coalesce(after, {2**62}) >= s OR after // {DAY} > day)"
    columns = [f"count(*) FILTER ({gap} <= {w * DAY}) AS count_{w}d" for w in WINDOWS]
    columns.append("count(*) AS count_ever")
    for w in (*WINDOWS, None):
        inside = "" if w is None else f" AND {gap} <= {w * DAY}"
        name = "ever" if w is None else f"{w}d"
        columns.append(f"count(*) FILTER ({newest_of_day}{inside}) AS days_{name}")
        columns.append(f"count(*) FILTER (starts{inside}) AS sessions_{name}")
        if w is None or w in LONG:
            columns.append(f"count(*) FILTER (paged AND next_use >= s{inside}) AS assets_{name}")
            columns.append(f"count(*) FILTER (paged AND uses > 1{inside}) AS again_{name}")
            columns.append(f"count(*) FILTER (channel >= 0 AND next_channel >= s{inside}) AS channels_{name}")
            columns.append(f"coalesce(sum(t - before) FILTER (NOT starts{inside}), 0) / {MINUTE}.0 AS minutes_{name}")
    columns += [f"sum(exp({gap} * -{0.6931471805599453 / (h * DAY)!r})) AS intensity_{h}d" for h in HALF_LIVES]
    columns += [
        "max(t) AS last, min(t) AS first, max(day) - min(day) AS span",
        f"max(t - before) / {DAY}.0 AS silence",
        "max(uses) FILTER (paged) AS most",
        f"arg_max(t - session_start, t) / {MINUTE}.0 AS last_minutes, max(t - session_start) / {MINUTE}.0 AS longest",
        "max({'t': t, 'n': session_events}).n AS last_events",
        "count(*) FILTER (working) AS working, count(*) FILTER (weekend) AS weekend, count(*) FILTER (night) AS night",
        "arg_min(type, t) AS first_type, arg_max(type, t) AS last_type",
        "arg_min(channel, t) AS first_channel, arg_max(channel, t) AS last_channel",
    ]
    return f"CREATE TEMP TABLE anything AS SELECT mark, {', '.join(columns)} FROM {_JOINED} GROUP BY mark"


_JOINED = "seen JOIN m ON m.lead_id = seen.lead_id AND seen.t < m.s"


def _cells() -> list[str]:
    """One row for each mark and type, asset or channel."""
    counts = {w: f"count(*) FILTER (s - t <= {w * DAY}) AS count_{w}d" for w in WINDOWS}
    sums = ", ".join(f"coalesce(sum(value) FILTER (s - t <= {w * DAY}), 0) AS value_{w}d" for w in LONG)
    long = ", ".join(counts[w] for w in LONG)
    last = f"min(s - t) / {DAY}.0 AS days_since_last"

    def cells(name: str, code: str, measures: str) -> str:
        return (
            f"CREATE TEMP TABLE {name}s AS SELECT 32 * mark + {code} AS cell, {measures}, count(*) AS count_ever "
            f"FROM {_JOINED} WHERE {code} >= 0 GROUP BY cell"
        )

    return [
        cells("type", "type", f"{', '.join(counts.values())}, {last}, {sums}, sum(value) AS value_ever"),
        cells("page", "page", f"{long}, {last}"),
        cells("channel", "channel", long),
    ]


def _table(assets: tuple[str, ...]) -> str:
    age = f'(s - created) / {DAY}.0 AS "time.age_days"'
    base = f'SELECT mark, lead_id, "at", {age}, {", ".join(_any_columns())} FROM m LEFT JOIN anything USING (mark)'
    columns, joins = ["m.* EXCLUDE (mark)"], [f"({base}) AS m"]
    groups = {
        "type": [(t, f"events.{t}") for t in TYPES],
        "page": [(a, f"assets.{a}") for a in (*assets, "other")],
        "channel": [(c, f"channels.{c}") for c in CHANNELS],
    }
    measures = {
        "type": [*(f"count_{w}d" for w in WINDOWS), "count_ever", "value_30d", "value_90d", "value_ever"],
        "page": [*(f"count_{w}d" for w in LONG), "count_ever"],
        "channel": [*(f"count_{w}d" for w in LONG), "count_ever"],
    }
    for kind, names in groups.items():
        for i, (_, prefix) in enumerate(names):
            alias = f"{kind}{i}"
            cells = f"(FROM {kind}s WHERE cell % 32 = {i}) AS {alias}"
            joins.append(f"LEFT JOIN {cells} ON {alias}.cell = 32 * m.mark + {i}")
            columns += [f'coalesce({alias}.{m}, 0)::DOUBLE AS "{prefix}.{m}"' for m in measures[kind]]
            if kind != "channel":
                columns.append(f'{alias}.days_since_last AS "{prefix}.days_since_last"')
    return f"SELECT {', '.join(columns)} FROM {' '.join(joins)}"


def _any_columns() -> list[str]:
    names = [*(f"{w}d" for w in WINDOWS), "ever"]
    long = [*(f"{w}d" for w in LONG), "ever"]
    counted = {f"events.any.count_{n}": f"count_{n}" for n in names}
    counted |= {f"events.any.active_days_{n}": f"days_{n}" for n in names}
    counted |= {f"sessions.count_{n}": f"sessions_{n}" for n in names}
    counted |= {f"events.any.assets_{n}": f"assets_{n}" for n in long}
    counted |= {f"visits.again_{n}": f"again_{n}" for n in long} | {"visits.most_ever": "most"}
    counted |= {f"channels.any.distinct_{n}": f"channels_{n}" for n in long}
    counted |= {f"sessions.minutes_{n}": f"minutes_{n}" for n in long}
    counted |= {f"events.any.intensity_{h}d": f"intensity_{h}d" for h in HALF_LIVES}
    plain = {
        "events.any.days_since_last": f"(s - last) / {DAY}.0",
        "events.any.days_since_first": f"(s - first) / {DAY}.0",
        "sessions.last_minutes": "last_minutes",
        "sessions.last_events": "last_events",
        "sessions.longest_minutes": "longest",
        "silence.longest_days": "silence",
        "silence.ratio": f"(s - last) / {DAY}.0 / (span / (days_ever - 1))",
        "tempo.events_per_active_day": "count_ever / days_ever",
        "tempo.days_between_active_days": "span / nullif(days_ever - 1, 0)",
        "tempo.events_per_week": f"count_ever / (greatest((s - first) / {DAY}.0, 7) / 7)",
        "rhythm.working_hours_share": "working / count_ever",
        "rhythm.weekend_share": "weekend / count_ever",
        "rhythm.night_share": "night / count_ever",
    }
    for a, b in pairwise(WINDOWS):
        rest = f"(coalesce(count_{b}d, 0) - coalesce(count_{a}d, 0)) * {a} / {b - a}.0 + 1"
        plain[f"momentum.{a}d_{b}d"] = f"(coalesce(count_{a}d, 0) + 1) / ({rest})"
    words = {
        **{f"journey.{end}_type": f"{list(TYPES)}[{end}_type + 1]" for end in ("first", "last")},
        **{f"journey.{end}_channel": f"{list(CHANNELS)}[{end}_channel + 1]" for end in ("first", "last")},
        "events.any.tracking": "CASE WHEN count_ever IS NULL THEN 'untracked' WHEN count_90d = 0 THEN 'silent' "
        "ELSE 'active' END",
    }
    return [
        *(f'coalesce({sql}, 0)::DOUBLE AS "{name}"' for name, sql in counted.items()),
        *(f'({sql})::DOUBLE AS "{name}"' for name, sql in plain.items()),
        *(f'{sql} AS "{name}"' for name, sql in words.items()),
    ]
