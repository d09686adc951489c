"""In what manner: sessions, journey, silence, tempo, rhythm, ordered pairs, tracking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tape.oracle.counts import long_windows, windows
from tape.oracle.words import Query, among, days_between, days_since_last, name, suffix, text, within

if TYPE_CHECKING:
    from mqlml.tape.features import FeatureSet, Pair

_MINUTES = "(epoch_us(occurred_at) - epoch_us(previous_at)) / 60e6"


def sessions(features: FeatureSet) -> Query:
    """Events with at most the gap between each and the one before."""
    # Not a NULL: the very first event starts a session too.
    starts = (
        f"(coalesce(occurred_at - previous_at > to_minutes({features.session_gap_minutes}), occurred_at IS NOT NULL))"
    )
    source = f"""(
        SELECT *, max(session) OVER (PARTITION BY row) AS newest_session,
               sum(minutes) OVER (PARTITION BY row, session) AS session_minutes,
               count(occurred_at) OVER (PARTITION BY row, session) AS session_events
        FROM (SELECT *, {starts} AS starts, CASE WHEN {starts} THEN 0 ELSE {_MINUTES} END AS minutes,
                     count(*) FILTER ({starts}) OVER (PARTITION BY row ORDER BY place) AS session
              FROM asked LEFT JOIN seen USING (row, moment)))"""
    newest = "occurred_at IS NOT NULL AND session = newest_session"
    columns = {f"sessions.count_{suffix(w)}": f"count(*) FILTER (starts AND {within(w)})" for w in windows(features)}
    columns |= {
        f"sessions.minutes_{suffix(w)}": f"coalesce(sum(minutes) FILTER ({within(w)}), 0)"
        for w in long_windows(features)
    }
    columns |= {
        "sessions.last_minutes": f"any_value(session_minutes) FILTER ({newest})",
        "sessions.last_events": f"any_value(session_events) FILTER ({newest})",
        "sessions.longest_minutes": "max(session_minutes) FILTER (occurred_at IS NOT NULL)",
    }
    return Query(columns, source)


def journey(features: FeatureSet) -> Query:
    """Type and channel of the first and of the newest event."""

    def level(column: str, named: tuple[str, ...]) -> str:
        return f"CASE WHEN {column} IS NULL OR {among(column, named)} THEN {column} ELSE 'other' END"

    columns = {}
    for column, known, word in (
        ("event_type", features.event_types, "type"),
        *([("channel", features.channels, "channel")] if features.channels else []),
    ):
        for end, order in (("first", "ASC"), ("last", "DESC")):
            chosen = f"list({level(column, known)} ORDER BY place {order}) FILTER (occurred_at IS NOT NULL)"
            columns[f"journey.{end}_{word}"] = f"({chosen})[1]"
    return Query(columns)


_DAYS = "count(DISTINCT local_day)"
_BETWEEN = f"CASE WHEN {_DAYS} >= 2 THEN (max(local_day) - min(local_day)) / ({_DAYS} - 1) END"


def silence(features: FeatureSet) -> Query:
    """How long nothing happened, against the usual and at most."""
    return Query(
        {
            "silence.ratio": f"{days_since_last()} / ({_BETWEEN})",
            "silence.longest_days": f"max({days_between('previous_at', 'occurred_at')})",
        }
    )


def tempo(features: FeatureSet) -> Query:
    """How much on an active day, how far apart these are, how much a week."""
    since_first = days_between("min(occurred_at)", "any_value(moment)")
    return Query(
        {
            "tempo.events_per_active_day": f"CASE WHEN {_DAYS} > 0 THEN count(occurred_at) / {_DAYS} END",
            "tempo.days_between_active_days": _BETWEEN,
            "tempo.events_per_week": f"""
                CASE WHEN {_DAYS} > 0 THEN count(occurred_at) / (greatest({since_first}, 7) / 7) END""",
        }
    )


def rhythm(features: FeatureSet) -> Query:
    """Shares of the events by weekday (1 is Monday) and hour on the wall clock of the zone."""
    shares = {
        "working_hours": "isodow(local_time) <= 5 AND hour(local_time) BETWEEN 8 AND 17",
        "weekend": "isodow(local_time) >= 6",
        "night": "(hour(local_time) >= 22 OR hour(local_time) < 6)",
    }
    some = "count(occurred_at) > 0"
    return Query(
        {
            f"rhythm.{word}_share": f"CASE WHEN {some} THEN count(*) FILTER ({where}) / count(occurred_at) END"
            for word, where in shares.items()
        }
    )


def tracking(features: FeatureSet) -> Query:
    """Whether a lead could be seen at all, and whether it was; a lead of which that is not told, by its events."""
    lately = within(features.windows_days[-1] if features.windows_days else None)
    told = "NULL" if features.tracked is None else f"lower(trim(any_value({name(features.tracked)})::VARCHAR))"
    return Query(
        {
            "events.any.tracking": f"""
            CASE WHEN {told} IN ('false', 'no', '0', '0.0', 'n', 'f') THEN 'untracked'
                 WHEN count(occurred_at) = 0 AND {told} IS NULL THEN 'untracked'
                 WHEN count(occurred_at) FILTER ({lately}) > 0 THEN 'active' ELSE 'silent' END"""
        },
        "asked JOIN people USING (lead_id) LEFT JOIN (SELECT * EXCLUDE (lead_id, moment) FROM seen) USING (row)",
    )


def pairs(features: FeatureSet) -> Query:
    """One type after another, not long after."""
    columns = {}
    for number, pair in enumerate(features.pairs):
        stem = f"pairs.{pair.first} > {pair.then}.within_{pair.within_days}d"
        columns[f"{stem}.count_ever"] = f"count(*) FILTER (follows_{number})"
        columns[f"{stem}.days_since_last"] = days_since_last(f"follows_{number}")
    follows = ", ".join(f"{_follows(pair)} AS follows_{n}" for n, pair in enumerate(features.pairs))
    return Query(columns, f"asked LEFT JOIN (SELECT * EXCLUDE (lead_id, moment), {follows} FROM seen) USING (row)")


def _follows(pair: Pair) -> str:
    return f"""(event_type = {text(pair.then)} AND EXISTS (
        SELECT 1 FROM seen earlier WHERE earlier.row = seen.row AND earlier.event_type = {text(pair.first)}
        AND earlier.occurred_at < seen.occurred_at
        AND earlier.occurred_at >= seen.occurred_at - to_hours({24 * pair.within_days})))"""
