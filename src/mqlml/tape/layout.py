"""Where each number of the kernel's panel stands: one flat row that a mark fills and the features pick from."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mqlml.tape.features import FeatureSet


class Layout(NamedTuple):
    """Sizes and places of the panel.

    The panel begins with a table of one row a window and a last row for the whole past, ``stride`` numbers each. Its
    first ``subjects`` columns count events by type, then by asset, then by channel, the one beyond the vocabulary last
    of each; further columns hold all events, active days, assets, sessions and so on. Every field from ``any`` to
    ``sums`` is a column of that table; every field from ``recency`` to ``size`` is a place in the panel.
    """

    windows: int
    types: int  # named types and the one beyond
    assets: int  # named assets and the one beyond; 0: not counted one by one
    channels: int  # named channels and the one beyond; 0: not looked at
    subjects: int
    stride: int
    any: int
    days: int
    distinct_assets: int
    again: int  # events on an asset used before
    sessions: int  # sessions that started
    minutes: int  # spent in sessions
    distinct_channels: int
    sums: int
    recency: int  # one a subject, then any
    first: int
    intensity: int  # one a half-life for any event, then for each type
    journey: int  # first type, last type, first channel, last channel
    session: int  # minutes and events of the last one, minutes of the longest
    most: int  # events on one asset
    momentum: int  # one for each window and the next
    silence: int  # ratio, longest
    tempo: int  # events an active day, days between active days, events a week
    rhythm: int  # working hours, weekend, night
    tracking: int
    pairs: int  # count and days since, for each pair
    fields: int  # values of the history attributes, then the stage
    entries: int
    changed: int  # days since
    colleagues: int
    first_colleague: int
    team_events: int  # one a window, then ever
    team_active: int
    team_last: int
    team_types: int  # in the longest window, then ever
    size: int

    def windowed(self, column: int, window: int | None) -> int:
        """Place of a column of the first table; ``window`` counts from the shortest, ``None`` is the whole past."""
        return self.stride * (self.windows if window is None else window) + column


def layout_of(features: FeatureSet) -> Layout:
    """Lay the panel out; what families need that are off gets no room where it would cost any."""
    windows = len(features.windows_days)
    types = len(features.event_types) + 1
    assets = len(features.named_assets) + 1 if features.counts_assets else 0
    channels = len(features.channels) + 1 if features.uses_channels else 0
    subjects = types + assets + channels
    columns = _places(subjects, [1, 1, 1, 1, 1, 1, 1, len(features.valued_types)])
    typed = 1 + (types if "type_intensity" in features.families else 0)
    fields = len(features.history_attributes) + features.stages
    blocks = [subjects + 1, 1, typed * len(features.half_lives_days), 4, 3, 1, max(windows - 1, 0), 2, 3, 3, 1]
    blocks += [2 * len(features.pairs), fields, fields, fields]
    blocks += [1, 1, windows + 1, windows + 1, 1, 2 * types]
    places = _places((windows + 1) * columns[-1], blocks)
    return Layout(windows, types, assets, channels, subjects, columns[-1], *columns[:-1], *places)


def _places(start: int, sizes: list[int]) -> list[int]:
    """Where blocks of these sizes begin, and at last where they end."""
    return list(accumulate(sizes, initial=start))
