"""Which steps wins are credited to: the first, the last, and what would be missing without each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from mqlml.review.converts.paths import Steps

__all__ = ["contributions", "removal_effects"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def contributions(steps: Steps, won: Floats, *, most: int) -> dict[str, Any] | None:
    """Share the wins of leads with a step out among the steps.

    Parameters
    ----------
    steps : Steps
    won : ndarray of float64, shape (leads,)
        1 where won; ``steps.lead`` are its rows.
    most : int
        Steps told at most.

    Returns
    -------
    dict or None
        ``wins`` shared out and ``rows``: ``name``, ``leads``, ``first`` and ``last`` (share of the wins that it opened
        and that it closed), ``part`` (share of the wins it took part in) and ``removal`` (share by removal effect);
        the first, last and removal shares of all steps sum to 1. None where no lead with a step was won.
    """
    who, codes = steps.who, len(steps.names)
    wins = float(won[who].sum())
    if not wins:
        return None
    opening, joined = steps.code[steps.opens], won[steps.lead]
    effect = removal_effects(steps, won)
    shares = {
        "first": np.bincount(opening, won[who], codes) / wins,
        "last": np.bincount(steps.final, won[who], codes) / wins,
        "part": np.bincount(steps.code, joined, codes) / wins,
        "removal": effect / effect.sum() if effect.sum() > 0 else np.zeros(codes),
    }
    leads = np.bincount(steps.code, minlength=codes)
    order = [int(k) for k in np.lexsort((-leads, -shares["removal"])) if leads[k]]
    rows = [
        {"name": steps.names[k], "leads": int(leads[k]), **{key: float(share[k]) for key, share in shares.items()}}
        for k in order[:most]
    ]
    return {"wins": int(wins), "rows": rows, "more": max(len(order) - most, 0)}


def removal_effects(steps: Steps, won: Floats) -> Floats:
    """Share of the wins that a chain of steps would lose without each step.

    The steps of each lead, each at its first time, are a walk from a start to a win or to none; leads that would take a
    removed step end without a win (Anderl, Becker, von Wangenheim and Schumann 2016, Int. J. Research in Marketing
    33:457, first order).

    Parameters
    ----------
    steps : Steps
    won : ndarray of float64, shape (leads,)

    Returns
    -------
    ndarray of float64, shape (names,)
        0..1; they need not sum to 1.
    """
    codes = len(steps.names)
    moves = _moves(steps, won)
    total = _chance(moves, codes)
    if total <= 0:
        return np.zeros(codes)
    effects = np.zeros(codes)
    for code in np.unique(steps.code):
        without = moves.copy()
        without[:, code] = 0.0  # what led there leads nowhere
        effects[code] = 1 - _chance(without, codes) / total
    return np.clip(effects, 0.0, 1.0)


def _moves(steps: Steps, won: Floats) -> Floats:
    """Chances to go from each step (the start is one more) to each step, and to a win: shape (codes + 1, codes + 1)."""
    codes = len(steps.names)
    opens, ends = steps.opens, np.r_[steps.opens[1:], True]
    follows, won_then = np.flatnonzero(~opens), won[steps.lead[ends]]
    places = np.r_[
        codes * (codes + 1) + steps.code[opens],
        steps.code[follows - 1] * (codes + 1) + steps.code[follows],
        steps.code[ends] * (codes + 1) + codes,
    ]
    weights = np.r_[np.ones(opens.sum() + len(follows)), won_then]
    counts = np.bincount(places, weights, (codes + 1) ** 2).reshape(codes + 1, codes + 1)
    leaves = np.bincount(steps.code[ends], 1 - won_then, codes + 1)
    total = counts.sum(axis=1) + leaves
    return counts / np.where(total > 0, total, 1.0)[:, None]


def _chance(moves: Floats, codes: int) -> float:
    """Chance that a walk from the start ends with a win."""
    between, win = moves[:codes, :codes], moves[:codes, codes]
    reached = np.linalg.solve(np.eye(codes) - between, win)
    return float(moves[codes, :codes] @ reached)
