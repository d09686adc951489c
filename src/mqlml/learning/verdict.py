"""The verdict in words, and how many more wins would settle what is open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mqlml.learning.resampling import Draws, Interval
from mqlml.learning.windows import MIN_TEST_WINS

__all__ = ["Evidence", "more_wins", "verdict"]

_WINS_TO_JUDGE = 40
# What is surely below both changes no list of leads: with many wins even chance differences between accounts or agents
# are beyond doubt (CRM Sales, where nothing predicts, shows an AUC of 0.54 and a skill of 0.005).
_LEAST_SKILL, _LEAST_AUC = 0.01, 0.6
# Promises that are off by more than a quarter either way mislead whoever plans with them.
_MOST_OFF = 1.25
# A signal is claimed at odds of one in a hundred that there is none.
_CONFIDENCE = 0.99
# Differences that would take more than so many times the wins are as good as none.
_MOST_TIMES = 20.0
# With so many times the wins a difference like the one seen would be a signal: it may well be one.
_TIMES_HIDDEN = 4.0


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on.

    Attributes
    ----------
    auc, observed_over_expected : Draws
        Of the model.
    gains : sequence of (str, Draws)
        Log loss of each simpler way less that of the model, the base rate first.
    present : str or None
        The name of the present rule among them.
    wins : int
        Won leads in the judged part.
    remark : str or None
        What to know about the test itself.
    skill : Draws or None
        Share of the base rate's log loss that the model takes away.
    """

    auc: Draws
    observed_over_expected: Draws
    gains: Sequence[tuple[str, Draws]]
    present: str | None
    wins: int
    remark: str | None = None
    skill: Draws | None = None


def more_wins(difference: Interval, wins: int) -> int | None:
    """Estimate how many further won leads would put a difference beyond doubt, were it what it is now.

    Intervals narrow with the root of the wins. The estimate says nothing about what the difference will turn out to be.

    Parameters
    ----------
    difference : Interval
    wins : int
        Won leads it was measured on.

    Returns
    -------
    int or None
        0 where it is beyond doubt already, rounded to two figures otherwise; None where no plausible number would do:
        the difference points the other way, or is next to nothing.

    Examples
    --------
    >>> more_wins(Interval(0.01, -0.01, 0.03), 100)
    300
    """
    if difference.low is not None and difference.low > 0:
        return 0
    if difference.low is None or difference.value <= 0:
        return None
    times = ((difference.value - difference.low) / difference.value) ** 2
    return _rounded(wins * (times - 1)) if times <= _MOST_TIMES else None


def verdict(found: Evidence) -> dict[str, Any]:
    """Judge the evidence.

    Returns
    -------
    dict
        ``code`` ("ready", "too thin", "no signal" or "not better"), ``sentence``, ``details`` and ``more_wins`` (an
        estimate; None where none is needed or would help).
    """
    details = [found.remark] if found.remark else []
    gain = found.gains[0][1]
    if _is_negligible(found):
        return _negligible(found, details)
    if min(found.auc.at_least(_CONFIDENCE) - 0.5, gain.at_least(_CONFIDENCE)) <= 0:
        return _without_signal(found, details)
    if found.wins < _WINS_TO_JUDGE:
        return _thin(found, details, _WINS_TO_JUDGE - found.wins)
    details += _levels(found.observed_over_expected.interval())
    present = next((draws.interval() for name, draws in found.gains if name == found.present), None)
    details += _not_beaten([(name, draws) for name, draws in found.gains[1:] if name != found.present], found.wins)
    if present is not None and (present.low is None or present.low <= 0):
        return _not_better(found, present, details)
    sentence = (
        f"A won lead stands above one that was not in {100 * found.auc.value:.0f} of 100 pairs, and the chances fit "
        "the outcomes better than the base rate" + (" and than your present rule." if present is not None else ".")
    )
    return {"code": "ready", "sentence": sentence, "details": details, "more_wins": None}


def _is_negligible(found: Evidence) -> bool:
    if found.skill is None or found.wins < MIN_TEST_WINS:
        return False
    skill, auc = found.skill.interval().high, found.auc.interval().high
    return skill is not None and auc is not None and skill < _LEAST_SKILL and auc < _LEAST_AUC


