"""The last step of the features in SQL: one row a mark, with the columns named as mqlml names them."""

from __future__ import annotations

from itertools import pairwise

from tape_data import CHANNELS, DAY, PAIR_DAYS, PAIRS, TYPES

MINUTE = 60_000_000
LONG = (30, 90)
WINDOWS = (1, 7, 30, 90)
HALF_LIVES = (7, 30)
_LONG = (*(f"{w}d" for w in LONG), "ever")
_WINDOWS = (*(f"{w}d" for w in WINDOWS), "ever")
# Measures of a cell: the column's name, the SQL, and whether nothing is 0 rather than missing.
_Measures = dict[str, tuple[str, bool]]


def table(assets: tuple[str, ...]) -> str:
    sql = f'SELECT * EXCLUDE (mark) FROM (SELECT mark, lead_id, "at", {", ".join(_any_columns())} FROM m'
    for other in ("anything", "used", "team", "newest", "account"):
        sql += f" LEFT JOIN {other} USING (mark)"
    wide = (_wide(kind, cells) for kind, cells in _all_cells(assets).items())
    return f"{sql}) {' '.join(f'LEFT JOIN ({query}) USING (mark)' for query in wide)}"


def _wide(kind: str, cells: list[_Measures]) -> str:
    """The cells of one table side by side: one chain of joins for all tables takes longer to plan."""
    columns, joins = ["mark"], ["m"]
    for code, measures in enumerate(cells):
        alias = f"{kind}{code}"
        joins.append(f"LEFT JOIN (FROM {kind} WHERE cell % 32 = {code}) {alias} ON {alias}.cell = 32 * mark + {code}")
        for name, (sql, counted) in measures.items():
            value = f"coalesce({alias}.{sql}, 0)::DOUBLE" if counted else f"{alias}.{sql}"
            columns.append(f'{value} AS "{name}"')
    return f"SELECT {', '.join(columns)} FROM {' '.join(joins)}"


def _all_cells(assets: tuple[str, ...]) -> dict[str, list[_Measures]]:
    """For each table of cells the measures of every code."""
    firsts = {then: first for first, then in PAIRS}

    def counts(prefix: str, names: tuple[str, ...], measure: str = "count") -> _Measures:
        return {f"{prefix}.{measure}_{n}": (f"{measure}_{n}", True) for n in names}

    def last(prefix: str) -> _Measures:
        return {f"{prefix}.days_since_last": ("days_since_last", False)}

    def of_type(name: str) -> _Measures:
        prefix = f"events.{name}"
        found = counts(prefix, _WINDOWS) | counts(prefix, _LONG, "value") | last(prefix)
        if name in firsts:
            pair = f"pairs.{firsts[name]} > {name}.within_{PAIR_DAYS}d"
            found |= {f"{pair}.count_ever": ("pairs", True), f"{pair}.days_since_last": ("days_since_pair", False)}
        return found

    return {
        "types": [of_type(name) for name in TYPES],
        "pages": [counts(f"assets.{a}", _LONG) | last(f"assets.{a}") for a in (*assets, "other")],
        "channels": [counts(f"channels.{c}", _LONG) for c in CHANNELS],
        "deeds": [{f"account.{t}.events_{n}": (f"account_{n}", True) for n in _LONG[1:]} for t in TYPES],
    }


def _any_columns() -> list[str]:
    counted = {f"events.any.count_{n}": f"events_{n}" for n in _WINDOWS}
    counted |= {f"events.any.active_days_{n}": f"days_{n}" for n in _WINDOWS}
    counted |= {f"sessions.count_{n}": f"sessions_{n}" for n in _WINDOWS}
    counted |= {f"events.any.assets_{n}": f"assets_{n}" for n in _LONG}
    counted |= {f"visits.again_{n}": f"again_{n}" for n in _LONG} | {"visits.most_ever": "most"}
    counted |= {f"channels.any.distinct_{n}": f"channels_{n}" for n in _LONG}
    counted |= {f"sessions.minutes_{n}": f"pauses_{n} / {MINUTE}" for n in _LONG}
    counted |= {f"events.any.intensity_{h}d": f"intensity_{h}d" for h in HALF_LIVES}
    counted |= {f"account.any.events_{n}": f"account_{n}" for n in _WINDOWS}
    counted |= {f"account.any.active_{n}": f"active_{n}" for n in _WINDOWS}
    counted |= {"account.any.colleagues": "colleagues"}
    span = f"(last // {DAY} - first // {DAY})"
    plain = {
        "time.age_days": f"(s - created) / {DAY}.0",
        "events.any.days_since_last": f"(s - last) / {DAY}.0",
        "sessions.last_minutes": f"(last - session) / {MINUTE}.0",
        "sessions.last_events": "events_ever - session_place + 1",
        "sessions.longest_minutes": f"longest / {MINUTE}.0",
        "tempo.events_per_active_day": "events_ever / days_ever",
        "tempo.days_between_active_days": f"{span} / nullif(days_ever - 1, 0)",
        "tempo.events_per_week": f"events_ever / (greatest((s - first) / {DAY}.0, 7) / 7)",
        "account.any.days_since_first_colleague": f"(s - first_colleague) / {DAY}.0",
        "account.any.days_since_last": f"(s - account_last) / {DAY}.0",
    }
    for a, b in pairwise(WINDOWS):
        rest = f"(coalesce(events_{b}d, 0) - coalesce(events_{a}d, 0)) * {a} / {b - a}.0 + 1"
        plain[f"momentum.{a}d_{b}d"] = f"(coalesce(events_{a}d, 0) + 1) / ({rest})"
    active = "coalesce(events_90d, 0) > 0"
    tracking = f"CASE WHEN events_ever IS NULL THEN 'untracked' WHEN {active} THEN 'active' ELSE 'silent' END"
    return [
        *(f'coalesce({sql}, 0)::DOUBLE AS "{name}"' for name, sql in counted.items()),
        *(f'({sql})::DOUBLE AS "{name}"' for name, sql in plain.items()),
        f'{tracking} AS "events.any.tracking"',
    ]
