"""One training: the recipe judged on its windows, then fitted on everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from mqlml.learning.encoder import mask_levels, without_repeats
from mqlml.learning.encoder_fit import fit_encoder
from mqlml.learning.model import Model
from mqlml.learning.newcomers import fit_newcomers, new_to, newcomer_rows
from mqlml.learning.propensity import Blend, Halves, fit_blend
from mqlml.learning.rates import Evidence
from mqlml.learning.recipe import Recipe
from mqlml.learning.segments import Segments, segment_of
from mqlml.learning.settling import Fitted, Scored, known_at, settle

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.learning.encoder import Encoder
    from mqlml.learning.labels import Rows
    from mqlml.learning.newcomers import Newcomer
    from mqlml.learning.rates import RatedLevels
    from mqlml.learning.settling import Settled
    from mqlml.learning.windows import Plan, Round
    from mqlml.tape.features import FeatureSet

__all__ = ["JUDGED_BAGS", "Tested", "Training", "judged", "score_round", "train_model"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Rounds are judged with fewer bags than are shipped: quicker, and if anything too modest.
JUDGED_BAGS = 2
# Weekly snapshots of a lead are nearly the same observation: beyond this many rows a fit only gets slower.
_ROWS_TO_FIT = 30_000
_REFERENCE_QUANTILES = 1_001
_LEAST = 1e-6


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
    own : ndarray of bool, shape (n,)
        Rows that speak for the shipped model: all of them, but without refit only those that it predicted itself.
    alike : ndarray of float64, shape (n,), optional
        ``p`` as it would be if all segments shared one intercept, where they do not.
    """

    row: npt.NDArray[np.int64]
    part: npt.NDArray[np.str_]
    straight: Floats
    bagged: Floats
    p: Floats
    baselines: dict[str, Floats]
    own: Flags
    alike: Floats | None = None


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


