"""One lead's story as plain data: its reasons, how its chance came about, and what would go with a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.errors import shown
from mqlml.review.reasons import NOT_SUPPLIED

if TYPE_CHECKING:
    from datetime import datetime

    from mqlml.review.reasons import Explanation
    from mqlml.review.sentences import FactWriter
    from mqlml.review.wording import Words

__all__ = ["along", "by_theme", "lead_reasons", "moments_of", "other_ways", "step_words"]

Floats = npt.NDArray[np.float64]

_LEAST = 1e-9
# Half a point of chance: less is not worth a reader's time.
_WORTH_SAYING = 0.005
_MOST_WAYS = 5
_THINGS = 3


def lead_reasons(explanation: Explanation, facts: FactWriter, themes: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every criterion that moves the chance of the first lead, strongest first.

    Parameters
    ----------
    explanation : Explanation
    facts : FactWriter
    themes : mapping of str to str
        Theme of each criterion.

    Returns
    -------
    list of dict
        ``criterion``, ``group``, ``theme``, ``fact``, ``sentence``, ``contribution`` (calibrated log-odds), ``points``
        (chance less the chance without it, -1..1), ``supplied`` (false: no reason, only part of the sum) and
        ``compared``: win rate, number and values of such leads, None where too few are known.
    """
    parts = explanation.parts[0]
    total = explanation.base + float(parts.sum())
    found = []
    for j in np.argsort(-np.abs(parts), kind="stable"):
        if abs(parts[j]) <= _LEAST:
            continue
        name = explanation.names[j]
        fact = facts.told(name, 0)
        compared = facts.compared(fact)
        found.append(
            {
                "criterion": name,
                "group": explanation.groups[j],
                "theme": themes.get(name, NOT_SUPPLIED),
                "fact": fact.text,
                "sentence": facts.sentence(name, 0, float(parts[j])),
                "contribution": float(parts[j]),
                "points": _chance(total) - _chance(total - float(parts[j])),
                "supplied": facts.supplied(name, 0),
                "compared": None if compared is None else compared._asdict(),
            }
        )
    return found


def by_theme(reasons: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Sum of the contributions of each theme, strongest first; they sum to the log-odds less the base."""
    sums: dict[str, float] = {}
    for reason in reasons:
        sums[reason["theme"]] = sums.get(reason["theme"], 0.0) + reason["contribution"]
    ordered = sorted(sums.items(), key=lambda item: (-abs(item[1]), item[0]))
    return [{"theme": theme, "contribution": value} for theme, value in ordered]


def step_words(step: Mapping[str, Any], words: Words) -> str:
    """One thing that became known of a lead, such as "2 pricing-page visits (/pricing)"."""
    name, detail, times = step["name"], step["detail"], step["times"]
    if step["kind"] == "stage":
        return f"entered stage {shown(name)}"
    if step["kind"] == "change":
        return f"{shown(words.columns.get(name, name))} became {'empty' if detail is None else shown(detail)}"
    one, many = words.events.get(name, (name, name))
    what = shown(one if times == 1 else many)
    if times > 1:
        what = f"{times:,} {what}" if name in words.events else f"{times:,} × {what}"
    return what if detail is None else f"{what} ({shown(words.assets.get(detail, detail))})"


def along(
    steps: Sequence[Mapping[str, Any]], chances: Floats, states: Sequence[str], words: Words
) -> list[dict[str, Any]]:
    """How the chance went with what became known of the lead.

    Parameters
    ----------
    steps : sequence of mapping
        As `mqlml.history.steps.last_steps` gives them.
    chances : ndarray of float64, shape (moments,)
        Chance just after each different moment of the steps, 0..1.
    states : sequence of str
        What the lead was just after each moment: a candidate, or why it was none.
    words : Words

    Returns
    -------
    list of dict
        ``at``, ``what``, ``chance`` (None where the lead could not be won any more, or not yet), ``change`` since the
        line before and ``state``; oldest first.
    """
    found: list[dict[str, Any]] = []
    before: float | None = None
    moments = groupby(steps, key=lambda step: step["at"])
    for (at, group), p, state in zip(moments, chances, states, strict=True):
        told = [step_words(step, words) for step in group]
        more = f" and {len(told) - _THINGS} more" if len(told) > _THINGS else ""
        chance = None if state in ("decided", "not yet created", "outcome ignored") else float(p)
        change = None if before is None or chance is None else chance - before
        found.append({"at": at, "what": ", ".join(told[:_THINGS]) + more, "chance": chance, "change": change,
                      "state": state})  # fmt: skip
        before = chance
    return found


def other_ways(
    chance: float, ways: Sequence[Mapping[str, Any]], chances: Floats, *, done: set[str], facts: FactWriter
) -> list[dict[str, Any]]:
    """The single events after which the chance would be most different upwards.

    An association of the past: whoever is about to buy does more of everything.

    Parameters
    ----------
    chance : float
        Of the lead as it is, 0..1.
    ways : sequence of mapping
        Events (see `mqlml.history.steps.usual_events`).
    chances : ndarray of float64, shape (ways,)
        Chance of the same lead had it done each just now.
    done : set of str
        Criteria of which the lead has done something before.
    facts : FactWriter
        Says what the criteria are called.

    Returns
    -------
    list of dict
        ``signal``, ``called``, ``again`` (whether the lead has done it before), ``chance`` and ``change``; the greatest
        first, at most five, none that raises the chance by less than half a point.
    """
    found = [
        {
            "signal": way["criterion"],
            "called": facts.called(way["criterion"]),
            "again": way["criterion"] in done,
            "chance": float(p),
            "change": float(p) - chance,
        }
        for way, p in zip(ways, chances, strict=True)
        if p - chance >= _WORTH_SAYING
    ]
    return sorted(found, key=lambda way: (-way["change"], way["signal"]))[:_MOST_WAYS]


def moments_of(steps: Sequence[Mapping[str, Any]]) -> list[datetime]:
    """The different moments of some steps, oldest first."""
    return [at for at, _ in groupby(steps, key=lambda step: step["at"])]


def _chance(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-log_odds)))
