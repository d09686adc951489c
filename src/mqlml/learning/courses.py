"""The course of every lead: whose win a won opportunity is, what counts as one, and which episodes that makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqlml.learning.decisions import account_wins, decide, reach_stage
from mqlml.learning.episodes import Beginnings, Episodes, find_episodes
from mqlml.learning.moments import LONG_AGO, NEVER, Integers, Moments

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.contract import History
    from mqlml.learning.decisions import Decisions, OutcomeRows

__all__ = ["Course", "find_course"]


@dataclass(frozen=True)
class Course:
    """Decisions and later episodes of all leads.

    Attributes
    ----------
    decisions : Decisions
    again : Episodes
        After each lead's first.
    credit : dict of str to int
        Leads won under each ``[outcomes] credit``; empty where the target is a stage.
    notes : tuple of str
    """

    decisions: Decisions
    again: Episodes
    credit: dict[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Leads:
    """What the course of a lead depends on besides its outcomes."""

    history: History
    config: Config
    created: Integers
    start: Integers
    group: Integers
    opened: Moments
    until: int | None

    def episodes(self, decisions: Decisions, *, done: Integers, since: int) -> Episodes:
        """Episodes after the first; none in a history without dates."""
        if self.until is None:
            return Episodes(Moments.none(), Moments.none().at, np.zeros(0, dtype=bool), since)
        events = self.config.events
        by_sales = tuple(sorted(set(events.by_sales) - set(events.use))) if events else ()
        max_age_days = self.config.snapshots.max_age_days
        beginnings = Beginnings(self.start, decisions, self.opened, done, max_age_days, since)
        return find_episodes(self.history, beginnings, until=self.until, by_sales=by_sales)


def find_course(
    history: History,
    config: Config,
    rows: OutcomeRows,
    *,
    created: Integers,
    start: Integers,
    group: Integers,
    until: int | None,
) -> Course:
    """Credit wins, apply the target and find episodes.

    Parameters
    ----------
    history : History
    config : Config
    rows : OutcomeRows
        Known strictly before ``until``.
    created, start, group : ndarray of int64, shape (leads,)
    until : int or None
        Microseconds in UTC; None in a history without dates.

    Raises
    ------
    DataRefused
        ``[label] target`` is a stage that no lead ever entered.
    """
    opened = rows.opened < NEVER
    leads = _Leads(history, config, created, start, group, Moments.of(rows.lead[opened], rows.opened[opened]), until)
    by_lead, by_contact = (decide(rows, created=created, only_primary=primary) for primary in (True, False))
    decisions = by_lead if config.outcomes.credit == "lead" else by_contact
    if config.label.target != "won":
        return _towards_stage(leads, decisions)
    since = decisions.first_second()
    again = leads.episodes(decisions, done=_done(decisions, len(created)), since=since)
    colleagues = _open_colleagues(leads, by_contact, again)
    won = {
        "lead": np.unique(by_lead.wins.lead),
        "contacts": np.unique(by_contact.wins.lead),
        "account": np.union1d(by_contact.wins.lead, colleagues.lead),
    }
    if config.outcomes.credit == "account":
        decisions = by_contact.with_wins(colleagues.lead, colleagues.at)
        again = leads.episodes(decisions, done=_done(decisions, len(created)), since=since)
    credit = {name: len(who) for name, who in won.items()}
    return Course(decisions, again, credit, (*_credit_note(credit, config), *_reopening_note(again)))


def _towards_stage(leads: _Leads, decisions: Decisions) -> Course:
    """The course where entering a stage is what counts; a lead that has entered it is never a candidate again."""
    decisions, straight = reach_stage(leads.history, leads.config, decisions, until=leads.until)
    n = len(leads.created)
    reached = decisions.wins.first_from(np.arange(n), np.full(n, LONG_AGO))
    since = decisions.first_second()
    again = leads.episodes(decisions, done=np.minimum(_done(decisions, n), reached), since=since)
    target = leads.config.label.target
    notes = [f"What is foreseen is that a lead enters the stage '{target}' for the first time: 'won' means that here."]
    if straight:
        notes.append(f"{straight:,} leads were won without a record of '{target}': they reached it when they were won.")
    return Course(decisions, again, {}, (*notes, *_reopening_note(again)))


def _done(decisions: Decisions, n: int) -> Integers:
    """A lead that was decided at an unknown time stays decided: nobody knows what came afterwards."""
    first = decisions.first(n)
    return np.where(first == LONG_AGO, LONG_AGO, NEVER)


def _open_colleagues(leads: _Leads, decisions: Decisions, again: Episodes) -> Moments:
    """The first win of each lead's account, by a colleague, at which the lead itself was not decided."""
    wins = account_wins(decisions, group=leads.group, created=leads.created)
    first = decisions.first(len(leads.created))[wins.lead]
    is_open = again.open_before(wins.lead, wins.at, first)
    who, place = np.unique(wins.lead[is_open], return_index=True)
    return Moments(who, wins.at[is_open][place])


def _credit_note(credit: dict[str, int], config: Config) -> tuple[str, ...]:
    if len(set(credit.values())) == 1:
        return ()
    counts = ", ".join(f"{name} {count:,}" for name, count in credit.items())
    return (
        f"How many leads count as won depends on whose win a won opportunity is: {counts}; "
        f"[outcomes] credit = '{config.outcomes.credit}' holds.",
    )


def _reopening_note(again: Episodes) -> tuple[str, ...]:
    """Say that lost leads stay lost where no file could tell of a win after a loss."""
    active = len(np.unique(again.begin.lead[again.by_itself]))
    if again.reopening_since < NEVER or not active:
        return ()
    return (
        f"{active:,} leads were active after they had been lost; they stay decided, since no lead was ever decided a "
        "second time. Where lost leads are picked up again, let [outcomes] hold a row for each decision.",
    )