def judged(recipe: Recipe) -> Recipe:
    """The recipe as forward tests fit it: fewer bags, and no rules for newcomers, which follow from the shipped fit."""
    return replace(recipe, bags=min(recipe.bags, JUDGED_BAGS), newcomers=False)


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
    """Judge the recipe on every round of the plan, then fit the model that is shipped.

    It is fitted on all rows; where the plan says no ``refit`` it is the one that predicts the plan's last windows.

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
    if plan.frozen:
        return _train_frozen(table, rows, features, plan, recipe=recipe, min_leads=min_leads, step=step)
    lighter = judged(recipe)
    scored = [score_round(table, rows, features, r, lighter, min_leads, step) for r in plan.rounds]
    fitted = _fit(table, rows, features, np.ones(len(rows), dtype=bool), recipe, min_leads, step)
    settled = settle(rows, fitted, scored, recipe=recipe)
    tested = _pool(rows, scored, settled, recipe)
    return _shipped(features, fitted, settled, tested)


def _train_frozen(
    table: pa.Table,
    rows: Rows,
    features: FeatureSet,
    plan: Plan,
    *,
    recipe: Recipe,
    min_leads: int,
    step: Callable[[], None],
) -> Training:
    """Fit the shipped model before the window "certify", calibrate it on earlier ones and let it predict the rest."""
    lighter = judged(recipe)
    first = plan.frozen[0]
    earlier = [r for r in plan.rounds if r.part not in {f.part for f in plan.frozen}]
    scored = [score_round(table, rows, features, r, lighter, min_leads, step) for r in earlier]
    then = rows.seen_from(first.origin)
    fitted = _fit(table, then, features, first.fit, recipe, min_leads, step, shift=_shift(then, first))
    settled = settle(rows, fitted, known_at(first.origin, rows, scored), recipe=recipe)
    base = np.clip(then.where(first.fit).base_rate, _LEAST, 1 - _LEAST)
    shipped = [_predict(table, rows, r, fitted, base, recipe.segment) for r in plan.frozen]
    tested = _pool(rows, [*scored, *shipped], settled, recipe, frozen=len(shipped))
    return _shipped(features, fitted, settled, tested)


def _shipped(features: FeatureSet, fitted: Fitted, settled: Settled, tested: Tested) -> Training:
    reference = np.quantile(tested.p[tested.own], np.linspace(0, 1, _REFERENCE_QUANTILES))
    blend = Blend(fitted.blend.logistic, fitted.blend.trees, settled.share)
    newcomers = tuple(rule.moved(settled.level.applied) for rule in fitted.newcomers)
    model = Model(features, fitted.encoder, blend, settled.calibrator, reference, newcomers, settled.segments)
    return Training(model, tested, settled)


def _shift(then: Rows, tested: Round) -> float:
    """Difference in log-odds from the win rate of the rows learned from to that of all rows known then.

    Accounts still open in the windows to come are left out of the fit, and those that stay were decided sooner, and
    more often won, than leads are (prior correction; King and Zeng, 2001, Political Analysis 9:137).
    """
    if tested.origin is None:
        return 0.0
    rates = [np.clip(then.where(rows).base_rate, _LEAST, 1 - _LEAST) for rows in (then.weight > 0, tested.fit)]
    return float(logit(rates[0]) - logit(rates[1]))


def _fit(
    table: pa.Table,
    rows: Rows,
    features: FeatureSet,
    chosen: Flags,
    recipe: Recipe,
    min_leads: int,
    step: Callable[[], None],
    *,
    shift: float = 0.0,
) -> Fitted:
    chosen = _thinned(chosen, seed=recipe.seed)
    part, lead, group, won = table.filter(chosen), rows.lead[chosen], rows.group[chosen], rows.won[chosen]
    weight = None if rows.fit_weight is None else rows.fit_weight[chosen]
    evidence = Evidence(won, group, weight)
    encoder, matrix, rated = _encoded(part, features, lead, evidence, recipe, min_leads)
    signs = recipe.constraints.signs(encoder.columns, features.features)
    blend, held_out, few = fit_blend(
        matrix, won, lead=lead, group=group, weight=weight, recipe=recipe, signs=signs, rated=rated, step=step
    )
    open_features = encoder.without_others(part)
    newcomers: tuple[Newcomer, ...] = ()
    if recipe.newcomers and not few:
        newcomers = fit_newcomers(
            matrix,
            won,
            encoder,
            open_features=open_features,
            codes=rated.codes,
            group=group,
            blend=blend,
            recipe=recipe.of_leads(lead),
        )
    newcomers = tuple(rule.moved(shift) for rule in newcomers)
    segment = segment_of(recipe.segment, encoder, matrix) if recipe.segment else None
    return Fitted(np.flatnonzero(chosen), encoder, blend, held_out, newcomers, few, shift, open_features, segment)


def _encoded(
    part: pa.Table,
    features: FeatureSet,
    lead: npt.NDArray[np.int64],
    evidence: Evidence,
    recipe: Recipe,
    min_leads: int,
) -> tuple[Encoder, Floats, RatedLevels]:
    """The encoder of training rows, their design matrix, and the levels that are read as rates in it."""
    encoder = fit_encoder(
        part,
        features.features,
        lead=lead,
        min_leads=min_leads,
        constraints=recipe.constraints,
        evidence=evidence,
        segment=recipe.segment,
    )
    masked = mask_levels(part, encoder, lead=lead, seed=recipe.seed)
    encoder, matrix = without_repeats(encoder, encoder.transform(masked))
    rated = encoder.rated(masked, evidence, seed=recipe.seed)
    return encoder, rated.told(matrix), rated


def _thinned(chosen: Flags, *, seed: int) -> Flags:
    """Keep a random ``_ROWS_TO_FIT`` of the chosen rows, each with the same chance."""
    row = np.flatnonzero(chosen)
    if len(row) <= _ROWS_TO_FIT:
        return chosen
    kept = np.zeros(len(chosen), dtype=bool)
    kept[np.random.default_rng(seed).choice(row, _ROWS_TO_FIT, replace=False)] = True
    return kept


def score_round(
    table: pa.Table,
    rows: Rows,
    features: FeatureSet,
    tested: Round,
    recipe: Recipe,
    min_leads: int,
    step: Callable[[], None] = lambda: None,
) -> Scored:
    """Fit the recipe on what a round may learn from and predict the rows it is tested on."""
    then = rows.seen_from(tested.origin)
    fitted = _fit(table, then, features, tested.fit, recipe, min_leads, step, shift=_shift(then, tested))
    base = np.clip(then.where(tested.fit).base_rate, _LEAST, 1 - _LEAST)
    return _predict(table, rows, tested, fitted, float(base), recipe.segment)


def _predict(
    table: pa.Table, rows: Rows, tested: Round, fitted: Fitted, base: float, segment_feature: str | None
) -> Scored:
    row = np.flatnonzero(tested.test)
    matrix = fitted.encoder.transform(table.filter(tested.test))
    halves = Halves(*fitted.blend.halves(matrix), rows.won[row])
    speaker = newcomer_rows(fitted.newcomers, fitted.encoder, matrix)
    familiar = ~new_to(fitted.encoder, matrix, fitted.open_features)
    segment = segment_of(segment_feature, fitted.encoder, matrix) if segment_feature else None
    return Scored(tested, row, fitted, halves, speaker, base, familiar, segment)


def _pool(rows: Rows, scored: Sequence[Scored], settled: Settled, recipe: Recipe, *, frozen: int = 0) -> Tested:
    """Put the rounds together; each round's chances use only what was known at its origin.

    The last ``frozen`` rounds were predicted by the shipped model: their chances are its own, and those of the others
    say nothing of it.
    """
    chances, logistic, own, alike = [], [], [], []
    for k, s in enumerate(scored):
        teachers = known_at(s.round.origin, rows, [t for t in scored if t is not s])
        ships = frozen > 0 and k >= len(scored) - frozen
        then = settled if ships else settle(rows, s.fitted, teachers, recipe=recipe)
        chances.append(then.probability(s))
        alike.append(replace(then, segments=Segments()).probability(s))
        alone = settle(rows, s.fitted, teachers, recipe=recipe, share=0.0)
        logistic.append(alone.calibrator.probability(s.halves.straight))
        own.append(np.full(len(s.row), ships or not frozen))
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
        own=np.concatenate(own),
        alike=np.concatenate(alike) if recipe.segment else None,
    )
