"""Who is a candidate at which moment: the population, its calendar grid and the rows to learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.errors import UsageError
from mqlml.history.files import nearest
from mqlml.history.queries import entries_into, stage_names
from mqlml.learning.courses import find_course
from mqlml.learning.decisions import outcome_rows, positions
from mqlml.learning.moments import DAY, LONG_AGO, NEVER, Flags, Integers, as_microseconds, microseconds

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.contract import History
    from mqlml.learning.decisions import Decisions, OutcomeRows
    from mqlml.learning.episodes import Episodes

__all__ = ["DAY", "NEVER", "Population", "as_microseconds", "mark_table", "population", "thin"]


@dataclass(frozen=True)
class Population:
    """All leads as arrays, with what was known of their outcomes strictly before one moment.

    Attributes
    ----------
    lead_id : pa.Array of string, shape (n,)
    group : ndarray of int64, shape (n,)
        Account code; a lead without account is a group of its own.
    created, start : ndarray of int64, shape (n,)
        Microseconds in UTC; ``start`` is the first moment worth looking, where the first episode begins. ``NEVER`` in a
        history without dates.
    order : ndarray of float64, shape (n,)
        The declared order, or zeros.
    decided : ndarray of int64, shape (n,)
        First known decision, ``NEVER`` while open; ``LONG_AGO`` where decided at an unknown time.
    decisions : Decisions
        All of them; what counts as a win is said by ``[outcomes] credit`` and ``[label] target``.
    again : Episodes
        After each lead's first: begun by a sign of life of a lead that had been decided or had fallen asleep.
    max_age_days : int
        Age of an episode from which its lead is dormant.
    outcome : ndarray of float64, shape (n,)
        Last known outcome: 1 won, 0 not, NaN open.
    ignored : ndarray of bool, shape (n,)
        Leads known to be none, such as duplicates: neither learned from nor scored.
    taken_lead, taken_from, taken_to : ndarray of int64
        Intervals in which sales has the lead: handed over, or an opportunity opened, and not (yet) rejected or decided.
    dated : bool
        Whether leads have creation times.
    present : ndarray of bool, shape (n,)
        Leads created before the moment this was seen from, and not ignored.
    credit : mapping of str to int
        Leads won under each way of saying whose win a won opportunity is.
    lost_reasons : mapping of str to int
        Losses by reason, the most frequent first; empty where no reason is supplied.
    notes : tuple of str
        Plain sentences for every output.
    """

    lead_id: pa.Array
    group: Integers
    created: Integers
    start: Integers
    order: npt.NDArray[np.float64]
    decided: Integers
    decisions: Decisions
    again: Episodes
    max_age_days: int
    outcome: npt.NDArray[np.float64]
    ignored: Flags
    taken_lead: Integers
    taken_from: Integers
    taken_to: Integers
    dated: bool
    present: Flags
    credit: Mapping[str, int]
    lost_reasons: Mapping[str, int]
    notes: tuple[str, ...]

    def taken(self, moment: int) -> Flags:
        """Leads that sales has at ``moment`` (taken strictly before it, and given back neither before it)."""
        flags = np.zeros(len(self.group), dtype=bool)
        flags[self.taken_lead[(self.taken_from < moment) & (self.taken_to >= moment)]] = True
        return flags

    def episodes(self, moment: int) -> tuple[Integers, Integers]:
        """Begin and first decision (``NEVER`` while open) of the episode in which each lead is at ``moment``.

        Returns
        -------
        tuple of two ndarray of int64, shape (n,)
        """
        start, decided = self.start.copy(), self.decided.copy()
        begun = self.again.begun(moment)
        # sorted by time within a lead, so that the last to be written is the newest
        start[self.again.begin.lead[begun]] = self.again.begin.at[begun]
        decided[self.again.begin.lead[begun]] = self.again.decided[begun]
        return start, decided

    def fates(self, moment: int) -> dict[str, Flags]:
        """Split all leads by what they are at ``moment``; every lead is in exactly one part.

        Returns
        -------
        dict
            ``candidate``, ``outcome ignored``, ``not yet created``, ``not yet started``, ``decided``,
            ``taken by sales`` and ``dormant``.
        """
        rest = np.ones(len(self.group), dtype=bool)
        start, decided = self.episodes(moment)
        fates = {}
        for name, flags in (
            ("outcome ignored", self.ignored),
            ("not yet created", self.created >= moment),
            ("decided", decided < moment),
            ("taken by sales", self.taken(moment)),
            ("not yet started", self.start > moment),
            ("dormant", moment - start > self.max_age_days * DAY),
        ):
            fates[name] = rest & flags
            rest &= ~flags
        return {"candidate": rest, **fates}


def population(history: History, config: Config, *, until: int | None) -> Population:
    """Read leads, outcomes and hand-overs into arrays, keeping only what was known strictly before ``until``.

    Parameters
    ----------
    history : History
    config : Config
        ``[outcomes] credit``, ``[label] target``, ``[snapshots] max_age_days`` and the events made by sales.
    until : int or None
        Microseconds in UTC; None keeps everything (a history without dates).

    Raises
    ------
    DataRefused
        ``[label] target`` is a stage that no lead ever entered.
    """
    leads = history.leads
    n = leads.num_rows
    created = microseconds(leads["created_at"], NEVER)
    start = np.maximum(microseconds(leads["start_at"], LONG_AGO), created)
    group = _groups(leads)
    rows = outcome_rows(history, until=until)
    course = find_course(history, config, rows, created=created, start=start, group=group, until=until)
    ignored = np.zeros(n, dtype=bool)
    ignored[rows.lead[rows.word == "ignored"]] = True
    return Population(
        lead_id=leads["lead_id"].combine_chunks(),
        group=group,
        created=created,
        start=start,
        order=leads["order"].to_numpy() if "order" in leads.column_names else np.zeros(n),
        decided=course.decisions.first(n),
        decisions=course.decisions,
        again=course.again,
        max_age_days=config.snapshots.max_age_days,
        outcome=np.where(ignored, np.nan, course.decisions.last_outcome(n)),
        ignored=ignored,
        **_taken(history, config, rows, course.decisions, until),
        dated=leads["created_at"].null_count < n,
        present=~ignored & ((created < until) if until is not None else True),
        credit=course.credit,
        lost_reasons=dict(Counter(rows.reason[(rows.word == "lost") & (rows.reason != "")].tolist()).most_common()),
        notes=course.notes,
    )


def grid(people: Population, *, newest: int, every_days: int) -> Iterator[int]:
    """Snapshot moments from ``newest`` back to the first lead, ``every_days`` apart, newest first."""
    oldest = int(people.start.min())
    yield from range(newest, oldest, -every_days * DAY)


def candidates(people: Population, moments: Iterable[int]) -> tuple[Integers, Integers]:
    """Lead index and moment of every candidate snapshot, sorted by lead, then moment.

    Returns
    -------
    tuple of two ndarray of int64, shape (snapshots,)
    """
    found = [(np.flatnonzero(people.fates(m)["candidate"]), m) for m in moments]
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


def _groups(leads: pa.Table) -> Integers:
    """Dense codes of accounts; leads without one follow behind, each alone."""
    codes = pc.dictionary_encode(leads["account_id"].combine_chunks()).indices
    known = codes.is_valid().to_numpy(zero_copy_only=False)
    group: Integers = np.asarray(pc.fill_null(codes, 0).to_numpy(zero_copy_only=False), dtype=np.int64)
    group[~known] = group[known].max(initial=-1) + 1 + np.arange(int((~known).sum()))
    return group


def _taken(
    history: History, config: Config, rows: OutcomeRows, decisions: Decisions, until: int | None
) -> dict[str, Integers]:
    """From a hand-over, a stage or the opening of an opportunity, until a rejection or the next decision."""
    handovers = history.handovers
    lead, start = positions(history, handovers["lead_id"]), microseconds(handovers["handed_at"], NEVER)
    end = microseconds(handovers["rejected_at"], NEVER)
    known = (lead >= 0) & (start < (NEVER if until is None else until))
    lead, start, end = lead[known], start[known], end[known]
    end = np.minimum(end, decisions.moments.first_from(lead, start))
    opened = rows.opened < NEVER
    staged, entered = _entries(history, config, until)
    return {
        "taken_lead": np.r_[lead, rows.lead[opened], staged],
        "taken_from": np.r_[start, rows.opened[opened], entered],
        "taken_to": np.r_[end, rows.at[opened], decisions.moments.first_from(staged, entered)],
    }


def _entries(history: History, config: Config, until: int | None) -> tuple[Integers, Integers]:
    """Leads that entered a stage in which sales has them, and when.

    Raises
    ------
    UsageError
        No lead ever entered a stage of ``[stages] taken``.
    """
    taken = config.stages.taken if config.stages is not None else ()
    if not taken or "stages" not in history.tables:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    there = stage_names(history)
    if missing := [name for name in taken if name not in there]:
        raise UsageError(f"[stages] taken: no lead ever entered '{missing[0]}'; {nearest(missing[0], list(there))}.")
    table = entries_into(history, taken)
    lead, at = positions(history, table["lead_id"]), microseconds(table["entered_at"], NEVER)
    known = (lead >= 0) & (at < (NEVER if until is None else until))
    return lead[known], at[known]
