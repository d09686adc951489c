"""What every command that looks at a history does first: read it, fix the moment, count, audit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.errors import DataRefused, Problem
from mqlml.history.edits import count_edits
from mqlml.learning.audit import AuditInput, Finding, audit_columns, in_order, usable_columns
from mqlml.learning.audit_changes import edited_late
from mqlml.learning.snapshots import DAY, NEVER, Population, as_microseconds, population

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.contract import History

__all__ = ["Opened", "Progress", "Quiet", "audit_input", "blocking_problems", "last_decisions", "open_history"]


class Progress(Protocol):
    """How a workflow tells how far it is; the command line draws it, others may not care."""

    def begin(self, text: str, total: int | None = None) -> None:
        """A new step begins, of ``total`` parts where that is known."""

    def advance(self) -> None:
        """One part of the step is done."""


class Quiet:
    """Tells nobody."""

    def begin(self, text: str, total: int | None = None) -> None:
        """Nothing to tell."""

    def advance(self) -> None:
        """Nothing to tell."""


@dataclass(frozen=True)
class Opened:
    """A history seen as of a moment.

    Attributes
    ----------
    as_of : datetime or None
        None in a history without dates.
    people : Population
        With outcomes known strictly before ``as_of``.
    audit : tuple of Finding
    attributes : tuple of str
        Columns that may become features.
    undeclared : tuple of str
        Those among them that the configuration does not name.
    notes : tuple of str
    """

    history: History
    as_of: datetime | None
    people: Population
    audit: tuple[Finding, ...]
    attributes: tuple[str, ...]
    undeclared: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def moment(self) -> int | None:
        """``as_of`` in microseconds."""
        return None if self.as_of is None else as_microseconds(self.as_of)


def open_history(history: History, config: Config, *, as_of: str | None, audit: bool = True) -> Opened:
    """Fix the moment, see who is known then and audit the columns.

    Parameters
    ----------
    history : History
    config : Config
    as_of : str or None
        A date or an ISO timestamp; by default the day after the newest creation or decision of the history.
    audit : bool
        Scoring needs none: its columns are those of the bundle.
    """
    moment, notes = _moment(history, config, as_of)
    people = population(history, config, until=None if moment is None else as_microseconds(moment))
    notes += people.notes
    notes += _later_events(history, moment)
    if not audit:
        return Opened(history, moment, people, (), (), (), (*history.notes, *notes))
    data = audit_input(history, config, people, moment)
    waive = config.audit.waive
    findings = in_order([*audit_columns(data, waive=waive), *_edited(history, config, people, moment)], waive=waive)
    attributes = usable_columns(data, findings)
    declared = {*config.leads.known_at_creation, *config.leads.state}
    undeclared = tuple(name for name in attributes if name not in declared)
    if undeclared:
        notes.append(f"Used although not declared in [leads] known_at_creation: {', '.join(undeclared)}.")
    if config.leads.sensitive:
        notes.append(f"Not used, since sensitive: {', '.join(config.leads.sensitive)}.")
    return Opened(history, moment, people, findings, attributes, undeclared, (*history.notes, *notes))


def blocking_problems(findings: Sequence[Finding], config: Config) -> list[Problem]:
    """The audit's blocks that nobody waived, as problems of the leads file."""
    return [
        Problem(
            "leak",
            config.leads.path,
            f"{f.why} ({f.figure})",
            f"{f.remedy}; or name it in [leads] exclude, or in [audit] waive with a reason",
            column=f.column,
        )
        for f in findings
        if f.level == "block" and f.waived is None
    ]


def refuse_leaks(findings: Sequence[Finding], config: Config) -> None:
    """Stop a training whose columns give the outcome away.

    Raises
    ------
    DataRefused
    """
    problems = blocking_problems(findings, config)
    if problems:
        raise DataRefused(problems)


def _moment(history: History, config: Config, as_of: str | None) -> tuple[datetime | None, list[str]]:
    if not history.has_dates:
        return None, ["The history has no dates: nothing can be tested forward in time, and --as-of has no effect."]
    if as_of is not None:
        return config.moment(as_of), []
    newest = max(
        value
        for column in (history.leads["created_at"], history.outcomes["decided_at"])
        if (value := pc.max(column).as_py()) is not None
    )
    local = newest.astimezone(config.zone).date() + timedelta(days=1)
    moment = datetime.combine(local, time(), tzinfo=config.zone).astimezone(UTC)
    return moment, [f"No --as-of given: {local.isoformat()} is taken, the day after the newest creation or decision."]


def _later_events(history: History, moment: datetime | None) -> list[str]:
    if moment is None or not history.has_events:
        return []
    later = sum(history.event_type_counts().values()) - sum(history.event_type_counts(moment).values())
    return [f"{later:,} events happened or were recorded at or after the as-of moment: not looked at."] if later else []


def audit_input(history: History, config: Config, people: Population, moment: datetime | None) -> AuditInput:
    """What the leak audit looks at: the leads known at the moment, without columns that are kept away."""
    from mqlml.tape.local import changed_fields

    kept_away = {*config.leads.sensitive, *config.leads.exclude}
    hidden = [name for name in history.attributes.column_names if name in kept_away]
    won = people.outcome.copy()
    there = people.present
    if moment is not None and config.label.horizon_days is not None:
        # Without a word of loss, a lead whose horizon has passed was not won in it.
        mature = people.start + config.label.horizon_days * DAY <= as_microseconds(moment)
        won[np.isnan(won) & mature] = 0.0
    return AuditInput(
        attributes=history.attributes.drop_columns(hidden).filter(there),
        won=won[there],
        created=_time_axis(people, config, there),
        group=people.group[there],
        lead_order=np.flatnonzero(there),
        declared=frozenset(config.leads.known_at_creation),
        state=frozenset(config.leads.state),
        tracked=changed_fields(history),
    )


def _edited(history: History, config: Config, people: Population, moment: datetime | None) -> Iterator[Finding]:
    """What the table of changes says of columns that are written late."""
    if moment is None:
        return
    there, decided = people.present, last_decisions(people)
    times = {"created": people.created, "decided": decided}
    moments = {name: pa.array(at[there], pa.int64(), mask=abs(at[there]) >= NEVER) for name, at in times.items()}
    table = pa.table({"lead_id": people.lead_id.filter(pa.array(there)), **moments})
    yield from edited_late(
        count_edits(history, table, until=as_microseconds(moment)),
        columns=[name for name in history.attributes.column_names if name not in config.leads.sensitive],
        declared=frozenset(config.leads.known_at_creation),
        leads=int(there.sum()),
        closed=int((there & (abs(decided) < NEVER)).sum()),
    )


def last_decisions(people: Population) -> np.ndarray[Any, np.dtype[np.int64]]:
    """When each lead that is decided now was so; ``NEVER`` while it is open, ``LONG_AGO`` where nobody knows."""
    return np.where(np.isnan(people.outcome), NEVER, people.decisions.last(len(people.outcome)))


def _time_axis(people: Population, config: Config, there: np.ndarray[Any, np.dtype[np.bool_]]) -> Any:
    """Anything that grows with time: creation, else the declared order, else nothing."""
    if people.dated:
        return people.created[there]
    return None if config.leads.order is None else np.argsort(np.argsort(people.order[there], kind="stable"))
