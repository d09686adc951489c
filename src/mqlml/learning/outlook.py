"""Before any training: how much a test of this history could tell, and what the attributes alone already tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mqlml.learning import audit_statistics as stat
from mqlml.learning.audit import AuditInput
from mqlml.learning.audit_values import read_column
from mqlml.learning.windows import MIN_TEST_WINS, Part

__all__ = ["Alone", "attributes_alone", "reach_of_test"]

_SUPPOSED = 0.7
"""An AUC that lead scores often have; how exactly it would be known depends little on its value."""
_Z90, _Z99 = 1.645, 2.326
_LEAST_WINS = 10


@dataclass(frozen=True)
class Alone:
    """How well the attributes alone tell closed leads apart, on leads that the score was not fitted on.

    Attributes
    ----------
    auc, low, high : float
        With a 90 % interval (Hanley and McNeil 1982).
    columns : int
    forward : bool
        Whether it was fitted on older leads and judged on newer ones.
    """

    auc: float
    low: float
    high: float
    columns: int
    forward: bool


def attributes_alone(data: AuditInput, columns: Sequence[str]) -> Alone | None:
    """Judge one additive score of the attributes that may be learned from; None where too few leads are closed.

    Parameters
    ----------
    data : AuditInput
    columns : sequence of str
        Those of which only today's value is known and that change are passed over.
    """
    closed = stat.split_closed(data.won, data.created, data.group, data.lead_order)
    used = [name for name in columns if name not in data.tracked and name not in data.state]
    if not used or not stat.judgeable(closed.won):
        return None
    auc = stat.together_auc([read_column(name, data.attributes[name]).main for name in used], closed)
    errors = [
        stat.auc_error(auc, float(closed.won[judge].sum()), float((1 - closed.won[judge]).sum()))
        for _, judge in closed.folds
    ]
    error = float(np.mean(errors) / np.sqrt(len(errors)))
    return Alone(auc, max(auc - _Z90 * error, 0.0), min(auc + _Z90 * error, 1.0), len(used), closed.forward)


def reach_of_test(part: Part) -> dict[str, Any]:
    """How exactly the last part of the plan could tell the quality of a model.

    Parameters
    ----------
    part : Part
        The last one.

    Returns
    -------
    dict
        ``wins``, ``leads``; ``give_or_take``, half of the 90 % interval of an AUC of 0.70; ``least``, the AUC below
        which a signal could not be told from none at odds of one in a hundred, None where no AUC could; and
        ``suffices``: "yes", "roughly" (no certified figures) or "no".

    Examples
    --------
    >>> reach = reach_of_test(Part("test", 0, 1, 4_000, 400, 40, ""))
    >>> round(reach["give_or_take"], 2), round(reach["least"], 2), reach["suffices"]
    (0.08, 0.62, 'roughly')
    """
    wins, others = float(part.wins), float(max(part.leads - part.wins, 0))
    grid = np.linspace(0.5, 0.95, 46)
    told = [float(a) for a in grid if a - _Z99 * stat.auc_error(float(a), wins, others) > 0.5]
    suffices = "no" if part.wins < _LEAST_WINS or not told else "yes" if part.wins >= MIN_TEST_WINS else "roughly"
    return {
        "wins": part.wins,
        "leads": part.leads,
        "give_or_take": _Z90 * stat.auc_error(_SUPPOSED, wins, others),
        "least": told[0] if told else None,
        "suffices": suffices,
    }
