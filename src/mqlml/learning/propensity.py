"""The propensity model: bagged trees and a penalised logistic regression, blended in log-odds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from mqlml.learning.calibration import Calibrator
from mqlml.learning.caution import FEW, cautious_calibrator
from mqlml.learning.likelihood import fit_terms
from mqlml.learning.logistic import Logistic, choose_strength, fit_logistic, weighted_log_loss
from mqlml.learning.rates import Evidence, RatedLevels
from mqlml.learning.recipe import Recipe
from mqlml.learning.windows import group_folds

if TYPE_CHECKING:
    from lightgbm import Booster, Dataset

__all__ = ["Blend", "Halves", "best_weight", "fit_blend", "fit_trees", "trees_raw"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Signs = npt.NDArray[np.int8]

# Trees need more winning leads than a logistic regression before they help (docs/decisions/005).
MIN_WINS_FOR_TREES = 100
_PATIENCE = 30
# In log loss per unit of squared distance; half a thousandth at the ends.
_PULL_TO_HALF = 2e-3


@dataclass(frozen=True)
class Halves:
    """Raw scores of both halves for rows neither has learned from, and what became of those rows.

    Attributes
    ----------
    straight, bagged, won : ndarray of float64, shape (n,)
    weight : ndarray of float64, shape (n,), optional
    """

    straight: Floats
    bagged: Floats
    won: Floats
    weight: Floats | None = None

    def mixed(self, share: float) -> Floats:
        """Raw scores with this share of the trees."""
        return (1 - share) * self.straight + share * self.bagged

    def where(self, flags: npt.NDArray[np.bool_]) -> Halves:
        """The rows for which ``flags`` is true."""
        weight = None if self.weight is None else self.weight[flags]
        return Halves(self.straight[flags], self.bagged[flags], self.won[flags], weight)


@dataclass(frozen=True)
class Blend:
    """Raw scores of both halves and their weighted mean in log-odds.

    Attributes
    ----------
    logistic : Logistic
    trees : sequence of str
        LightGBM model texts, one a bag; empty where the history is too small for trees.
    weight : float
        Share of the trees in the blend, 0..1.
    """

    logistic: Logistic
    trees: tuple[str, ...]
    weight: float

    @cached_property
    def boosters(self) -> tuple[Booster, ...]:
        """The bags, parsed from their texts."""
        lightgbm = _lightgbm()
        return tuple(lightgbm.Booster(model_str=text) for text in self.trees)

    def halves(self, matrix: Floats) -> tuple[Floats, Floats]:
        """Raw log-odds of the logistic half and of the trees (equal to the former without trees)."""
        straight = self.logistic.raw(matrix)
        if not self.trees:
            return straight, straight
        bags = [np.asarray(b.predict(matrix, raw_score=True)) for b in self.boosters]
        return straight, np.mean(bags, axis=0)

    def raw(self, matrix: Floats) -> Floats:
        """Blended raw log-odds, shape (rows,)."""
        straight, bagged = self.halves(matrix)
        return (1 - self.weight) * straight + self.weight * bagged

    def to_parts(self) -> dict[str, Any]:
        """Plain data and texts for the bundle."""
        return {"logistic": self.logistic.to_dict(), "weight": self.weight, "bags": len(self.trees)}

    @classmethod
    def from_parts(cls, data: Mapping[str, Any], trees: Sequence[str]) -> Blend:
        """Inverse of :meth:`to_parts`."""
        return cls(Logistic.from_dict(data["logistic"]), tuple(trees), float(data["weight"]))


def fit_blend(
    matrix: Floats,
    won: Floats,
    *,
    lead: Integers,
    group: Integers,
    recipe: Recipe,
    weight: Floats | None = None,
    signs: Signs | None = None,
    rated: RatedLevels | None = None,
    step: Callable[[], None] = lambda: None,
) -> tuple[Blend, Halves, Calibrator | None]:
    """Fit both halves on the same rows, with out-of-fold scores of each.

    Parameters
    ----------
    matrix : ndarray of float64, shape (rows, columns)
        Rows in a fixed order: LightGBM's bagging depends on it.
    won : ndarray of float64, shape (rows,)
    lead, group : ndarray of int64, shape (rows,)
        Folds keep groups (accounts) whole; wins are counted in leads.
    recipe : Recipe
    weight : ndarray of float64, shape (rows,), optional
        Weights of snapshots whose horizon is not over and of those like them; 1 each where absent.
    signs : ndarray of int8, shape (columns,), optional
        +1 where the chance may only grow with a column, -1 where it may only fall, 0 where both may be.
    rated : RatedLevels, optional
        Columns that were made of the outcomes; a fold held out must not have taught those of the others.
    step : callable
        Called once a bag, for progress.

    Returns
    -------
    tuple of (Blend, Halves, Calibrator or None)
        The share of the trees comes from these out-of-fold scores; later leads may teach a better one. With a
        calibrator where there are too few leads of one outcome to estimate one freely.
    """
    wins = len(np.unique(lead[won > 0]))
    recipe = recipe.of_leads(lead)
    folds = group_folds(group, won, folds=recipe.bags, seed=recipe.seed)
    if not _both_outcomes(won, folds):
        nothing, flat = Blend(_base_rate(won, matrix.shape[1], weight), (), 0.0), np.zeros(len(won))
        return nothing, Halves(flat, flat, won, weight), Calibrator()
    rated = rated or RatedLevels({}, Evidence(won, group))
    strength, straight = choose_strength(
        matrix, won, folds, seed=recipe.seed, weight=weight, signs=signs, without=rated.columns
    )
    logistic = fit_logistic(matrix, won, strength=strength, seed=recipe.seed, weight=weight, signs=signs)
    held_out = Halves(straight, straight, won, weight)
    if min(wins, len(np.unique(lead)) - wins) < FEW:
        calibrator = cautious_calibrator(straight, won, lead=lead, group=group, fold=folds, weight=weight)
        return Blend(logistic, (), 0.0), held_out, calibrator
    if wins < MIN_WINS_FOR_TREES or matrix.shape[1] == 0:
        return Blend(logistic, (), 0.0), held_out, None
    trees, bagged = fit_trees(matrix, won, folds, recipe=recipe, weight=weight, signs=signs, rated=rated, step=step)
    held_out = replace(held_out, bagged=bagged)
    return Blend(logistic, trees, best_weight(held_out)), held_out, None


def fit_trees(
    matrix: Floats,
    won: Floats,
    folds: Integers,
    *,
    recipe: Recipe,
    weight: Floats | None = None,
    signs: Signs | None = None,
    rated: RatedLevels | None = None,
    step: Callable[[], None] = lambda: None,
) -> tuple[tuple[str, ...], Floats]:
    """Fit one bag a fold, each without that fold, and score the fold with it.

    Parameters
    ----------
    matrix, won, recipe, weight, signs, rated, step
        As of :func:`fit_blend`; ``recipe.leads_per_row`` is that of these rows.
    folds : ndarray of int64, shape (rows,)
        Fold of each row, 0 .. ``recipe.bags`` - 1.

    Returns
    -------
    tuple of (tuple of str, ndarray of float64, shape (rows,))
        Model texts, and the out-of-fold raw scores.
    """
    bagged = np.empty(len(won))
    trees = []
    rows = _dataset(matrix, won, weight, recipe)
    for bag in range(recipe.bags):
        out = folds == bag
        if rated is not None and rated.codes:
            matrix = rated.told(matrix, out)
            rows = _dataset(matrix, won, weight, recipe)
        text, bagged[out] = _fit_bag(rows, matrix, out, recipe, bag, signs)
        trees.append(text)
        step()
    return tuple(trees), bagged


def trees_raw(matrix: Floats, won: Floats, asked: Floats, *, recipe: Recipe, rounds: int) -> Floats:
    """Raw scores of other rows, shape (rows,), from so many trees fitted on all of these."""
    lightgbm, parameters = _lightgbm(), recipe.tree_parameters(0)
    trees = lightgbm.train(parameters, lightgbm.Dataset(matrix, won, params=parameters), num_boost_round=rounds)
    return np.asarray(trees.predict(asked, raw_score=True))


def best_weight(held_out: Halves, later: Sequence[Halves] = ()) -> float:
    """Share of the trees with the least log loss, each set of scores with its own best line; a multiple of 0.05.

    Scores of later leads, where there are some, count together as much as those held out of the fit: they are the
    truer test, but each was made by another, smaller fit. A pull towards one half keeps a flat optimum from tipping
    over between retrainings.
    """

    def loss(share: float) -> float:
        found = _loss(held_out, share)
        if later:
            found = (found + float(np.mean([_loss(test, share) for test in later]))) / 2
        return found + _PULL_TO_HALF * (share - 0.5) ** 2

    found = minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded", options={"xatol": 0.02})
    return round(float(found.x) * 20) / 20


def _loss(test: Halves, share: float) -> float:
    raw, part = test.mixed(share), np.zeros(len(test.won), dtype=np.int64)
    (slope,), (intercept,) = fit_terms(raw[:, None], test.won, part, weight=test.weight)
    return weighted_log_loss(slope * raw + intercept, test.won, test.weight)


def _dataset(matrix: Floats, won: Floats, weight: Floats | None, recipe: Recipe) -> Dataset:
    """All rows, cut into bins once; the bags are drawn from it."""
    names = [f"f{j}" for j in range(matrix.shape[1])]
    lightgbm, parameters = _lightgbm(), recipe.tree_parameters(0)
    rows: Dataset = lightgbm.Dataset(matrix, won, weight=weight, feature_name=names, params=parameters)
    rows.construct()
    return rows


def _both_outcomes(won: Floats, folds: Integers) -> bool:
    """Whether every fold leaves won and lost rows to learn from."""
    return all(won[folds != fold].min(initial=1.0) < won[folds != fold].max(initial=0.0) for fold in np.unique(folds))


def _base_rate(won: Floats, columns: int, weight: Floats | None) -> Logistic:
    """The same chance for everybody, from which nothing can be told apart."""
    weight = np.ones(len(won)) if weight is None else weight
    odds = (weight @ won + 0.5) / (weight @ (1 - won) + 0.5)
    return Logistic(float(np.log(odds)), np.zeros(columns), np.zeros(columns), 0.0)


def _fit_bag(
    rows: Dataset, matrix: Floats, out: Flags, recipe: Recipe, bag: int, signs: Signs | None
) -> tuple[str, Floats]:
    """One bag: fitted without one fold, stopped early on it; the model text and the fold's raw scores."""
    lightgbm = _lightgbm()
    parameters = recipe.tree_parameters(bag)
    if signs is not None and signs.any():
        parameters |= {"monotone_constraints": signs.tolist(), "monotone_constraints_method": "basic"}
    booster = lightgbm.train(
        parameters,
        rows.subset(np.flatnonzero(~out).tolist()),
        num_boost_round=recipe.trees.rounds,
        valid_sets=[rows.subset(np.flatnonzero(out).tolist())],
        callbacks=[lightgbm.early_stopping(_PATIENCE, verbose=False)],
    )
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    raw = np.asarray(booster.predict(matrix[out], raw_score=True, num_iteration=booster.best_iteration))
    return _without_parameters(text), raw


def _lightgbm() -> ModuleType:
    """LightGBM, its idle threads asleep: by default they spin, which on a busy machine makes two slower than one."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import lightgbm

    return lightgbm


def _without_parameters(text: str) -> str:
    """Drop LightGBM's record of parameters: it holds the thread count, so equal models would differ in bytes."""
    head, _, rest = text.partition("\nparameters:\n")
    _, _, tail = rest.partition("end of parameters\n")
    return f"{head}\n{tail}" if tail else head
