"""Whether a model can tell today's leads from earlier ones: every feature at once, in whatever combination."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from mqlml.learning.evaluation import roc_auc
from mqlml.learning.logistic import fit_logistic
from mqlml.learning.resampling import Resampler
from mqlml.operation.monitoring import Measured, missing

__all__ = ["PAST_MOMENTS", "told_apart"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

PAST_MOMENTS = 12
"""Past moments that today is compared with; each is also told apart from the others, to see how well that goes."""
_FEWEST_MOMENTS, _FEWEST_LEADS = 6, 50
_STRENGTH, _FOLDS, _DRAWS = 0.003, 2, 100
_LARGE = 0.05


def told_apart(matrix: Floats, moment: Integers, group: Integers, *, seed: int) -> Measured:
    """MON-08: a logistic regression that guesses whether a lead is of today.

    Leads of any one week differ a little from those of others: a newsletter went out, colleagues came. Each past
    moment is therefore told apart from the other past ones in the same way, and today's area under the curve is
    compared with theirs (one-sided t test of a new observation).

    Parameters
    ----------
    matrix : ndarray of float64, shape (n, columns)
        Features of leads at several moments, without missing values.
    moment : ndarray of int64, shape (n,)
        0 for today, 1, 2, ... for past moments.
    group : ndarray of int64, shape (n,)
        Account; nobody is learned from and judged at once, and who is at the looked-at moment is left out elsewhere.
    seed : int
    """
    sizes = np.bincount(moment, minlength=1)
    past = [k for k in range(1, len(sizes)) if sizes[k] >= _FEWEST_LEADS]
    if sizes[0] < _FEWEST_LEADS or len(past) < _FEWEST_MOMENTS:
        what = f"Needs {_FEWEST_LEADS} leads today and at {_FEWEST_MOMENTS} past moments before the model was trained"
        return missing("MON-08", f"{what}; there are {sizes[0]} today and {len(past)} such moments.")
    usual = np.array([_curve(matrix, moment, group, k, past, seed)[0] for k in past])
    area, (guess, is_now, who) = _curve(matrix, moment, group, 0, past, seed)
    spread = max(float(usual.std(ddof=1)), 1e-3) * np.sqrt(1 + 1 / len(usual))
    p = float(t.sf((area - usual.mean()) / spread, len(usual) - 1))
    interval = Resampler(who, seed=seed, draws=_DRAWS).interval(lambda weight: roc_auc(is_now, guess, weight))
    sure = "" if interval.low is None else f" (likely {interval.low:.2f} to {interval.high:.2f})"
    sentence = (
        f"A model tells today's leads from earlier ones in {100 * area:.0f} of 100 pairs{sure}; for past weeks it did "
        f"in {100 * usual.mean():.0f} (at most {100 * usual.max():.0f}); 50 is chance."
    )
    figures = {"auc": interval.to_dict(), "usual": float(usual.mean()), "moments": len(past)}
    return Measured("MON-08", sentence, p, large=bool(area - usual.mean() >= _LARGE), figures=figures)


def _curve(
    matrix: Floats, moment: Integers, group: Integers, which: int, past: list[int], seed: int
) -> tuple[float, tuple[Floats, Floats, Integers]]:
    """Area under the curve of guesses out of fold, with the guesses, the truth and the accounts."""
    now = moment == which
    others = np.isin(moment, [k for k in past if k != which]) & ~np.isin(group, group[now])
    row = np.flatnonzero(now | others)
    is_now = now[row].astype(float)
    _, code = np.unique(group[row], return_inverse=True)
    fold = np.random.default_rng(seed).permutation(int(code.max()) + 1)[code] % _FOLDS
    guess = np.zeros(len(row))
    for k in range(_FOLDS):
        learn, judged = fold != k, fold == k
        if len(np.unique(is_now[learn])) < 2:
            continue
        fitted = fit_logistic(matrix[row[learn]], is_now[learn], strength=_STRENGTH, seed=seed)
        raw = fitted.raw(matrix[row[judged]])
        guess[judged] = raw - raw.mean()
    return roc_auc(is_now, guess, np.ones(len(row))), (guess, is_now, group[row])
