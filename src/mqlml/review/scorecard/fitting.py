"""Choose a few rules and their points so that the sum stands for the model's log-odds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.review.scorecard.rules import Rule

__all__ = ["MOST_RULES", "choose_rules", "points_of"]

Floats = npt.NDArray[np.float64]

MOST_RULES = 12
_MOST_A_SUBJECT = 4
_POINTS = 100
# A rule for nearly everybody or nearly nobody is not worth a line.
_LEAST_SHARE = 0.01
_LEAST_GAIN = 1e-3
# Nearer to 0 or 1 an outcome that was not expected would count for a hundred others.
_LEAST_VARIANCE = 0.01
# Of a rule that others repeat nearly, less is left than is worth a line.
_LEAST_LEFT = 0.0025


def choose_rules(
    candidates: Sequence[Rule], table: pa.Table, p: Floats, *, won: Floats | None = None, most: int = MOST_RULES
) -> tuple[Rule, ...]:
    """Choose rules one by one, each time the one that brings the sum nearest to the model, and give them points.

    Orthogonal least squares (Chen, Billings and Luo 1989) with weights that are never negative. Where outcomes are
    given, rules are fitted to the log-odds that one step of logistic regression makes of the model's: on average these
    are the model's own, and where it is wrong the outcomes correct it.

    Parameters
    ----------
    candidates : sequence of Rule
    table : pa.Table
        Features of the leads.
    p : ndarray of float64, shape (rows,)
        Chances that the model gives them, 0..1, made without their outcomes.
    won : ndarray of float64, shape (rows,), optional
        Their outcomes, 0 or 1.
    most : int

    Returns
    -------
    tuple of Rule
        The rules with whole points that sum to about 100 where all hold, most points first; empty where nothing tells
        leads apart.
    """
    kept, holds = _worth_a_line(candidates, table)
    if not kept:
        return ()
    z = np.log(p / (1 - p))
    # A step in log-odds moves a chance by p (1 - p): near 0 and 1 the log-odds matter less than they seem.
    weight = np.sqrt(p * (1 - p))
    columns = _centred(holds, weight)
    worth = (z - np.average(z, weights=weight**2)) * weight
    wanted = z if won is None else z + (won - p) / np.maximum(p * (1 - p), _LEAST_VARIANCE)
    target = (wanted - np.average(wanted, weights=weight**2)) * weight
    return _whole(*_chosen(kept, columns, target, least=_LEAST_GAIN * float(worth @ worth), most=most))


def _chosen(
    kept: Sequence[Rule], columns: Floats, target: Floats, *, least: float, most: int
) -> tuple[list[Rule], Floats]:
    size = (columns**2).sum(axis=0)
    turned = np.zeros((len(target), 0))
    chosen: list[int] = []
    rest, points, left = target, np.zeros(0), float(target @ target)
    while len(chosen) < most:
        j = _next(kept, chosen, _gains(columns, size, turned, rest))
        if j is None:
            break
        tried = columns[:, [*chosen, j]]
        # The same least squares on a few rows.
        turned, small = np.linalg.qr(tried)
        found, _ = nnls(small, turned.T @ target)
        rest = target - tried @ found
        now = float(rest @ rest)
        if left - now < least:
            break
        chosen, points, left = [*chosen, j], found, now
    return [kept[j] for j in chosen], points


def _gains(columns: Floats, size: Floats, turned: Floats, rest: Floats) -> Floats:
    """What each candidate, less what the chosen ones repeat of it, takes away of what is left; -1 where little is."""
    shared = turned.T @ columns
    alone = size - (shared**2).sum(axis=0)
    towards = rest @ columns - (rest @ turned) @ shared
    return np.where(alone > _LEAST_LEFT * size, towards / np.sqrt(np.maximum(alone, 1e-12)), -1.0)


def points_of(rules: Sequence[Rule], table: pa.Table) -> Floats:
    """Points of each lead, shape (rows,)."""
    total = np.zeros(table.num_rows)
    for rule in rules:
        total += rule.points * rule.holds(table)
    return total


def _worth_a_line(candidates: Sequence[Rule], table: pa.Table) -> tuple[list[Rule], Floats]:
    kept, columns, seen = [], [], set()
    for rule in candidates:
        holds = rule.holds(table)
        same = holds.tobytes()
        if _LEAST_SHARE <= holds.mean() <= 1 - _LEAST_SHARE and same not in seen:
            seen.add(same)
            kept.append(rule)
            columns.append(holds)
    return kept, np.column_stack(columns).astype(np.float64) if columns else np.zeros((table.num_rows, 0))


def _centred(holds: Floats, weight: Floats) -> Floats:
    return (holds - np.average(holds, axis=0, weights=weight**2)) * weight[:, None]


def _next(kept: Sequence[Rule], chosen: Sequence[int], gain: Floats) -> int | None:
    """The candidate that takes most away of what is left; the earlier one where two take equally much."""
    taken = Counter(kept[j].subject for j in chosen)
    full = np.array([taken[rule.subject] >= _MOST_A_SUBJECT for rule in kept])
    gain[full] = -1.0
    gain[list(chosen)] = -1.0
    best = int(np.argmax(np.round(gain, 9)))
    return best if gain[best] > 0 else None


def _whole(rules: Sequence[Rule], points: Floats) -> tuple[Rule, ...]:
    total = points.sum()
    if total <= 0:
        return ()
    whole = np.round(_POINTS * points / total).astype(int)
    given = [replace(rule, points=int(n)) for rule, n in zip(rules, whole, strict=True) if n > 0]
    return tuple(sorted(given, key=lambda rule: (-rule.points, rule.feature)))
