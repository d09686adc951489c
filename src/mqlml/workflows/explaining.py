"""One lead's story: its chance, every criterion's part in it, how it came about and what would go with a change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.errors import UsageError, shown
from mqlml.history.copies import copied, copy_id
from mqlml.history.queries import recent_events
from mqlml.history.reading import read_history
from mqlml.history.steps import last_steps, usual_events
from mqlml.history.writing import write_text
from mqlml.learning.moments import LONG_AGO
from mqlml.learning.snapshots import NEVER, as_microseconds, mark_table
from mqlml.operation.registry import resolve, review_state
from mqlml.operation.scoring import LeadScorer
from mqlml.review.report import render_lead
from mqlml.review.story import along, by_theme, lead_reasons, moments_of, other_ways
from mqlml.review.wording import themes
from mqlml.tape.build import build_features
from mqlml.workflows.opening import Opened, open_history
from mqlml.workflows.vocabulary import read_vocabulary

if TYPE_CHECKING:
    from pathlib import Path

    from mqlml.config import Config
    from mqlml.tape.features import FeatureSet

__all__ = ["explain"]

Floats = npt.NDArray[np.float64]

_EVENTS_SHOWN = 10
_STEPS = 60
_SILENCE_DAYS = (7, 14, 30)
# Fates in which a lead could still be won.
_OPEN = frozenset({"candidate", "taken by sales", "dormant"})


def explain(
    config: Config, lead_id: str, *, as_of: str | None = None, model: str | None = None, out: Path | None = None
) -> dict[str, Any]:
    """Tell why a lead has its chance.

    A lead that is decided is looked at as of its decision: what was known a moment before.

    Parameters
    ----------
    config : Config
    lead_id : str
    as_of : str, optional
    model : str, optional
    out : Path, optional
        HTML file for the same as a card.

    Returns
    -------
    dict
        ``score`` (the row of the scores), ``fate`` (candidate, or why the lead would be skipped), ``decided`` (outcome
        and moment, None while open), ``threshold``, ``base`` and ``criteria`` (see `mqlml.review.story.lead_reasons`),
        ``themes``, ``events`` (the last ten), ``timeline`` (see `mqlml.review.story.along`) and ``what_if``: ``events``
        (see `mqlml.review.story.other_ways`) and ``silence``, chances if nothing happens for some days.

    Raises
    ------
    UsageError
        There is no such lead.
    """
    bundle = resolve(models := config.path(config.output.models), model)
    scorer = LeadScorer.load(bundle, words=read_vocabulary(config))
    with read_history(config, kinds=scorer.kinds) as history:
        opened = open_history(history, config, as_of=as_of, audit=False)
        scorer.check_attributes(history.attributes, config.leads.path)
        found = _Subject.find(opened, scorer, config, lead_id).story()
    found["review"] = review_state(models, bundle)
    if out is not None:
        write_text(out, render_lead(found))
    return found


@dataclass(frozen=True)
class _Subject:
    """A lead in its history, and what it is at the moment of looking."""

    opened: Opened
    scorer: LeadScorer
    config: Config
    lead: int
    fate: str
    decided: int

    @classmethod
    def find(cls, opened: Opened, scorer: LeadScorer, config: Config, lead_id: str) -> _Subject:
        lead = opened.people.lead_id.index(lead_id).as_py()
        if lead < 0:
            raise UsageError(
                f"There is no lead '{shown(lead_id)}' in the history ({config.leads.path}).",
                hint="ids are compared as text, leading zeros and capitals included; merged and suppressed leads are "
                "left out",
            )
        if opened.moment is None:
            fate = "candidate" if np.isnan(opened.people.outcome[lead]) else "decided"
            return cls(opened, scorer, config, int(lead), fate, int(NEVER))
        fate = _fate(opened, int(lead), opened.moment)
        decided = int(opened.people.episodes(opened.moment)[1][lead]) if fate == "decided" else int(NEVER)
        return cls(opened, scorer, config, int(lead), fate, decided)

    @property
    def lead_id(self) -> str:
        return str(self.opened.people.lead_id[self.lead].as_py())

    @property
    def moment(self) -> int | None:
        """As of when it is looked at: before its decision, where that is known."""
        decided = int(LONG_AGO) < self.decided < int(NEVER)
        return self.decided if decided else self.opened.moment

    def story(self) -> dict[str, Any]:
        """Everything that a card shows."""
        scorer, table = self.scorer, self._features([self.moment])
        scored = scorer.score(table, as_of=self.moment)
        explanation = scored.explanation
        assert explanation is not None
        facts = scorer.facts(table)
        reasons = lead_reasons(explanation, facts, themes(scorer.model.features, scorer.words))
        row = scored.scores.to_pylist()[0]
        return {
            "score": row,
            "fate": self.fate,
            "decided": self._decision(),
            "overall": None if scorer.comparisons is None else scorer.comparisons.overall,
            "threshold": scorer.policy.threshold,
            "base": explanation.base,
            "criteria": reasons,
            "themes": by_theme(reasons),
            "events": recent_events(self.opened.history, self.lead_id, before=_aware(self.moment), most=_EVENTS_SHOWN),
            "timeline": self._timeline(),
            "what_if": self._what_if(row["probability"], table),
        }

    def _features(self, moments: Sequence[int | None], features: FeatureSet | None = None) -> pa.Table:
        at = np.array([NEVER if m is None else m for m in moments], dtype=np.int64)
        marks = mark_table(self.opened.people, np.full(len(at), self.lead), at)
        return build_features(self.opened.history, marks, features or self.scorer.model.features)

    def _decision(self) -> dict[str, Any] | None:
        if self.fate != "decided":
            return None
        won = self.opened.people.outcome[self.lead] == 1
        known = int(LONG_AGO) < self.decided < int(NEVER)
        return {"outcome": "won" if won else "lost", "at": _aware(self.decided) if known else None}

    def _timeline(self) -> list[dict[str, Any]]:
        moment = _aware(self.moment)
        if moment is None:
            return []
        fields = [a.name for a in self.scorer.model.features.history_attributes]
        steps = last_steps(self.opened.history, self.lead_id, before=moment, fields=fields, most=_STEPS)
        # Only facts strictly before a mark are known to it.
        marks = [as_microseconds(at) + 1 for at in moments_of(steps)]
        if not marks:
            return []
        chances = self.scorer.model.probability(self._features(marks))
        return along(steps, chances, [_fate(self.opened, self.lead, at) for at in marks], self.scorer.words)

    def _what_if(self, chance: float, table: pa.Table) -> dict[str, Any] | None:
        moment = self.moment
        if moment is None or self.fate not in _OPEN or not self.opened.history.has_events:
            return None
        before, features = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=moment), self.scorer.model.features
        by_sales = set(self.config.events.by_sales) if self.config.events else set()
        types = [name for name in features.event_types if name not in by_sales]
        ways = usual_events(self.opened.history, before=before, types=types, assets=features.named_assets)
        silent = [moment + days * 86_400_000_000 for days in _SILENCE_DAYS]
        with copied(self.opened.history, self.lead_id, before=before, more=[None, *ways]) as world:
            ids = [copy_id(0, self.lead_id)] * len(silent) + [copy_id(k + 1, self.lead_id) for k in range(len(ways))]
            at = pa.array([*silent, *[moment] * len(ways)], pa.int64()).cast(pa.timestamp("us", "UTC"))
            p = self.scorer.model.probability(build_features(world, pa.table({"lead_id": ids, "at": at}), features))
        quiet = zip(_SILENCE_DAYS, p[: len(silent)], strict=True)
        return {
            "events": other_ways(chance, ways, p[len(silent) :], done=self._done(), facts=self.scorer.facts(table)),
            "silence": [{"days": days, "chance": float(later)} for days, later in quiet],
        }

    def _done(self) -> set[str]:
        """What the lead did before, be it looked at by the model or left out."""
        counted = ("count", "asset_counts")
        features = self.scorer.model.features
        asked = replace(features, families=counted, attributes=(), pairs=(), tracked=None, left_out=())
        counts = self._features([self.moment], asked)
        return {f.criterion for f in asked.features if f.unit == "events" and counts[f.name][0].as_py()}


def _aware(moment: int | None) -> datetime | None:
    return None if moment is None else datetime.fromtimestamp(0, UTC) + timedelta(microseconds=moment)


def _fate(opened: Opened, lead: int, moment: int) -> str:
    return next(name for name, flags in opened.people.fates(moment).items() if flags[lead])
