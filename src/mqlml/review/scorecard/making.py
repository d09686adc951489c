"""A scorecard with its cut-off, and how true it stays to the model and to the outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.stats import rankdata

from mqlml.review.scorecard.fitting import MOST_RULES, choose_rules, points_of
from mqlml.review.scorecard.rules import Rule, rules_for

if TYPE_CHECKING:
    from mqlml.tape.features import Feature

__all__ = ["Seen", "make_scorecard"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_ROWS_TO_LEARN = 20_000
# Outcomes of fewer leads than this, of the rarer kind, are left aside: they would add more chance than truth.
_LEADS_TO_HEAR = 2_000


@dataclass(frozen=True)
class Seen:
    """Snapshots that a model was tested on.

    Attributes
    ----------
    table : pa.Table
        Their features.
    p, won : ndarray of float64, shape (rows,)
        Chances given before the outcome was known, and the outcome, 0 or 1.
    held_out : ndarray of bool, shape (rows,)
        Rows on which a scorecard that was made without them is judged: the newest window, or some accounts.
    where : str
        Those rows in words, such as "the newest tested snapshots".
    qualify : ndarray of bool, shape (rows,)
        Whether the model's threshold makes them MQLs.
    present : ndarray of float64, shape (rows,), or None
        What the present rule says of them.
    lead : ndarray of int64, shape (rows,), or None
        Whose snapshots they are; None: of a lead each.
    """

    table: pa.Table
    p: Floats
    won: Floats
    held_out: Flags
    where: str
    qualify: Flags
    present: Floats | None = None
    lead: npt.NDArray[np.int64] | None = None

    def tells(self, inside: Flags) -> bool:
        """Whether enough leads were won, and were not, for outcomes to correct the model."""
        lead = np.arange(len(self.p)) if self.lead is None else self.lead
        won = len(np.unique(lead[inside & (self.won > 0)]))
        lost = len(np.unique(lead[inside & (self.won == 0)]))
        return min(won, lost) >= _LEADS_TO_HEAR


def make_scorecard(
    seen: Seen,
    features: Sequence[Feature],
    named: Mapping[str, frozenset[str]],
    *,
    seed: int,
    most: int = MOST_RULES,
) -> dict[str, Any]:
    """Distil a model into at most ``most`` rules.

    Parameters
    ----------
    seen : Seen
    features : sequence of Feature
        Those that the model looks at.
    named : mapping of str to frozenset of str
        Levels that the model names, by feature.
    seed : int
        Draws the snapshots that rules are chosen on, where there are very many.

    Returns
    -------
    dict
        ``rules`` (points, words, share of leads, win rates), ``cut`` (points of an MQL), ``most`` (points by group)
        and ``fidelity``; plain data. ``rules`` is empty where no rule tells leads apart.
    """
    before = _rules(seen, ~seen.held_out, features, named, seed, most) if 0 < seen.held_out.mean() < 1 else ()
    rules = _rules(seen, np.ones(len(seen.p), dtype=bool), features, named, seed, most)
    points = points_of(rules, seen.table)
    cut = _cut(points, share=float(seen.qualify.mean()))
    return {
        "rules": [_described(rule, seen) for rule in rules],
        "cut": cut,
        "most": {group: sum(r.points for r in rules if r.group == group) for group in ("fit", "engagement")},
        "fidelity": _fidelity(seen, before) if before and rules else None,
    }


def _rules(
    seen: Seen,
    inside: Flags,
    features: Sequence[Feature],
    named: Mapping[str, frozenset[str]],
    seed: int,
    most: int,
) -> tuple[Rule, ...]:
    row = np.flatnonzero(inside)
    if len(row) > _ROWS_TO_LEARN:
        row = np.sort(np.random.default_rng(seed).choice(row, _ROWS_TO_LEARN, replace=False))
    table, p = seen.table.take(pa.array(row)), np.clip(seen.p[row], 1e-6, 1 - 1e-6)
    z = np.log(p / (1 - p))
    candidates = [r for f in features for r in rules_for(f, table, z, named=named.get(f.name, frozenset()))]
    return choose_rules(candidates, table, p, won=seen.won[row] if seen.tells(inside) else None, most=most)


def _cut(points: Floats, *, share: float) -> int:
    """Least points of an MQL, so that the share of MQLs is nearest to the model's."""
    cuts = np.arange(1, int(points.max(initial=0)) + 2)
    shares = np.array([(points >= cut).mean() for cut in cuts])
    return int(cuts[np.argmin(np.abs(shares - share))])


def _described(rule: Rule, seen: Seen) -> dict[str, Any]:
    holds = rule.holds(seen.table)
    return {
        **rule.to_dict(),
        "share": float(holds.mean()),
        "win_rate": float(seen.won[holds].mean()) if holds.any() else None,
        "win_rate_without": float(seen.won[~holds].mean()) if not holds.all() else None,
    }


def _fidelity(seen: Seen, rules: Sequence[Rule]) -> dict[str, Any]:
    """Figures of rules on rows that they were chosen without, at the model's volume."""
    inside = np.flatnonzero(seen.held_out)
    points = points_of(rules, seen.table.take(pa.array(inside)))
    p, won, qualify = seen.p[inside], seen.won[inside], seen.qualify[inside]
    many = int(qualify.sum())
    cut = _cut(points_of(rules, seen.table), share=float(seen.qualify.mean()))
    orders = {"scorecard": points, "model": p}
    if seen.present is not None:
        orders["present rule"] = seen.present[inside]
    return {
        "where": seen.where,
        "snapshots": len(inside),
        "wins": int(won.sum()),
        "mqls": many,
        "same_decision": float(((points >= cut) == qualify).mean()),
        "auc": {name: _auc(won, order) for name, order in orders.items()},
        "win_rate": {name: _top_rate(order, won, many) for name, order in orders.items()},
        "base_rate": float(won.mean()),
    }


def _auc(won: Floats, order: Floats) -> float | None:
    wins = int(won.sum())
    if not 0 < wins < len(won):
        return None
    ranks = rankdata(order)
    return float((ranks[won > 0].sum() - wins * (wins + 1) / 2) / (wins * (len(won) - wins)))


def _top_rate(order: Floats, won: Floats, many: int) -> float | None:
    """Win rate of the best ``many``; equal ones at the border count in part."""
    if many == 0:
        return None
    border = np.sort(order)[-many]
    above, equal = order > border, order == border
    return float((won[above].sum() + (many - above.sum()) * won[equal].mean()) / many)
