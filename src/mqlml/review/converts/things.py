"""Win rates by what leads touched: pages, offers, campaigns, and the first touch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mqlml.history.touches import OTHERS
from mqlml.review.converts.attribution import contributions
from mqlml.review.converts.paths import journeys, steps_of
from mqlml.review.converts.rates import rates, told_rows

if TYPE_CHECKING:
    from mqlml.history.touches import Touches
    from mqlml.review.converts.judged import Judged
    from mqlml.review.converts.paths import Steps

__all__ = ["MOST_NAMES", "touched"]

MOST_NAMES = {"event_type": 40, "channel": 20, "asset": 12, "campaign": 12}
"""Names of each kind that are told by themselves."""
_MOST_ROWS = 12
_NO_TOUCH = "no touch seen"


def touched(found: Mapping[str, Touches], judged: Judged, *, least: int, overall: float | None) -> dict[str, Any]:
    """Describe what the events of judged leads say.

    Parameters
    ----------
    found : mapping of str to Touches
        By kind, as ``history.touches.read_touches`` gives them for ``judged.table()``.
    judged : Judged
    least : int
        Leads that anything needs to be told.
    overall : float or None
        Win rate of all judged leads.

    Returns
    -------
    dict
        ``pages``, ``offers``, ``event_campaigns``, ``first_channel`` and ``first_type`` (tables of win rates),
        ``contribution`` (by channel and by type of event) and ``journeys``; what no event tells is absent.
    """
    parts: dict[str, Any] = {}
    for name, kind in (("pages", "asset"), ("offers", "event_type"), ("event_campaigns", "campaign")):
        if kind in found:
            parts[name] = _table(found[kind], judged, least=least, overall=overall)
    steps = {kind: steps_of(found[kind]) for kind in ("channel", "event_type") if kind in found}
    for name, kind in (("first_channel", "channel"), ("first_type", "event_type")):
        if kind in steps:
            parts[name] = _first(steps[kind], judged, least=least, overall=overall)
    shared = {kind: contributions(s, judged.won, most=_MOST_ROWS) for kind, s in steps.items()}
    parts["contribution"] = [{"kind": kind, **told} for kind, told in shared.items() if told is not None]
    if "event_type" in found:
        parts["journeys"] = journeys(found["event_type"], judged, least=least, overall=overall)
    return parts


def _table(touches: Touches, judged: Judged, *, least: int, overall: float | None) -> dict[str, Any]:
    """Win rate of the leads that touched each name; those of most leads are told, the rest summed up."""
    told = min(len(touches.names), _MOST_ROWS)
    code = np.where((touches.code >= told) | (touches.code == OTHERS), told, touches.code)
    lead, which = np.divmod(np.unique(touches.lead * (told + 1) + code), told + 1)
    found = rates(which, judged.won[lead], judged.group[lead], codes=told + 1)
    names = len(touches.names) - told + touches.others
    rest = {"names": names, **found[told]} if names and found[told]["leads"] >= least else None
    return {"rows": told_rows(touches.names[:told], found[:told], overall), "rest": rest, "least": least}


def _first(steps: Steps, judged: Judged, *, least: int, overall: float | None) -> dict[str, Any]:
    """Win rate by the step that came first, and of leads without any."""
    code = np.full(len(judged), len(steps.names))
    code[steps.who] = steps.code[steps.opens]
    found = rates(code, judged.won, judged.group, codes=len(steps.names) + 1)
    names = (*steps.names, _NO_TOUCH)
    kept = [k for k in range(len(names)) if found[k]["leads"] >= least]
    shown = sorted(kept, key=lambda k: (-found[k]["leads"], k))[:_MOST_ROWS]
    left = sum(found[k]["leads"] for k in range(len(names)) if k not in shown)
    rows = told_rows([names[k] for k in shown], [found[k] for k in shown], overall)
    hidden = sum(bool(found[k]["leads"]) for k in range(len(names)) if k not in shown)
    return {
        "rows": rows,
        "rest": {"names": hidden, "leads": left} if hidden and left >= least else None,
        "least": least,
    }
