"""The ways leads came: steps in the order in which each was first touched, how many, and how long it took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.learning.moments import DAY, NEVER
from mqlml.review.converts.rates import rates, told_rows

if TYPE_CHECKING:
    from mqlml.history.touches import Touches
    from mqlml.review.converts.judged import Judged

__all__ = ["OTHER_STEP", "Steps", "journeys", "steps_of"]

Integers = npt.NDArray[np.int64]

OTHER_STEP = "everything else"
"""Name of every step that is not told by itself."""
_LONGEST_PATH = 4
_MOST_PATHS = 8
_TOUCHES = (0, 1, 2, 3, 6, 11, 21)


@dataclass(frozen=True)
class Steps:
    """Distinct steps of leads, each at its first time; arrays of shape (k,), sorted by lead, then time.

    Attributes
    ----------
    names : tuple of str
    lead, code : ndarray of int64
        Row of the lead, and place in ``names``.
    final : ndarray of int64, shape (leads with a step,)
        The step touched last by each lead, in the order of the leads in ``lead``.
    """

    names: tuple[str, ...]
    lead: Integers
    code: Integers
    final: Integers

    @property
    def opens(self) -> npt.NDArray[np.bool_]:
        """Whether each row is its lead's first step, shape (k,)."""
        opens: npt.NDArray[np.bool_] = np.r_[True, self.lead[1:] != self.lead[:-1]][: len(self.lead)]
        return opens

    @property
    def who(self) -> Integers:
        """Leads with a step, ascending."""
        return self.lead[self.opens]


def steps_of(touches: Touches) -> Steps:
    """Put the touches of a kind into order; of several at one moment that of the more frequent name comes first."""
    names = (*touches.names, OTHER_STEP)
    code = np.where(touches.code < 0, len(touches.names), touches.code)
    order = np.lexsort((code, touches.first, touches.lead))
    late = np.lexsort((code, touches.last, touches.lead))
    lead = touches.lead[late]
    closes = np.r_[lead[1:] != lead[:-1], True][: len(lead)]
    return Steps(names, touches.lead[order], code[order], code[late][closes])


def journeys(touches: Touches, judged: Judged, *, least: int, overall: float | None) -> dict[str, Any]:
    """Compare the ways of winners with those of the others.

    Parameters
    ----------
    touches : Touches
        By event type.
    judged : Judged
    least : int
        Leads that a path needs to be told.
    overall : float or None
        Win rate of all.

    Returns
    -------
    dict
        ``touches`` and ``days`` (winners, others: leads, median and quartiles), ``shares`` (by number of touches the
        share of winners and of others, 0..1) and ``paths`` (first steps, with leads and win rates).
    """
    number = np.zeros(len(judged), dtype=np.int64)
    np.add.at(number, touches.lead, touches.times)
    first = np.full(len(judged), NEVER)
    np.minimum.at(first, touches.lead, touches.first)
    timed = (first < NEVER) & (judged.ended < NEVER)
    days = (judged.ended - first)[timed] / DAY
    won = judged.won > 0
    bucket = np.searchsorted(_TOUCHES, number, side="right") - 1
    return {
        "touches": {"won": _spread(number[won]), "other": _spread(number[~won])},
        "days": {"won": _spread(days[won[timed]]), "other": _spread(days[~won[timed]])},
        "shares": [
            {"touches": label, "won": _share(bucket[won] == k), "other": _share(bucket[~won] == k),
             "leads": int((bucket == k).sum())}
            for k, label in enumerate(_labels())
        ],
        "paths": _paths(steps_of(touches), judged, least=least, overall=overall),
    }  # fmt: skip


def _labels() -> list[str]:
    ends = [*(later - 1 for later in _TOUCHES[1:]), None]
    pairs = zip(_TOUCHES, ends, strict=True)
    return [
        f"{low} or more" if high is None else str(low) if high == low else f"{low} to {high}" for low, high in pairs
    ]


def _spread(values: npt.NDArray[Any]) -> dict[str, Any]:
    if not len(values):
        return {"leads": 0, "median": None, "low": None, "high": None}
    low, median, high = (float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))
    return {"leads": len(values), "median": median, "low": low, "high": high}


def _share(flags: npt.NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if len(flags) else None


def _paths(steps: Steps, judged: Judged, *, least: int, overall: float | None) -> dict[str, Any]:
    """The most common beginnings; rarer ones are counted, never listed."""
    if not len(steps.lead):
        return {"rows": [], "rest": None}
    rank = np.arange(len(steps.lead)) - np.flatnonzero(steps.opens)[np.cumsum(steps.opens) - 1]
    who = steps.who
    grid = np.full((len(who), _LONGEST_PATH), -1)
    near = rank < _LONGEST_PATH
    grid[(np.cumsum(steps.opens) - 1)[near], rank[near]] = steps.code[near]
    base = len(steps.names) + 1
    keys, place = np.unique((grid + 1) @ base ** np.arange(_LONGEST_PATH)[::-1], return_inverse=True)
    ways = keys[:, None] // base ** np.arange(_LONGEST_PATH)[::-1] % base - 1
    found = rates(place, judged.won[who], judged.group[who], codes=len(ways))
    order = sorted((k for k in range(len(ways)) if found[k]["leads"] >= least), key=lambda k: (-found[k]["leads"], k))
    told = order[:_MOST_PATHS]
    named = [" → ".join(steps.names[code] for code in ways[k] if code >= 0) for k in told]
    lists = {name: [steps.names[code] for code in ways[k] if code >= 0] for name, k in zip(named, told, strict=True)}
    rows = [{**row, "steps": lists[row["name"]]} for row in told_rows(named, [found[k] for k in told], overall)]
    rest = np.setdiff1d(np.arange(len(ways)), told)
    return {"rows": rows, "rest": {"paths": len(rest), "leads": int(sum(found[k]["leads"] for k in rest))}}
