"""How much several estimates differ beyond chance: what all empirical-Bayes shrinkage here rests on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["between_variance"]

Floats = npt.NDArray[np.float64]


def between_variance(estimates: Floats, variances: Floats) -> float:
    """Estimate the variance of the true values behind some estimates, by the method of moments.

    DerSimonian and Laird (1986), Controlled Clinical Trials 7:177; 0 where the estimates differ no more than their
    own errors make them.

    Parameters
    ----------
    estimates, variances : ndarray of float64, shape (k,)
        Each estimate and the square of its standard error, which is greater than 0.

    Examples
    --------
    >>> between_variance(np.array([-1.0, 1.0]), np.array([0.5, 0.5]))
    1.5
    >>> between_variance(np.array([-0.1, 0.1]), np.array([0.5, 0.5]))
    0.0
    """
    if len(estimates) < 2:
        return 0.0
    w = 1 / variances
    mean = (w * estimates).sum() / w.sum()
    free = w.sum() - (w**2).sum() / w.sum()
    return max(0.0, float(((w * (estimates - mean) ** 2).sum() - (len(w) - 1)) / free))
