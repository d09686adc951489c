"""Local time to UTC by the rules of ``zoneinfo``, as SQL: one engine converts, whatever reads the file.

DuckDB's own conversion takes the later of two possible instants and invents one for times a clock skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_STEP = timedelta(hours=12)
_SECOND = timedelta(seconds=1)

Offset = int
"""Seconds that local time is ahead of UTC."""


@dataclass(frozen=True)
class Stretch:
    """Local times from ``start`` on (null: from the beginning) and how they become UTC.

    Parameters
    ----------
    start : datetime or None
        Naive local time.
    offset : int or None
        Seconds ahead of UTC; None where the clock skipped.
    ambiguous : bool
        The clock showed these times twice; ``offset`` gives the earlier instant.
    """

    start: datetime | None
    offset: Offset | None
    ambiguous: bool = False


@dataclass(frozen=True)
class LocalTime:
    """A time zone as SQL over a naive local timestamp.

    Examples
    --------
    >>> LocalTime("UTC").utc('"at"')
    '"at"'
    """

    key: str

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """The zone from 1900 to 2100 as stretches of local time, in order."""
        return _stretches(self.key)

    def utc(self, local: str) -> str:
        """Convert an SQL expression; null where the clock skipped that time."""
        leaves = [_shift(local, stretch.offset) for stretch in self.stretches]
        return _tree(local, self.stretches, leaves)

    def ambiguous(self, local: str) -> str:
        """Tell whether the clock showed that time twice."""
        if not any(stretch.ambiguous for stretch in self.stretches):
            return "false"
        return _tree(local, self.stretches, ["true" if s.ambiguous else "false" for s in self.stretches])


def _shift(local: str, offset: Offset | None) -> str:
    if offset is None:
        return "NULL::TIMESTAMP"
    return local if offset == 0 else f"{local} - to_seconds({offset})"


def _tree(local: str, stretches: Sequence[Stretch], leaves: Sequence[str]) -> str:
    """Nest the stretches as a balanced tree, so that a row passes through few comparisons."""
    if len(stretches) == 1 or all(leaf == leaves[0] for leaf in leaves):
        return leaves[0]
    half = len(stretches) // 2
    earlier = _tree(local, stretches[:half], leaves[:half])
    later = _tree(local, stretches[half:], leaves[half:])
    return f"CASE WHEN {local} < TIMESTAMP '{stretches[half].start}' THEN {earlier} ELSE {later} END"


@lru_cache(maxsize=16)
def _stretches(key: str) -> tuple[Stretch, ...]:
    zone = ZoneInfo(key)
    moment = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    end = datetime(_LAST_YEAR, 1, 1, tzinfo=UTC)
    offset = _offset(zone, moment)
    found = [Stretch(None, offset)]
    while moment < end:
        later = moment + _STEP
        changed = _offset(zone, later)
        if changed != offset:
            at = _change(zone, moment, later).replace(tzinfo=None)
            before, after = at + timedelta(seconds=offset), at + timedelta(seconds=changed)
            if after > before:
                found += [Stretch(before, None), Stretch(after, changed)]
            else:
                found += [Stretch(after, offset, ambiguous=True), Stretch(before, changed)]
            offset = changed
        moment = later
    return tuple(found)


def _offset(zone: ZoneInfo, moment: datetime) -> Offset:
    shift = moment.astimezone(zone).utcoffset()
    return 0 if shift is None else round(shift.total_seconds())


def _change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """Find the second at which the offset changes between two moments."""
    before = _offset(zone, low)
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high
