"""From the arrays of the simulation to Arrow columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mqlml.history.sample.people import DAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mqlml.history.sample.people import Flags, Floats, Ints

START = np.datetime64("2023-07-01", "us")
UTC = pa.timestamp("us", "UTC")


def lead_ids(first: int, n: int) -> pa.Array:
    """Ids of the block that starts at ``first``; their order says nothing about time."""
    return pa.array([f"L{number:08d}" for number in range(first + 1, first + n + 1)])


def happened(moments: Sequence[Floats]) -> tuple[Ints, Floats, Ints]:
    """List (lead, moment, kind) of everything that happens within the history."""
    stacked = np.stack(moments)
    kind, lead = np.nonzero(stacked < DAYS)
    return lead, stacked[kind, lead], kind


def moments(days: Floats) -> pa.Array:
    """Turn days since the start into whole seconds in UTC; null at or after the end."""
    inside = days < DAYS
    seconds = np.floor(np.where(inside, days, 0.0) * 86_400).astype("timedelta64[s]")
    return pa.array(START + seconds, mask=~inside).cast(UTC)


def words(names: Sequence[str | None], code: Ints, known: Flags | None = None) -> pa.Array:
    """Spell out codes; null where not ``known``."""
    return pa.array(names, pa.string()).take(pa.array(code, mask=None if known is None else ~known))


def where(known: Flags, texts: pa.Array) -> pa.Array:
    """Keep the texts that are ``known``, null elsewhere."""
    return texts.take(pa.array(np.arange(len(texts)), mask=~known))
