"""Forward tests for tuning: inside the history known before the first window whose figures a training reports."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.learning.encoder import mask_levels
from mqlml.learning.hyperparameters import Hyperparameters
from mqlml.learning.inner_tests import TOO_FEW, Losses, inner_tests, row_losses
from mqlml.learning.propensity import Blend, fit_trees
from mqlml.learning.rates import Evidence, RatedLevels
from mqlml.learning.recipe import Recipe
from mqlml.learning.settling import Scored
from mqlml.learning.training import judged, score_round
from mqlml.learning.windows import group_folds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mqlml.learning.labels import Rows
    from mqlml.learning.windows import Plan
    from mqlml.tape.features import FeatureSet

__all__ = ["ForwardTests", "plan_tests"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ForwardTests:
    """Forward tests that are made again with other trees; all but the trees is fitted once.

    Attributes
    ----------
    tests : sequence of _Test
    recipe : Recipe
    """

    tests: Sequence[_Test]
    recipe: Recipe

    def losses(self, trees: Hyperparameters) -> Losses:
        """Log loss of every tested row with these trees."""
        parts = [test.losses(replace(self.recipe, trees=trees)) for test in self.tests]
        group = np.concatenate([test.then.group[test.scored.row] for test in self.tests])
        return Losses(np.concatenate(parts), group)


@dataclass(frozen=True)
class _Test:
    """One round, its design matrices, and the fit whose trees are exchanged."""

    scored: Scored
    then: Rows
    learned: Floats
    asked: Floats
    signs: npt.NDArray[np.int8]
    rated: RatedLevels

    def losses(self, recipe: Recipe) -> Floats:
        fitted, then = self.scored.fitted, self.then
        lead, group, won = then.lead[fitted.row], then.group[fitted.row], fitted.held_out.won
        trees, bagged = fit_trees(
            self.learned,
            won,
            group_folds(group, won, folds=recipe.bags, seed=recipe.seed),
            recipe=recipe.of_leads(lead),
            weight=fitted.held_out.weight,
            signs=self.signs,
            rated=self.rated,
        )
        blend = Blend(fitted.blend.logistic, trees, fitted.blend.weight)
        refitted = replace(fitted, blend=blend, held_out=replace(fitted.held_out, bagged=bagged))
        halves = replace(self.scored.halves, bagged=blend.halves(self.asked)[1])
        return row_losses(replace(self.scored, fitted=refitted, halves=halves), then, recipe)


def plan_tests(
    table: pa.Table,
    rows: Rows,
    features: FeatureSet,
    plan: Plan,
    *,
    recipe: Recipe,
    min_leads: int,
    step: Callable[[], None] = lambda: None,
) -> tuple[ForwardTests, ForwardTests] | str:
    """Fit forward tests to search on and a later one for the check, or say why there can be none.

    Parameters
    ----------
    table, rows, features, plan, recipe, min_leads, step
        As of :func:`mqlml.learning.training.train_model`.
    """
    inner = inner_tests(table, rows, plan, seed=recipe.seed)
    if isinstance(inner, str):
        return inner
    lighter = judged(recipe)
    found = []
    for part in (inner.early, inner.late):
        tests = []
        for r in part:
            scored = score_round(inner.table, inner.rows, features, r, lighter, min_leads)
            if scored.fitted.few is not None:
                return TOO_FEW
            tests.append(_test(inner.table, inner.rows, features, scored, lighter))
            step()
        found.append(ForwardTests(tests, lighter))
    return found[0], found[1]


def _test(table: pa.Table, rows: Rows, features: FeatureSet, scored: Scored, recipe: Recipe) -> _Test:
    encoder, row = scored.fitted.encoder, scored.fitted.row
    part = mask_levels(table.take(pa.array(row)), encoder, lead=rows.lead[row], seed=recipe.seed)
    asked = encoder.transform(table.take(pa.array(scored.row)))
    signs = recipe.constraints.signs(encoder.columns, features.features)
    then, held_out = rows.seen_from(scored.round.origin), scored.fitted.held_out
    rated = encoder.rated(part, Evidence(held_out.won, then.group[row], held_out.weight), seed=recipe.seed)
    return _Test(scored, then, rated.told(encoder.transform(part)), asked, signs, rated)
