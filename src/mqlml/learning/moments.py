"""Moments as whole microseconds, and what befalls leads at moments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["DAY", "LONG_AGO", "NEVER", "Moments", "as_microseconds", "microseconds"]

DAY = 86_400_000_000
NEVER = np.int64(2**62)
LONG_AGO = np.int64(-(2**62))

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def as_microseconds(moment: datetime) -> int:
    """Turn an aware moment into microseconds since 1970 in UTC."""
    return pa.scalar(moment, pa.timestamp("us", "UTC")).cast(pa.int64()).as_py()  # type: ignore[no-any-return]


def microseconds(column: pa.ChunkedArray, missing: np.int64) -> Integers:
    """A column of moments as microseconds in UTC, ``missing`` where there is none."""
    values = pc.fill_null(column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()), int(missing))
    return values.to_numpy().astype(np.int64)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Moments:
    """When something befell leads, any number of times each.

    Attributes
    ----------
    lead, at : ndarray of int64, shape (k,)
        Index of the lead and time, sorted by lead, then time.
    """

    lead: Integers
    at: Integers

    @classmethod
    def none(cls) -> Moments:
        """Nothing ever befell anybody."""
        return cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))

    @classmethod
    def of(cls, lead: Integers, at: Integers) -> Moments:
        """Sort pairs of lead and time."""
        order = np.lexsort((at, lead))
        return cls(lead[order], at[order])

    def first_from(self, lead: Integers, at: Integers) -> Integers:
        """The first time at or after ``at`` at which it befell ``lead``; ``NEVER`` where there is none.

        Parameters
        ----------
        lead, at : ndarray of int64, shape (n,)

        Returns
        -------
        ndarray of int64, shape (n,)
        """
        place = self.place_from(lead, at)
        return np.append(self.at, NEVER)[place]

    def place_from(self, lead: Integers, at: Integers) -> Integers:
        """Index of that time among ``at``, or their number where there is none; shape (n,)."""
        place = self._place(lead, at)
        return np.where(np.append(self.lead, -1)[place] == lead, place, len(self.at))

    def place_before(self, lead: Integers, at: Integers) -> Integers:
        """Index of the last time strictly before ``at``, -1 where there is none; shape (n,)."""
        place = self._place(lead, at) - 1
        return np.where(np.append(self.lead, -1)[place] == lead, place, -1)

    def _place(self, lead: Integers, at: Integers) -> Integers:
        times, keys = self._keys
        return np.searchsorted(keys, lead * (len(times) + 1) + np.searchsorted(times, at)).astype(np.int64)

    @cached_property
    def _keys(self) -> tuple[Integers, Integers]:
        """Distinct times, and one ascending number for lead and time: both together would not fit into 64 bits."""
        times = np.unique(self.at)
        return times, self.lead * (len(times) + 1) + np.searchsorted(times, self.at)
