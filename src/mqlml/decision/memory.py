"""What is remembered when leads are chosen: the list before, hand-overs, rejections, and this week's places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.learning.decisions import positions
from mqlml.learning.moments import DAY, LONG_AGO, NEVER, Flags, Integers, microseconds
from mqlml.learning.snapshots import mark_table
from mqlml.tape.build import build_features

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.contract import History
    from mqlml.learning.snapshots import Population
    from mqlml.tape.features import FeatureSet

__all__ = ["WAITS", "Listed", "Memory", "overrides", "remember", "week_start"]

Texts = npt.NDArray[np.object_]

WAITS = "waits for a place"
"""What ``rule`` says in the scores of a lead above the line that found no place."""


@dataclass(frozen=True)
class Listed:
    """An earlier list; arrays of shape (k,).

    Attributes
    ----------
    lead_id : ndarray of object
    mql, waits, control : ndarray of bool
        On the list; above the line without a place; drawn as control.
    since : ndarray of int64
        Microseconds: first list of the lead's present stay; of any lead that is not on the list, the list's moment.
    at : int
        The list's moment, ``LONG_AGO`` where unknown.
    """

    lead_id: Texts
    mql: Flags
    waits: Flags
    control: Flags
    since: Integers
    at: int

    @classmethod
    def of(cls, table: pa.Table) -> Listed:
        """Read scores; lists written before ``mql_since`` existed count from their own moment."""
        n, names = table.num_rows, table.column_names
        at = microseconds(table["as_of"], LONG_AGO)
        since = microseconds(table["mql_since"], NEVER) if "mql_since" in names else np.full(n, NEVER)
        flags = np.zeros(n, dtype=bool)
        return cls(
            lead_id=np.asarray(table["lead_id"].to_pylist(), dtype=object),
            mql=table["is_mql"].to_numpy(),
            waits=_are(table["rule"], WAITS) if "rule" in names else flags,
            control=table["control"].to_numpy() if "control" in names else flags,
            since=np.where(since == NEVER, at, since),
            at=int(at.max(initial=LONG_AGO)),
        )

    def then(self, later: Listed) -> Listed:
        """A later list, and whoever was handed over before and is not on it: sales had them, or they slept."""
        gone = (self.mql | self.control) & ~np.isin(self.lead_id.astype(str), later.lead_id.astype(str))
        joined = {
            name: np.r_[getattr(later, name), getattr(self, name)[gone]]
            for name in ("lead_id", "mql", "control", "since")
        }
        waits = np.r_[later.waits, np.zeros(int(gone.sum()), dtype=bool)]
        return Listed(**joined, waits=waits, at=later.at)


@dataclass(frozen=True)
class Memory:
    """What is known of each candidate from before; arrays of shape (n,).

    Attributes
    ----------
    was : ndarray of bool
        On the list before.
    since : ndarray of int64
        Since when, in microseconds; ``NEVER`` where it was not.
    with_sales : ndarray of bool
        Handed over and open there: stays, whatever its chance.
    waited : ndarray of bool
        Above the line before, without a place; on a first list everybody has waited.
    rejected_at : ndarray of int64
        Last rejection by sales, ``NEVER`` where there is none.
    acted : ndarray of bool
        The lead itself did something after that rejection.
    control : ndarray of bool
        Drawn as control, and still due.
    drawn : ndarray of bool
        Has been a control lead at some time.
    week : int or None
        Beginning of the week, in microseconds; None in a history without dates.
    used : int
        Places of this week that are taken.
    used_by_team : mapping of str to int
    used_by_account : mapping of int to tuple of str
        Leads of each account that took a place this week.
    contacts : mapping of int to str
        For each account that sales is talking to, with whom.
    control_used : int
        Control places of this week that are taken.
    """

    was: Flags
    since: Integers
    with_sales: Flags
    waited: Flags
    rejected_at: Integers
    acted: Flags
    control: Flags
    drawn: Flags
    week: int | None = None
    used: int = 0
    used_by_team: Mapping[str, int] = field(default_factory=dict)
    used_by_account: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    contacts: Mapping[int, str] = field(default_factory=dict)
    control_used: int = 0

    @classmethod
    def none(cls, n: int, *, week: int | None = None) -> Memory:
        """A first list: nothing came before."""
        no, never = np.zeros(n, dtype=bool), np.full(n, NEVER)
        return cls(no, never, no, ~no, never, no, no, no, week)


def week_start(moment: datetime, config: Config) -> datetime:
    """Monday midnight, in ``[leads] timezone``, of the week that holds a moment; in UTC.

    Examples
    --------
    >>> from mqlml.config import Config
    >>> config = Config.of({"leads": {"path": "l.csv"}, "outcomes": {}})
    >>> week_start(datetime(2026, 4, 1, 9, tzinfo=UTC), config).isoformat()
    '2026-03-30T00:00:00+00:00'
    """
    local = moment.astimezone(config.zone)
    monday = local.date() - timedelta(days=local.weekday())
    return datetime.combine(monday, time(), tzinfo=config.zone).astimezone(UTC)


def remember(
    history: History,
    people: Population,
    lead: Integers,
    *,
    as_of: int | None,
    week: int | None = None,
    features: FeatureSet | None = None,
    listed: Listed | None = None,
    team: Texts | None = None,
    handed_at_once: bool = False,
) -> Memory:
    """Gather what was known strictly before a moment.

    Parameters
    ----------
    history : History
    people : Population
        Seen from the same moment.
    lead : ndarray of int64, shape (n,)
        The candidates.
    as_of, week : int or None
        The moment, and the beginning of its week, in microseconds; None in a history without dates.
    features : FeatureSet, optional
        The model's: which events are the lead's own doing.
    listed : Listed, optional
        The list before.
    team : ndarray of object, shape (leads,), optional
        Team of every lead, where capacities are given by team.
    handed_at_once : bool
        Whether everybody on the list before was handed over at once, as a walk through the past supposes; they are
        with sales as long as they are candidates at all.
    """
    memory = Memory.none(len(lead), week=week)
    places = None if listed is None else _places(people, listed.lead_id)
    if listed is not None and places is not None:
        memory = _listed(memory, listed, places, lead, len(people.group), handed_at_once=handed_at_once)
    if handed_at_once and as_of is not None:
        # Sales has a lead until its episode ends: one that begins anew is another chance.
        was = memory.was & (people.episodes(as_of)[0][lead] <= memory.since)
        memory = replace(memory, was=was, with_sales=was, since=np.where(was, memory.since, NEVER))
    if as_of is None or week is None:
        return memory
    handed = _Handed.before(history, as_of)
    rejected = handed.last_rejection(len(people.group))[lead]
    drawn = np.zeros(len(people.group), dtype=bool)
    drawn[handed.lead[handed.by == "control"]] = True
    memory = replace(memory, rejected_at=rejected, drawn=drawn[lead])
    memory = replace(memory, acted=_acted(history, features, people, lead, rejected, as_of))
    return replace(memory, **_used(people, handed, listed, places, week, as_of, team))


def overrides(history: History, *, since: int, as_of: int) -> dict[str, int]:
    """Hand-overs by a person against the list in ``[since, as_of)``, counted by the reason that was given."""
    table = history.handovers
    at = microseconds(table["handed_at"], NEVER)
    chosen = (at >= since) & (at < as_of) & (pc.fill_null(table["by"], "").to_numpy(zero_copy_only=False) == "override")
    reasons = pc.fill_null(table["reason"].filter(pa.array(chosen)), "no reason given").to_pylist()
    return dict(Counter(reasons).most_common())


@dataclass(frozen=True)
class _Handed:
    """Hand-overs as they were known at a moment: answers that came later are not there."""

    lead: Integers
    at: Integers
    rejected: Integers
    by: Texts

    @classmethod
    def before(cls, history: History, as_of: int) -> _Handed:
        table = history.handovers
        lead, at = positions(history, table["lead_id"]), microseconds(table["handed_at"], NEVER)
        rejected = microseconds(table["rejected_at"], NEVER)
        by = np.asarray(pc.fill_null(table["by"], "").to_pylist(), dtype=object)
        known = (lead >= 0) & (at < as_of)
        rejected = np.where(rejected < as_of, rejected, NEVER)
        return cls(lead[known], at[known], rejected[known], by[known])

    def last_rejection(self, n: int) -> Integers:
        """When sales last rejected each of ``n`` leads, ``NEVER`` where they did not; shape (n,)."""
        last = np.full(n, LONG_AGO)
        there = self.rejected < NEVER
        np.maximum.at(last, self.lead[there], self.rejected[there])
        return np.where(last > LONG_AGO, last, NEVER)


def _are(column: pa.ChunkedArray, word: str) -> Flags:
    same = pc.equal(column.cast(pa.string()), word)
    return pc.fill_null(same, pa.scalar(value=False)).to_numpy()  # type: ignore[no-any-return]


def _places(people: Population, lead_id: Texts) -> Integers:
    found = pc.index_in(pa.array(lead_id, pa.string()), value_set=people.lead_id.cast(pa.string()))
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _listed(
    memory: Memory, listed: Listed, places: Integers, lead: Integers, n: int, *, handed_at_once: bool
) -> Memory:
    """Add the list before; in the row of leads that are gone there is nobody."""

    def spread(values: npt.NDArray[Any], *, absent: object) -> npt.NDArray[Any]:
        every = np.full(n + 1, absent, dtype=values.dtype)
        every[places] = values
        every[-1] = absent
        return every[lead]

    still_due = handed_at_once or (memory.week is not None and listed.at >= memory.week)
    was = spread(listed.mql, absent=False)
    since = np.where(was, spread(listed.since, absent=NEVER), NEVER)
    control = spread(listed.control, absent=False) if still_due else memory.control
    waited = spread(listed.waits, absent=False)
    return replace(memory, was=was, since=since, waited=waited, control=control)


def _used(
    people: Population,
    handed: _Handed,
    listed: Listed | None,
    places: Integers | None,
    week: int,
    as_of: int,
    team: Texts | None,
) -> dict[str, Any]:
    """Places of this week: handed over since Monday, or on an earlier list of this week; each lead once."""
    this_week = handed.at >= week
    took = handed.lead[this_week & (handed.by != "control")]
    drawn = handed.lead[this_week & (handed.by == "control")]
    if listed is not None and places is not None:
        there = (places >= 0) & (listed.since >= week)
        took = np.r_[took, places[there & listed.mql]]
        drawn = np.r_[drawn, places[there & listed.control]]
    took = np.unique(took)
    by_account: dict[int, list[str]] = {}
    for who in took:
        by_account.setdefault(int(people.group[who]), []).append(people.lead_id[int(who)].as_py())
    busy = np.flatnonzero(people.taken(as_of) & (people.decided >= as_of))
    return {
        "used": len(took),
        "used_by_team": {} if team is None else dict(Counter(team[took].tolist())),
        "used_by_account": {account: tuple(ids) for account, ids in by_account.items()},
        "contacts": {int(people.group[who]): people.lead_id[int(who)].as_py() for who in busy[::-1]},
        "control_used": len(np.unique(drawn)),
    }


def _acted(
    history: History, features: FeatureSet | None, people: Population, lead: Integers, rejected: Integers, as_of: int
) -> Flags:
    """Whether rejected leads did something themselves after the rejection; machine traffic left out."""
    who = np.flatnonzero(rejected < NEVER)
    acted = np.zeros(len(lead), dtype=bool)
    if features is None or not features.event_types or not len(who):
        return acted
    asked = replace(features, families=("recency",), attributes=(), pairs=(), tracked=None, left_out=())
    marks = mark_table(people, lead[who], np.full(len(who), as_of))
    days = build_features(history, marks, asked)["events.any.days_since_last"].to_numpy()
    acted[who] = days * DAY < as_of - rejected[who]
    return acted
