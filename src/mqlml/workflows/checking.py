"""Checking a history before anything is learned: what is usable, what gives the outcome away, whether it suffices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mqlml.decision.rules import rule_problems
from mqlml.errors import DataRefused
from mqlml.history.reading import read_history
from mqlml.learning.labels import labelled_rows
from mqlml.learning.present import present_problems
from mqlml.learning.windows import plan_windows
from mqlml.review.report import summary as figures_of
from mqlml.workflows.opening import blocking_problems, open_history

if TYPE_CHECKING:
    from mqlml.config import Config

__all__ = ["check"]


def check(config: Config, *, as_of: str | None = None) -> dict[str, Any]:
    """Look at a history as a training would, without training.

    Returns
    -------
    dict
        ``as_of``, ``accounting``, ``notes``, ``audit``, ``population`` and ``plan`` where labels can be made, and
        ``problems``: what would stop a training or a scoring, in the words of its error.

    Raises
    ------
    DataRefused
        The files cannot be read as a history at all.
    """
    with read_history(config) as history:
        opened = open_history(history, config, as_of=as_of)
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
        return found
