"""What monitoring says: checks with a state and an action, judged together so that false alarms stay rare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

__all__ = ["BUDGET", "CHECKS", "Check", "Measured", "judge", "missing", "percent", "retrain"]

BUDGET = 0.05
"""Chance of any alarm at all in a week in which nothing has changed."""

_LINES = (
    ("Win rate of MQLs", "outcomes", "Train again on the newest outcomes; until then expect the lower rate."),
    ("Wins against chances", "outcomes", "Train again: the chances are off for all leads, not only MQLs."),
    ("Spread of the chances", "outcomes", "Train again: high chances promise too much or too little."),
    ("Control leads", "outcomes", "Set the threshold again with mqlml threshold: the line is in the wrong place."),
    ("MQLs a week", "leads", "Tell sales, and see whether campaigns, tracking or the threshold changed."),
    ("Chances of today's leads", "leads", "Look at the features that moved; train again if they moved for good."),
    ("Features", "leads", "Ask who changed the form, the tracking or the campaigns; repair it, or train again."),
    ("Today's leads among earlier ones", "leads", "Many changes at once: compare sources and campaigns; train again."),
    ("New categories", "leads", "Rename them back if they are old ones, or train again so that they are learned."),
    ("New event types", "leads", "Rename them back if they are old ones, or train again so that they count."),
    ("Freshness", "data", "Repair the export before the next scores are used."),
    ("Events a week", "data", "See whether the tracking of this event broke, or a campaign ended or began."),
    ("Acceptance by sales", "sales", "Go through the rejections with sales before anything is changed."),
    ("Time to first touch", "sales", "Agree with sales who takes leads over; lower the capacity if nobody can."),
    ("Reasons of rejections", "sales", "Put the proposed rule into [[policy.rules]] if sales agrees."),
    ("Leads not won", "sales", "Have MQLs called in time before the model is blamed for them."),
    ("Next week", "outcomes", "Nothing to do: this is what to expect."),
)
CHECKS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {f"MON-{number:02}": line for number, line in enumerate(_LINES, 1)}
)
"""Of each check its name, the part of the page it stands in, and what to do when it alarms."""

_CHANGED = ("MON-01", "MON-02", "MON-03", "MON-06", "MON-07", "MON-08", "MON-09", "MON-10")
_MANY_NEW_WINS, _OLD_DAYS = 0.5, 365


@dataclass(frozen=True)
class Measured:
    """What one check found, before all are judged together.

    Attributes
    ----------
    code : str
        A key of ``CHECKS``.
    sentence : str
        What was found, or what is missing, in plain words.
    p_value : float or None
        Chance of something at least as odd where nothing has changed; None where there is no test.
    large : bool
        Whether the change matters in practice: only then it may alarm.
    watch : bool
        Worth a look without any test.
    measured : bool
    figures : mapping
        Plain data behind the sentence.
    """

    code: str
    sentence: str
    p_value: float | None = None
    large: bool = True
    watch: bool = False
    measured: bool = True
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A check as it is told.

    Attributes
    ----------
    code, name, family, sentence, action : str
    state : {"fine", "watch", "alarm", "not measured"}
    p_value : float or None
    figures : mapping
    """

    code: str
    name: str
    family: str
    state: str
    sentence: str
    action: str
    p_value: float | None
    figures: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def missing(code: str, what: str) -> Measured:
    """A check that could not be made, and what it needs."""
    return Measured(code, what, measured=False)


def judge(found: Sequence[Measured], *, budget: float = BUDGET) -> list[Check]:
    """Decide which checks alarm, so that all together do so by chance in at most ``budget`` of the weeks.

    Holm's step-down test (1979, Scandinavian Journal of Statistics 6:65), which holds however the checks depend on one
    another. A check that would alarm alone, at 5 %, but not among so many is watched.

    Parameters
    ----------
    found : sequence of Measured
    budget : float
        0..1.

    Returns
    -------
    list of Check
        In the order of ``CHECKS``.
    """
    tested = sorted((m for m in found if m.p_value is not None), key=lambda m: m.p_value or 0.0)
    alarms = set()
    for place, one in enumerate(tested):
        if (one.p_value or 0.0) > budget / (len(tested) - place):
            break
        if one.large:
            alarms.add(one.code)
    order = list(CHECKS)
    return [_check(m, alarm=m.code in alarms) for m in sorted(found, key=lambda m: order.index(m.code))]


def _check(one: Measured, *, alarm: bool) -> Check:
    name, family, action = CHECKS[one.code]
    if not one.measured:
        state, action = "not measured", one.sentence
    elif alarm:
        state = "alarm"
    else:
        odd = one.p_value is not None and one.p_value <= BUDGET
        state = "watch" if odd or one.watch else "fine"
    if state == "fine":
        action = "Nothing to do."
    return Check(one.code, name, family, state, one.sentence, action, one.p_value, one.figures)


def retrain(checks: Sequence[Check], *, age_days: int | None, new_wins: int | None, wins: int | None) -> dict[str, Any]:
    """Say when to train again.

    Parameters
    ----------
    checks : sequence of Check
    age_days : int or None
        Since the bundle's as-of.
    new_wins, wins : int or None
        Wins since then, and those that were learned from.

    Returns
    -------
    dict
        ``when`` ("now", "soon" or "as planned") and ``sentence``.
    """
    alarms = [c.code for c in checks if c.state == "alarm" and c.code in _CHANGED]
    watched = [c.code for c in checks if c.state == "watch" and c.code in _CHANGED]
    if alarms:
        return {"when": "now", "sentence": f"Train again now: {', '.join(alarms)} say that the world has changed."}
    if len(watched) > 1:
        said = f"{', '.join(watched)} are on watch: train again within a month, or when one of them alarms."
        return {"when": "soon", "sentence": said}
    if wins and new_wins is not None and new_wins >= _MANY_NEW_WINS * wins:
        said = (
            f"There are {new_wins:,} wins that the model has not seen, beside {wins:,} that it has: train again soon."
        )
        return {"when": "soon", "sentence": said}
    if age_days is not None and age_days > _OLD_DAYS:
        return {"when": "soon", "sentence": f"The model is {age_days} days old: train again soon."}
    return {"when": "as planned", "sentence": "No reason to train again before the usual date."}


def percent(share: float) -> str:
    """Write a share of 0..1."""
    return f"{100 * share:.3g} %" if abs(share) < 0.995 else f"{100 * share:.0f} %"
