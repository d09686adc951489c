"""Whether a threshold still gives what it gave: the window it rests on against the newest whose outcomes are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binom, fisher_exact

if TYPE_CHECKING:
    from mqlml.decision.replay import Replay

__all__ = ["drift", "newest_part"]

# Chance of a warning where nothing has changed: a warning a year is too many to be read.
_LEVEL = 0.02
_LEAST_LEADS = 10


def drift(before: Replay, newest: Replay, threshold: float, *, promised: float | None = None) -> dict[str, Any]:
    """Compare the win rates of MQLs in two windows.

    Parameters
    ----------
    before, newest : Replay
    threshold : float
    promised : float, optional
        A certified win rate, 0..1.

    Returns
    -------
    dict
        ``before`` and ``newest`` (``leads``, ``wins``, ``rate``), ``p_value`` of "no lower than before" (one-sided,
        Fisher's exact test; None where a window holds fewer than ten MQLs) and ``warning``, a sentence or None.
    """
    first, last = _counted(before, threshold), _counted(newest, threshold)
    if min(first["leads"], last["leads"]) < _LEAST_LEADS:
        return {"before": first, "newest": last, "p_value": None, "warning": None}
    table = [[last["wins"], last["leads"] - last["wins"]], [first["wins"], first["leads"] - first["wins"]]]
    p_value = float(fisher_exact(table, alternative="less").pvalue)
    broken = promised is not None and float(binom.cdf(last["wins"], last["leads"], promised)) <= _LEVEL
    warning = _sentence(first, last, promised if broken else None) if broken or p_value <= _LEVEL else None
    return {"before": first, "newest": last, "p_value": p_value, "warning": warning}


def _counted(replay: Replay, threshold: float) -> dict[str, Any]:
    rows = replay.crossings(threshold)
    wins = int(replay.won[rows].sum()) if len(rows) else 0
    return {"leads": len(rows), "wins": wins, "rate": wins / len(rows) if len(rows) else None}


def _sentence(first: dict[str, Any], last: dict[str, Any], promised: float | None) -> str:
    rates = f"{100 * last['rate']:.3g} % of {last['leads']:,} MQLs were won, before it {100 * first['rate']:.3g} %"
    if promised is not None:
        return (
            f"The promise of {100 * promised:.3g} % does not hold in the newest weeks whose outcomes are known: "
            f"{rates}. Leads or sales have changed: train again before relying on it."
        )
    return f"In the newest weeks whose outcomes are known {rates}: expect the lower rate, and train again."


def newest_part(replay: Replay) -> tuple[Replay, Replay] | None:
    """The replay cut into its newest window and what came before; None where it has one window only."""
    if replay.part is None or len(np.unique(replay.part)) < 2:
        return None
    last = int(replay.part.max())
    return replay.window(*replay.parts[:last]), replay.window(replay.parts[last])
