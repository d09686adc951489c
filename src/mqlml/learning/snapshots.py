"""Who is a candidate at which moment: the population, its calendar grid and the rows to learn from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from mqlml.history.contract import History

__all__ = ["DAY", "NEVER", "Population", "as_microseconds", "mark_table", "population", "thin"]

DAY = 86_400_000_000
NEVER = np.int64(2**62)
LONG_AGO = np.int64(-(2**62))

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def as_microseconds(moment: datetime) -> int:
    """Turn an aware moment into microseconds since 1970 in UTC."""
    return pa.scalar(moment, pa.timestamp("us", "UTC")).cast(pa.int64()).as_py()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Population:
    """All leads as arrays, with what was known of their outcomes strictly before one moment.

    Attributes
    ----------
    lead_id : pa.Array of string, shape (n,)
    group : ndarray of int64, shape (n,)
        Account code; a lead without account is a group of its own.
    created, start : ndarray of int64, shape (n,)
        Microseconds in UTC; ``start`` is the first moment worth looking. ``NEVER`` in a history without dates.
    order : ndarray of float64, shape (n,)
        The declared order, or zeros.
    decided : ndarray of int64, shape (n,)
        First known decision, ``NEVER`` while open; ``LONG_AGO`` where decided at an unknown time.
    won_at : ndarray of int64, shape (n,)
        First known win, ``NEVER`` where there is none.
    outcome : ndarray of float64, shape (n,)
        Last known outcome: 1 won, 0 lost, NaN open.
    ignored : ndarray of bool, shape (n,)
        Leads known to be none, such as duplicates: neither learned from nor scored.
    taken_lead, taken_from, taken_to : ndarray of int64
        Intervals in which sales has the lead: handed over, and not (yet) rejected.
    dated : bool
        Whether leads have creation times.
    present : ndarray of bool, shape (n,)
        Leads created before the moment this was seen from, and not ignored.
    """

    lead_id: pa.Array
    group: Integers
    created: Integers
    start: Integers
    order: npt.NDArray[np.float64]
    decided: Integers
    won_at: Integers
    outcome: npt.NDArray[np.float64]
    ignored: Flags
    taken_lead: Integers
    taken_from: Integers
    taken_to: Integers
    dated: bool
    present: Flags

    def taken(self, moment: int) -> Flags:
        """Leads that sales has at ``moment`` (handed over strictly before it, not rejected before it)."""
        flags = np.zeros(len(self.group), dtype=bool)
        flags[self.taken_lead[(self.taken_from < moment) & (self.taken_to >= moment)]] = True
        return flags

    def fates(self, moment: int, *, max_age_days: int) -> dict[str, Flags]:
        """Split all leads by what they are at ``moment``; every lead is in exactly one part.

        Returns
        -------
        dict
            ``candidate``, ``outcome ignored``, ``not yet created``, ``not yet started``, ``decided``,
            ``taken by sales`` and ``dormant``.
        """
        rest = np.ones(len(self.group), dtype=bool)
        fates = {}
        for name, flags in (
            ("outcome ignored", self.ignored),
            ("not yet created", self.created >= moment),
            ("decided", self.decided < moment),
            ("taken by sales", self.taken(moment)),
            ("not yet started", self.start > moment),
            ("dormant", moment - self.start > max_age_days * DAY),
        ):
            fates[name] = rest & flags
            rest &= ~flags
        return {"candidate": rest, **fates}


def population(history: History, *, until: int | None) -> Population:
    """Read leads, outcomes and hand-overs into arrays, keeping only what was known strictly before ``until``.

    Parameters
    ----------
    history : History
    until : int or None
        Microseconds in UTC; None keeps everything (a history without dates).
    """
    leads = history.leads
    n = leads.num_rows
    created = _microseconds(leads["created_at"], NEVER)
    known = _known_outcomes(history, until)
    decided, won_at, outcome = _decisions(known, n)
    ignored = np.zeros(n, dtype=bool)
    ignored[known.lead[known.word == "ignored"]] = True
    return Population(
        lead_id=leads["lead_id"].combine_chunks(),
        group=_groups(leads),
        created=created,
        start=np.maximum(_microseconds(leads["start_at"], LONG_AGO), created),
        order=leads["order"].to_numpy() if "order" in leads.column_names else np.zeros(n),
        decided=decided,
        won_at=won_at,
        outcome=np.where(ignored, np.nan, outcome),
        ignored=ignored,
        **_taken(history, until),
        dated=leads["created_at"].null_count < n,
        present=~ignored & ((created < until) if until is not None else True),
    )


def grid(people: Population, *, newest: int, every_days: int) -> Iterator[int]:
    """Snapshot moments from ``newest`` back to the first lead, ``every_days`` apart, newest first."""
    oldest = int(people.start.min())
    yield from range(newest, oldest, -every_days * DAY)


def candidates(people: Population, moments: Iterator[int], *, max_age_days: int) -> tuple[Integers, Integers]:
    """Lead index and moment of every candidate snapshot, sorted by lead, then moment.

    Returns
    -------
    tuple of two ndarray of int64, shape (snapshots,)
    """
    found = [(np.flatnonzero(people.fates(m, max_age_days=max_age_days)["candidate"]), m) for m in moments]
    lead = np.concatenate([who for who, _ in found] or [np.zeros(0, dtype=np.int64)])
    at = np.concatenate([np.full(len(who), m, dtype=np.int64) for who, m in found] or [np.zeros(0, dtype=np.int64)])
    order = np.lexsort((at, lead))
    return lead[order], at[order]


def thin(group: Integers, *, max_rows: int, seed: int) -> tuple[Flags, float]:
    """Keep whole groups, drawn at random, so that about ``max_rows`` rows remain.

    Whole groups, because single rows would break first crossings and let a group sit on both sides of a split.

    Returns
    -------
    tuple of (ndarray of bool, float)
        Which rows stay, and the share of groups kept.
    """
    share = min(1.0, max_rows / max(len(group), 1))
    if share >= 1.0:
        return np.ones(len(group), dtype=bool), 1.0
    drawn = np.random.default_rng(seed).random(int(group.max()) + 1) < share
    return drawn[group], share


def mark_table(people: Population, lead: Integers, at: Integers) -> pa.Table:
    """The snapshots as marks for the tape: ``lead_id`` and ``at`` (null in a history without dates)."""
    ids = people.lead_id.take(pa.array(lead))
    times = pa.array(at, pa.int64(), mask=at >= NEVER).cast(pa.timestamp("us", "UTC"))
    return pa.table({"lead_id": ids, "at": times})


def _microseconds(column: pa.ChunkedArray, missing: np.int64) -> Integers:
    values = pc.fill_null(column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()), int(missing))
    return values.to_numpy().astype(np.int64)  # type: ignore[no-any-return]


def _groups(leads: pa.Table) -> Integers:
    """Dense codes of accounts; leads without one follow behind, each alone."""
    codes = pc.dictionary_encode(leads["account_id"].combine_chunks()).indices
    known = codes.is_valid().to_numpy(zero_copy_only=False)
    group: Integers = np.asarray(pc.fill_null(codes, 0).to_numpy(zero_copy_only=False), dtype=np.int64)
    group[~known] = group[known].max(initial=-1) + 1 + np.arange(int((~known).sum()))
    return group


@dataclass(frozen=True)
class _Outcomes:
    lead: Integers
    at: Integers
    word: npt.NDArray[np.str_]


def _known_outcomes(history: History, until: int | None) -> _Outcomes:
    """Rows of the outcomes known strictly before ``until``; one without a time counts as known long ago."""
    outcomes = history.outcomes
    at = _microseconds(outcomes["decided_at"], LONG_AGO)
    lead = _positions(history, outcomes["lead_id"])
    word = np.asarray(outcomes["outcome"].to_pylist(), dtype=str)
    known = lead >= 0 if until is None else (lead >= 0) & (at < until)
    return _Outcomes(lead[known], at[known], word[known])


def _decisions(known: _Outcomes, n: int) -> tuple[Integers, Integers, npt.NDArray[np.float64]]:
    """First decision, first win and last outcome of each lead."""
    won = known.word == "won"
    decided, won_at = np.full(n, NEVER), np.full(n, NEVER)
    np.minimum.at(decided, known.lead, known.at)
    np.minimum.at(won_at, known.lead[won], known.at[won])
    latest = np.full(n, np.nan)
    order = np.argsort(known.at, kind="stable")
    latest[known.lead[order]] = won[order]
    return decided, won_at, latest


def _taken(history: History, until: int | None) -> dict[str, Integers]:
    handovers = history.handovers
    lead = _positions(history, handovers["lead_id"])
    start = _microseconds(handovers["handed_at"], NEVER)
    end = _microseconds(handovers["rejected_at"], NEVER)
    known = (lead >= 0) & (start < (NEVER if until is None else until))
    return {"taken_lead": lead[known], "taken_from": start[known], "taken_to": end[known]}


def _positions(history: History, ids: pa.ChunkedArray) -> Integers:
    """Row of each id among the leads, -1 where there is none."""
    found = pc.index_in(ids.cast(pa.string()), value_set=history.leads["lead_id"].combine_chunks().cast(pa.string()))
    return pc.fill_null(found, -1).to_numpy().astype(np.int64)  # type: ignore[no-any-return]
