"""Forward tests with some of the features: how much each feature moves, and what is lost without the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.learning.fewer_features import Fewer, leave_out, smallest_sets
from mqlml.learning.inner_tests import TOO_FEW, InnerTests, Losses, inner_tests, row_losses
from mqlml.learning.training import judged, score_round

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from mqlml.learning.labels import Rows
    from mqlml.learning.propensity import Blend
    from mqlml.learning.recipe import Recipe
    from mqlml.learning.settling import Scored
    from mqlml.learning.windows import Plan, Round
    from mqlml.tape.features import FeatureSet

__all__ = ["carried_by", "find_fewer"]

Floats = npt.NDArray[np.float64]

# Tested rows of each round whose log-odds are split into what features add: means settle long before.
_ROWS = 2_000


def find_fewer(
    table: pa.Table,
    rows: Rows,
    features: FeatureSet,
    plan: Plan,
    *,
    recipe: Recipe,
    min_leads: int,
    stay: Collection[str] = (),
    step: Callable[[], None] = lambda: None,
) -> Fewer | str:
    """Look for features that can be left out, on tests older than any reported window, or say why there are none.

    Parameters
    ----------
    table, rows, features, plan, recipe, min_leads
        As of :func:`mqlml.learning.training.train_model`.
    stay : collection of str
        Features that are never left out.
    step : callable
        Called once a test, for progress.
    """
    inner = inner_tests(table, rows, plan, seed=recipe.seed)
    if isinstance(inner, str):
        return inner
    tests = _Tests(inner, features, judged(recipe), min_leads, step)
    everything = frozenset(tests.names)
    early = tests.scored(everything, inner.early)
    if any(one.fitted.few is not None for one in early):
        return TOO_FEW
    return leave_out(
        tests.names,
        smallest_sets(tests.carried(early), stay),
        lambda kept: float(tests.losses(tests.scored(kept, inner.early)).loss.mean()),
        lambda kept: tests.losses(tests.scored(kept, inner.late)),
        whole=float(tests.losses(early).loss.mean()),
        seed=recipe.seed,
    )


def carried_by(blend: Blend, matrix: Floats, features: Sequence[str]) -> dict[str, float]:
    """How much each feature moves the blended log-odds of some rows: the mean size of what its columns add together.

    The logistic half adds ``beta_j (x_j - mean_j)``, the trees LightGBM's own SHAP values.

    Parameters
    ----------
    blend : Blend
    matrix : ndarray of float64, shape (rows, columns)
    features : sequence of str
        Feature of each column.
    """
    added = (1 - blend.weight) * blend.logistic.contributions(matrix)
    if blend.trees and blend.weight > 0:
        bags = [np.asarray(booster.predict(matrix, pred_contrib=True))[:, :-1] for booster in blend.boosters]
        added = added + blend.weight * np.mean(bags, axis=0)
    places: dict[str, list[int]] = {}
    for j, name in enumerate(features):
        places.setdefault(name, []).append(j)
    return {name: float(np.abs(added[:, j].sum(axis=1)).mean()) for name, j in places.items()}


@dataclass(frozen=True)
class _Tests:
    """Rounds that are fitted again with some of the features."""

    inner: InnerTests
    features: FeatureSet
    recipe: Recipe
    min_leads: int
    step: Callable[[], None]

    @property
    def names(self) -> tuple[str, ...]:
        """All features."""
        return tuple(feature.name for feature in self.features.features)

    def scored(self, kept: frozenset[str], rounds: Sequence[Round]) -> list[Scored]:
        """Each round fitted with some features, and what it says of the rows it is tested on."""
        features = self.features.without([name for name in self.names if name not in kept])
        found = []
        for r in rounds:
            found.append(score_round(self.inner.table, self.inner.rows, features, r, self.recipe, self.min_leads))
            self.step()
        return found

    def losses(self, scored: Sequence[Scored]) -> Losses:
        """Log loss of every tested row."""
        rows = self.inner.rows
        loss = [row_losses(one, rows.seen_from(one.round.origin), self.recipe) for one in scored]
        return Losses(np.concatenate(loss), np.concatenate([rows.group[one.row] for one in scored]))

    def carried(self, scored: Sequence[Scored]) -> dict[str, float]:
        """How much each feature moves log-odds, averaged over rounds."""
        total = dict.fromkeys(self.names, 0.0)
        for one in scored:
            row = one.row[np.unique(np.linspace(0, len(one.row) - 1, _ROWS).astype(np.int64))]
            encoder = one.fitted.encoder
            matrix = encoder.transform(self.inner.table.take(pa.array(row)))
            found = carried_by(one.fitted.blend, matrix, [column.feature for column in encoder.columns])
            for name, size in found.items():
                total[name] += size / len(scored)
        return total
