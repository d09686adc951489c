"""The offsets of a zone are those of ``zoneinfo``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from mqlml.tape.clock import offsets_of


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Africa/Casablanca", "Asia/Kolkata", "UTC"])
def test_offsets_when_asked_at_random_and_around_every_change_then_as_zoneinfo_has_them(zone: str) -> None:
    starts, offsets = offsets_of(zone)
    assert offsets.size == starts.size + 1
    rng = np.random.default_rng(0)
    moments = np.concatenate([starts - 1, starts, rng.integers(-(2**51), 2**51, 200)])
    for moment, place in zip(moments.tolist(), np.searchsorted(starts, moments, side="right"), strict=True):
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)
        shift = at.astimezone(ZoneInfo(zone)).utcoffset()
        assert shift == timedelta(microseconds=int(offsets[place])), at
