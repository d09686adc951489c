"""One training: the recipe judged on its windows, then fitted on everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mqlml.learning.encoder import fit_encoder, mask_levels, without_repeats
from mqlml.learning.model import Model
from mqlml.learning.newcomers import fit_newcomers, newcomer_rows
from mqlml.learning.propensity import Blend, Halves, Recipe, fit_blend
from mqlml.learning.settling import Fitted, Scored, settle

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.learning.labels import Rows
    from mqlml.learning.settling import Settled
    from mqlml.learning.windows import Plan, Round
    from mqlml.tape.features import FeatureSet

__all__ = ["Tested", "Training", "train_model"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Rounds are judged with fewer bags than are shipped: quicker, and if anything too modest.
JUDGED_BAGS = 3
# Weekly snapshots of a lead are nearly the same observation: beyond this many rows a fit only gets slower.
_ROWS_TO_FIT = 50_000
_REFERENCE_QUANTILES = 1_001


@dataclass(frozen=True)
class Tested:
    """What the recipe said of rows it had not learned from.

    Attributes
    ----------
    row : ndarray of int64, shape (n,)
        Index into the labelled rows.
    part : ndarray of str, shape (n,)
        Part of the window plan.
    straight, bagged : ndarray of float64, shape (n,)
        Raw scores of both halves.
    p : ndarray of float64, shape (n,)
        Chance as it would have been given then: blended and calibrated on what was known at the origin.
    baselines : dict of str to ndarray, each of shape (n,)
        Chances given by simpler rules learned from the same rows.
    settled : ndarray of float64, shape (n,)
        Chance on the scale of the shipped model (its weight and calibrator).
    """

    row: npt.NDArray[np.int64]
    part: npt.NDArray[np.str_]
    straight: Floats
    bagged: Floats
    p: Floats
    baselines: dict[str, Floats]
    settled: Floats


@dataclass(frozen=True)
class Training:
    """The shipped model and the evidence for its recipe.

    Attributes
    ----------
    model : Model
    tested : Tested
    settled : Settled
        Weight, calibration and drift of the shipped model.
    """

    model: Model
    tested: Tested
    settled: Settled


def train_model(
    table: pa.Table,
    rows: Rows,
    features: FeatureSet,
    plan: Plan,
    *,
    recipe: Recipe,
    min_leads: int,
    step: Callable[[], None] = lambda: None,
) -> Training:
    """Judge the recipe on every round of the plan, then fit the model that is shipped on all rows.

    Parameters
    ----------
    table : pa.Table
        Features of ``rows``, in their order.
    rows : Rows
    features : FeatureSet
    plan : Plan
    recipe : Recipe
    min_leads : int
        Leads a category level needs to be named in the model.
    step : callable
        Called once a bag, for progress.
    """
    lighter = replace(recipe, bags=min(recipe.bags, JUDGED_BAGS))
    scored = [_score_round(table, rows, features, r, lighter, min_leads, step) for r in plan.rounds]
    fitted = _fit(table, rows, features, np.ones(len(rows), dtype=bool), recipe, min_leads, step)
    settled = settle(rows, fitted, scored, recipe=recipe)
    tested = _pool(rows, scored, settled, recipe)
    reference = np.quantile(tested.settled, np.linspace(0, 1, _REFERENCE_QUANTILES))
    blend = Blend(fitted.blend.logistic, fitted.blend.trees, settled.share)
    newcomers = tuple(rule.moved(settled.level.applied) for rule in fitted.newcomers)
    return Training(Model(features, fitted.encoder, blend, settled.calibrator, reference, newcomers), tested, settled)


def _fit(
    table: pa.Table,
    rows: Rows,
    features: FeatureSet,
    chosen: Flags,
    recipe: Recipe,
    min_leads: int,
    step: Callable[[], None],
) -> Fitted:
    chosen = _thinned(chosen, seed=recipe.seed)
    part, lead, won = table.filter(chosen), rows.lead[chosen], rows.won[chosen]
    encoder = fit_encoder(part, features.features, lead=lead, min_leads=min_leads)
    matrix = encoder.transform(mask_levels(part, encoder, lead=lead, seed=recipe.seed))
    encoder, matrix = without_repeats(encoder, matrix)
    weight = rows.weight[chosen] if rows.young else None
    blend, held_out, few = fit_blend(
        matrix, won, lead=lead, group=rows.group[chosen], weight=weight, recipe=recipe, step=step
    )
    newcomers = (
        ()
        if few
        else fit_newcomers(
            matrix,
            won,
            encoder,
            open_features=encoder.without_others(part),
            strength=blend.logistic.strength,
            seed=recipe.seed,
        )
    )
    return Fitted(np.flatnonzero(chosen), encoder, blend, held_out, newcomers, few)


def _thinned(chosen: Flags, *, seed: int) -> Flags:
    """Keep a random ``_ROWS_TO_FIT`` of the chosen rows, each with the same chance."""
    row = np.flatnonzero(chosen)
    if len(row) <= _ROWS_TO_FIT:
        return chosen
    kept = np.zeros(len(chosen), dtype=bool)
    kept[np.random.default_rng(seed).choice(row, _ROWS_TO_FIT, replace=False)] = True
    return kept


def _score_round(
    table: pa.Table,
    rows: Rows,
    features: FeatureSet,
    tested: Round,
    recipe: Recipe,
    min_leads: int,
    step: Callable[[], None],
) -> Scored:
    then = rows.seen_from(tested.origin)
    fitted = _fit(table, then, features, tested.fit, recipe, min_leads, step)
    row = np.flatnonzero(tested.test)
    matrix = fitted.encoder.transform(table.filter(tested.test))
    halves = Halves(*fitted.blend.halves(matrix), rows.won[row])
    speaker = newcomer_rows(fitted.newcomers, fitted.encoder, matrix)
    apart = np.full(len(row), np.nan)
    for i, rule in enumerate(fitted.newcomers):
        mine = speaker == i
        counts = rule.counted(fitted.encoder, matrix[mine])
        apart[mine] = rule.log_odds(fitted.blend.logistic, counts, matrix[mine])
    base = float(np.clip(then.where(tested.fit).base_rate, 1e-6, 1 - 1e-6))
    return Scored(tested, row, fitted, halves, apart, base)


def _pool(rows: Rows, scored: Sequence[Scored], settled: Settled, recipe: Recipe) -> Tested:
    """Put the rounds together; each round's chances use only what was known at its origin."""
    chances, logistic = [], []
    for s in scored:
        chances.append(settle(rows, s.fitted, s.teachers(rows, scored), recipe=recipe).probability(s))
        alone = settle(rows, s.fitted, s.teachers(rows, scored), recipe=recipe, share=0.0)
        logistic.append(alone.calibrator.probability(s.halves.straight))
    return Tested(
        row=np.concatenate([s.row for s in scored]),
        part=np.concatenate([np.full(len(s.row), s.round.part) for s in scored]),
        straight=np.concatenate([s.halves.straight for s in scored]),
        bagged=np.concatenate([s.halves.bagged for s in scored]),
        p=np.concatenate(chances),
        baselines={
            "base rate": np.concatenate([np.full(len(s.row), s.base) for s in scored]),
            "logistic regression": np.concatenate(logistic),
        },
        settled=np.concatenate([settled.probability(s) for s in scored]),
    )
