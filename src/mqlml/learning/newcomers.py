"""Leads with a level nobody has seen: what is said of them is no more than what held for levels left out of a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from mqlml.learning.likelihood import fit_terms
from mqlml.learning.logistic import fit_logistic
from mqlml.learning.propensity import trees_raw
from mqlml.learning.windows import group_folds

if TYPE_CHECKING:
    from mqlml.learning.encoder import Encoder
    from mqlml.learning.propensity import Blend
    from mqlml.learning.recipe import Recipe

__all__ = ["Newcomer", "fit_newcomers", "new_to", "newcomer_rows"]

Floats = npt.NDArray[np.float64]
FloatsOrOne = TypeVar("FloatsOrOne", float, npt.NDArray[np.float64])
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Levels are left out in at most five groups. A few rows and the logistic half show quickly where a slope survives;
# where it does not, the whole model is asked, on more rows: it may carry over what its half does not.
_GROUPS, _ROWS, _MORE_ROWS = 5, 3_000, 12_000
_LEAST_ROWS = 20
# A slope that holds to this extent for levels left out needs no rule of its own; below the second one nothing holds.
_HOLDS = 0.8
_NOTHING = 1e-6
# Where no slope holds: far below what any figure shows, yet enough to sort leads by.
_ORDER = 1e-12


@dataclass(frozen=True)
class Newcomer:
    """What is said of a lead whose level of one feature was never seen in training.

    The model's log-odds count at the slope to expect from levels left out in training. Where none held, everybody has
    the base rate and the model gives the order alone.

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


