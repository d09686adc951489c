"""Features of what a lead used and through which channels: assets, channels, first and last step, sessions, pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mqlml.tape.columns import OTHER, Feature, Placed
from mqlml.tape.words import days, quoted, suffix, when

if TYPE_CHECKING:
    from mqlml.tape.features import FeatureSet
    from mqlml.tape.layout import Layout

OTHER_ASSETS = "other assets"
CHANNELS = "channels used"
FIRST_ACTIVITY = "first activity"
LAST_ACTIVITY = "last activity"
SESSIONS = "sessions"
REPEATED_VISITS = "repeated visits"


def asset_counts(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    """How often and how lately each named asset was used."""
    names = (*features.named_assets, OTHER) if features.other_assets else features.named_assets
    for asset in names if features.counts_assets else ():
        code = at.assets - 1 if asset == OTHER else features.named_assets.index(asset)
        # An event type "other" has a criterion of its own.
        criterion = OTHER_ASSETS if asset == OTHER else asset
        what = f"{quoted(asset)} assets" if asset == OTHER else quoted(asset)
        for w, window in features.long_windows:
            text = f"Number of events on {what} {when(window)}."
            name = f"assets.{asset}.count_{suffix(window)}"
            feature = Feature(name, "asset_counts", "engagement", criterion, "events", text, window_days=window)
            yield Placed(feature, at.windowed(at.types + code, w))
        text = f"Days since the last event on {what}."
        feature = Feature(f"assets.{asset}.days_since_last", "asset_counts", "timing", criterion, "days", text)
        yield Placed(feature, at.recency + at.types + code)


def channels(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    """How many channels a lead used, and how often each named one."""
    if not features.named_types or not features.channels:
        return
    for w, window in features.long_windows:
        text = f"Different channels through which the lead was active {when(window)}."
        name = f"channels.any.distinct_{suffix(window)}"
        feature = Feature(name, "channels", "engagement", CHANNELS, "channels", text, window_days=window)
        yield Placed(feature, at.windowed(at.distinct_channels, w))
    for channel in (*features.channels, OTHER) if features.other_channels else features.channels:
        code = at.channels - 1 if channel == OTHER else features.channels.index(channel)
        what = f"{quoted(channel)} channels" if channel == OTHER else f"channel {quoted(channel)}"
        for w, window in features.long_windows:
            text = f"Number of events through {what} {when(window)}."
            name = f"channels.{channel}.count_{suffix(window)}"
            feature = Feature(name, "channels", "engagement", CHANNELS, "events", text, window_days=window)
            yield Placed(feature, at.windowed(at.types + at.assets + code, w))


def journey(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    """The lead's first and last step; the kernel gives codes that become names."""
    if not features.named_types:
        return
    ends = ((FIRST_ACTIVITY, "first", "first thing"), (LAST_ACTIVITY, "last", "last thing"))
    for i, (criterion, end, thing) in enumerate(ends):
        text = f"Type of the {thing} that the lead did."
        yield Placed(_category(f"journey.{end}_type", criterion, text), at.journey + i)
    for i, (criterion, end, thing) in enumerate(ends if features.channels else ()):
        text = f"Channel of the {thing} that the lead did."
        yield Placed(_category(f"journey.{end}_channel", criterion, text), at.journey + 2 + i)


def _category(name: str, criterion: str, text: str) -> Feature:
    return Feature(name, "journey", "engagement", criterion, "category", text, kind="category")


def sessions(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    """Sessions: events of a lead with no longer a pause between them than the gap."""
    if not features.named_types:
        return
    gap = f"sessions (a pause of more than {features.session_gap_minutes} minutes begins a new one)"
    for w, window in features.windows:
        text = f"Number of {gap} that began {when(window)}."
        yield Placed(_session(f"count_{suffix(window)}", "sessions", text, window), at.windowed(at.sessions, w))
    for w, window in features.long_windows:
        text = f"Minutes that the lead spent in sessions {when(window)}."
        yield Placed(_session(f"minutes_{suffix(window)}", "minutes", text, window), at.windowed(at.minutes, w))
    yield Placed(_session("last_minutes", "minutes", "Minutes that the last session took."), at.session)
    yield Placed(_session("last_events", "events", "Events in the last session."), at.session + 1)
    yield Placed(_session("longest_minutes", "minutes", "Minutes that the longest session took."), at.session + 2)


def _session(measure: str, unit: str, text: str, window: int | None = None) -> Feature:
    return Feature(f"sessions.{measure}", "sessions", "engagement", SESSIONS, unit, text, window_days=window)


def visits(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    """How often a lead came back to the same asset."""
    if not features.named_types or not features.assets:
        return
    for w, window in features.long_windows:
        text = f"Number of events on an asset that the lead had used before, {when(window)}."
        name = f"visits.again_{suffix(window)}"
        feature = Feature(name, "visits", "engagement", REPEATED_VISITS, "events", text, window_days=window)
        yield Placed(feature, at.windowed(at.again, w))
    text = "Events on the asset that the lead used most, so far."
    yield Placed(Feature("visits.most_ever", "visits", "engagement", REPEATED_VISITS, "events", text), at.most)


def pairs(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    """What a lead did after something else."""
    for i, pair in enumerate(features.pairs):
        name, criterion = pair.name, f"{pair.then} after {pair.first}"
        delay = "a day" if pair.within_days == 1 else days(pair.within_days)
        order = f"{quoted(pair.then)} within {delay} after {quoted(pair.first)}"
        counted = f"Number of times that the lead did {order}, so far."
        last = f"Days since the lead last did {order}."
        yield Placed(Feature(f"{name}.count_ever", "pairs", "engagement", criterion, "events", counted), at.pairs + i)
        place = at.pairs + len(features.pairs) + i
        yield Placed(Feature(f"{name}.days_since_last", "pairs", "timing", criterion, "days", last), place)
