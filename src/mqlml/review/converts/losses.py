"""Why leads were lost, as the outcomes say: told, never learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mqlml.review.converts.rates import rates

if TYPE_CHECKING:
    import numpy.typing as npt

    from mqlml.learning.decisions import OutcomeRows

__all__ = ["lost_reasons"]

_MOST_REASONS = 10
_MOST_GROUPS = 6
_MOST_IN_GROUPS = 4
# Fewer losses of a source say nothing about its reasons.
_LEAST_OF_A_GROUP = 50


def lost_reasons(
    rows: OutcomeRows,
    group: npt.NDArray[np.int64],
    sources: tuple[tuple[str, ...], npt.NDArray[np.int64]] | None,
    *,
    least: int,
) -> dict[str, Any] | None:
    """Count losses by reason, in all and by source.

    Parameters
    ----------
    rows : OutcomeRows
        Known strictly before the as-of moment.
    group : ndarray of int64, shape (leads,)
        Account of each lead of the population.
    sources : tuple of (tuple of str, ndarray of int64), optional
        Names of sources, and that of each lead of the population (below 0: none of them).
    least : int
        Losses that a reason needs to be told: rarer ones could hold what a person wrote.

    Returns
    -------
    dict or None
        ``losses``, ``stated`` (with a reason), ``rows`` (``reason``, ``losses``, ``share`` of the stated and its 90 %
        ends), ``rest`` (rarer reasons and their losses) and ``by_source``. None where no loss has a reason.
    """
    lost = rows.where(rows.word == "lost")
    stated = lost.where(lost.reason != "")
    if not len(stated.lead):
        return None
    names, code, counts = np.unique(stated.reason, return_inverse=True, return_counts=True)
    order = [int(k) for k in np.argsort(-counts, kind="stable") if counts[k] >= least][:_MOST_REASONS]
    told = [str(names[k]) for k in order]
    place = np.full(len(names), -1)
    place[order] = np.arange(len(order))
    reason, account = place[code], group[stated.lead]
    found = [
        {"reason": name, "losses": int((reason == k).sum()), **_share(reason == k, account)}
        for k, name in enumerate(told)
    ]
    return {
        "losses": len(lost.lead),
        "stated": len(stated.lead),
        "rows": found,
        "rest": {"reasons": len(names) - len(order), "losses": int((reason < 0).sum())},
        "by_source": [] if sources is None else _by_source(sources[0], sources[1][stated.lead], reason, told),
    }


def _share(flags: npt.NDArray[np.bool_], account: npt.NDArray[np.int64]) -> dict[str, Any]:
    row = rates(np.zeros(len(flags), dtype=np.int64), flags.astype(float), account, codes=1)[0]
    return {"share": row["win_rate"], "low": row["low"], "high": row["high"]}


def _by_source(
    names: tuple[str, ...], source: npt.NDArray[np.int64], reason: npt.NDArray[np.int64], told: list[str]
) -> list[dict[str, Any]]:
    """Shares of the most frequent reasons, by source with enough losses."""
    found: list[dict[str, Any]] = []
    for k, name in enumerate(names):
        inside = reason[source == k]
        if len(inside) >= _LEAST_OF_A_GROUP and len(found) < _MOST_GROUPS:
            shares = [
                {"reason": told[j], "share": float((inside == j).mean())}
                for j in range(min(len(told), _MOST_IN_GROUPS))
            ]
            found.append({"source": name, "losses": len(inside), "reasons": shares})
    return found
