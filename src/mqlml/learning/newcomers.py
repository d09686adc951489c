"""Leads with a level nobody has seen: what is said of them is no more than what held for levels left out of a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import logit
from scipy.stats import t as student

from mqlml.learning.likelihood import fit_terms
from mqlml.learning.logistic import fit_logistic

if TYPE_CHECKING:
    from mqlml.learning.encoder import Encoder
    from mqlml.learning.logistic import Logistic

__all__ = ["Newcomer", "fit_newcomers", "newcomer_rows"]

Floats = npt.NDArray[np.float64]
FloatsOrOne = TypeVar("FloatsOrOne", float, npt.NDArray[np.float64])
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Levels are left out in at most five groups, from a sample: enough to see whether a slope survives, and quick.
_GROUPS, _ROWS = 5, 3_000
_LEAST_ROWS = 20
# A slope that holds to this extent for levels left out needs no rule of its own.
_HOLDS = 0.8
_CONFIDENCE = 0.9
# Where no slope holds: far below what any figure shows, yet enough to sort leads by.
_ORDER = 1e-12


@dataclass(frozen=True)
class Newcomer:
    """What is said of a lead whose level of one feature was never seen in training.

    The model's log-odds count at the slope that held, with 90 % confidence, for levels left out in training. Where
    none held, everybody has the base rate and the model gives the order alone.

    Attributes
    ----------
    feature : str
    slope, intercept : float
        Calibrated log-odds are ``slope * (the model's) + intercept``.
    """

    feature: str
    slope: float
    intercept: float

    def log_odds(self, own: FloatsOrOne) -> FloatsOrOne:
        """Calibrated log-odds of leads of which the model itself says ``own``."""
        return self.slope * own + self.intercept

    def moved(self, by: float) -> Newcomer:
        """Follow the model, to whose calibrated log-odds ``by`` is added."""
        return replace(self, intercept=self.intercept + (1 - self.slope) * by)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the bundle."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Newcomer:
        """Inverse of :meth:`to_dict`."""
        return cls(str(data["feature"]), float(data["slope"]), float(data["intercept"]))


def newcomer_rows(rules: Sequence[Newcomer], encoder: Encoder, matrix: Floats) -> Integers:
    """Index of the rule that speaks for each row, -1 for the model itself; the most careful rule where several could.

    Parameters
    ----------
    rules : sequence of Newcomer
    encoder : Encoder
    matrix : ndarray of float64, shape (rows, columns)
    """
    found = np.full(len(matrix), -1)
    slope = np.full(len(matrix), np.inf)
    for i, rule in enumerate(rules):
        better = (matrix[:, encoder.other_place(rule.feature)] > 0) & (rule.slope < slope)
        found[better], slope[better] = i, rule.slope
    return found


def fit_newcomers(
    matrix: Floats,
    won: Floats,
    encoder: Encoder,
    *,
    open_features: Sequence[str],
    codes: Mapping[int, Integers] = MappingProxyType({}),
    logistic: Logistic,
    seed: int,
) -> tuple[Newcomer, ...]:
    """Leave out the levels of each categorical feature in turn and see what still holds.

    Parameters
    ----------
    matrix : ndarray of float64, shape (rows, columns)
    won : ndarray of float64, shape (rows,)
    encoder : Encoder
    open_features : sequence of str
        Features whose "other" was learned from nothing but hidden levels; where rare levels taught it, the model knows
        how newcomers fare.
    codes : mapping of int to ndarray of int64, shape (rows,)
        Level of each row in the columns that hold rates, by place.
    logistic : Logistic
        The half that is fitted again without some levels, as strongly penalised; it stands for the whole model.
    seed : int
        Draws the rows.

    Returns
    -------
    tuple of Newcomer
        One for each feature that does not carry over to levels left out.
    """
    base = float(won.mean())
    drawn = np.sort(np.random.default_rng(seed).permutation(len(won))[:_ROWS])
    matrix, won = matrix[drawn], won[drawn]
    found = (
        _left_out(matrix, won, encoder, name, base, logistic, seed, _levels_of(matrix, encoder, name, codes, drawn))
        for name in open_features
    )
    return tuple(rule for rule in found if rule is not None)


def _left_out(
    matrix: Floats,
    won: Floats,
    encoder: Encoder,
    name: str,
    base: float,
    logistic: Logistic,
    seed: int,
    level: Integers,
) -> Newcomer | None:
    group = _groups_of_levels(level)
    rates = [j for j, c in enumerate(encoder.columns) if c.feature == name and c.kind == "rate"]
    nothing = Newcomer(name, _ORDER, float(logit(base)))
    if len(np.unique(group[group >= 0])) < _GROUPS:
        # Fewer than five levels cannot say how far another one may differ.
        return nothing
    raw = np.full(len(won), np.nan)
    for g in range(group.max(initial=-1) + 1):
        out = group == g
        if min(out.sum(), (~out).sum()) < _LEAST_ROWS or won[~out].min() == won[~out].max():
            continue
        learned = fit_logistic(matrix[~out], won[~out], strength=logistic.strength, seed=seed)
        unknown = matrix[out]
        # A level never seen has no rate.
        unknown[:, rates] = 0.0
        raw[out] = learned.raw(unknown)
    scored = ~np.isnan(raw)
    if len(np.unique(group[scored])) < 2:
        return None
    slope = _supported_slope(raw[scored], won[scored], group[scored])
    if slope >= _HOLDS:
        return None
    if slope == 0:
        return nothing
    flat = np.zeros(int(scored.sum()), dtype=np.int64)
    _, (intercept,) = fit_terms(np.zeros((len(flat), 0)), won[scored], flat, offset=slope * raw[scored])
    return Newcomer(name, slope, float(intercept))


def _supported_slope(raw: Floats, won: Floats, group: Integers) -> float:
    """Lower 90 % bound of the slope on levels left out, by the jackknife over groups of levels, 0..1."""

    def slope(chosen: Flags) -> float:
        flat = np.zeros(int(chosen.sum()), dtype=np.int64)
        return float(fit_terms(raw[chosen, None], won[chosen], flat)[0][0])

    groups = np.unique(group)
    without = np.array([slope(group != g) for g in groups])
    error = np.sqrt((len(groups) - 1) / len(groups) * ((without - without.mean()) ** 2).sum())
    bound = slope(np.ones(len(won), dtype=bool)) - student.ppf(_CONFIDENCE, len(groups) - 1) * error
    return float(np.clip(bound, 0.0, 1.0))


def _levels_of(matrix: Floats, encoder: Encoder, name: str, codes: Mapping[int, Integers], drawn: Integers) -> Integers:
    """Code of each row's level of a feature, -1 for none of its own."""
    found = np.full(len(matrix), -1)
    for j, column in enumerate(encoder.columns):
        if column.feature == name and column.kind == "rate":
            return codes[j][drawn]
        if column.feature == name and column.kind == "level" and column.view is None:
            found[matrix[:, j] > 0] = j
    return np.unique(np.r_[-1, found], return_inverse=True)[1][1:] - 1


def _groups_of_levels(level: Integers) -> Integers:
    """Deal levels into groups of about equal size; group of each row, -1 for rows without a level."""
    sizes = np.bincount(level[level >= 0])
    filled = np.zeros(max(min(_GROUPS, len(sizes)), 1))
    group = np.full(len(sizes) + 1, -1)
    for i in np.argsort(-sizes, kind="stable"):
        group[i] = np.argmin(filled)
        filled[group[i]] += sizes[i]
    return group[level]
