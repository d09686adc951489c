"""The same chances looked at month by month and group by group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.learning.evaluation import log_loss, realised_rate, roc_auc
from mqlml.learning.resampling import Resampler

if TYPE_CHECKING:
    from mqlml.learning.labels import Rows
    from mqlml.learning.training import Tested

__all__ = ["by_month", "by_segment"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_LEVELS, _OWN_LEVELS = 8, 30
_LEAST_ROWS = 50
_LEAST_WINS = 10


def by_month(rows: Rows, tested: Tested, *, seed: int) -> list[dict[str, Any]]:
    """Promised against realised rates of every tested month, in a history with dates.

    Returns
    -------
    list of dict
        ``month`` (YYYY-MM) and the figures that ``by_segment`` has.
    """
    if rows.timing not in {"horizon", "final"}:
        return []
    month = rows.when[tested.row].astype("datetime64[us]").astype("datetime64[M]")
    won, lead = rows.won[tested.row], rows.lead[tested.row]
    resampler = Resampler(rows.group[tested.row], seed=seed)
    return [{"month": str(m), **_line(won, tested.p, lead, month == m, resampler)} for m in np.unique(month)]


def by_segment(
    won: Floats,
    p: Floats,
    lead: Integers,
    segments: Mapping[str, npt.NDArray[np.str_]],
    resampler: Resampler,
    *,
    own: str | None = None,
    alike: Floats | None = None,
) -> list[dict[str, Any]]:
    """Promised against realised rates of the larger values of each segment column.

    Parameters
    ----------
    won, p : ndarray of float64, shape (n,)
    lead : ndarray of int64, shape (n,)
    segments : mapping of str to ndarray of str, shape (n,)
    resampler : Resampler
    own : str, optional
        The column whose values have intercepts of their own.
    alike : ndarray of float64, shape (n,), optional
        ``p`` as it would be if they did not.

    Returns
    -------
    list of dict
        ``segment``, ``promised``, ``won`` with ``low`` and ``high`` (0..1), ``snapshots``, ``leads``, ``wins``; and,
        where at least ten leads were won, ``auc`` and ``log_loss`` with the ``base_log_loss`` of its own win rate.
        Values with an intercept of their own have ``promised_alike``, what would have been promised without it.
    """
    found = []
    for name, values in segments.items():
        levels, counts = np.unique(values, return_counts=True)
        for level in levels[np.argsort(-counts, kind="stable")][: _OWN_LEVELS if name == own else _LEVELS]:
            inside = values == level
            if inside.sum() >= _LEAST_ROWS:
                line = _line(won, p, lead, inside, resampler)
                if name == own and alike is not None:
                    line["promised_alike"] = float(alike[inside].mean())
                found.append({"segment": f"{name}: {level}", "column": name, "value": str(level), **line})
    return found


def _line(
    won: Floats, p: Floats, lead: Integers, inside: npt.NDArray[np.bool_], resampler: Resampler
) -> dict[str, Any]:
    leads, wins = len(np.unique(lead[inside])), len(np.unique(lead[inside & (won > 0)]))
    line = {
        "promised": float(p[inside].mean()),
        **realised_rate(won, inside.astype(float), leads, resampler),
        "snapshots": int(inside.sum()),
        "leads": leads,
        "wins": wins,
        "auc": None,
        "log_loss": None,
        "base_log_loss": None,
    }
    if wins >= _LEAST_WINS and leads - wins >= _LEAST_WINS:
        ones, rate = np.ones(int(inside.sum())), float(won[inside].mean())
        line["auc"] = roc_auc(won[inside], p[inside], ones)
        line["log_loss"] = log_loss(won[inside], p[inside], ones)
        line["base_log_loss"] = log_loss(won[inside], np.full(len(ones), rate), ones)
    return line
