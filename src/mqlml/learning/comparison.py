"""Two sets of chances of the same leads against what happened: every difference is paired, account by account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.learning.contest import contest
from mqlml.learning.evaluation import losses
from mqlml.learning.measures import PLAIN, measure
from mqlml.learning.resampling import Draws, Resampler

if TYPE_CHECKING:
    from mqlml.learning.labels import Rows

__all__ = ["LEAST_WINS", "compare_chances"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LEAST_WINS = 10
"""Won leads below which nothing is compared: intervals of so few are not to be believed."""

_FIGURES = ("log_loss", "auc", "slope", "observed_over_expected")


def compare_chances(
    rows: Rows, old: Floats, new: Floats, *, old_mqls: Flags, new_mqls: Flags, seed: int
) -> dict[str, Any] | None:
    """Compare two models on the same snapshots.

    Parameters
    ----------
    rows : Rows
        Mature snapshots, shape (n,).
    old, new : ndarray of float64, shape (n,)
        Chances strictly between 0 and 1.
    old_mqls, new_mqls : ndarray of bool, shape (n,)
        Which snapshots are above each model's line.
    seed : int
        Of the redrawn accounts; both models see the same draws.

    Returns
    -------
    dict or None
        ``figures`` (log loss, AUC, calibration slope, observed over expected: ``old``, ``new`` and ``difference``, new
        less old, with 90 % intervals), ``worse_by`` (the new log loss over the old one, less 1), ``mqls`` (leads at
        their first snapshot above each line, and their win rates) and ``same_number`` (as many leads by the new model
        as the old one chooses); None below ``LEAST_WINS`` won or not won leads.
    """
    winners = rows.winning_leads()
    if min(winners, len(np.unique(rows.lead)) - winners) < LEAST_WINS:
        return None
    resampler = Resampler(rows.group, seed=seed, winning_groups=len(np.unique(rows.group[rows.won > 0])))
    base = np.full(len(rows), rows.won.mean())
    was, now = (measure(rows.won, p, resampler, reference=base) for p in (old, new))
    # Equal chances are equal: their ratio must not carry the rounding of two sums.
    worse = resampler.means({"old": losses(rows.won, old)["log_loss"], "gap": _gap(rows.won, old, new)})
    return {
        "figures": [
            {
                "name": name,
                "plain": PLAIN[name],
                "old": was[name].interval().to_dict(),
                "new": now[name].interval().to_dict(),
                "difference": (now[name] - was[name]).interval().to_dict(),
            }
            for name in _FIGURES
        ],
        "worse_by": (worse["gap"] / worse["old"]).interval().to_dict(),
        "mqls": _mqls(rows, old_mqls, new_mqls, seed=seed),
        "same_number": contest(rows, np.arange(len(rows)), new, old_mqls, seed=seed),
    }


def _gap(won: Floats, old: Floats, new: Floats) -> Floats:
    return losses(won, new)["log_loss"] - losses(won, old)["log_loss"]


def _mqls(rows: Rows, old: Flags, new: Flags, *, seed: int) -> dict[str, Any]:
    """Leads at their first snapshot above each line, and how many of them were won within the horizon."""
    order = np.lexsort((rows.when, rows.lead))
    lead, first = np.unique(rows.lead[order], return_index=True)
    group, columns = rows.group[order][first], dict[str, Floats]()
    for name, flags in (("old", old[order]), ("new", new[order])):
        place = np.minimum.reduceat(np.where(flags, np.arange(len(order)), len(order)), first)
        found = place < len(order)
        won = rows.won[order][np.minimum(place, len(order) - 1)]
        columns |= {name: found.astype(float), f"{name} wins": np.where(found, won, 0.0)}
    sums = Resampler(group, seed=seed).sums(columns)
    rates = {name: sums[f"{name} wins"] / sums[name] for name in ("old", "new")}
    return {
        **{name: {**_counts(sums, name), "win_rate": rates[name].interval().to_dict()} for name in rates},
        "difference": (rates["new"] - rates["old"]).interval().to_dict(),
        "candidates": len(lead),
    }


def _counts(sums: dict[str, Draws], name: str) -> dict[str, int]:
    return {"leads": int(sums[name].value), "wins": int(sums[f"{name} wins"].value)}
