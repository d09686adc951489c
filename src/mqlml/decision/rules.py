"""Hard rules beside the model: competitors, students, people who asked to be called; never mixed into the chance."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.errors import Problem, shown
from mqlml.history.queries import stage_names
from mqlml.learning.conditions import holds, needed_features, problems_of
from mqlml.learning.moments import NEVER, Flags, Integers, microseconds
from mqlml.learning.snapshots import mark_table
from mqlml.tape.build import build_features
from mqlml.tape.local import changed_fields

if TYPE_CHECKING:
    from mqlml.config import Condition, Config, HardRule
    from mqlml.history.contract import History
    from mqlml.learning.snapshots import Population

__all__ = ["Ruled", "Verdicts", "apply_rules", "known_then", "rule_problems", "under_rules"]

Texts = npt.NDArray[np.object_]

_SETTING = "[[policy.rules]]"


@dataclass(frozen=True)
class Verdicts:
    """What the rules say of each lead; arrays of shape (n,).

    Attributes
    ----------
    name : ndarray of object
        The rule that decides, None where the chance does.
    then : ndarray of object
        "never", "always", "sales-ready", or "" where the chance decides.
    """

    name: Texts
    then: Texts

    @classmethod
    def none(cls, n: int) -> Verdicts:
        """No rule holds."""
        return cls(np.full(n, None, dtype=object), np.full(n, "", dtype=object))

    def are(self, word: str) -> Flags:
        """Leads of which a rule says ``word``."""
        return np.asarray(self.then == word, dtype=bool)


@dataclass(frozen=True)
class Ruled:
    """Past snapshots of which a rule decided, so that a threshold says nothing of them.

    Attributes
    ----------
    row : ndarray of bool, shape (n,)
    leads : int
        Leads with such a snapshot.
    by_rule : dict of str to int
        The same by rule; a lead may count under several, one after the other.
    not_judged : tuple of str
        Rules that need today's value of a column: they could not be applied to the past.
    """

    row: Flags
    leads: int
    by_rule: dict[str, int]
    not_judged: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data without the rows; empty where there are no rules."""
        if not self.by_rule and not self.not_judged:
            return {}
        return {"leads": self.leads, "by_rule": self.by_rule, "not_judged": list(self.not_judged)}


def under_rules(config: Config, history: History, people: Population, lead: Integers, at: Integers) -> Ruled:
    """Judge the rules of past snapshots, each as of its own moment.

    Whoever a rule ``always`` has handed over is with sales: later snapshots of the lead are left out too.

    Parameters
    ----------
    config : Config
    history : History
    people : Population
    lead, at : ndarray of int64, shape (n,)
        Snapshots: lead of the population and moment in microseconds.
    """
    past, not_judged = known_then(config.policy.rules, history, config)
    if not past:
        return Ruled(np.zeros(len(lead), dtype=bool), 0, {}, tuple(not_judged))
    verdicts = apply_rules(past, history, mark_table(people, lead, at))
    always = verdicts.are("always")
    handed = np.full(people.group.shape, NEVER)
    np.minimum.at(handed, lead[always], at[always])
    row = (verdicts.then != "") | (at > handed[lead])
    by_rule = {rule.name: len(np.unique(lead[verdicts.name == rule.name])) for rule in past}
    return Ruled(np.asarray(row, dtype=bool), len(np.unique(lead[row])), by_rule, tuple(not_judged))


def rule_problems(
    rules: Sequence[HardRule], history: History, *, attributes: Collection[str] | None = None
) -> list[Problem]:
    """List what keeps rules from being judged: unknown columns, events and stages.

    Parameters
    ----------
    rules : sequence of HardRule
    history : History
    attributes : collection of str, optional
        Columns whose values may be looked at; by default all, as today's values are right for today's leads.
    """
    columns = history.attributes.column_names if attributes is None else attributes
    conditions = [c for rule in rules for c in rule.when]
    problems = problems_of(
        conditions,
        history,
        changed=changed_fields(history),
        attributes=columns,
        dated=history.has_dates,
        setting=_SETTING,
    )
    stages = stage_names(history)
    for rule in rules:
        if rule.stage is not None and rule.stage not in stages:
            there = ", ".join(f"'{shown(name)}'" for name in list(stages)[:10]) or "none"
            what = f"the rule '{rule.name}' names the stage '{shown(rule.stage)}', which no lead entered"
            problems.append(Problem("rules", "mqlml.toml", what, f"name one of the stages: {there}"))
    return problems


def known_then(rules: Sequence[HardRule], history: History, config: Config) -> tuple[tuple[HardRule, ...], list[str]]:
    """Split off the rules that need today's value of a column: for a past moment that value is hindsight.

    Returns
    -------
    tuple of (tuple of HardRule, list of str)
        The rules that can be judged as of the past, and the names of the others.
    """
    fixed = {*config.leads.known_at_creation, *changed_fields(history)}
    past = tuple(rule for rule in rules if all(c.column is None or c.column in fixed for c in rule.when))
    return past, [rule.name for rule in rules if rule not in past]


def apply_rules(rules: Sequence[HardRule], history: History, marks: pa.Table) -> Verdicts:
    """Judge the rules for leads at moments; the first one that holds decides.

    Parameters
    ----------
    rules : sequence of HardRule
        Without problems (see `rule_problems`).
    history : History
    marks : pa.Table
        ``lead_id`` and ``at``, as for ``build_features``: only what was known strictly before counts.
    """
    verdicts = Verdicts.none(marks.num_rows)
    conditions = [c for rule in rules for c in rule.when]
    table = _features(conditions, history, marks) if conditions and marks.num_rows else marks
    for rule in rules:
        found = _entered(rule.stage, history, marks) if rule.stage is not None else _all_hold(rule.when, table)
        decided = found & (verdicts.then == "")
        verdicts.name[decided], verdicts.then[decided] = rule.name, rule.then
    return verdicts


def _features(conditions: Sequence[Condition], history: History, marks: pa.Table) -> pa.Table:
    return build_features(history, marks, needed_features(conditions, history, changed_fields(history)))


def _all_hold(conditions: Sequence[Condition], table: pa.Table) -> Flags:
    every: Any = [holds(condition, table) for condition in conditions]
    return np.logical_and.reduce(every) if table.num_rows else np.zeros(0, dtype=bool)


def _entered(stage: str, history: History, marks: pa.Table) -> Flags:
    """Whether the lead of each mark had entered a stage strictly before it."""
    entries = history.stage_entries(stage)
    first = entries.group_by("lead_id").aggregate([("at", "min")])
    place = pc.index_in(marks["lead_id"].cast(pa.string()), value_set=first["lead_id"].combine_chunks())
    at = microseconds(first["at_min"].take(place), NEVER)
    return np.asarray(at < microseconds(marks["at"], NEVER), dtype=bool)
