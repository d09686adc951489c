"""From a folder of exports to commented settings that ``mqlml check`` and ``mqlml train`` can use."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mqlml.config import Config, Source
from mqlml.errors import DataRefused, UsageError
from mqlml.history.discovery.looking import BUILT
from mqlml.history.discovery.proposing import Proposal, Wishes, propose_folder
from mqlml.history.reading import read_history
from mqlml.history.session import quoted
from mqlml.history.writing import write_table, write_text
from mqlml.learning.horizons import win_curves
from mqlml.learning.labels import labelled_rows
from mqlml.learning.moments import DAY, LONG_AGO, NEVER, microseconds
from mqlml.workflows.opening import Opened, blocking_problems, open_history

if TYPE_CHECKING:
    from mqlml.errors import Problem
    from mqlml.history.contract import History
    from mqlml.history.discovery.draft import Draft

__all__ = ["Started", "Wishes", "initialise"]

_SETTINGS = "mqlml.toml"
_ROUND = (14, 30, 45, 60, 90, 120, 150, 180, 270, 365, 545, 730)
_SHARE = 0.2
_WEEKS = 8
_TRIES = 6
_NO_ATTRIBUTE = frozenset(["odd-number", "decimal"])


@dataclass(frozen=True)
class Started:
    """What was written, what it assumes, and what is open.

    Attributes
    ----------
    settings : Path
        The file.
    tables : dict of str to int
        Rows of the tables that were made, by file.
    found : list of dict
        Tables of the folder and what they were taken for.
    assumptions, questions : list of dict
    problems : list of str
        What would stop a training in spite of it.
    """

    settings: Path
    tables: dict[str, int]
    found: list[dict[str, Any]]
    assumptions: list[dict[str, Any]]
    questions: list[dict[str, str]]
    problems: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**vars(self), "settings": str(self.settings)}


def initialise(folder: Path, *, wishes: Wishes, force: bool = False, tables_only: bool = False) -> Started:
    """Look at a folder of exports and write commented settings, and the tables that they need.

    Parameters
    ----------
    folder : Path
    wishes : Wishes
        What a person said beforehand.
    force : bool
        Replace settings that are there.
    tables_only : bool
        Make the tables anew from newer exports, and leave the settings as they are.

    Returns
    -------
    Started

    Raises
    ------
    UsageError
        There is no such folder, or it has settings already.
    DataRefused
        No leads or no outcome were found, or dates can be read in two ways.
    """
    settings = folder / _SETTINGS
    if not folder.is_dir():
        raise UsageError(f"'{folder}' is not a folder.", hint="name the folder that holds the exports")
    if settings.exists() and not force and not tables_only:
        raise UsageError(
            f"'{settings}' exists already.", hint="--force replaces it; --tables-only makes only its tables anew"
        )
    if tables_only and not settings.exists():
        raise UsageError(f"there is no '{settings}' yet.", hint="run without --tables-only first")
    if wishes.leads is not None:  # files lie in the folder, however they were named
        wishes = replace(wishes, leads=Path(wishes.leads).name)
    proposal = propose_folder(folder, wishes=wishes)
    problems = [] if tables_only else _measure(proposal, folder)
    wanted = _paths(settings) if tables_only else {values.get("path") for values in proposal.draft.values.values()}
    made = {f"{BUILT}/{name}.parquet": table for name, table in proposal.tables.items()}
    written = {path: table for path, table in made.items() if path in wanted}
    for path, table in written.items():
        write_table(table, folder / path)
    if not tables_only:
        write_text(settings, proposal.draft.text(_title(problems)))
    return Started(
        settings,
        {path: table.num_rows for path, table in written.items()},
        _found(proposal),
        proposal.draft.assumptions(),
        [question.to_dict() for question in proposal.draft.questions],
        problems,
    )


def _paths(settings: Path) -> set[str]:
    """Where settings that a person may have edited read their tables."""
    config = Config.load(settings)
    sections = (getattr(config, name) for name in type(config).model_fields)
    return {section.path for section in sections if isinstance(section, Source)}


def _title(problems: Sequence[str]) -> str:
    state = " As it stands, 'mqlml check' refuses it: see what it says." if problems else ""
    return (
        "Settings that 'mqlml init' proposed from the files of this folder. Paths are relative to this file; every "
        f"proposal says why. Change what is wrong, then run 'mqlml check'.{state}"
    )


def _found(proposal: Proposal) -> list[dict[str, Any]]:
    found = proposal.found
    parts = [(found.leads, "leads"), *((p, kind) for kind, parts in found.others.items() for p in parts)]
    return [
        {
            "file": part.table.name,
            "rows": part.table.raw.rows_in,
            "taken_for": kind,
            "system": part.layout.preset,
            "why": part.why,
        }
        for part, kind in parts
        if part is not None
    ]


def _measure(proposal: Proposal, folder: Path) -> list[str]:
    """Read the history as proposed; set horizon, capacity and columns that give the outcome away from it."""
    draft = proposal.draft
    with tempfile.TemporaryDirectory(prefix="mqlml-init-") as scratch:
        moved = {}
        for name, table in proposal.tables.items():
            write_table(table, Path(scratch) / f"{name}.parquet")
            moved[f"{BUILT}/{name}.parquet"] = str(Path(scratch) / f"{name}.parquet")
        for _ in range(_TRIES):
            try:
                history = read_history(Config.of(draft.settings(moved=moved), root=folder.resolve()))
                break
            except DataRefused as refusal:
                if not _repair(draft, refusal.problems):
                    return [str(problem) for problem in refusal.problems]
        else:
            return ["the files could not be read as proposed"]
        with history:
            return _learn(draft, history, folder=folder.resolve(), moved=moved)


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
        why = f"90 % of the wins come within {curves.enough_days:,} days of the lead, {seen_by}"
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
    weeks = f"in a usual one of the last {_WEEKS} weeks of the files"
    if by_hand >= 1:
        number, why = by_hand, f"sales took {by_hand:,.0f} leads {weeks}"
    else:
        number, why = max(1.0, _SHARE * leads), f"assumed: a fifth of the {leads:,.0f} leads that came {weeks}"
    draft.set("policy", "capacity_per_week", max(1, round(number)), why)
    draft.ask("[policy] capacity_per_week", "how many new leads can sales work in a week?", why)


def _a_week(moments: np.ndarray[Any, np.dtype[np.int64]]) -> float:
    """Median number of moments in the last whole weeks, counted back from the latest."""
    if not len(moments):
        return 0.0
    ago = (moments.max() - moments) // (7 * DAY)
    return float(np.median([int((ago == i).sum()) for i in range(_WEEKS)]))
