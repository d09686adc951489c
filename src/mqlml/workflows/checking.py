"""Checking a history before anything is learned: what is usable, what gives the outcome away, whether it suffices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mqlml.decision.rules import rule_problems
from mqlml.errors import DataRefused
from mqlml.history.extracting import read_extract
from mqlml.history.reading import read_history
from mqlml.learning.audit import in_order
from mqlml.learning.audit_changes import Extract, changed_between
from mqlml.learning.labels import labelled_rows
from mqlml.learning.moments import LONG_AGO, microseconds
from mqlml.learning.outlook import attributes_alone, reach_of_test
from mqlml.learning.present import present_problems
from mqlml.learning.windows import Plan, plan_windows
from mqlml.review.report import summary as figures_of
from mqlml.tape.local import changed_fields
from mqlml.workflows.opening import Opened, audit_input, blocking_problems, last_decisions, open_history

if TYPE_CHECKING:
    from pathlib import Path

    from mqlml.config import Config
    from mqlml.history.attributes import AttributeKind

__all__ = ["check"]


def check(config: Config, *, as_of: str | None = None, previous: Path | None = None) -> dict[str, Any]:
    """Look at a history as a training would, without training.

    Parameters
    ----------
    config : Config
    as_of : str, optional
        A date or an ISO timestamp; by default the day after the newest creation or decision.
    previous : Path, optional
        An earlier extract of the leads: columns whose values differ are found, and those written as leads close.

    Returns
    -------
    dict
        ``as_of``, ``accounting``, ``notes``, ``audit``; ``population``, ``plan`` and ``outlook`` where labels can be
        made; and ``problems``: what would stop a training or a scoring, in the words of its error.

    Raises
    ------
    DataRefused
        The files cannot be read as a history at all.
    """
    with read_history(config) as history:
        opened = open_history(history, config, as_of=as_of)
        if previous is not None:
            opened = _compared(opened, config, previous)
        present = present_problems(history, config, attributes=opened.attributes)
        rules = rule_problems(config.policy.rules, history)
        problems = [str(p) for p in (*blocking_problems(opened.audit, config), *present, *rules)]
        found: dict[str, Any] = {
            "as_of": None if opened.as_of is None else opened.as_of.isoformat(),
            "accounting": figures_of.accounting(history.accounts),
            "notes": list(opened.notes),
            "audit": figures_of.audit_lines(opened.audit),
            "attributes": list(opened.attributes),
            "problems": problems,
        }
        try:
            rows = labelled_rows(opened.people, config, as_of=opened.moment)
        except DataRefused as refusal:
            problems += [str(p) for p in refusal.problems]
            return found
        plan = plan_windows(rows, origins=config.model.origins, seed=config.model.seed)
        found["notes"] += rows.notes
        found["population"] = figures_of.population_figures(opened.people, rows, plan, config, as_of=opened.moment)
        found["plan"] = figures_of.plan_lines(plan, rows)
        found["outlook"] = _outlook(opened, config, plan, won=found["population"]["won"])
        return found


def _outlook(opened: Opened, config: Config, plan: Plan, *, won: int) -> dict[str, Any]:
    """What a training could make of it: what is there, what is missing, how exactly a test would tell."""
    history = opened.history
    data = audit_input(history, config, opened.people, opened.as_of)
    alone = attributes_alone(data, opened.attributes)
    types = history.event_type_counts(opened.as_of) if history.has_events else {}
    optional = {"events": True, "history": bool(config.leads.state), "handovers": True}
    return {
        "attributes": len(opened.attributes),
        "event_types": len(types),
        "events": sum(types.values()),
        "won": won,
        "missing": [name for name, helps in optional.items() if helps and getattr(config, name) is None],
        "reach": reach_of_test(plan.parts[-1]),
        "alone": None if alone is None else vars(alone),
    }


def _compared(opened: Opened, config: Config, previous: Path) -> Opened:
    """Add what an earlier extract tells to the audit; columns that it blocks may not be learned from."""
    history, people = opened.history, opened.people
    beside = {*changed_fields(history), *config.leads.state, *config.leads.sensitive}
    names = [name for name in history.attributes.column_names if name not in beside]
    attributes = history.attributes.select(names)
    kinds: dict[str, AttributeKind] = {
        f.name: "number" if pa.types.is_floating(f.type) else "category" for f in attributes.schema
    }
    leads, before = read_extract(config, previous, kinds=kinds)
    there = pa.array(people.present)
    place = pc.index_in(people.lead_id.filter(there), value_set=leads["lead_id"].combine_chunks())
    newest = int(microseconds(leads["created_at"], LONG_AGO).max(initial=LONG_AGO))
    moment = newest if newest > LONG_AGO else None
    extract = Extract(before, pc.fill_null(place, -1).to_numpy().astype("int64"), moment)
    found = changed_between(
        attributes.filter(there),
        extract,
        won=people.outcome[people.present],
        decided=last_decisions(people)[people.present],
        declared=frozenset(config.leads.known_at_creation),
    )
    findings = in_order([*opened.audit, *found], waive=config.audit.waive)
    blocked = {f.column for f in findings if f.level == "block" and f.waived is None}
    common = int((extract.place >= 0).sum())
    note = f"{common:,} of {len(extract.place):,} leads stand in the earlier extract {previous.name} too."
    return replace(
        opened,
        audit=findings,
        attributes=tuple(name for name in opened.attributes if name not in blocked),
        notes=(*opened.notes, note),
    )
