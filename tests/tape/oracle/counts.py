"""How much, how often, how long ago: by event type, asset and channel."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from tape.oracle.words import Query, array, days_between, days_since_last, events, faded, one_of, suffix, within

if TYPE_CHECKING:
    from mqlml.tape.features import FeatureSet


def windows(features: FeatureSet) -> tuple[int | None, ...]:
    """Every window and ever."""
    return (*features.windows_days, None)


def long_windows(features: FeatureSet) -> tuple[int | None, ...]:
    """The longest two windows and ever."""
    return (*features.windows_days[-2:], None)


def kinds(features: FeatureSet) -> Iterator[tuple[str, str]]:
    """Every type with features of its own and how to recognise it."""
    for event_type in (*features.event_types, *(["other"] if features.other else [])):
        yield event_type, one_of("event_type", event_type, features.event_types)


def count(features: FeatureSet) -> Query:
    """Events by window, of any type and of each."""
    kinds_ = (("any", "true"), *kinds(features))
    return Query({f"events.{n}.count_{suffix(w)}": events(w, where) for n, where in kinds_ for w in windows(features)})


def recency(features: FeatureSet) -> Query:
    """Days since the last event, of any type and of each."""
    kinds_ = (("any", "true"), *kinds(features))
    return Query({f"events.{n}.days_since_last": days_since_last(where) for n, where in kinds_})


def first_touch(features: FeatureSet) -> Query:
    """Days since the first event."""
    return Query({"events.any.days_since_first": days_between("min(occurred_at)", "any_value(moment)")})


def active_days(features: FeatureSet) -> Query:
    """Different calendar days, in the declared zone, with any event."""
    return Query(
        {
            f"events.any.active_days_{suffix(w)}": f"count(DISTINCT local_day) FILTER ({within(w)})"
            for w in windows(features)
        }
    )


def assets(features: FeatureSet) -> Query:
    """Different assets used."""
    return Query(
        {
            f"events.any.assets_{suffix(w)}": f"count(DISTINCT asset) FILTER ({within(w)})"
            for w in long_windows(features)
        }
    )


def value(features: FeatureSet) -> Query:
    """Sum of the values of a type's events."""
    return Query(
        {
            f"events.{n}.value_{suffix(w)}": f"coalesce(sum(value) FILTER ({within(w)} AND {where}), 0)"
            for n, where in kinds(features)
            if n in features.valued_types
            for w in long_windows(features)
        }
    )


def intensity(features: FeatureSet) -> Query:
    """Events of any type, fading with age."""
    return Query({f"events.any.intensity_{h}d": faded(h) for h in features.half_lives_days})


def type_intensity(features: FeatureSet) -> Query:
    """Events of each type, fading with age."""
    return Query(
        {
            f"events.{n}.intensity_{h}d": faded(h, where)
            for n, where in kinds(features)
            for h in features.half_lives_days
        }
    )


def asset_counts(features: FeatureSet) -> Query:
    """Events on each named asset, and on all others together where training knew others."""
    named = (*features.named_assets, *(["other"] if features.other_assets else []))
    columns = {}
    for asset in named:
        mine = one_of("asset", asset, features.named_assets)
        columns |= {f"assets.{asset}.count_{suffix(w)}": events(w, mine) for w in long_windows(features)}
        columns[f"assets.{asset}.days_since_last"] = days_since_last(mine)
    return Query(columns)


def channels(features: FeatureSet) -> Query:
    """Events by channel, and how many different ones: all beyond the vocabulary count as one."""
    channel = f"CASE WHEN channel IS NOT NULL THEN coalesce(list_position({array(features.channels)}, channel), 0) END"
    columns = {
        f"channels.any.distinct_{suffix(w)}": f"count(DISTINCT {channel}) FILTER ({within(w)})"
        for w in long_windows(features)
    }
    for name in (*features.channels, *(["other"] if features.other_channels else [])):
        mine = one_of("channel", name, features.channels)
        columns |= {f"channels.{name}.count_{suffix(w)}": events(w, mine) for w in long_windows(features)}
    return Query(columns)


def visits(features: FeatureSet) -> Query:
    """Events on an asset that the lead had used before, and the most events on one asset."""
    again = "asset IS NOT NULL AND use_of_asset > 1"
    most = "coalesce(max(use_of_asset) FILTER (asset IS NOT NULL), 0)"
    return Query(
        {f"visits.again_{suffix(w)}": events(w, again) for w in long_windows(features)} | {"visits.most_ever": most}
    )


def momentum(features: FeatureSet) -> Query:
    """The shorter window's events against what the rest of the next longer window would make expect."""
    return Query(
        {
            f"momentum.{a}d_{b}d": f"({events(a)} + 1.0) / (({events(b)} - {events(a)}) * {a}.0 / ({b} - {a}) + 1)"
            for a, b in pairwise(features.windows_days)
        }
    )
