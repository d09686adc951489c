"""The families of features: their names, which are on unless a user says otherwise, and the columns of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, get_args

from mqlml.config import Family
from mqlml.tape import engagement, pace, surroundings
from mqlml.tape.columns import ANY_ACTIVITY, LEAD_AGE, Feature, Placed
from mqlml.tape.words import days, quoted, suffix, when

if TYPE_CHECKING:
    from mqlml.tape.features import FeatureSet
    from mqlml.tape.layout import Layout

    Maker = Callable[[FeatureSet, Layout], Iterator[Placed]]

FAMILIES: tuple[str, ...] = get_args(Family)
"""Every family, in the order of the feature table's columns."""

BASE_FAMILIES = FAMILIES[: FAMILIES.index("value") + 1]

_OFF = {"first_touch", "journey", "rhythm", "silence", "type_intensity"}
DEFAULT_FAMILIES = tuple(name for name in FAMILIES if name not in _OFF)
"""The families of a set where ``[features] families`` names none; the others earned nothing (docs/families.md)."""


def placed_features(features: FeatureSet, at: Layout) -> tuple[Placed, ...]:
    """Every feature of a set in the order of the columns, with its place in the panel."""
    made = (placed for make in _MAKERS for placed in make(features, at))
    left_out = frozenset(features.left_out)
    wanted = (placed for placed in made if placed.feature.family in features.families)
    return tuple(placed for placed in wanted if placed.feature.name not in left_out)


def _attributes(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    changing = {attribute: at.fields + i for i, attribute in enumerate(features.history_attributes)}
    for attribute in features.attributes:
        text = {
            "creation": f"Value of '{attribute.name}' when the lead was created.",
            "history": f"Value of '{attribute.name}' at that moment, from the field history.",
        }[attribute.source]
        unit = "as recorded" if attribute.kind == "number" else "category"
        name = f"lead.{attribute.name}"
        feature = Feature(name, "attribute", "fit", attribute.name, unit, text, kind=attribute.kind)
        yield Placed(feature, changing.get(attribute))


def _age(features: FeatureSet, at: Layout) -> Iterator[Placed]:  # noqa: ARG001 - as every maker
    if features.age:
        text = "Days since the lead was created."
        yield Placed(Feature("time.age_days", "age", "timing", LEAD_AGE, "days", text), None)


def _any_event(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    if not features.named_types:
        return
    yield from _counts(features, at, None, at.any)
    for w, window in features.windows:
        text = f"Calendar days ({features.zone}) with any activity {when(window)}."
        yield _event_feature(None, "active_days", window, "days", text, at.windowed(at.days, w))
    for w, window in features.long_windows if features.assets else ():
        text = f"Different assets (pages, files, forms ...) that the lead used {when(window)}."
        yield _event_feature(None, "assets", window, "assets", text, at.windowed(at.distinct_assets, w))
    last, first = "Days since the lead last did anything.", "Days since the lead first did anything."
    yield _timing_feature(None, "days_since_last", "recency", last, at.recency + at.subjects)
    yield _timing_feature(None, "days_since_first", "first_touch", first, at.first)
    for h, half_life in enumerate(features.half_lives_days):
        text = f"Events so far, each counting half as much after every {days(half_life)}."
        yield _event_feature(None, "intensity", half_life, "events", text, at.intensity + h)


def _each_type(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    for event_type in features.named_types:
        code = features.type_code(event_type)
        yield from _counts(features, at, event_type, code)
        text = f"Days since the last {quoted(event_type)} event."
        yield _timing_feature(event_type, "days_since_last", "recency", text, at.recency + code)
        yield from _values(features, at, event_type)
        yield from _intensities(features, at, event_type)


def _counts(features: FeatureSet, at: Layout, event_type: str | None, column: int) -> Iterator[Placed]:
    what = "events" if event_type is None else f"{quoted(event_type)} events"
    for w, window in features.windows:
        text = f"Number of {what} {when(window)}."
        yield _event_feature(event_type, "count", window, "events", text, at.windowed(column, w))


def _values(features: FeatureSet, at: Layout, event_type: str) -> Iterator[Placed]:
    if event_type not in features.valued_types:
        return
    column = at.sums + features.valued_types.index(event_type)
    for w, window in features.long_windows:
        text = f"Sum of the values of {quoted(event_type)} events {when(window)}."
        yield _event_feature(event_type, "value", window, "as recorded", text, at.windowed(column, w))


def _intensities(features: FeatureSet, at: Layout, event_type: str) -> Iterator[Placed]:
    half_lives = features.half_lives_days
    for h, half_life in enumerate(half_lives):
        text = (
            f"Number of {quoted(event_type)} events so far, each counting half as much after every {days(half_life)}."
        )
        place = at.intensity + (1 + features.type_code(event_type)) * len(half_lives) + h
        name = f"events.{event_type}.intensity_{half_life}d"
        yield Placed(_of_type(name, "type_intensity", event_type, half_life, "events", text), place)


def _event_feature(
    event_type: str | None, measure: str, window: int | None, unit: str, text: str, place: int
) -> Placed:
    name = f"events.{event_type or 'any'}.{measure}_{suffix(window)}"
    return Placed(_of_type(name, measure, event_type, window, unit, text), place)


def _of_type(name: str, family: str, event_type: str | None, window: int | None, unit: str, text: str) -> Feature:
    criterion = event_type or ANY_ACTIVITY
    return Feature(name, family, "engagement", criterion, unit, text, event_type=event_type, window_days=window)


def _timing_feature(event_type: str | None, measure: str, family: str, text: str, place: int) -> Placed:
    name = f"events.{event_type or 'any'}.{measure}"
    criterion = event_type or ANY_ACTIVITY
    return Placed(Feature(name, family, "timing", criterion, "days", text, event_type=event_type), place)


_MAKERS: tuple[Maker, ...] = (
    _attributes,
    _age,
    _any_event,
    _each_type,
    engagement.asset_counts,
    engagement.channels,
    engagement.journey,
    engagement.sessions,
    engagement.visits,
    pace.momentum,
    pace.silence,
    pace.tempo,
    pace.rhythm,
    pace.tracking,
    engagement.pairs,
    surroundings.changes,
    surroundings.stage,
    surroundings.account,
)
