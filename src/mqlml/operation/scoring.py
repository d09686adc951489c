"""Scoring: a bundle turned into chances, tiers and reasons for leads as of a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.decision.policy import Policy
from mqlml.errors import DataRefused, Problem
from mqlml.history.contract import UTC_TIME
from mqlml.learning.model import Model
from mqlml.operation.bundle import Bundle, read_bundle, read_json
from mqlml.operation.golden import check_golden_rows
from mqlml.operation.policies import active_policy
from mqlml.operation.scores import CONTRIBUTIONS, SCORES, Scored
from mqlml.review.comparing import Comparisons
from mqlml.review.criteria import Criteria
from mqlml.review.nurture import lacking
from mqlml.review.reasons import Explainer, Explanation
from mqlml.review.sentences import FactWriter, top_reasons
from mqlml.review.wording import Words

if TYPE_CHECKING:
    import pandas as pd

    from mqlml.tape.features import Feature

__all__ = ["COMPARISONS", "CONTRIBUTIONS", "SCORES", "LeadScorer", "Scored", "grade_bounds"]

Floats = npt.NDArray[np.float64]

COMPARISONS = "comparisons.json"
"""The part of a bundle that says how often leads were won by value."""


@dataclass(frozen=True)
class LeadScorer:
    """One bundle, ready to score.

    ``words`` are what reasons call things; they change no number.

    Examples
    --------
    >>> LeadScorer.load("models/2026-06-30-0123456789ab").model_version  # doctest: +SKIP
    """

    model: Model
    policy: Policy
    grades: Mapping[str, Any]
    bundle: Bundle
    words: Words = field(default_factory=Words)

    @classmethod
    def load(cls, path: str | Path, *, words: Words | None = None) -> LeadScorer:
        """Open a bundle: hashes first, then JSON and model texts, then the golden rows are scored again.

        The policy is the last one that was set beside the bundle, or else that of the training.

        Raises
        ------
        DataRefused
            The bundle or a policy beside it is damaged, or it gives other chances here than where it was trained.
        """
        bundle = read_bundle(Path(path))
        return cls.of(bundle, policy=active_policy(bundle), words=words)

    @classmethod
    def of(cls, bundle: Bundle, *, policy: Policy | None = None, words: Words | None = None) -> LeadScorer:
        """Open a bundle whose bytes are here already, their hashes checked; by default with its own policy.

        Raises
        ------
        DataRefused
            It gives other chances here than where it was trained.
        """
        model = Model.from_parts(read_json(bundle.parts, "model.json"), bundle.parts)
        check_golden_rows(model, read_json(bundle.parts, "golden.json"), bundle.path)
        policy = policy or Policy.from_dict(read_json(bundle.parts, "policy.json"))
        return cls(model, policy, read_json(bundle.parts, "grades.json"), bundle, words or Words())

    @property
    def kinds(self) -> dict[str, Literal["number", "category"]]:
        """What each attribute held at training: today's few rows must not decide it anew."""
        return {a.name: a.kind for a in self.model.features.attributes}

    @cached_property
    def explainer(self) -> Explainer:
        """Explains with this bundle's model; its tables are made once."""
        return Explainer(self.model)

    @property
    def model_version(self) -> str:
        """Name of the bundle."""
        return self.bundle.model_version

    def score(
        self,
        table: pa.Table,
        *,
        as_of: int | None,
        previous: frozenset[str] | None = None,
        reasons: bool = True,
    ) -> Scored:
        """Score leads from their features.

        Parameters
        ----------
        table : pa.Table
            ``lead_id`` and the features, found by name.
        as_of : int or None
            Microseconds in UTC; None in a history without dates.
        previous : frozenset of str, optional
            MQLs of the list before this one.
        reasons : bool
            Without them the reasons and the two grades, which are made of the same contributions, are null.
        """
        matrix = self.model.matrix(table)
        p = self.model.probability(table, matrix)
        ids = np.asarray(table["lead_id"].to_pylist(), dtype=object)
        worth = self.policy.values(table)
        mql = self.policy.mqls(p, ids, worth)
        explanation = self.explainer.explain(table, matrix) if reasons else None
        columns = {
            "lead_id": table["lead_id"],
            "as_of": pa.array(np.full(len(p), as_of or 0), pa.int64(), mask=np.full(len(p), as_of is None)).cast(
                UTC_TIME
            ),
            "probability": p,
            "score": np.round(100 * p).astype(np.int64),
            "percentile": np.round(self.model.percentile(p), 1),
            "is_mql": mql,
            "change": _changes(ids, mql, previous),
            "mql_since": None,
            "attached_to": None,
            "tier": self.policy.tiers(p, mql),
            "control": np.zeros(len(p), dtype=bool),
            "rule": pa.nulls(len(p), pa.string()),
            **self._grades(explanation),
            **self._reasons(explanation, table),
            "quality": self._quality(table),
            "model_version": np.full(len(p), self.model_version),
            "policy_version": np.full(len(p), self.policy.version),
        }
        filled = {k: pa.nulls(len(p), SCORES.field(k).type) if v is None else v for k, v in columns.items()}
        lacks = None if explanation is None else lacking(explanation, self.model.features)
        return Scored(pa.table(filled, schema=SCORES), explanation, lacks, worth)

    def predict_frame(self, features: pd.DataFrame) -> pd.DataFrame:
        """Score a data frame of features; missing columns count as not supplied.

        Parameters
        ----------
        features : pandas.DataFrame of shape (n_leads, n_features)

        Returns
        -------
        pandas.DataFrame of shape (n_leads, 6)
            ``probability``, ``tier``, ``reason_1`` to ``reason_3`` and ``model_version``, index kept.
        """
        import pandas as pd

        n = len(features)
        columns = {f.name: _from_frame(features, f) for f in self.model.features.features}
        table = pa.table(columns)
        matrix = self.model.matrix(table)
        p = self.model.probability(table, matrix)
        mql = self.policy.mqls(p, np.arange(n).astype(str), self.policy.values(table))
        reasons = self._reasons(self.explainer.explain(table, matrix), table)
        # As objects, so that no reason is None, which is null in JSON, and not the number that pandas makes of it.
        texts = {name: pd.Series(c.to_pylist(), features.index, dtype=object) for name, c in reasons.items()}
        scored = {"probability": p, "tier": self.policy.tiers(p, mql), **texts}
        return pd.DataFrame({**scored, "model_version": np.full(n, self.model_version)}, index=features.index)

    def check_attributes(self, attributes: pa.Table, file: str) -> list[str]:
        """Refuse leads whose columns are not those the model learned from; list new columns.

        Raises
        ------
        DataRefused
            A column is missing (renamed?) or holds text instead of numbers.
        """
        import difflib

        problems = []
        for a in self.model.features.attributes:
            if a.source == "history":
                continue
            if a.name not in attributes.column_names:
                near = difflib.get_close_matches(a.name, attributes.column_names, n=1)
                hint = f"; '{near[0]}' looks like it" if near else ""
                what = f"model {self.model_version} was trained with this column and it is not in the file{hint}"
                problems.append(Problem("missing-column", file, what, "rename it back, or train again", column=a.name))
            elif a.kind == "number" and not pa.types.is_floating(attributes.schema.field(a.name).type):
                what = "held numbers at training and holds text now"
                fix = "deliver numbers, declare its words in [leads] missing, or train again"
                problems.append(Problem("type-changed", file, what, fix, column=a.name, total=attributes.num_rows))
        if problems:
            raise DataRefused(problems)
        known = {f"lead.{a.name}" for a in self.model.features.attributes} | {*self.model.features.left_out}
        return [name for name in attributes.column_names if f"lead.{name}" not in known]

    def _grades(self, explanation: Explanation | None) -> dict[str, Any]:
        if explanation is None:
            return {"fit_grade": None, "engagement_grade": None}
        fit = np.searchsorted(self.grades["fit"], explanation.total("fit"), side="right")
        engaged = np.searchsorted(self.grades["engagement"], explanation.total("engagement", "timing"), side="right")
        return {"fit_grade": np.array(list("DCBA"))[fit], "engagement_grade": 4 - engaged.astype(np.int64)}

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """What people call a criterion instead of its name."""
        if "criteria.json" not in self.bundle.parts:
            return {}
        return Criteria.from_dict(read_json(self.bundle.parts, "criteria.json")).labels

    @cached_property
    def comparisons(self) -> Comparisons | None:
        """Win rates by value at training; None in a bundle of a version that measured none."""
        parts = self.bundle.parts
        return Comparisons.from_dict(read_json(parts, COMPARISONS)) if COMPARISONS in parts else None

    def facts(self, table: pa.Table) -> FactWriter:
        """Writes what is true of the leads in ``table``, in the words in use."""
        return FactWriter(self.model.features, table, self.labels, words=self.words, comparisons=self.comparisons)

    def _reasons(self, explanation: Explanation | None, table: pa.Table) -> dict[str, Any]:
        names = ("reason_1", "reason_2", "reason_3")
        if explanation is None:
            return dict.fromkeys(names)
        found = top_reasons(explanation, self.facts(table))
        return {
            name: pa.array([r[i] if i < len(r) else None for r in found], pa.string()) for i, name in enumerate(names)
        }

    def _quality(self, table: pa.Table) -> npt.NDArray[np.str_]:
        """What to know about each lead's data: never tracked, silent, values the model has not met."""
        flags = [(self.model.encoder.unseen(table), "unseen value")]
        if "events.any.count_ever" in table.column_names:
            longest = f"events.any.count_{max(self.model.features.windows_days)}d"
            ever, lately = table["events.any.count_ever"].to_numpy(), table[longest].to_numpy()
            flags = [(ever == 0, "untracked"), ((ever > 0) & (lately == 0), "silent"), *flags]
        text = np.full(table.num_rows, "", dtype=object)
        for found, word in flags:
            text[found] = [f"{t}; {word}" if t else word for t in text[found]]
        return np.where(text == "", "ok", text)


