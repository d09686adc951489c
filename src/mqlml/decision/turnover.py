"""Who enters and who leaves the list of MQLs, and whether new facts or the new model moved them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logit

__all__ = ["ListSide", "Turnover", "moves", "turnover"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class ListSide:
    """One list, lead by lead; arrays of shape (n,).

    Attributes
    ----------
    p : ndarray of float64
        Chances; NaN where the lead had no score.
    mql : ndarray of bool
        On the list.
    """

    p: Floats
    mql: Flags


@dataclass(frozen=True)
class Turnover:
    """What moved each of today's candidates; arrays of shape (n,).

    Attributes
    ----------
    by_data : ndarray of object or None
        "enters", "leaves", "stays" or "none" from the old list to the old model on today's facts; None where no old
        list is known.
    by_model : ndarray of object
        The same from the old to the new model on today's facts.
    data_effect : ndarray of float64 or None
        What new facts changed in the log-odds, by the old model; NaN for a lead without an old score.
    model_effect : ndarray of float64
        What the new model changed in them.
    counts : dict
        How many leads moved, of either cause.
    """

    by_data: Texts | None
    by_model: Texts
    data_effect: Floats | None
    model_effect: Floats
    counts: dict[str, Any]


def moves(before: Flags, after: Flags) -> Texts:
    """Tell of each lead whether it enters or leaves the list, stays on it, or is on neither ("none")."""
    words = np.select([before & after, after & ~before, before & ~after], ["stays", "enters", "leaves"], "none")
    return words.astype(object)


def turnover(old: ListSide, new: ListSide, *, earlier: ListSide | None = None, gone: int = 0) -> Turnover:
    """Tell apart what today's facts and what the new model moved.

    Parameters
    ----------
    old, new : ListSide
        Today's candidates by each model, in the same order.
    earlier : ListSide, optional
        The same leads as the old model listed them at an earlier moment.
    gone : int
        Leads on that list which are no candidates any more.
    """
    by_model = moves(old.mql, new.mql)
    by_data = None if earlier is None else moves(earlier.mql, old.mql)
    counts: dict[str, Any] = {
        "candidates": len(old.p),
        "old_list": int(old.mql.sum()),
        "new_list": int(new.mql.sum()),
        "by_model": _count(by_model),
        "by_data": None,
    }
    if by_data is not None:
        counts["by_data"] = {**_count(by_data), "no candidates any more": gone}
    data_effect = None if earlier is None else logit(old.p) - logit(earlier.p)
    return Turnover(by_data, by_model, data_effect, logit(new.p) - logit(old.p), counts)


def _count(words: Texts) -> dict[str, int]:
    return {word: int((words == word).sum()) for word in ("enters", "leaves", "stays")}
