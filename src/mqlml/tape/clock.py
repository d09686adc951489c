"""The calendar of a time zone as numbers: when its offset from UTC changes, and to what."""

from __future__ import annotations

from datetime import UTC
from functools import lru_cache
from itertools import pairwise

import numpy as np

from mqlml.history.zones import LocalTime
from mqlml.tape.state import Int64

_SECOND_US = 1_000_000


@lru_cache(maxsize=16)
def offsets_of(zone: str) -> tuple[Int64, Int64]:
    """List the offsets of a zone from 1900 to 2100, by the rules of ``zoneinfo``.

    Parameters
    ----------
    zone : str
        A name such as ``"Europe/Berlin"``.

    Returns
    -------
    starts : ndarray of int64, shape (changes,)
        Moments of change in microseconds since 1970 UTC, ascending.
    offsets : ndarray of int64, shape (changes + 1,)
        Microseconds that local time is ahead of UTC before the first change and after each.
    """
    if zone == "UTC":
        return np.empty(0, np.int64), np.zeros(1, np.int64)
    told = [(stretch.start, stretch.offset) for stretch in LocalTime(zone).stretches if stretch.offset is not None]
    starts, offsets = [], [told[0][1]]
    for (_, before), (start, after) in pairwise(told):
        if before != after and start is not None:
            # Where the clock goes forward a stretch begins in new time, where it goes back it ends in old time.
            local = int(start.replace(tzinfo=UTC).timestamp())
            starts.append(local - max(before, after))
            offsets.append(after)
    return np.array(starts, np.int64) * _SECOND_US, np.array(offsets, np.int64) * _SECOND_US
