"""One lead's story: its chance, every criterion's part in it and what it did lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mqlml.errors import UsageError, shown
from mqlml.history.queries import recent_events
from mqlml.history.reading import read_history
from mqlml.learning.snapshots import NEVER, mark_table
from mqlml.operation.registry import resolve
from mqlml.operation.scoring import LeadScorer
from mqlml.review.sentences import FactWriter
from mqlml.tape.build import build_features
from mqlml.workflows.opening import Opened, open_history

if TYPE_CHECKING:
    from mqlml.config import Config

__all__ = ["explain"]

_EVENTS_SHOWN = 10


def explain(config: Config, lead_id: str, *, as_of: str | None = None, model: str | None = None) -> dict[str, Any]:
    """Tell why a lead has its chance.

    Parameters
    ----------
    config : Config
    lead_id : str
    as_of : str, optional
    model : str, optional

    Returns
    -------
    dict
        ``score`` (the row of the scores), ``fate`` (candidate, or why the lead would be skipped), ``base`` and
        ``criteria`` (fact and contribution in log-odds, strongest first) and ``events`` (the last ten).

    Raises
    ------
    UsageError
        There is no such lead.
    """
    scorer = LeadScorer.load(resolve(config.path(config.output.models), model))
    with read_history(config, kinds=scorer.kinds) as history:
        opened = open_history(history, config, as_of=as_of, audit=False)
        scorer.check_attributes(history.attributes, config.leads.path)
        lead = _find(opened, lead_id)
        moment = NEVER if opened.moment is None else opened.moment
        marks = mark_table(opened.people, np.array([lead]), np.array([moment]))
        table = build_features(history, marks, scorer.model.features)
        events = recent_events(history, lead_id, before=opened.as_of, most=_EVENTS_SHOWN)
    scored = scorer.score(table, as_of=opened.moment)
    explanation = scored.explanation
    assert explanation is not None
    facts = FactWriter(scorer.model.features, table, scorer.labels)
    parts = explanation.parts[0]
    return {
        "score": scored.scores.to_pylist()[0],
        "fate": _fate(opened, lead),
        "base": explanation.base,
        "criteria": [
            {
                "criterion": explanation.names[j],
                "group": explanation.groups[j],
                "fact": facts.fact(explanation.names[j], 0),
                "contribution": float(parts[j]),
            }
            for j in np.argsort(-np.abs(parts), kind="stable")
            if abs(parts[j]) > 1e-9
        ],
        "events": events,
    }


def _find(opened: Opened, lead_id: str) -> int:
    found = opened.people.lead_id.index(lead_id).as_py()
    if found < 0:
        raise UsageError(
            f"There is no lead '{shown(lead_id)}' in the history.",
            hint="ids are compared as text, leading zeros included",
        )
    return int(found)


def _fate(opened: Opened, lead: int) -> str:
    if opened.moment is None:
        return "candidate" if np.isnan(opened.people.outcome[lead]) else "decided"
    fates = opened.people.fates(opened.moment)
    return next(name for name, flags in fates.items() if flags[lead])
