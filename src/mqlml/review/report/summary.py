"""Everything a report says, as plain data: made once at training, stored in the bundle, drawn whenever wanted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from mqlml.learning.horizons import win_curves

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.contract import TableAccount
    from mqlml.learning.audit import Finding
    from mqlml.learning.judgement import Judgement
    from mqlml.learning.labels import Rows
    from mqlml.learning.snapshots import Population
    from mqlml.learning.windows import Plan

__all__ = ["accounting", "audit_lines", "evaluation", "plan_lines", "population_figures"]

_MOST_REASONS = 10


def population_figures(
    people: Population, rows: Rows, plan: Plan, config: Config, *, as_of: int | None
) -> dict[str, Any]:
    """Who the model learned from, in numbers."""
    curves = win_curves(people, config, as_of=as_of)
    outcome = people.outcome[people.present]
    closed = ~np.isnan(outcome)
    won = int(np.nansum(outcome))
    return {
        "leads": len(outcome),
        "accounts": len(np.unique(people.group[people.present])),
        "won": won,
        "lost": int(closed.sum()) - won,
        "open": int((~closed).sum()),
        "snapshots": len(rows),
        "snapshot_leads": len(np.unique(rows.lead)),
        "wins_in_snapshots": rows.winning_leads(),
        "sampled": rows.sampled,
        "horizon_days": config.label.horizon_days if rows.timing == "horizon" else None,
        "every_days": config.snapshots.every_days,
        "first_snapshot": _date(rows, int(rows.when.min())),
        "last_snapshot": _date(rows, int(rows.when.max())),
        "mode": plan.mode,
        "mode_sentence": plan.sentence,
        "base_rate": rows.base_rate,
        "target": config.label.target,
        "label_mode": config.label.mode,
        "young_snapshots": int((~rows.mature).sum()),
        "credit": {"used": config.outcomes.credit, "wins": dict(people.credit)},
        "lost_reasons": dict(list(people.lost_reasons.items())[:_MOST_REASONS]),
        "win_curves": None if curves is None else curves.to_dict(),
    }


def plan_lines(plan: Plan, rows: Rows) -> list[dict[str, Any]]:
    """The window plan as it is printed."""
    return [
        {
            "part": p.part,
            "from": _date(rows, p.first),
            "to": _date(rows, p.last),
            "snapshots": p.snapshots,
            "leads": p.leads,
            "wins": p.wins,
            "purpose": p.purpose,
        }
        for p in plan.parts
    ]


def evaluation(judgement: Judgement, rows: Rows) -> dict[str, Any]:
    """The judgement with readable dates."""
    found = dict(judgement.evaluation)
    window = dict(found["window"])
    found["window"] = {**window, "from": _date(rows, window["from"]), "to": _date(rows, window["to"])}
    return found


def audit_lines(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The audit's findings."""
    keys = ("level", "check", "column", "figure", "why", "remedy", "waived")
    return [{key: getattr(finding, key) for key in keys} for finding in findings]


def accounting(accounts: Sequence[TableAccount]) -> list[dict[str, Any]]:
    """Where the rows of each table went."""
    keys = ("table", "rows_in", "used", "quarantined")
    return [{**{key: getattr(a, key) for key in keys}, "skipped": dict(a.skipped)} for a in accounts]


def _date(rows: Rows, when: int) -> str | None:
    return _moment(when)[:10] if rows.timing in {"horizon", "final"} else None


def day(microseconds: int) -> str:
    """Date of a moment, ISO 8601."""
    return _moment(microseconds)[:10]


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).isoformat()
