"""Scoring where the features are made: the bundle travels there, scores come back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mqlml.decision.policy import Policy
from mqlml.operation.bundle import Bundle
from mqlml.operation.policies import REPLAY
from mqlml.operation.scoring import SCORES, LeadScorer, Scored
from mqlml.review.reasons import NOT_SUPPLIED, Explanation
from mqlml.review.wording import Words

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["ScoringElsewhere"]

_LACKS = pa.field("lacks", pa.int64())
_WORTH = pa.field("worth", pa.float64())
_PARTS = pa.field("contributions", pa.list_(pa.float64()))


@dataclass(frozen=True)
class ScoringElsewhere:
    """Scores feature tables on another machine; plain data that can travel.

    Parameters
    ----------
    path, model_version : str
        The bundle's place here, for messages, and its name.
    as_of : int
        Microseconds.
    previous : frozenset of str or None
        MQLs of the list before.
    reasons, contributions : bool
        Whether to explain, and whether to send every contribution back.
    parts : mapping of str to bytes
        The bundle's files, their hashes checked here, but for the replay that no scoring looks at.
    policy, words : str
        The policy in force and the vocabulary, as JSON.
    """

    path: str
    model_version: str
    as_of: int
    previous: frozenset[str] | None
    reasons: bool
    contributions: bool
    parts: tuple[tuple[str, bytes], ...] = field(repr=False, compare=False)
    policy: str
    words: str

    @classmethod
    def of(
        cls, scorer: LeadScorer, *, as_of: int, previous: frozenset[str] | None, reasons: bool, contributions: bool
    ) -> ScoringElsewhere:
        """Pack a bundle that has been opened here."""
        bundle = scorer.bundle
        parts = tuple(sorted(part for part in bundle.parts.items() if part[0] != REPLAY))
        policy = json.dumps(scorer.policy.to_dict(), sort_keys=True)
        words = json.dumps(scorer.words.to_dict(), sort_keys=True)
        place = str(bundle.path), bundle.model_version
        return cls(*place, as_of, previous, reasons, contributions, parts, policy, words)

    @property
    def schema(self) -> pa.Schema:
        """``SCORES`` and worth, and behind them what each lead lacks, and base and contributions, where wanted."""
        schema = SCORES.append(_WORTH)
        schema = schema.append(_LACKS) if self.reasons else schema
        return schema.append(_PARTS) if self.contributions else schema

    def __call__(self, table: pa.Table) -> pa.Table:
        """Score a feature table; the bundle is opened once in each process."""
        scorer = _opened(self)
        scored = scorer.score(table, as_of=self.as_of, previous=self.previous, reasons=self.reasons)
        worth = np.full(len(scored.scores), np.nan) if scored.worth is None else scored.worth
        table = scored.scores.append_column(_WORTH, pa.array(worth))
        if scored.lacks is not None:
            table = table.append_column(_LACKS, pa.array(scored.lacks.astype(np.int64)))
        if not self.contributions or scored.explanation is None:
            return table
        return table.append_column(_PARTS, _lists(scored.explanation))

    def scored(self, batch: pa.RecordBatch, scorer: LeadScorer) -> Scored:
        """Scores that came back, as ``LeadScorer.score`` would have given them here."""
        table = pa.Table.from_batches([batch])
        explanation = None
        if self.contributions:
            values = np.stack(table[_PARTS.name].to_numpy()) if len(table) else np.zeros((0, 1))
            names, groups = zip(*scorer.explainer.criteria.items(), (NOT_SUPPLIED, "fit"), strict=True)
            explanation = Explanation(names, groups, float(values[0, 0]) if len(values) else 0.0, values[:, 1:])
        lacks = table[_LACKS.name].to_numpy().astype(np.int16) if self.reasons else None
        worth = None if scorer.policy.worth is None else table[_WORTH.name].to_numpy()
        return Scored(table.select(SCORES.names).cast(SCORES), explanation, lacks, worth)


@lru_cache(maxsize=2)
def _opened(shipped: ScoringElsewhere) -> LeadScorer:
    bundle = Bundle(Path(shipped.path), shipped.model_version, MappingProxyType(dict(shipped.parts)))
    policy, words = Policy.from_dict(json.loads(shipped.policy)), Words.from_dict(json.loads(shipped.words))
    return LeadScorer.of(bundle, policy=policy, words=words)


def _lists(explanation: Explanation) -> pa.Array:
    values: npt.NDArray[np.float64] = np.insert(explanation.parts, 0, explanation.base, axis=1)
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel()))
