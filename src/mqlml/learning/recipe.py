"""How a model is fitted: the same for every window and for the shipped model."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.learning.constraints import Constraints
from mqlml.learning.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from mqlml.learning.calibration import Method

__all__ = ["Recipe"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Recipe:
    """How a model is fitted; the same for every window and for the shipped model.

    Attributes
    ----------
    seed, bags : int
    threads : int
        Changes nothing but the time taken.
    leads_per_row : float
        Distinct leads over rows, 0..1: repeated snapshots of a lead are one observation, not many.
    calibration : str
        Rung of the ladder of :func:`mqlml.learning.calibration.fit_calibrator`.
    constraints : Constraints
        What people decided that the model must obey.
    newcomers : bool
        Whether rules for values never seen are learned; they take longer than all else, so rounds go without.
    segment : str or None
        Categorical feature whose levels have intercepts of their own.
    trees : Hyperparameters
    """

    seed: int
    bags: int
    threads: int
    leads_per_row: float = 1.0
    calibration: Method = "auto"
    constraints: Constraints = field(default_factory=Constraints)
    newcomers: bool = True
    segment: str | None = None
    trees: Hyperparameters = field(default_factory=Hyperparameters)

    def of_leads(self, lead: Integers) -> Recipe:
        """The same for rows of these leads."""
        return replace(self, leads_per_row=len(np.unique(lead)) / len(lead))

    def tree_parameters(self, bag: int) -> dict[str, Any]:
        """LightGBM parameters of one bag: small, shrunken trees, the same result on any number of threads."""
        return {
            "objective": "binary",
            "learning_rate": self.trees.learning_rate,
            "num_leaves": self.trees.num_leaves,
            "max_depth": 6,
            "min_data_in_leaf": round(self.trees.min_leads_in_leaf / min(self.leads_per_row, 1.0)),
            "min_sum_hessian_in_leaf": 1.0,
            "lambda_l2": self.trees.lambda_l2,
            "feature_fraction": self.trees.feature_fraction,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "max_bin": 63,
            "num_threads": self.threads,
            "deterministic": True,
            "force_col_wise": True,
            "seed": self.seed * 1_000 + bag,
            "verbosity": -1,
        }
