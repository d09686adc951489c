"""The decision in plain data: the threshold with its evidence, others around it, tiers and what would change it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from mqlml import config
from mqlml.decision.choosing import counted
from mqlml.decision.drift import drift, newest_part
from mqlml.decision.evidence import Evidence, net_benefit
from mqlml.decision.policy import ACTIONS, TIERS
from mqlml.decision.sensitivity import sensitivity
from mqlml.errors import shown
from mqlml.learning.evaluation import binomial_interval
from mqlml.learning.snapshots import DAY

if TYPE_CHECKING:
    from mqlml.decision.basis import Basis
    from mqlml.decision.policy import Policy
    from mqlml.decision.replay import Replay

__all__ = ["decision"]

_GRID_SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8)
# An alternative that hands over nearly the same leads is none.
_LEAST_CHANGE = 0.15
_CURVE = 40


def decision(policy: Policy, basis: Basis) -> dict[str, Any]:
    """Give everything a report and ``mqlml threshold`` say of a policy.

    Parameters
    ----------
    policy : Policy
    basis : Basis
    """
    settings = config.Policy.of(policy.settings)
    name = "worth_column" if settings.value_column is not None else "worth_learned"
    replay = counted(basis.replay, policy.unit, policy.cost, name)
    value = settings.value if isinstance(settings.value, float) else None
    evidence = Evidence(replay, seed=basis.seed, cost=settings.cost, value=value)
    # Without a threshold the best of each file are taken; the replay shows what a file of all tested leads would give.
    threshold = policy.threshold if policy.threshold is not None else _share_threshold(replay, policy.take or 1)
    chosen = evidence.line(threshold)
    lines = [chosen if t == threshold else evidence.line(t) for t in _thresholds(replay, threshold)]
    return {
        "kind": policy.kind,
        "rule": policy.rule,
        "assumption": policy.assumption,
        "threshold": policy.threshold,
        "unit": policy.unit,
        "mqls_per_week": chosen["per_week"],
        **{key: chosen[key] for key in ("win_rate", "share_of_wins", "share_of_leads", "lift", "lift_over_present")},
        **{key: chosen[key] for key in ("mqls", "wins", "of_100", "value")},
        "base_rate": evidence.base_rate,
        "weeks": len(np.unique(replay.week)) if replay.dated else None,
        "estimand": _estimand(basis),
        "ruled": _ruled(basis),
        "certificate": policy.certificate,
        "drift": _drift(replay, threshold, policy),
        "grid": [_grid_line(line, chosen=line["threshold"] == threshold) for line in lines],
        "net_benefit": net_benefit(replay, _curve(replay, threshold)),
        "sensitivity": sensitivity(settings, basis),
        "tiers": _tiers(policy, replay, threshold),
        "weeks_replayed": _weeks(replay, threshold),
    }


def _estimand(basis: Basis) -> str:
    days = basis.horizon_days
    within = "in the end" if days is None else f"within {days} days of being handed over"
    won = "won" if basis.target == "won" else f"that enter '{basis.target}'"
    return f"Share of leads {won} {within}; what sales did then is part of it."


def _ruled(basis: Basis) -> str | None:
    """Who is left out of all these figures, in words; None where there are no rules."""
    found = basis.ruled
    if not found:
        return None
    said = []
    if found["by_rule"]:
        names = ", ".join(f"{shown(name)} {n:,}" for name, n in found["by_rule"].items())
        said.append(f"{found['leads']:,} leads under rules, not counted here ({names}).")
    if found["not_judged"]:
        names = ", ".join(f"'{shown(name)}'" for name in found["not_judged"])
        said.append(f"Rules that need today's value of a column could not be applied to past weeks: {names}.")
    return " ".join(said)


def _drift(replay: Replay, threshold: float, policy: Policy) -> dict[str, Any] | None:
    """The window the promise rests on, or all earlier ones, against the newest."""
    parts = newest_part(replay)
    if parts is None or policy.threshold is None:
        return None
    promised = None if policy.certificate is None else policy.certificate["target"]
    return drift(*parts, threshold, promised=promised)


def _grid_line(line: dict[str, Any], *, chosen: bool) -> dict[str, Any]:
    """One row of the table of thresholds: the evidence without what only the chosen one needs."""
    week, rate, value = line["per_week"], line["win_rate"], line["value"]
    return {
        "threshold": line["threshold"],
        "mqls_per_week": None if week is None else week["median"],
        "mqls_per_week_low": None if week is None else week["p10"],
        "mqls_per_week_high": None if week is None else week["p90"],
        "win_rate": rate["value"],
        "win_rate_low": rate["low"],
        "win_rate_high": rate["high"],
        "share_of_wins": line["share_of_wins"]["value"],
        "share_of_wins_low": line["share_of_wins"]["low"],
        "share_of_wins_high": line["share_of_wins"]["high"],
        "share_of_leads": line["share_of_leads"],
        "lift": line["lift"]["value"],
        "value_per_mql": None if value is None else value["per_mql"]["value"],
        "net_per_week": None if value is None else value["net_per_week"],
        "accepted_of_100": line["of_100"]["accepted"],
        "opportunity_of_100": line["of_100"]["opportunity"],
        "chosen": chosen,
    }


def _thresholds(replay: Replay, chosen: float) -> list[float]:
    """The chosen threshold and others that hand over round shares of the leads, not nearly as many; falling."""
    _, first = np.unique(replay.lead, return_index=True)
    best = np.maximum.reduceat(replay.p, first)
    now = float((best >= chosen).mean())
    shares = [share for share in _GRID_SHARES if abs(share - now) > _LEAST_CHANGE * now]
    others = [float(t) for t in np.quantile(best, 1 - np.array(shares), method="higher")]
    return sorted({chosen, *others}, reverse=True)


def _curve(replay: Replay, chosen: float) -> list[float]:
    """Rising thresholds up to thrice the chosen one, which is among them, or to where hardly a lead is left."""
    top = min(float(np.quantile(replay.p, 0.999)), max(3 * chosen, 0.1))
    return sorted({min(chosen, 0.99), *np.linspace(0, min(max(top, 1.2 * chosen), 0.95), _CURVE).tolist()})


def _tiers(policy: Policy, replay: Replay, threshold: float) -> list[dict[str, Any]]:
    """Each tested lead in the highest tier it reached, from its first snapshot there."""
    bounds = {"cold": 0.0, "nurture": min(policy.nurture, threshold), "mql": threshold, "hot": policy.hot}
    uppers = {"cold": bounds["nurture"], "nurture": threshold, "mql": policy.hot, "hot": 1.0}
    leads = len(np.unique(replay.lead))
    # Leads that are not worth their cost are none the less nurtured.
    everybody = replace(replay, payable=None)
    seen: set[int] = set()
    lines = []
    for tier in reversed(TIERS):
        looked = replay if tier in ("hot", "mql") else everybody
        rows = [r for r in looked.crossings(bounds[tier]) if int(replay.lead[r]) not in seen]
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
        begins = datetime.fromtimestamp((replay.first_moment + int(week) * 7 * DAY) / 1_000_000, UTC).isoformat()[:10]
        lines.append({"week": begins, "mqls": round(float(count)), "wins": round(wins)})
    return lines


def _share_threshold(replay: Replay, take: int) -> float:
    return float(np.sort(replay.p)[::-1][min(take, len(replay.p)) - 1])
