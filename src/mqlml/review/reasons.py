"""Why a lead has its chance: contributions that sum exactly to the calibrated log-odds, by criterion."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mqlml.learning.newcomers import newcomer_rows
from mqlml.review.treeshap import TreeEnsemble

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.learning.model import Model
    from mqlml.tape.features import Feature

__all__ = ["NOT_SUPPLIED", "Explainer", "Explanation", "difference_from_shap"]

Floats = npt.NDArray[np.float64]

NOT_SUPPLIED = "not supplied"


@dataclass(frozen=True)
class Explanation:
    """Contributions of a batch of leads, in calibrated log-odds.

    Attributes
    ----------
    names : tuple of str
        Criteria, and last ``not supplied``.
    groups : tuple of str
        fit, engagement or timing of each criterion; ``not supplied`` counts as fit.
    base : float
        Log-odds before anything is known of a lead.
    parts : ndarray of float64, shape (leads, criteria)
        ``base + parts.sum(axis=1)`` is the calibrated log-odds to 1e-9.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    base: float
    parts: Floats

    def total(self, *groups: str) -> Floats:
        """Sum of the contributions of some groups, shape (leads,)."""
        inside = np.isin(self.groups, groups)
        return self.parts[:, inside].sum(axis=1)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Explainer:
    """Explains leads with one model.

    Examples
    --------
    >>> Explainer(model).explain(table).parts  # doctest: +SKIP
    """

    model: Model

    @cached_property
    def criteria(self) -> dict[str, str]:
        """Group of each criterion that the model looks at, in the order of the features."""
        used = {column.feature for column in self.model.encoder.columns}
        return {f.criterion: f.group for f in reversed(self.model.features.features) if f.name in used}

    def explain(self, table: pa.Table, matrix: Floats | None = None) -> Explanation:
        """Split each lead's calibrated log-odds into what each criterion adds.

        Parameters
        ----------
        table : pa.Table
            Features of the leads.
        matrix : ndarray of float64, shape (leads, columns), optional
            Their design matrix, where it is there already.
        """
        base, columns = self.column_contributions(self.model.matrix(table) if matrix is None else matrix)
        names = [*self.criteria, NOT_SUPPLIED]
        parts = np.zeros((len(columns), len(names)))
        supplied = {f.name: self._supplied(f, table) for f in self._attributes}
        for j, column in enumerate(self.model.encoder.columns):
            criterion = names.index(self._criterion[column.feature])
            if column.feature in supplied:
                given = supplied[column.feature]
                parts[:, criterion] += np.where(given, columns[:, j], 0.0)
                parts[:, -1] += np.where(given, 0.0, columns[:, j])
            else:
                parts[:, criterion] += columns[:, j]
        return Explanation(tuple(names), (*self.criteria.values(), "fit"), base, parts)

    def column_contributions(self, matrix: Floats) -> tuple[float, Floats]:
        """Base and what each column of the design matrix adds, in calibrated log-odds.

        The logistic half adds ``beta_j (x_j - mean_j)``, the trees their SHAP values; the calibrator scales both, a
        curved one by another factor for each lead. What is added for a segment stands at its column. A lead with a
        level never seen has its parts at its rule's slope, and the rest of the way from the common base stands at
        that level's column.
        """
        blend, calibrator = self.model.blend, self.model.calibrator
        base = (1 - blend.weight) * blend.logistic.base
        columns = (1 - blend.weight) * blend.logistic.contributions(matrix)
        if blend.trees and blend.weight > 0:
            trees = self._trees.contributions(np.ascontiguousarray(matrix))
            base += blend.weight * float(trees[0, -1]) if len(trees) else 0.0
            columns += blend.weight * trees[:, :-1]
        columns *= calibrator.scale(base + columns.sum(axis=1), base)[:, None]
        for j, added in self.model.segments.columns(self.model.encoder).items():
            columns[:, j] += added * matrix[:, j]
        start = float(calibrator.log_odds(np.full(1, base))[0])
        self._let_newcomers_speak(matrix, columns, start)
        return start, columns

    def _let_newcomers_speak(self, matrix: Floats, columns: Floats, base: float) -> None:
        encoder = self.model.encoder
        speaker = newcomer_rows(self.model.newcomers, encoder, matrix)
        for i, rule in enumerate(self.model.newcomers):
            mine = np.flatnonzero(speaker == i)
            columns[mine] *= rule.slope
            columns[mine, encoder.other_place(rule.feature)] += rule.log_odds(base) - base

    @cached_property
    def _trees(self) -> TreeEnsemble:
        return TreeEnsemble.parse(self.model.blend.trees, len(self.model.encoder.columns))

    @cached_property
    def _criterion(self) -> dict[str, str]:
        return {f.name: f.criterion for f in self.model.features.features}

    @cached_property
    def _attributes(self) -> tuple[Feature, ...]:
        used = {column.feature for column in self.model.encoder.columns}
        return tuple(f for f in self.model.features.attribute_features if f.name in used)

    @staticmethod
    def _supplied(feature: Feature, table: pa.Table) -> npt.NDArray[np.bool_]:
        column = table[feature.name]
        if feature.kind == "number":
            return ~np.isnan(column.to_numpy())  # type: ignore[no-any-return]
        return column.is_valid().to_numpy().astype(bool)  # type: ignore[no-any-return]


def difference_from_shap(model: Model, matrix: Floats) -> float:
    """Largest difference between our tree contributions and those of the ``shap`` package on the same rows.

    A second opinion, kept with each bundle: reasons that sales are shown should not rest on our code alone.
    """
    with warnings.catch_warnings():
        # It complains of other packages' progress bars and plots, neither of which is used here.
        warnings.simplefilter("ignore")
        import shap

    if not model.blend.trees or not len(matrix):
        return 0.0
    theirs = np.mean([shap.TreeExplainer(b).shap_values(matrix) for b in model.blend.boosters], axis=0)
    ours = TreeEnsemble.parse(model.blend.trees, matrix.shape[1]).contributions(np.ascontiguousarray(matrix))
    return float(np.abs(theirs - ours[:, :-1]).max())
