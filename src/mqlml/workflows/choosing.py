"""Choosing MQLs when all scores are back: they wait on disk, and only what decides is held in memory."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mqlml.decision.control import leads_until_informative, weeks_until_informative
from mqlml.decision.memory import overrides, remember, week_start
from mqlml.decision.rules import Verdicts, apply_rules, rule_problems
from mqlml.decision.selection import Candidates, applied_version, select
from mqlml.errors import DataRefused, UsageError
from mqlml.learning.moments import LONG_AGO, NEVER, as_microseconds
from mqlml.learning.snapshots import mark_table
from mqlml.operation.scoring import SCORES, Scored

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.decision.memory import Listed
    from mqlml.decision.policy import Policy
    from mqlml.decision.selection import Selection
    from mqlml.learning.moments import Integers
    from mqlml.tape.features import FeatureSet
    from mqlml.workflows.opening import Opened

__all__ = ["Choosing", "Waiting", "chosen", "teams_of", "waiting"]


class Waiting:
    """Scores that wait on disk; what decides is in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sink = pa.ipc.new_stream(str(path), SCORES, options=pa.ipc.IpcWriteOptions(compression="lz4"))
        self._kept: list[pa.Table] = []

    def add(self, scored: Scored) -> None:
        """Put scores aside."""
        self._sink.write_table(scored.scores)
        self._kept.append(scored.deciding())

    def close(self) -> pa.Table:
        """Nothing more comes: what decides, of all of them."""
        self._sink.close()
        return pa.concat_tables(self._kept or [Scored(SCORES.empty_table(), None).deciding()])

    def batches(self) -> Iterator[pa.Table]:
        """Everything that was put aside, in order, in pieces."""
        with pa.memory_map(str(self._path)) as source, pa.ipc.open_stream(source) as stream:
            for batch in stream:
                yield pa.Table.from_batches([batch])


@contextmanager
def waiting() -> Iterator[Waiting]:
    """Room on disk for scores that wait."""
    with TemporaryDirectory(prefix="mqlml-") as folder:
        yield Waiting(Path(folder) / "scores.arrows")


