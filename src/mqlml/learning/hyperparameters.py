"""What a search may change about the trees."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Hyperparameters"]

# Enough rounds at this learning rate; slower learning gets as many more.
_ROUNDS, _RATE = 400, 0.08


@dataclass(frozen=True)
class Hyperparameters:
    """How the trees of the blend grow; the penalty of the logistic half is chosen anew in every fit.

    Attributes
    ----------
    learning_rate : float
        Share of each tree's answer that is added, 0..1.
    num_leaves : int
    min_leads_in_leaf : int
        Distinct leads, however many snapshots they have.
    feature_fraction : float
        Share of the columns that a tree may use, 0..1.
    lambda_l2 : float
        Pull of each leaf towards nothing.
    """

    learning_rate: float = 0.08
    num_leaves: int = 12
    min_leads_in_leaf: int = 20
    feature_fraction: float = 0.3
    lambda_l2: float = 10.0

    @property
    def rounds(self) -> int:
        """Trees of a bag at most; fitting stops early where more do not help."""
        return round(_ROUNDS * max(_RATE / self.learning_rate, 1.0))