def new_to(encoder: Encoder, matrix: Floats, features: Sequence[str]) -> Flags:
    """Rows of a design matrix with a level of these features that has no column of its own, shape (rows,)."""
    places = [encoder.other_place(name) for name in features]
    return np.asarray((matrix[:, places] > 0).any(axis=1))


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
    group: Integers,
    codes: Mapping[int, Integers] = MappingProxyType({}),
    blend: Blend,
    recipe: Recipe,
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
    group : ndarray of int64, shape (rows,)
        Accounts.
    codes : mapping of int to ndarray of int64, shape (rows,)
        Level of each row in the columns that hold rates, by place.
    blend : Blend
        What was fitted on these rows; its halves are fitted again without some levels, as strongly penalised, as many
        trees, mixed alike.
    recipe : Recipe
        What made it; its seed draws the rows.

    Returns
    -------
    tuple of Newcomer
        One for each feature that does not carry over to levels left out.
    """
    if not open_features:
        return ()
    nothing = float(logit(won.mean()))
    order = np.random.default_rng(recipe.seed).permutation(len(won))
    quick, thorough = (
        _Look(matrix[drawn], won[drawn], group[drawn], encoder, {j: code[drawn] for j, code in codes.items()}, fits)
        for drawn, fits in (
            (np.sort(order[:_ROWS]), _Fits(blend, recipe, whole=False)),
            (np.sort(order[:_MORE_ROWS]), _Fits(blend, recipe, whole=True)),
        )
    )
    found = []
    for name in open_features:
        # Fewer than five levels cannot say how far another one may differ.
        if quick.levels(name) < _GROUPS:
            found.append(Newcomer(name, _ORDER, nothing))
        elif quick.rule(name, nothing) and (rule := thorough.rule(name, nothing)):
            found.append(rule)
    return tuple(found)


@dataclass(frozen=True)
class _Fits:
    """Fits like those of a blend, on other rows: of its logistic half alone, or of the ``whole``."""

    blend: Blend
    recipe: Recipe
    whole: bool

    def raw(self, matrix: Floats, won: Floats, asked: Floats) -> Floats:
        """Raw log-odds of the rows asked for, learned from ``matrix`` and ``won``."""
        straight = fit_logistic(matrix, won, strength=self.blend.logistic.strength, seed=self.recipe.seed).raw(asked)
        if not self.whole or not self.blend.trees:
            return straight
        rounds = round(float(np.mean([trees.num_trees() for trees in self.blend.boosters])))
        bagged = trees_raw(matrix, won, asked, recipe=self.recipe, rounds=max(rounds, 1))
        return (1 - self.blend.weight) * straight + self.blend.weight * bagged


@dataclass(frozen=True)
class _Look:
    """Some of the rows, and what fits without some of these say of the others."""

    matrix: Floats
    won: Floats
    group: Integers
    encoder: Encoder
    codes: Mapping[int, Integers]
    fits: _Fits

    def levels(self, name: str) -> int:
        """How many groups the levels of a feature can be left out in."""
        group = self._groups(name)
        return len(np.unique(group[group >= 0]))

    def rule(self, name: str, nothing: float) -> Newcomer | None:
        """What is to be said of another level of a feature; None where the model may speak."""
        group = self._groups(name)
        rates = [j for j in self.codes if self.encoder.columns[j].feature == name]
        slope, intercept = self._line
        return _rule(name, slope * self._without(group, unknown=rates) + intercept, self.won, group, nothing)

    @cached_property
    def _line(self) -> tuple[float, float]:
        """Fits of a sample are bolder than the calibrated model: accounts left out at random show by how much."""
        folds = group_folds(self.group, self.won, folds=_GROUPS, seed=self.fits.recipe.seed)
        return _line(self._without(folds), self.won)

    def _groups(self, name: str) -> Integers:
        return _groups_of_levels(_levels_of(self.matrix, self.encoder, name, self.codes))

    def _without(self, group: Integers, *, unknown: Sequence[int] = ()) -> Floats:
        """Raw log-odds of each row from a fit without its group; NaN outside groups and where nothing can be told.

        Columns that are ``unknown`` of rows left out read 0 there: a level never seen has no rate.
        """
        raw = np.full(len(self.won), np.nan)
        for g in range(group.max(initial=-1) + 1):
            out = group == g
            rest = self.won[~out]
            if min(out.sum(), len(rest)) >= _LEAST_ROWS and rest.min() < rest.max():
                told = self.matrix[out]
                told[:, unknown] = 0.0
                raw[out] = self.fits.raw(self.matrix[~out], rest, told)
        return raw


def _rule(name: str, raw: Floats, won: Floats, group: Integers, nothing: float) -> Newcomer | None:
    """What is to be said of another level, from calibrated log-odds of levels left out."""
    scored = ~np.isnan(raw)
    if len(np.unique(group[scored])) < 2:
        return None
    slope = _expected_slope(raw[scored], won[scored], group[scored])
    if slope >= _HOLDS:
        return None
    if slope < _NOTHING:
        return Newcomer(name, _ORDER, nothing)
    flat = np.zeros(int(scored.sum()), dtype=np.int64)
    _, (intercept,) = fit_terms(np.zeros((len(flat), 0)), won[scored], flat, offset=slope * raw[scored])
    return Newcomer(name, slope, float(intercept))


def _line(raw: Floats, won: Floats) -> tuple[float, float]:
    """Slope and intercept that calibrate log-odds."""
    known = ~np.isnan(raw)
    if not known.any():
        return 1.0, 0.0
    (slope,), (intercept,) = fit_terms(raw[known, None], won[known], np.zeros(int(known.sum()), dtype=np.int64))
    return float(slope), float(intercept)


def _expected_slope(raw: Floats, won: Floats, group: Integers) -> float:
    """Slope to expect for another level, 0..1: what held for those left out, less the more it rests on a few of them.

    The best slope for the levels left out is the one that loses least there; it is shrunk by its squared jackknife
    error over groups of levels (Thompson, 1968, Journal of the American Statistical Association 63:113).
    """
    groups = np.unique(group)
    without = np.array([_line(raw[group != g], won[group != g])[0] for g in groups])
    variance = (len(groups) - 1) / len(groups) * float(((without - without.mean()) ** 2).sum())
    best = max(_line(raw, won)[0], 0.0)
    return min(best**3 / (best**2 + variance + _NOTHING), 1.0)


def _levels_of(matrix: Floats, encoder: Encoder, name: str, codes: Mapping[int, Integers]) -> Integers:
    """Code of each row's level of a feature, -1 for none of its own."""
    found = np.full(len(matrix), -1)
    for j, column in enumerate(encoder.columns):
        if column.feature == name and column.kind == "rate":
            return codes[j]
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