def _negligible(found: Evidence, details: list[str]) -> dict[str, Any]:
    sentence = (
        "On leads it had not seen, the model is hardly better than the base rate, if at all: a won lead stands above "
        f"one that was not in {100 * found.auc.value:.0f} of 100 pairs (50 is chance). That is too little to act on."
    )
    return {"code": "no signal", "sentence": sentence, "details": details, "more_wins": None}


def _without_signal(found: Evidence, details: list[str]) -> dict[str, Any]:
    gain, wins = found.gains[0][1], found.wins
    times = max(
        _times(found.auc.value - 0.5, found.auc.at_least(_CONFIDENCE) - 0.5),
        _times(gain.value, gain.at_least(_CONFIDENCE)),
    )
    if times <= _TIMES_HIDDEN or wins < _WINS_TO_JUDGE:
        needed = _rounded(wins * (times - 1)) if times <= _TIMES_HIDDEN else None
        return _thin(found, details, max(needed or 0, _WINS_TO_JUDGE - wins))
    if found.auc.at_least(_CONFIDENCE) > 0.5:
        sentence = (
            "On leads it had not seen, the model's chances fit the outcomes no better than the base rate, although it "
            f"ranks leads better than chance (a won lead stands above one that was not in {100 * found.auc.value:.0f} "
            "of 100 pairs): the level of its chances is off."
        )
        return {"code": "no signal", "sentence": sentence, "details": details, "more_wins": None}
    hidden = f" With {wins:,} won leads in the test a small effect could be hidden." if wins < MIN_TEST_WINS else ""
    sentence = f"On leads it had not seen, the model is not better than the base rate.{hidden}"
    return {"code": "no signal", "sentence": sentence, "details": details, "more_wins": None}


def _thin(found: Evidence, details: list[str], needed: int) -> dict[str, Any]:
    sentence = (
        f"Only {found.wins:,} won leads to test on, too few to tell whether the model is better than the base rate; "
        f"about {needed:,} more would settle it (an estimate)."
    )
    return {"code": "too thin", "sentence": sentence, "details": details, "more_wins": needed}


def _not_better(found: Evidence, present: Interval, details: list[str]) -> dict[str, Any]:
    needed = more_wins(present, found.wins)
    if present.high is not None and present.high < 0:
        sentence = "Your present rule fits the outcomes better than the model does: keep it."
    elif needed is None:
        sentence = "The model is not better than your present rule, and more wins would hardly change that."
    else:
        sentence = (
            "The model is ahead of your present rule, but the difference may be chance: about "
            f"{needed:,} more won leads in the test would settle it (an estimate)."
        )
    return {"code": "not better", "sentence": sentence, "details": details, "more_wins": needed}


def _levels(promised: Interval) -> list[str]:
    if promised.low is None or promised.high is None or (promised.low <= _MOST_OFF and promised.high >= 1 / _MOST_OFF):
        return []
    return [
        f"The ranking holds, the level does not: {promised.value:.2f} leads were won for each one promised. "
        "The base rate moves; read chances as a ranking and check them on the next weeks."
    ]


def _not_beaten(gains: Sequence[tuple[str, Draws]], wins: int) -> list[str]:
    """Say which simpler ways the model is not clearly better than, and what it would take to know."""
    lines = []
    for name, draws in gains:
        gain = draws.interval()
        needed = more_wins(gain, wins)
        if needed == 0:
            continue
        if gain.high is not None and gain.high < 0:
            lines.append(f"Clearly worse than: {name}.")
        elif needed is None:
            lines.append(f"Not better than: {name} (more wins would hardly change that).")
        else:
            lines.append(f"Not clearly better than: {name} (about {needed:,} more won leads would settle it).")
    return lines


def _times(value: float, bound: float) -> float:
    """How many times the wins would bring a lower bound to zero."""
    return ((value - bound) / value) ** 2 if value > 0 and math.isfinite(bound) else math.inf


def _rounded(number: float) -> int:
    """Round up to two figures: an estimate should not look like a count."""
    if number <= 0:
        return 0
    unit = int(10 ** max(math.floor(math.log10(number)) - 1, 0))
    return math.ceil(number / unit - 1e-9) * unit
