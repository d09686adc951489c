"""From rules to a threshold: each rule has its own, the strictest holds, and what cannot be met is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.decision.capacity import capacity_threshold, recall_threshold, share_threshold
from mqlml.decision.certification import WINDOW, certify
from mqlml.decision.policy import Policy
from mqlml.errors import GateClosed
from mqlml.learning.snapshots import DAY

if TYPE_CHECKING:
    from mqlml import config
    from mqlml.decision.replay import Replay
    from mqlml.decision.value import Worth

__all__ = ["RULES", "counted", "set_policy"]

Floats = npt.NDArray[np.float64]

RULES = ("capacity_per_week", "cost", "value", "value_column", "precision", "confidence", "recall", "floor", "share",
         "unit")  # fmt: skip
"""Keys of ``[policy]`` from which a threshold follows."""

# The upper half of the leads handed over is called first.
_HOT_SHARE = 0.5


@dataclass(frozen=True)
class _Bound:
    rule: str
    threshold: float
    text: str


def set_policy(
    settings: config.Policy,
    replay: Replay,
    *,
    base_rate: float,
    worths: Mapping[str, Worth] = MappingProxyType({}),
    certifiable: bool = False,
) -> Policy:
    """Find the threshold that keeps every rule of ``[policy]``; the strictest rule decides.

    Parameters
    ----------
    settings : config.Policy
    replay : Replay
        Past weeks with chances as they would have been given then.
    base_rate : float
        Win rate of all candidates, 0..1.
    worths : mapping of str to Worth
        What is known of the value of a win: ``learned``, ``column``.
    certifiable : bool
        Whether the shipped model never learned from the window "certify" of the replay.

    Raises
    ------
    GateClosed
        The rules cannot be met; names what could be.
    """
    worth = _worth(settings, worths)
    seen = counted(replay, settings.unit, None if worth is None else settings.cost, _worth_name(settings))
    if settings.capacity_per_week is not None and not seen.dated and not _others(settings):
        return _taking(settings, seen, base_rate)
    bounds = _bounds(settings, seen, worth)
    threshold = max((b.threshold for b in bounds), default=0.0)
    _refuse_empty(settings, seen, threshold)
    if settings.recall is not None:
        bounds.append(_recall(settings, seen, threshold))
        most: float | None = bounds[-1].threshold
    else:
        most = None
    certificate = None
    if settings.precision is not None:
        certificate = _certificate(settings, seen, certifiable=certifiable, least=threshold, most=most)
        bounds.append(_Bound("precision", certificate["threshold"], _promise(settings)))
        threshold = certificate["threshold"]
    else:
        threshold = most if most is not None else threshold
    hot, nurture = _tier_bounds(seen, threshold, base_rate)
    return Policy(
        kind="+".join(b.rule for b in bounds),
        rule=f"Hand over {_who(settings)} {_joined([b.text for b in bounds])}.",
        threshold=threshold,
        hot=hot,
        nurture=nurture,
        assumption=_assumption(settings, bounds, dated=seen.dated),
        per_week=settings.capacity_per_week,
        unit=settings.unit,
        cost=None if worth is None else settings.cost,
        worth=None if worth is None else worth.to_dict(),
        certificate=certificate,
        settings=_asked(settings),
    )


def counted(replay: Replay, unit: str, cost: float | None, worth: str) -> Replay:
    """The replay as a policy sees it: by lead or account, and only those worth their cost.

    Parameters
    ----------
    replay : Replay
    unit : {"lead", "account"}
    cost : float or None
        None: nobody is left out for their value.
    worth : str
        Name among ``replay.more`` of what a win would be worth.
    """
    if cost is not None:
        replay = replace(replay, payable=replay.p * replay.more[worth] >= cost)
    return replay.by_account() if unit == "account" else replay


def _others(settings: config.Policy) -> bool:
    return any(getattr(settings, name) is not None for name in ("cost", "precision", "recall", "floor"))


def _worth_name(settings: config.Policy) -> str:
    return "worth_column" if settings.value_column is not None else "worth_learned"


def _worth(settings: config.Policy, worths: Mapping[str, Worth]) -> Worth | None:
    if settings.value_column is None and settings.value != "learned":
        return None
    name = "column" if settings.value_column is not None else "learned"
    if name not in worths:
        what = (
            f"'{settings.value_column}' was not named in [policy] value_column when this model was trained"
            if name == "column"
            else "no won lead has a value above 0 in [outcomes] value"
        )
        raise GateClosed(f"the value of a win cannot be told lead by lead: {what}.", hint="give value as a number")
    return worths[name]


def _bounds(settings: config.Policy, replay: Replay, worth: Worth | None) -> list[_Bound]:
    """The rules that ask for at least some chance."""
    found = []
    k, cost, value = settings.capacity_per_week, settings.cost, settings.value
    if k is not None and replay.dated:
        text = f"so that a usual week has at most {k:,} new MQLs"
        found.append(_Bound("capacity", capacity_threshold(replay, k), text))
    if cost is not None and worth is not None:
        found.append(_paying(settings, replay, cost))
    elif cost is not None and isinstance(value, float):
        money = f"cost {cost:g} a lead, value {value:g} a win"
        text = f"with a chance of at least {100 * cost / value:.3g} % ({money})"
        found.append(_Bound("cost", cost / value, text))
    if settings.floor is not None:
        found.append(_Bound("floor", settings.floor, f"with a chance of at least {100 * settings.floor:.3g} %"))
    if not found and settings.precision is None and settings.recall is None:
        text = f"among the best {100 * settings.share:g} % of all leads"
        found.append(_Bound("share", share_threshold(replay, settings.share), text))
    return found


def _paying(settings: config.Policy, replay: Replay, cost: float) -> _Bound:
    payable = replay.payable
    assert payable is not None
    where = f"column '{settings.value_column}'" if settings.value_column else "learned from won leads"
    if not payable.any():
        best = float((replay.p * replay.more[_worth_name(settings)]).max())
        raise GateClosed(
            f"no lead of the past weeks was worth a cost of {cost:g}: the best chance times value was {best:.3g}.",
            hint=f"a cost of {best:.3g} or less can be met",
        )
    text = f"whose chance times the value of a win ({where}) is at least {cost:g}"
    return _Bound("value", float(replay.p[payable].min()), text)


def _refuse_empty(settings: config.Policy, replay: Replay, threshold: float) -> None:
    if len(replay.crossings(threshold)):
        return
    within = replay.p if replay.payable is None else replay.p[replay.payable]
    best = float(within.max())
    hint = f"a floor of {np.floor(1000 * best) / 1000:g} or less can be met"
    if settings.cost is not None and isinstance(settings.value, float) and best < settings.cost / settings.value:
        most = np.floor(100 * best * settings.value) / 100
        hint = f"with value {settings.value:g} a cost of {most:g} or less can be met"
    raise GateClosed(
        f"no lead of the past weeks reached a chance of {100 * threshold:.3g} %; the highest was {100 * best:.3g} %.",
        hint=hint,
    )


def _recall(settings: config.Policy, replay: Replay, least: float) -> _Bound:
    wanted = settings.recall
    assert wanted is not None
    threshold = recall_threshold(replay, wanted)
    if threshold < least:
        kept = float(replay.won[replay.crossings(least)].sum()) / max(replay.winners, 1)
        hint = f"ask for recall {np.floor(1000 * kept) / 1000:g} or less"
        if settings.capacity_per_week is not None and replay.dated:
            hint += f", or allow {int(np.ceil(np.median(replay.weekly(threshold)[1]))):,} MQLs a week"
        raise GateClosed(
            f"{100 * wanted:g} % of the wins need a threshold of at most {100 * threshold:.3g} %, and the other rules "
            f"ask for at least {100 * least:.3g} %, which keeps {100 * kept:.3g} %.",
            hint=hint,
        )
    return _Bound("recall", threshold, f"that hold at least {100 * wanted:g} % of the wins")


def _certificate(
    settings: config.Policy, replay: Replay, *, certifiable: bool, least: float, most: float | None
) -> dict[str, Any]:
    """The tested promise with its window, as plain data."""
    assert settings.precision is not None
    if not certifiable:
        raise GateClosed(
            "a win rate cannot be certified for this model: it has learned from every window, or was not tested "
            "forward in time.",
            hint="set [model] refit = false and train again; at least two forward tests are needed",
        )
    window = replay.window(WINDOW)
    found = certify(window, settings.precision, confidence=settings.confidence, least=least, most=most)
    return {**found.to_dict(), **_span(window)}


def _span(window: Replay) -> dict[str, str | None]:
    if window.first_moment is None:
        return {"from": None, "to": None}
    days = [window.first_moment + int(week) * 7 * DAY for week in (window.week.min(), window.week.max() + 1)]
    return dict(zip(("from", "to"), (str(np.datetime64(day, "us"))[:10] for day in days), strict=True))


def _promise(settings: config.Policy) -> str:
    target, confidence = 100 * (settings.precision or 0), 100 * settings.confidence
    return f"of whom at least {target:.3g} % win (certified at {confidence:.3g} %)"


def _joined(texts: list[str]) -> str:
    return " and ".join([*filter(None, [", ".join(texts[:-1])]), texts[-1]])


def _who(settings: config.Policy) -> str:
    return "leads" if settings.unit == "lead" else "one lead of each account, among those"


def _assumption(settings: config.Policy, bounds: list[_Bound], *, dated: bool) -> str | None:
    if settings.capacity_per_week is not None and not dated:
        return "There are no weekly snapshots to count in: capacity_per_week could not be used."
    if bounds[0].rule == "share" and "share" not in settings.model_fields_set:
        return "Nobody set [policy] capacity_per_week or cost and value yet: agree on one with sales."
    return None


def _asked(settings: config.Policy) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in RULES if name in settings.model_fields_set}


def _taking(settings: config.Policy, replay: Replay, base_rate: float) -> Policy:
    """A history without dates has no weeks: a fixed number of each scored file."""
    take = settings.capacity_per_week
    assert take is not None
    hot, nurture = _tier_bounds(replay, float(np.quantile(replay.p, 0.8)), base_rate)
    rule = f"Hand over the best {take:,} leads of each scored file."
    assumed = "There are no weekly snapshots to count in: capacity_per_week is read as a number for each scored file."
    asked = _asked(settings)
    return Policy("capacity", rule, None, hot, nurture, take=take, assumption=assumed, settings=asked)


def _tier_bounds(replay: Replay, threshold: float, base_rate: float) -> tuple[float, float]:
    """Bounds of hot and nurture: the upper half of the MQLs, and the base rate (or half the threshold)."""
    crossed = replay.p[replay.crossings(threshold)]
    hot = float(np.quantile(crossed, 1 - _HOT_SHARE)) if len(crossed) else threshold
    return max(hot, threshold), base_rate if base_rate < threshold else threshold / 2
