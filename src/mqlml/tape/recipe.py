"""A feature set in the numbers that the kernel needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mqlml.tape.clock import offsets_of
from mqlml.tape.columns import OTHER
from mqlml.tape.layout import Layout
from mqlml.tape.state import DAY_US, Float64, Int32, Int64

if TYPE_CHECKING:
    from mqlml.tape.features import FeatureSet

_MINUTE_US = 60_000_000


class Recipe(NamedTuple):
    """What to compute, and where each number of an output row stands in the panel.

    ``sum_slot`` gives, for each event type and the one beyond the vocabulary, its column among the summed ones, or -1.
    """

    layout: Layout
    source: Int32  # place in the panel of each number of an output row
    windows_us: Int64
    half_lives_us: Float64
    sum_slot: Int32
    pair_first: Int32
    pair_then: Int32
    pair_us: Int64
    zone_starts: Int64  # moments at which the clock's offset changes
    zone_offsets: Int64  # before the first of them, then after each
    gap_us: int
    events: bool
    assets: bool
    type_intensity: bool
    sessions: bool
    momentum: bool
    pace: bool
    rhythm: bool
    journey: bool
    accounts: bool

    @property
    def width(self) -> int:
        """Length of the rows that the kernel writes."""
        return int(self.source.size)


def recipe_of(features: FeatureSet) -> Recipe:
    """Translate a feature set for the kernel."""
    names = (*features.event_types, OTHER)
    slots = [features.valued_types.index(name) if name in features.valued_types else -1 for name in names]
    families = set(features.families)
    pairs = features.pairs if "pairs" in families else ()
    starts, offsets = offsets_of(features.zone)
    return Recipe(
        layout=features.layout,
        source=np.array([p.place for p in features.placed if p.place is not None], dtype=np.int32),
        windows_us=np.array(features.windows_days, dtype=np.int64) * DAY_US,
        half_lives_us=np.array(features.half_lives_days, dtype=np.float64) * DAY_US,
        sum_slot=np.array(slots, dtype=np.int32),
        pair_first=np.array([features.type_code(pair.first) for pair in pairs], dtype=np.int32),
        pair_then=np.array([features.type_code(pair.then) for pair in pairs], dtype=np.int32),
        pair_us=np.array([pair.within_days for pair in pairs], dtype=np.int64) * DAY_US,
        zone_starts=starts,
        zone_offsets=offsets,
        gap_us=features.session_gap_minutes * _MINUTE_US,
        events=bool(features.named_types),
        assets=features.identifies_assets,
        type_intensity="type_intensity" in families,
        sessions="sessions" in families,
        momentum="momentum" in families,
        pace=bool({"silence", "tempo"} & families),
        rhythm="rhythm" in families,
        journey="journey" in families,
        accounts=features.watches_accounts,
    )
