"""From chances to MQLs and tiers: a rule that marketing and sales agree on, with its threshold, as plain data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.decision.value import Worth

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ACTIONS", "TIERS", "Policy"]

Floats = npt.NDArray[np.float64]

TIERS = ("cold", "nurture", "mql", "hot")
ACTIONS = {
    "hot": "Call first, the same day.",
    "mql": "Hand to sales this week.",
    "nurture": "Keep warm: offers and content, no call yet.",
    "cold": "Leave alone until something happens.",
}


@dataclass(frozen=True)
class Policy:
    """A rule with its thresholds; everything a scoring job needs, and nothing else.

    Attributes
    ----------
    kind : str
        The rules that apply: capacity, cost, value, precision, recall, floor or share, joined by "+".
    rule : str
        The rule in plain words.
    threshold : float or None
        Least chance of an MQL, 0..1; None where the best ``take`` of each file are taken.
    hot, nurture : float
        Least chance of the tiers above and below MQL, 0..1.
    take : int or None
        MQLs a file, in a history without dates where a weekly capacity has no weeks to count.
    assumption : str or None
        What nobody said and was assumed.
    per_week : int or None
        The weekly capacity, where the rule names one.
    unit : {"lead", "account"}
        What is counted: every lead, or one lead of each account.
    cost : float or None
        Cost of working an MQL, where leads have values of their own: chance x value must reach it.
    worth : dict or None
        Where that value comes from, see ``Worth``.
    certificate : dict or None
        The tested promise, see ``Certificate``.
    settings : dict
        The rules as they were asked for, keys of ``[policy]``.
    """

    kind: str
    rule: str
    threshold: float | None
    hot: float
    nurture: float
    take: int | None = None
    assumption: str | None = None
    per_week: int | None = None
    unit: str = "lead"
    cost: float | None = None
    worth: dict[str, Any] | None = None
    certificate: dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Twelve hex digits of the content."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    def values(self, table: pa.Table) -> Floats | None:
        """What a win of each lead would be worth, shape (n,); None where the policy does not ask."""
        return None if self.worth is None else Worth.from_dict(self.worth).of(table)

    def mqls(self, p: Floats, lead_id: npt.NDArray[Any], value: Floats | None = None) -> npt.NDArray[np.bool_]:
        """Which leads qualify; ties at a fixed number are broken by chance, then by ``lead_id``.

        Parameters
        ----------
        p : ndarray of float64, shape (n,)
        lead_id : ndarray of str, shape (n,)
        value : ndarray of float64, shape (n,), optional
            As :meth:`values` gives it.
        """
        if self.threshold is not None:
            over = p >= self.threshold
            return over if value is None or self.cost is None else over & (p * value >= self.cost)
        chosen = np.zeros(len(p), dtype=bool)
        chosen[np.lexsort((lead_id, -p))[: self.take]] = True
        return chosen

    def tiers(self, p: Floats, mql: npt.NDArray[np.bool_]) -> npt.NDArray[np.str_]:
        """Tier of each lead: hot and mql are handed over, nurture and cold are not."""
        return np.where(mql, np.where(p >= self.hot, "hot", "mql"), np.where(p >= self.nurture, "nurture", "cold"))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the bundle."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Policy:
        """Inverse of :meth:`to_dict`."""
        return cls(**data)
