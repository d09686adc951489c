"""What was decided of the leads: whose win a won opportunity is, and what counts as one."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.errors import DataRefused, Problem, shown
from mqlml.history.queries import stage_entries, stage_names
from mqlml.learning.moments import LONG_AGO, NEVER, Flags, Integers, Moments, microseconds

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.contract import History

__all__ = ["Decisions", "OutcomeRows", "account_wins", "decide", "outcome_rows", "positions", "reach_stage"]


@dataclass(frozen=True)
class OutcomeRows:
    """Rows of the outcomes as they were known strictly before a moment; arrays of shape (k,).

    Attributes
    ----------
    lead : ndarray of int64
        Index of the lead.
    word : ndarray of str
        "won", "lost", "ignored", or empty while the opportunity was open.
    at : ndarray of int64
        When it was decided: ``LONG_AGO`` where nobody knows, ``NEVER`` while it was open.
    opened : ndarray of int64
        When sales opened the opportunity, ``NEVER`` where nobody knows.
    opportunity : ndarray of int64
        Number of the opportunity, -1 for a row that names none.
    primary : ndarray of bool
    reason : ndarray of str
        Why it was lost; empty where nobody said.
    """

    lead: Integers
    word: npt.NDArray[np.str_]
    at: Integers
    opened: Integers
    opportunity: Integers
    primary: Flags
    reason: npt.NDArray[np.str_]

    def where(self, flags: Flags) -> OutcomeRows:
        """The rows for which ``flags`` is true."""
        return OutcomeRows(**{name: values[flags] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Decisions:
    """All decisions, sorted by lead, then time; arrays of shape (k,).

    Attributes
    ----------
    moments : Moments
    won : ndarray of bool
        A win of this lead.
    closed : ndarray of bool
        What the lead does afterwards opens nothing: it was won, or what is to be foreseen has happened.
    """

    moments: Moments
    won: Flags
    closed: Flags

    @classmethod
    def of(cls, lead: Integers, at: Integers, won: Flags, closed: Flags) -> Decisions:
        """Sort decisions; of several at one moment a win comes last, so that it is the one that holds."""
        order = np.lexsort((won, at, lead))
        return cls(Moments(lead[order], at[order]), won[order], closed[order])

    @property
    def wins(self) -> Moments:
        """When leads were won."""
        return Moments(self.moments.lead[self.won], self.moments.at[self.won])

    def with_wins(self, lead: Integers, at: Integers) -> Decisions:
        """Add wins."""
        true = np.ones(len(lead), dtype=bool)
        return Decisions.of(
            np.r_[self.moments.lead, lead],
            np.r_[self.moments.at, at],
            np.r_[self.won, true],
            np.r_[self.closed, true],
        )

    def first(self, n: int) -> Integers:
        """First decision of each of ``n`` leads, ``NEVER`` while it is open; shape (n,)."""
        return self.moments.first_from(np.arange(n), np.full(n, LONG_AGO))

    def first_second(self) -> int:
        """When for the first time a lead was decided that had been before, ``NEVER`` where none was."""
        lead, at = self.moments.lead, self.moments.at
        again = (lead[1:] == lead[:-1]) & (at[1:] > at[:-1])
        return int(at[1:][again].min(initial=NEVER))

    def last(self, n: int) -> Integers:
        """Last decision of each of ``n`` leads, ``NEVER`` while it is open; shape (n,)."""
        at = np.full(n, NEVER)
        at[self.moments.lead] = self.moments.at
        return at

    def last_outcome(self, n: int) -> npt.NDArray[np.float64]:
        """Last decision of each of ``n`` leads: 1 won, 0 not, NaN while it is open; shape (n,)."""
        outcome = np.full(n, np.nan)
        outcome[self.moments.lead] = self.won
        return outcome


def positions(history: History, ids: pa.ChunkedArray) -> Integers:
    """Row of each id among the leads, -1 where there is none."""
    found = pc.index_in(ids.cast(pa.string()), value_set=history.leads["lead_id"].combine_chunks().cast(pa.string()))
    return pc.fill_null(found, -1).to_numpy().astype(np.int64)  # type: ignore[no-any-return]


def outcome_rows(history: History, *, until: int | None) -> OutcomeRows:
    """Read the outcomes as they were known strictly before ``until``.

    A decision without a time counts as known long ago. One that came later was an open opportunity then, and known
    at all only where it says that it had been opened.
    """
    table = history.outcomes
    word = np.asarray(pc.fill_null(table["outcome"], "").to_pylist(), dtype=str)
    at = np.where(word == "", NEVER, microseconds(table["decided_at"], LONG_AGO))
    opened = microseconds(table["opened_at"], NEVER)
    moment = NEVER if until is None else until
    undecided = at >= moment
    rows = OutcomeRows(
        lead=positions(history, table["lead_id"]),
        word=np.where(undecided, "", word),
        at=np.where(undecided, NEVER, at),
        opened=np.where(opened < moment, opened, NEVER),
        opportunity=_codes(table["opportunity_id"]),
        primary=pc.fill_null(table["is_primary"], fill_value=False).to_numpy(),
        reason=np.asarray(pc.fill_null(table["lost_reason"], "").to_pylist(), dtype=str),
    )
    return rows.where((rows.lead >= 0) & (~undecided | (rows.opened < NEVER)))


def decide(rows: OutcomeRows, *, created: Integers, only_primary: bool) -> Decisions:
    """Turn rows into decisions.

    Parameters
    ----------
    rows : OutcomeRows
    created : ndarray of int64, shape (leads,)
    only_primary : bool
        A won opportunity that names several leads is the win of its primary one (of the earliest created where none is
        marked) and ends the others without one. Otherwise it is the win of each.
    """
    decided = rows.where((rows.word == "won") | (rows.word == "lost"))
    closed = decided.word == "won"
    won = closed.copy()
    if only_primary:
        won[closed] = primary_of(decided.where(closed), created)
    # Nobody knows which events came after a decision at an unknown time.
    return Decisions.of(decided.lead, decided.at, won, closed | (decided.at == LONG_AGO))


def primary_of(rows: OutcomeRows, created: Integers) -> Flags:
    """Whether each row names the lead that its opportunity belongs to; every row without opportunity does.

    An opportunity that was decided twice has an owner each time, so that the second decision changes nothing before.
    """
    credited = rows.opportunity < 0
    several = np.flatnonzero(~credited)
    lead = rows.lead[several]
    _, deal = np.unique(np.c_[rows.opportunity, rows.at][several], axis=0, return_inverse=True)
    order = np.lexsort((lead, created[lead], ~rows.primary[several]))
    _, first = np.unique(deal[order], return_index=True)
    credited[several] = lead == lead[order[first]][deal]
    return credited


def account_wins(decisions: Decisions, *, group: Integers, created: Integers) -> Moments:
    """Wins of an account as they concern its other leads: those that it had by then.

    Returns
    -------
    Moments
        Lead and time of each win of a colleague after the lead's creation.
    """
    wins = decisions.wins
    won = np.unique(np.c_[group[wins.lead], wins.at], axis=0)
    order = np.argsort(group, kind="stable")
    first = np.searchsorted(group[order], won[:, 0], side="left")
    size = np.searchsorted(group[order], won[:, 0], side="right") - first
    which = np.repeat(np.arange(len(won)), size)
    lead = order[first[which] + np.arange(len(which)) - np.repeat(np.cumsum(size) - size, size)]
    at = won[which, 1]
    there = created[lead] < at
    own = wins.first_from(lead, at) == at
    return Moments.of(lead[there & ~own], at[there & ~own])


def reach_stage(history: History, config: Config, decisions: Decisions, *, until: int | None) -> tuple[Decisions, int]:
    """Make entering a stage for the first time what counts as a win; nothing is decided of the lead afterwards.

    Returns
    -------
    tuple of (Decisions, int)
        And the number of leads won without a record of the stage: they reached it when they were won at the latest.

    Raises
    ------
    DataRefused
        No lead ever entered the stage.
    """
    _refuse_unknown_stage(history, config)
    entries = stage_entries(history, config.label.target)
    entered, lead = microseconds(entries["entered_at"], NEVER), positions(history, entries["lead_id"])
    known = (lead >= 0) & (entered < (NEVER if until is None else until))
    n = history.leads.num_rows
    reached = np.full(n, NEVER)
    reached[lead[known]] = entered[known]
    won = decisions.wins.first_from(np.arange(n), np.full(n, LONG_AGO))
    straight = int(((won < NEVER) & (reached == NEVER)).sum())
    reached = np.minimum(reached, won)
    who = np.flatnonzero(reached < NEVER)
    moments = decisions.moments
    before = moments.at < reached[moments.lead]
    kept = Decisions(Moments(moments.lead[before], moments.at[before]), decisions.won[before], decisions.closed[before])
    return kept.with_wins(who, reached[who]), straight


def _refuse_unknown_stage(history: History, config: Config) -> None:
    stages, target = stage_names(history), config.label.target
    if target in stages or config.stages is None:
        return
    near = difflib.get_close_matches(target, list(stages), n=1, cutoff=0.5)
    there = ", ".join(f"'{shown(name)}' ({count:,})" for name, count in list(stages.items())[:10])
    raise DataRefused(
        [
            Problem(
                "unknown-stage",
                config.stages.path,
                f"no lead ever entered '{shown(target)}', which [label] target names; stages are {there or 'none'}",
                f"did you mean '{shown(near[0])}'?" if near else "name one of them, or 'won'",
                column=config.stages.stage,
            )
        ]
    )


def _codes(column: pa.ChunkedArray) -> Integers:
    """Number texts, -1 for null."""
    codes = pc.dictionary_encode(column.combine_chunks()).indices
    return pc.fill_null(codes, -1).to_numpy().astype(np.int64)  # type: ignore[no-any-return]
