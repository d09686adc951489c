"""One training: the recipe judged on its windows, then fitted on everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from mqlml.learning.calibration import Calibrator, fit_calibrator
from mqlml.learning.caution import FEW
from mqlml.learning.encoder import fit_encoder, mask_levels, without_repeats
from mqlml.learning.model import Model
from mqlml.learning.propensity import Blend, Recipe, best_weight, fit_blend

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.learning.encoder import Encoder
    from mqlml.learning.labels import Rows
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
    settled : ndarray of float64, shape (n,)
        Chance on the scale of the shipped model (its weight and calibrator); NaN where it would have been learned from
        in a training without refit.
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
    """The shipped model and the evidence for its recipe."""

    model: Model
    tested: Tested


@dataclass(frozen=True)
class _Scored:
    round: Round
    row: npt.NDArray[np.int64]
    straight: Floats
    bagged: Floats
    blend: Blend
    calibrator: Calibrator
    baselines: dict[str, Floats]


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
    lighter = replace(recipe, bags=min(recipe.bags, JUDGED_BAGS))
    scored = [_score_round(table, rows, features, r, lighter, min_leads, step) for r in plan.rounds]
    everything = np.ones(len(rows), dtype=bool)
    encoder, blend, fallback = _fit(table, rows, features, everything, recipe, min_leads, step)
    weight, calibrator = _teach(rows, scored) or (blend.weight, fallback)
    blend = Blend(blend.logistic, blend.trees, weight if blend.trees else 0.0)
    tested = _pool(rows, scored, blend.weight, calibrator)
    reference = np.quantile(tested.settled, np.linspace(0, 1, _REFERENCE_QUANTILES))
    return Training(Model(features, encoder, blend, calibrator, reference), tested)


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
    lighter = replace(recipe, bags=min(recipe.bags, JUDGED_BAGS))
    first = plan.frozen[0]
    earlier = [r for r in plan.rounds if r.part not in {f.part for f in plan.frozen}]
    scored = [_score_round(table, rows, features, r, lighter, min_leads, step) for r in earlier]
    then = rows.seen_from(first.origin)
    encoder, blend, fallback = _fit(table, then, features, first.fit, recipe, min_leads, step)
    taught = _teach(rows, scored, origin=first.origin)
    weight, calibrator = taught or (blend.weight, _levelled(fallback, then, first.fit))
    blend = Blend(blend.logistic, blend.trees, weight if blend.trees else 0.0)
    base = np.clip(then.where(first.fit).base_rate, _LEAST, 1 - _LEAST)
    shipped = [_predict(table, r, encoder, blend, calibrator, base) for r in plan.frozen]
    tested = _pool(rows, [*scored, *shipped], blend.weight, calibrator, frozen=len(shipped))
    unseen = np.isfinite(tested.settled)
    reference = np.quantile(tested.settled[unseen], np.linspace(0, 1, _REFERENCE_QUANTILES))
    return Training(Model(features, encoder, blend, calibrator, reference), tested)


def _levelled(calibrator: Calibrator, then: Rows, fit: Flags) -> Calibrator:
    """Shift chances from the win rate of the rows learned from to that of all rows known then.

    Accounts still open in the windows to come are left out of the fit, and those that stay were decided sooner, and
    more often won, than leads are (prior correction; King and Zeng, 2001, Political Analysis 9:137).
    """
    rates = [np.clip(then.where(rows).base_rate, _LEAST, 1 - _LEAST) for rows in (then.weight > 0, fit)]
    shift = float(logit(rates[0]) - logit(rates[1]))
    return Calibrator(calibrator.slope, calibrator.intercept + shift)


def _fit(
    table: pa.Table,
    rows: Rows,
    features: FeatureSet,
    chosen: Flags,
    recipe: Recipe,
    min_leads: int,
    step: Callable[[], None],
) -> tuple[Encoder, Blend, Calibrator]:
    chosen = _thinned(chosen, seed=recipe.seed)
    part, lead = table.filter(chosen), rows.lead[chosen]
    encoder = fit_encoder(part, features.features, lead=lead, min_leads=min_leads)
    matrix = encoder.transform(mask_levels(part, encoder, lead=lead, seed=recipe.seed))
    encoder, matrix = without_repeats(encoder, matrix)
    blend, calibrator = fit_blend(
        matrix,
        rows.won[chosen],
        lead=lead,
        group=rows.group[chosen],
        weight=rows.weight[chosen] if rows.young else None,
        recipe=recipe,
        step=step,
    )
    return encoder, blend, calibrator


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
) -> _Scored:
    then = rows.seen_from(tested.origin)
    encoder, blend, calibrator = _fit(table, then, features, tested.fit, recipe, min_leads, step)
    base = np.clip(then.where(tested.fit).base_rate, _LEAST, 1 - _LEAST)
    return _predict(table, tested, encoder, blend, calibrator, base)


def _predict(
    table: pa.Table, tested: Round, encoder: Encoder, blend: Blend, calibrator: Calibrator, base: float
) -> _Scored:
    row = np.flatnonzero(tested.test)
    straight, bagged = blend.halves(encoder.transform(table.filter(tested.test)))
    return _Scored(tested, row, straight, bagged, blend, calibrator, {"base rate": np.full(len(row), base)})


def _pool(rows: Rows, scored: Sequence[_Scored], weight: float, calibrator: Calibrator, *, frozen: int = 0) -> Tested:
    """Put the rounds together; each round's chances use only what was known at its origin.

    The last ``frozen`` rounds were predicted by the shipped model: their chances are its own, and those of the others
    say nothing of it.
    """
    chances, logistic = [], []
    ships = [frozen > 0 and k >= len(scored) - frozen for k in range(len(scored))]
    for s, own in zip(scored, ships, strict=True):
        taught = _teach(rows, [t for t in scored if t is not s], origin=s.round.origin)
        w, c = (weight, calibrator) if own else taught or (s.blend.weight, s.calibrator)
        chances.append(c.probability((1 - w) * s.straight + w * s.bagged))
        alone = _teach(rows, [t for t in scored if t is not s], origin=s.round.origin, weight=0.0)
        logistic.append((alone[1] if alone else Calibrator()).probability(s.straight))
    straight = np.concatenate([s.straight for s in scored])
    bagged = np.concatenate([s.bagged for s in scored])
    shipped = np.concatenate([np.full(len(s.row), own or not frozen) for s, own in zip(scored, ships, strict=True)])
    return Tested(
        row=np.concatenate([s.row for s in scored]),
        part=np.concatenate([np.full(len(s.row), s.round.part) for s in scored]),
        straight=straight,
        bagged=bagged,
        p=np.concatenate(chances),
        baselines={
            "base rate": np.concatenate([s.baselines["base rate"] for s in scored]),
            "logistic regression": np.concatenate(logistic),
        },
        settled=np.where(shipped, calibrator.probability((1 - weight) * straight + weight * bagged), np.nan),
    )


def _teach(
    rows: Rows, teachers: Sequence[_Scored], *, origin: int | None = None, weight: float | None = None
) -> tuple[float, Calibrator] | None:
    """Weight and calibrator from scores of unseen rows whose labels were known at ``origin``; None if too few."""
    if not teachers:
        return None
    row = np.concatenate([t.row for t in teachers])
    straight = np.concatenate([t.straight for t in teachers])
    bagged = np.concatenate([t.bagged for t in teachers])
    known = np.ones(len(row), dtype=bool) if origin is None else (rows.known[row] <= origin) & (rows.when[row] < origin)
    row, straight, bagged = row[known], straight[known], bagged[known]
    won, lead = rows.won[row], rows.lead[row]
    wins = len(np.unique(lead[won > 0]))
    if min(wins, len(np.unique(lead)) - wins) < FEW:
        return None
    w = best_weight(straight, bagged, won) if weight is None else weight
    raw = (1 - w) * straight + w * bagged
    return w, fit_calibrator(raw, won, winning_leads=wins, window=_windows(rows, row, teachers))


def _windows(rows: Rows, row: npt.NDArray[np.int64], teachers: Sequence[_Scored]) -> npt.NDArray[np.int64] | None:
    """Number of each row's test window in time order; None where the rounds stand in no order."""
    origins = {t.round.origin for t in teachers if t.round.origin is not None}
    return np.searchsorted(np.sort(list(origins)), rows.when[row], side="right") if origins else None