@dataclass(frozen=True)
class Choosing:
    """Everything that decides beside the chances.

    Attributes
    ----------
    config : Config
    policy : Policy
    opened : Opened
    features : FeatureSet
        The model's.
    lead : ndarray of int64, shape (n,)
    listed : Listed or None
    walking : bool
        Whether this is a past week played again: a week begins with each list, and everybody on it is handed over.
    """

    config: Config
    policy: Policy
    opened: Opened
    features: FeatureSet
    lead: Integers
    listed: Listed | None
    walking: bool = False

    @property
    def version(self) -> str:
        """Of the policy as it is applied."""
        return applied_version(self.policy, self.config.policy)

    def check(self) -> None:
        """Refuse rules and columns that the history does not know, before anything is scored.

        Raises
        ------
        DataRefused, UsageError
        """
        problems = rule_problems(self.config.policy.rules, self.opened.history)
        if problems:
            raise DataRefused(problems)
        teams_of(self.opened, self.config)

    def select(self, scores: pa.Table) -> Selection:
        """Choose among the scored leads.

        Parameters
        ----------
        scores : pa.Table
            Of ``lead``, in that order, as `mqlml.operation.scoring.Scored.deciding` gives them.
        """
        opened, lead, settings = self.opened, self.lead, self.config.policy
        people, as_of = opened.people, opened.moment
        week = as_of if self.walking or opened.as_of is None else as_microseconds(week_start(opened.as_of, self.config))
        team = teams_of(opened, self.config)
        began = people.episodes(int(NEVER) if as_of is None else as_of)[0]
        marks = mark_table(people, lead, np.full(len(lead), NEVER if as_of is None else as_of))
        rules = settings.rules
        candidates = Candidates(
            lead_id=np.asarray(scores["lead_id"].to_pylist(), dtype=object),
            account=people.group[lead],
            p=scores["probability"].to_numpy(),
            began=began[lead],
            verdicts=apply_rules(rules, opened.history, marks) if rules else Verdicts.none(len(lead)),
            fit=np.asarray(scores["fit_grade"].to_pylist(), dtype=object),
            team=None if team is None else team[lead],
            worth=None if self.policy.worth is None else scores["worth"].to_numpy(),
        )
        memory = remember(
            opened.history,
            people,
            lead,
            as_of=as_of,
            week=week,
            features=self.features,
            listed=self.listed,
            team=team,
            handed_at_once=self.walking,
        )
        return select(candidates, self.policy, settings, memory, as_of=as_of)

    def facts(self, selection: Selection, p: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[dict[str, Any], list[str]]:
        """What the manifest says of the choice, and notes for people."""
        counts = dict(selection.counts)
        if self.opened.as_of is not None and self.opened.moment is not None:
            since = as_microseconds(week_start(self.opened.as_of, self.config))
            counts["overrides_this_week"] = overrides(self.opened.history, since=since, as_of=self.opened.moment)
        return counts, [*self._notes(counts), *self._control_note(selection, p)]

    def _notes(self, counts: dict[str, Any]) -> Iterator[str]:
        weekly, settings = self.policy.per_week, self.config.policy
        if counts["waits"] and weekly is not None:
            rate = weekly + settings.backlog_per_week
            weeks = -(-counts["waits"] // rate)
            taken = (
                f"; {counts['used_this_week']:,} of this week's were taken before" if counts["used_this_week"] else ""
            )
            yield (
                f"{counts['waits']:,} leads above the line wait for a place: there are {weekly:,} a week, and "
                f"{settings.backlog_per_week:,} more for those who wait{taken}. That is {weeks:,} "
                f"week{'' if weeks == 1 else 's'} of work; [policy] backlog_per_week releases more."
            )
        for why, count in counts["held_back"].items():
            yield f"{count:,} lead{' is' if count == 1 else 's are'} held back above the line: {why}."
        if counts["without_team"]:
            names = ", ".join(f"'{name}' ({n:,})" for name, n in counts["without_team"].items())
            yield (
                f"Leads above the line without a place, since [policy] capacities do not name their "
                f"'{settings.capacity_by}': {names}. Name them, or 'other' for the rest."
            )

    def _control_note(self, selection: Selection, p: np.ndarray[Any, np.dtype[np.float64]]) -> Iterator[str]:
        per_week, horizon = self.config.policy.control_per_week, self.config.label.horizon_days
        below = p[~selection.is_mql]
        if not per_week or horizon is None or not len(below):
            return
        rate = float(below.mean())
        weeks = weeks_until_informative(rate, per_week, horizon_days=horizon)
        yield (
            f"{selection.counts['control']:,} control leads below the line. {leads_until_informative(rate):,} "
            f"are needed until their win rate (about {100 * rate:.1f} %) is known to within half of itself: {weeks:,} "
            "weeks. "
            "Leave them out of what sales is measured by."
        )


def chosen(table: pa.Table, selection: Selection, start: int, *, policy_version: str) -> pa.Table:
    """Put the choice into scores; ``start`` is the number of their first row."""
    rows = slice(start, start + table.num_rows)
    since = selection.since[rows]
    columns = {
        "is_mql": selection.is_mql[rows],
        "tier": pa.array(selection.tier[rows], pa.string()),
        "change": pa.array(selection.change[rows], pa.string()),
        "mql_since": pa.array(since, pa.int64(), mask=(since >= NEVER) | (since <= LONG_AGO)).cast(
            SCORES.field("mql_since").type
        ),
        "attached_to": pa.array(selection.attached_to[rows], pa.string()),
        "control": selection.control[rows],
        "rule": pa.array(selection.rule[rows], pa.string()),
        "policy_version": np.full(table.num_rows, policy_version),
    }
    return pa.table({name: columns.get(name, table[name]) for name in SCORES.names}, schema=SCORES)


def teams_of(opened: Opened, config: Config) -> np.ndarray[Any, np.dtype[np.object_]] | None:
    """Value of ``[policy] capacity_by`` of every lead, empty where there is none; None where nothing was set.

    Raises
    ------
    UsageError
        The leads have no such attribute; names the nearest.
    """
    name, attributes = config.policy.capacity_by, opened.history.attributes
    if name is None:
        return None
    if name not in attributes.column_names:
        near = difflib.get_close_matches(name, attributes.column_names, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'?" if near else f"columns: {', '.join(attributes.column_names)}"
        raise UsageError(f"[policy] capacity_by: '{name}' is no attribute of the leads.", hint=hint)
    values = attributes[name].cast(pa.string()).to_pylist()
    return np.asarray(["" if value is None else value for value in values], dtype=object)
