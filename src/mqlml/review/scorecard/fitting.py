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
_MOST_A_SUBJECT = 3
_POINTS = 100
# A rule for nearly everybody or nearly nobody is not worth a line.
_LEAST_SHARE = 0.01
_LEAST_GAIN = 1e-3


def choose_rules(candidates: Sequence[Rule], table: pa.Table, p: Floats, *, most: int = MOST_RULES) -> tuple[Rule, ...]:
    """Choose rules one by one, each time the one that brings the sum nearest to the model, and give them points.

    Orthogonal matching pursuit (Pati, Rezaiifar and Krishnaprasad 1993) with weights that are never negative.

    Parameters
    ----------
    candidates : sequence of Rule
    table : pa.Table
        Features of the leads.
    p : ndarray of float64, shape (rows,)
        Chances that the model gives them, 0..1.
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
    target = (z - np.average(z, weights=weight**2)) * weight
    size = np.sqrt((columns**2).sum(axis=0))
    chosen: list[int] = []
    rest, points, left = target, np.zeros(0), float(target @ target)
    while len(chosen) < most:
        j = _next(kept, chosen, columns, size, rest)
        if j is None:
            break
        found, _ = nnls(columns[:, [*chosen, j]], target)
        rest = target - columns[:, [*chosen, j]] @ found
        now = float(rest @ rest)
        if left - now < _LEAST_GAIN * float(target @ target):
            break
        chosen, points, left = [*chosen, j], found, now
    return _whole([kept[j] for j in chosen], points)


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


def _next(kept: Sequence[Rule], chosen: Sequence[int], columns: Floats, size: Floats, rest: Floats) -> int | None:
    """The candidate that goes most with what is left; the earlier one where two go equally."""
    gain = columns.T @ rest / np.maximum(size, 1e-12)
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