def grade_bounds(explanation: Explanation) -> dict[str, list[float]]:
    """Quartiles of the fit and the engagement part over reference leads: the bounds of the grades."""
    quarters = [0.25, 0.5, 0.75]
    return {
        "fit": np.quantile(explanation.total("fit"), quarters).tolist(),
        "engagement": np.quantile(explanation.total("engagement", "timing"), quarters).tolist(),
    }


def _changes(ids: npt.NDArray[Any], mql: npt.NDArray[np.bool_], previous: frozenset[str] | None) -> list[str]:
    before = previous or frozenset()
    words = {(True, True): "stays", (True, False): "new", (False, True): "leaves", (False, False): "none"}
    return [words[bool(now), lead in before] for lead, now in zip(ids, mql, strict=True)]


def _from_frame(frame: pd.DataFrame, feature: Feature) -> pa.Array:
    if feature.name not in frame.columns:
        return pa.nulls(len(frame), pa.float64() if feature.kind == "number" else pa.string())
    if feature.kind == "number":
        return pa.array(frame[feature.name].to_numpy(dtype=np.float64, na_value=np.nan), pa.float64())
    return pa.array([None if v is None or v != v else str(v) for v in frame[feature.name]], pa.string())


def encode_json(data: Any) -> bytes:
    """JSON as it stands in a bundle: stable, readable, no NaN."""
    return json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False).encode()
