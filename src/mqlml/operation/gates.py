"""The gates that a challenger has to pass, each with what it found and what to do where it is closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mqlml.errors import shown
from mqlml.review.criteria import Criteria, needs_review

if TYPE_CHECKING:
    from mqlml.config import Promotion

__all__ = ["Gate", "check_gates"]

_NAMED = 5


@dataclass(frozen=True)
class Gate:
    """One condition of a promotion.

    Attributes
    ----------
    name : {"not worse", "calibrated", "better than the base rate", "audited", "reviewed"}
    passed : bool
    sentence : str
        What was found.
    remedy : str
        What opens the gate; empty where it is open.
    """

    name: str
    passed: bool
    sentence: str
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def check_gates(
    comparison: Mapping[str, Any],
    summary: Mapping[str, Any],
    settings: Promotion,
    *,
    criteria: Criteria,
    reviewed_by: str | None = None,
) -> tuple[Gate, ...]:
    """Look at every gate.

    Parameters
    ----------
    comparison : mapping
        ``shipped`` and ``again`` as ``compare_chances`` gives them (``again`` None where nobody had learned from the
        window), and ``why`` there is no comparison.
    summary : mapping
        What the challenger's training said of it.
    settings : config.Promotion
    criteria : Criteria
        Decisions that the challenger obeys.
    reviewed_by : str, optional
        Who read its report.
    """
    return (
        _not_worse(comparison, settings),
        _calibrated(comparison, settings),
        _beats_base_rate(summary),
        _audited(summary, reviewed_by),
        _reviewed(summary, criteria, reviewed_by),
    )


def _not_worse(comparison: Mapping[str, Any], settings: Promotion) -> Gate:
    name = "not worse"
    judged = _judged(comparison)
    if not judged:
        wait = "wait until more outcomes are known, or widen [promotion] weeks"
        return Gate(name, passed=False, sentence=f"The two could not be compared: {comparison['why']}.", remedy=wait)
    most, told = settings.worse_by_at_most, []
    for how, found in judged.items():
        worse = found["worse_by"]
        high = worse["high"]
        if high is None or high > most:
            bound = "cannot be told" if high is None else f"may be {_percent(high)} worse"
            said = (
                f"{how.capitalize()}, the challenger's log loss is {_percent(worse['value'])} against the champion's, "
                f"and with 95 % confidence {bound}; at most {_percent(most)} is allowed ([promotion] worse_by_at_most)."
            )
            return Gate(name, passed=False, sentence=said, remedy=_too_worse(worse))
        told.append(f"{how}: {_percent(worse['value'])}, at most {_percent(high)}")
    same = " Both recipes are the same: only the history they learned from differs." * bool(
        comparison.get("same_recipe")
    )
    said = f"The challenger's log loss against the champion's: {'; '.join(told)}.{same}"
    return Gate(name, passed=True, sentence=said)


def _too_worse(worse: Mapping[str, float | None]) -> str:
    if (worse["low"] or 0.0) > 0:
        return "keep the champion, and look at what changed in the data or the settings since it was trained"
    return "too few wins to tell: widen [promotion] weeks, or run 'mqlml retrain' again when more outcomes are known"


def _judged(comparison: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    named = {"made again before the window": comparison.get("again"), "as shipped": comparison.get("shipped")}
    found = {how: judged for how, judged in named.items() if judged is not None}
    # What learned from the window proves nothing alone.
    return {} if comparison.get("learned") and "made again before the window" not in found else found


def _calibrated(comparison: Mapping[str, Any], settings: Promotion) -> Gate:
    name = "calibrated"
    judged = list(_judged(comparison).values())
    if not judged:
        why = f"Promised and realised wins could not be compared: {comparison['why']}."
        return Gate(name, passed=False, sentence=why, remedy="wait until more outcomes are known")
    figures = {figure["name"]: figure["new"] for figure in judged[0]["figures"]}
    bounds = {"observed_over_expected": settings.observed_over_expected, "slope": settings.slope}
    words = {"observed_over_expected": "won leads for each one promised", "slope": "the calibration slope"}
    said, outside = [], []
    for key, (low, high) in bounds.items():
        figure = figures[key]
        text = f"{words[key]}: {_span(figure)}, bounds {low:g} to {high:g}"
        said.append(text)
        if figure["low"] is None or figure["high"] is None or figure["high"] < low or figure["low"] > high:
            outside.append(text)
    if not outside:
        return Gate(name, passed=True, sentence=f"Not surely outside the bounds: {'; '.join(said)}.")
    return Gate(
        name,
        passed=False,
        sentence=f"Surely outside the bounds of [promotion]: {'; '.join(outside)}.",
        remedy="check what changed in the last weeks ('mqlml check'), then train again with a later --as-of",
    )


def _beats_base_rate(summary: Mapping[str, Any]) -> Gate:
    verdict = summary["verdict"]
    name = "better than the base rate"
    if verdict["code"] != "no signal":
        return Gate(name, passed=True, sentence=f"The training's verdict: {verdict['code']}.")
    return Gate(name, passed=False, sentence=verdict["sentence"], remedy="add wins or better columns, then train again")


def _audited(summary: Mapping[str, Any], reviewed_by: str | None) -> Gate:
    name, open_ = "audited", [line for line in summary["audit"] if line["waived"] is None]
    blocked = [line["column"] for line in open_ if line["level"] == "block"]
    asked = sorted({line["column"] for line in open_ if line["level"] == "ask"})
    if blocked:
        said = f"Columns give the outcome away: {_list(blocked)}."
        return Gate(name, passed=False, sentence=said, remedy="name them in [leads] exclude and train again")
    if asked and reviewed_by is None:
        return Gate(
            name,
            passed=False,
            sentence=f"The leak audit asks about columns and nobody has answered: {_list(asked)}.",
            remedy="name them in [leads] exclude, or in [audit] waive with a reason, and train again; "
            "or let somebody who looked at them promote with --reviewed-by NAME",
        )
    said = f"Seen and accepted by {reviewed_by}: {_list(asked)}." if asked else "The leak audit has no open question."
    return Gate(name, passed=True, sentence=said)


def _reviewed(summary: Mapping[str, Any], criteria: Criteria, reviewed_by: str | None) -> Gate:
    name = "reviewed"
    if reviewed_by is not None:
        return Gate(name, passed=True, sentence=f"Reviewed by {reviewed_by}.")
    decided = {mark.name for mark in criteria.marks if mark.decision != "none"}
    asked = summary.get("to_review")
    asked = needs_review(summary["drivers"]) if asked is None else asked
    missing = tuple(criterion for criterion in asked if criterion not in decided)
    if not missing:
        people = ", ".join(sorted({mark.by for mark in criteria.marks if mark.by}))
        said = (
            f"All criteria that matter are decided on by {people}." if people else "No criterion asks for a decision."
        )
        return Gate(name, passed=True, sentence=said)
    return Gate(
        name,
        passed=False,
        sentence=f"{len(missing):,} criteria that matter are not decided on: {_list(missing)}.",
        remedy="mark them in the report, save criteria.toml beside mqlml.toml and train again; "
        "or promote with --reviewed-by NAME",
    )


def _list(names: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(f"'{shown(name)}'" for name in names[:_NAMED]) + more


def _percent(value: float) -> str:
    return f"{100 * value:+.1f} %" if value else "0 %"


def _span(figure: Mapping[str, float | None]) -> str:
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None:
        return "not known"
    return f"{value:.2f}" if low is None or high is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"
