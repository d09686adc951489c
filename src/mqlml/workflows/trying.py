"""Proposed settings tried on the history itself: horizon, capacity, and what would keep a training from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mqlml.config import Config
from mqlml.errors import DataRefused
from mqlml.history.discovery.looking import BUILT
from mqlml.history.discovery.making import every_part
from mqlml.history.reading import read_history
from mqlml.history.session import quoted
from mqlml.history.writing import write_table
from mqlml.learning.horizons import win_curves
from mqlml.learning.labels import labelled_rows
from mqlml.learning.moments import DAY, LONG_AGO, NEVER, microseconds
from mqlml.workflows.opening import Opened, blocking_problems, open_history

if TYPE_CHECKING:
    from pathlib import Path

    from mqlml.errors import Problem
    from mqlml.history.contract import History
    from mqlml.history.discovery.draft import Draft
    from mqlml.history.discovery.proposing import Proposal

__all__ = ["try_out"]

_ROUND = (14, 30, 45, 60, 90, 120, 150, 180, 270, 365, 545, 730)
_SHARE = 0.2
_WEEKS = 8
_TRIES = 6
_NO_ATTRIBUTE = frozenset(["odd-number", "decimal"])


def try_out(proposal: Proposal, home: Path, *, scratch: Path) -> list[str]:
    """Read the history as proposed; set horizon, capacity and columns that give the outcome away from it.

    Parameters
    ----------
    proposal : Proposal
        Its draft is completed.
    home : Path
        Folder of the settings.
    scratch : Path
        Folder for tables that are not in their place yet.

    Returns
    -------
    list of str
        What would stop a training.
    """
    draft = proposal.draft
    moved = _moved(proposal, scratch)
    for _ in range(_TRIES):
        try:
            history = read_history(Config.of(draft.settings(moved=moved), root=home))
            break
        except DataRefused as refusal:
            problems = _as_named(refusal.problems, moved)
            if not _repair(draft, problems):
                return [str(problem) for problem in problems]
    else:
        return ["the files could not be read as proposed"]
    with history:
        return _learn(draft, history, folder=home, moved=moved)


def _moved(proposal: Proposal, scratch: Path) -> dict[str, str]:
    """Where tables lie for now that are to be written, or that were copied from a database."""
    moved = {part.table.source.path: str(part.table.copy) for part in every_part(proposal.found) if part.table.copy}
    for name, table in proposal.tables.items():
        write_table(table, scratch / f"{name}.parquet")
        moved[f"{BUILT}/{name}.parquet"] = str(scratch / f"{name}.parquet")
    return moved


def _as_named(problems: Sequence[Problem], moved: Mapping[str, str]) -> list[Problem]:
    """Problems under the paths of the settings."""
    names = {now: named for named, now in moved.items()}
    return [replace(problem, file=names.get(problem.file, problem.file)) for problem in problems]


def _repair(draft: Draft, problems: Sequence[Problem]) -> bool:
    """Leave out what cannot be read, with the reason and a question; False where that does not help."""
    helped = False
    for problem in problems:
        if problem.code in _NO_ATTRIBUTE and problem.column is not None:
            draft.add("leads", "exclude", problem.column, f"cannot be read as it is: {problem.what}")
            draft.ask(f"[leads] exclude '{problem.column}'", problem.fix, problem.what)
            helped = True
        elif problem.code == "blank" and problem.column == draft.values["leads"].get("created_at"):
            helped = _only_dated(draft, problem) or helped
        elif problem.code == "no-overlap":
            section = next((s for s, v in draft.values.items() if v.get("path") == problem.file and s != "leads"), None)
            if section is not None:
                draft.drop(section)
                draft.ask(
                    f"[{section}]", f"'{problem.file}' is not used: {problem.what}; do its ids belong to the leads?"
                )
                helped = True
    return helped


def _only_dated(draft: Draft, problem: Problem) -> bool:
    """Leave out leads without a date of creation; False where the file is not that of the leads."""
    leads = draft.values["leads"]
    if problem.file != leads["path"]:
        return False
    there = " AND ".join(filter(None, [leads.get("where"), f"{quoted(str(problem.column))} IS NOT NULL"]))
    rows = f"{problem.count or 0:,} rows without a '{problem.column}'"
    draft.set("leads", "where", there, f"{rows} are left out: nobody knows since when they are leads")
    draft.ask("[leads] where", f"{rows} are left out; is there another column that says when they were created?")
    return True


def _learn(draft: Draft, history: History, *, folder: Path, moved: Mapping[str, str]) -> list[str]:
    """Horizon, capacity and leaking columns, then what would still stop a training."""

    def opened(*, audit: bool) -> tuple[Opened, Config]:
        config = Config.of(draft.settings(moved=moved), root=folder)
        return open_history(history, config, as_of=None, audit=audit), config

    first, config = opened(audit=False)
    _propose_horizon(draft, first, config)
    _propose_capacity(draft, first)
    for _ in range(_TRIES):
        now, config = opened(audit=True)
        blocked = [f for f in now.audit if f.level == "block" and f.waived is None]
        columns = [f for f in blocked if f.column in history.attributes.column_names]
        for finding in columns:
            draft.add("leads", "exclude", finding.column, f"leak audit: {finding.why}")
            draft.ask(
                f"[leads] exclude '{finding.column}'",
                f"is it known before the outcome? The leak audit says: {finding.why}.",
                finding.figure,
            )
        if not columns:
            break
    for finding in now.audit:
        if finding.level == "ask":
            draft.ask(f"[leads] '{finding.column}'", f"{finding.why}; {finding.remedy}", finding.figure)
    problems = [str(p) for p in blocking_problems(now.audit, config)]
    try:
        labelled_rows(now.people, config, as_of=now.moment)
    except DataRefused as refusal:
        problems += [str(p) for p in refusal.problems]
    return problems


def _propose_horizon(draft: Draft, seen: Opened, config: Config) -> None:
    """The days within which most wins come, as a round number that the history has room for."""
    if seen.moment is None or not seen.people.dated:
        return
    dated = bool((seen.people.decided > LONG_AGO).any() & (seen.people.decided < NEVER).any())
    if not config.outcomes.decided_at or not dated:
        draft.set("label", "mode", "final", "no time of decision is known: only the final outcome can be learned")
        return
    room = int((seen.moment - seen.people.start.min()) // DAY // 4)
    fitting = max((d for d in _ROUND if d <= room), default=max(room, 1))
    curves = win_curves(seen.people, config, as_of=seen.moment)
    if curves is None:
        days, why = min(fitting, 90), "assumed: too few wins with a date to measure how long they take"
    else:
        days = next((d for d in _ROUND if d >= curves.enough_days), curves.enough_days)
        seen_by = f"as far as {curves.watched_days:,} days of history show"
        why = f"90 % of the wins come within {curves.enough_days:,} days after the lead came in, {seen_by}"
        if days > room:
            days, why = fitting, f"{why}; the history of {4 * room:,} days has room for {fitting}"
    draft.set("label", "horizon_days", int(days), why)
    draft.ask("[label] horizon_days", f"is 'won within {days} days' the question that sales plans with?", why)


def _propose_capacity(draft: Draft, seen: Opened) -> None:
    """What sales was handed in recent weeks; where that is not known, a fifth of the leads that come in."""
    if seen.moment is None or not seen.people.dated:
        return
    handed = microseconds(seen.history.handovers["handed_at"], NEVER)
    by_hand = _a_week(handed[handed < seen.moment])
    leads = _a_week(seen.people.created[seen.people.present])
    weeks = f"in a usual week (the last {_WEEKS} weeks of the data)"
    if by_hand >= 1:
        number, why = by_hand, f"sales took {by_hand:,.0f} leads {weeks}"
    else:
        number, why = max(1.0, _SHARE * leads), f"assumed: a fifth of the {leads:,.0f} new leads {weeks}"
    draft.set("policy", "capacity_per_week", max(1, round(number)), why)
    draft.ask("[policy] capacity_per_week", "how many new leads can sales work in a week?", why)


def _a_week(moments: np.ndarray[Any, np.dtype[np.int64]]) -> float:
    """Median number of moments in the last whole weeks, counted back from the latest."""
    if not len(moments):
        return 0.0
    ago = (moments.max() - moments) // (7 * DAY)
    return float(np.median([int((ago == i).sum()) for i in range(_WEEKS)]))
