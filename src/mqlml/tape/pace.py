"""Features of how activity is spread over time: momentum, silence, tempo, rhythm, and whether a lead is seen at all."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from mqlml.tape.columns import Feature, Placed
from mqlml.tape.words import days

if TYPE_CHECKING:
    from mqlml.tape.features import FeatureSet
    from mqlml.tape.layout import Layout

MOMENTUM = "momentum"
SILENCE = "unusual silence"
TEMPO = "tempo"
RHYTHM = "hours of activity"
TRACKING = "tracking"
TRACKING_NAME = "events.any.tracking"
TRACKING_LEVELS = ("untracked", "silent", "active")
"""What the kernel's codes mean."""


def momentum(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    """Whether activity grows: a short window against the rest of a longer one."""
    for i, (short, long) in enumerate(pairwise(features.windows_days) if features.named_types else ()):
        text = (
            f"Events in the last {days(short)} against as many as the rest of the last {days(long)} would let expect "
            "(one added to both; 1: steady)."
        )
        name = f"momentum.{short}d_{long}d"
        yield Placed(Feature(name, "momentum", "timing", MOMENTUM, "ratio", text), at.momentum + i)


def silence(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    """Whether the lead is quiet for longer than is usual for it."""
    if features.named_types:
        text = "Days since the lead last did anything, in its usual pauses between active days."
        yield Placed(Feature("silence.ratio", "silence", "timing", SILENCE, "ratio", text), at.silence)
        text = "Longest time between two events of the lead so far."
        yield Placed(Feature("silence.longest_days", "silence", "timing", SILENCE, "days", text), at.silence + 1)


def tempo(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    """How fast a lead moves by its own past."""
    measures = (
        ("events_per_active_day", "events a day", "Events on a day with any activity, on average."),
        ("days_between_active_days", "days", "Days from one active day to the next, on average."),
        ("events_per_week", "events a week", "Events a week since the lead first did anything (at least one week)."),
    )
    for i, (measure, unit, text) in enumerate(measures if features.named_types else ()):
        yield Placed(Feature(f"tempo.{measure}", "tempo", "timing", TEMPO, unit, text), at.tempo + i)


def rhythm(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    """When during the week a lead is active."""
    measures = (
        ("working_hours_share", "from Monday to Friday between 08:00 and 17:59"),
        ("weekend_share", "on Saturday or Sunday"),
        ("night_share", "between 22:00 and 05:59"),
    )
    for i, (measure, part) in enumerate(measures if features.named_types else ()):
        text = f"Share of the lead's events so far {part} ({features.zone})."
        yield Placed(Feature(f"rhythm.{measure}", "rhythm", "timing", RHYTHM, "share", text), at.rhythm + i)


def tracking(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    """Whether silence means anything: some leads cannot be seen."""
    if features.named_types:
        lately = f"in the last {days(features.windows_days[-1])}" if features.windows_days else "so far"
        text = f"Whether the lead was active {lately}, silent, or cannot be seen (untracked)."
        feature = Feature(TRACKING_NAME, "tracking", "engagement", TRACKING, "category", text, kind="category")
        yield Placed(feature, at.tracking)
