"""Everything a report says, as plain data: made once at training, stored in the bundle, drawn whenever wanted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from mqlml.decision.policy import ACTIONS, TIERS
from mqlml.learning.evaluation import binomial_interval
from mqlml.learning.horizons import win_curves
from mqlml.learning.snapshots import DAY

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.decision.policy import Policy
    from mqlml.decision.replay import Replay
    from mqlml.history.contract import TableAccount
    from mqlml.learning.audit import Finding
    from mqlml.learning.judgement import Judgement
    from mqlml.learning.labels import Rows
    from mqlml.learning.snapshots import Population
    from mqlml.learning.windows import Plan

__all__ = ["accounting", "audit_lines", "decision", "evaluation", "plan_lines", "population_figures"]

_GRID_SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8)
# An alternative that hands over nearly the same leads is none.
_LEAST_CHANGE = 0.15
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


def decision(policy: Policy, replay: Replay, rows: Rows, config: Config, *, seed: int) -> dict[str, Any]:
    """The threshold with its evidence, alternatives around it and the tiers."""
    # Without a threshold the best of each file are taken; the replay shows what a file of all tested leads would give.
    threshold = policy.threshold if policy.threshold is not None else _share_threshold(replay, policy.take or 1)
    outcome = replay.outcome(threshold, replay.resampler(seed=seed))
    days = config.label.horizon_days
    within = f"within {days} days of being handed over" if rows.timing == "horizon" else "in the end"
    won = "won" if config.label.target == "won" else f"that enter '{config.label.target}'"
    return {
        "kind": policy.kind,
        "rule": policy.rule,
        "assumption": policy.assumption,
        "threshold": policy.threshold,
        "mqls_per_week": outcome.per_week,
        "win_rate": outcome.win_rate.to_dict(),
        "share_of_wins": outcome.share_of_wins.to_dict(),
        "share_of_leads": outcome.share_of_leads,
        "base_rate": _lead_rate(replay),
        "lift": outcome.lift.to_dict(),
        "mqls": outcome.mqls,
        "wins": outcome.wins,
        "weeks": len(np.unique(replay.week)) if replay.dated else None,
        "estimand": f"Share of leads {won} {within}; what sales did then is part of it.",
        "grid": _grid(replay, threshold),
        "tiers": _tiers(policy, replay, threshold),
        "weeks_replayed": _weeks(replay, threshold),
    }


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


def _grid(replay: Replay, chosen: float) -> list[dict[str, Any]]:
    lines = []
    for threshold in sorted({chosen, *_alternatives(replay, chosen)}, reverse=True):
        o = replay.outcome(threshold)
        low, high = binomial_interval(o.wins, o.mqls) if o.mqls else (0.0, 1.0)
        lines.append(
            {
                "threshold": threshold,
                "mqls_per_week": o.per_week["median"] if o.per_week else None,
                "win_rate": o.win_rate.value if o.mqls else None,
                "win_rate_low": low,
                "win_rate_high": high,
                "share_of_wins": o.share_of_wins.value,
                "share_of_leads": o.share_of_leads,
                "chosen": threshold == chosen,
            }
        )
    return lines


def _alternatives(replay: Replay, chosen: float) -> list[float]:
    """Thresholds that hand over round shares of the leads, but not nearly as many as the chosen one."""
    _, first = np.unique(replay.lead, return_index=True)
    best = np.maximum.reduceat(replay.p, first)
    now = float((best >= chosen).mean())
    shares = [share for share in _GRID_SHARES if abs(share - now) > _LEAST_CHANGE * now]
    return [float(t) for t in np.quantile(best, 1 - np.array(shares), method="higher")]


def _tiers(policy: Policy, replay: Replay, threshold: float) -> list[dict[str, Any]]:
    """Each tested lead in the highest tier it reached, from its first snapshot there."""
    bounds = {"cold": 0.0, "nurture": min(policy.nurture, threshold), "mql": threshold, "hot": policy.hot}
    uppers = {"cold": bounds["nurture"], "nurture": threshold, "mql": policy.hot, "hot": 1.0}
    leads = len(np.unique(replay.lead))
    seen: set[int] = set()
    lines = []
    for tier in reversed(TIERS):
        rows = [r for r in replay.crossings(bounds[tier]) if int(replay.lead[r]) not in seen]
        seen |= {int(replay.lead[r]) for r in rows}
        n, wins = len(rows), int(replay.won[rows].sum()) if rows else 0
        low, high = binomial_interval(wins, n) if n else (None, None)
        rate = {"value": wins / n if n else None, "low": low, "high": high}
        span = {"tier": tier, "from": bounds[tier], "to": uppers[tier], "share_of_leads": n / max(leads, 1)}
        lines.append({**span, "win_rate": rate, "leads": n, "wins": wins, "action": ACTIONS[tier]})
    return lines


def _weeks(replay: Replay, threshold: float) -> list[dict[str, Any]]:
    if replay.first_moment is None:
        return []
    crossed = replay.crossings(threshold)
    lines = []
    for week, count in zip(*replay.weekly(threshold), strict=True):
        wins = float(replay.won[crossed][replay.week[crossed] == week].sum()) / replay.sampled
        begins = _moment(replay.first_moment + int(week) * 7 * DAY)[:10]
        lines.append({"week": begins, "mqls": round(float(count)), "wins": round(wins)})
    return lines


def _share_threshold(replay: Replay, take: int) -> float:
    return float(np.sort(replay.p)[::-1][min(take, len(replay.p)) - 1])


def _lead_rate(replay: Replay) -> float:
    """Share of the replayed leads that were won within the horizon of one of their snapshots, 0..1."""
    _, first = np.unique(replay.lead, return_index=True)
    return float(np.maximum.reduceat(replay.won, first).mean())


def _date(rows: Rows, when: int) -> str | None:
    return _moment(when)[:10] if rows.timing in {"horizon", "final"} else None


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).isoformat()
