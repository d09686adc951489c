"""What a scoring gives: one row a lead, and what each score is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.history.contract import UTC_TIME

if TYPE_CHECKING:
    from mqlml.review.reasons import Explanation

__all__ = ["CONTRIBUTIONS", "SCORES", "Scored"]


def _field(name: str, kind: pa.DataType, text: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": text})


SCORES = pa.schema(
    [
        _field("lead_id", pa.string(), "the lead"),
        _field("as_of", UTC_TIME, "only facts strictly before this moment were used"),
        _field("probability", pa.float64(), "chance to be won within the horizon, 0 to 1, calibrated"),
        _field("score", pa.int64(), "round(100 x probability)"),
        _field("percentile", pa.float64(), "share of the bundle's reference leads with a lower chance, 0 to 100"),
        _field("is_mql", pa.bool_(), "whether the policy hands the lead to sales"),
        _field("change", pa.string(), "new, stays, leaves or none, against the list before"),
        _field("mql_since", UTC_TIME, "first list of the lead's present stay, null where it is no MQL"),
        _field("attached_to", pa.string(), "MQL of the same account that the lead goes with, null where none"),
        _field("tier", pa.string(), "hot, mql, nurture or cold"),
        _field("control", pa.bool_(), "handed over on purpose although below the line"),
        _field("rule", pa.string(), "rule beside the model that decided, or: waits for a place; null where neither"),
        _field("fit_grade", pa.string(), "A (best quarter) to D, from who the lead is"),
        _field("engagement_grade", pa.int64(), "1 (best quarter) to 4, from what the lead does and when"),
        _field("reason_1", pa.string(), "strongest reasons in the lead's own numbers, recent actions first"),
        _field("reason_2", pa.string(), "second reason"),
        _field("reason_3", pa.string(), "third reason"),
        _field("quality", pa.string(), "ok, or what to know about the data behind this score"),
        _field("model_version", pa.string(), "bundle that gave the chance"),
        _field("policy_version", pa.string(), "policy that decided"),
    ]
)

CONTRIBUTIONS = pa.schema(
    [
        _field("lead_id", pa.string(), "the lead"),
        _field("as_of", UTC_TIME, "the moment of the score"),
        _field("criterion", pa.string(), "base, a criterion, or not supplied"),
        _field("group", pa.string(), "base, fit, engagement or timing"),
        _field("contribution", pa.float64(), "what it adds to the calibrated log-odds"),
    ]
)


@dataclass(frozen=True)
class Scored:
    """Scores of a batch, and what they are made of.

    Attributes
    ----------
    scores : pa.Table
        Schema ``SCORES``.
    explanation : Explanation or None
        None where reasons were not asked for.
    lacks : ndarray of int16, shape (n,), or None
        The signal each lead lacks most (see `mqlml.review.nurture.lacking`); None where reasons were not asked for.
    worth : ndarray of float64, shape (n,), or None
        What a win of each lead would be worth; None where the policy does not ask.
    """

    scores: pa.Table
    explanation: Explanation | None
    lacks: npt.NDArray[np.int16] | None = None
    worth: npt.NDArray[np.float64] | None = None

    def deciding(self) -> pa.Table:
        """What the choice of MQLs is made of: ``lead_id``, ``probability``, ``fit_grade`` and ``worth``."""
        worth = pa.nulls(len(self.scores), pa.float64()) if self.worth is None else pa.array(self.worth)
        return self.scores.select(["lead_id", "probability", "fit_grade"]).append_column("worth", worth)

    def contributions(self) -> pa.Table:
        """One row a lead and criterion, schema ``CONTRIBUTIONS``; a lead's rows sum to its calibrated log-odds."""
        if self.explanation is None:
            return CONTRIBUTIONS.empty_table()
        e = self.explanation
        leads, criteria = len(e.parts), len(e.names) + 1
        every, each = np.repeat(np.arange(leads), criteria), np.tile(np.arange(criteria), leads)
        values = np.column_stack([np.full(leads, e.base), e.parts])
        columns = {
            "lead_id": self.scores["lead_id"].take(every),
            "as_of": self.scores["as_of"].take(every),
            "criterion": pa.array(["base", *e.names]).take(each),
            "group": pa.array(["base", *e.groups]).take(each),
            "contribution": values.ravel(),
        }
        return pa.table(columns, schema=CONTRIBUTIONS)
