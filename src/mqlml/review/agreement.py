"""What an MQL definition says beside the figures of the decision: who never qualifies, follow-up, rejections, owner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mqlml.errors import shown
from mqlml.learning.moments import DAY, NEVER, microseconds
from mqlml.learning.resampling import binomial_interval

if TYPE_CHECKING:
    from mqlml.config import Condition, Config, HardRule

__all__ = ["PROPOSED_REASONS", "agreement", "condition_words", "first_touches", "rejections"]

PROPOSED_REASONS = (
    "could not be reached",
    "no need now",
    "no budget",
    "cannot decide",
    "not our market",
    "wrong or missing data",
    "student, competitor or applicant",
    "customer already",
)
"""Reasons to reject an MQL that are proposed where neither the settings nor past hand-overs name any."""

_MOST_REASONS = 8
# A reason given only once or twice may be a sentence about a person.
_LEAST_TIMES = 5
_SAID = {"never": "Never handed over", "always": "Always handed over", "sales-ready": "Goes to sales directly, no MQL"}


def agreement(
    config: Config, *, as_of: datetime | None, handovers: pa.Table, skipped: Mapping[str, int]
) -> dict[str, Any]:
    """Gather what stands in the MQL definition and is no figure of the decision.

    Parameters
    ----------
    config : Config
        ``[policy]`` and its rules, ``[review]``, ``[snapshots]``.
    as_of : datetime or None
        Only hand-overs known strictly before it count; the day of review is counted from it.
    handovers : pa.Table
        Schema ``mqlml.history.contract.HANDOVERS``.
    skipped : mapping of str to int
        Rows of the leads table that were left out, by reason.

    Returns
    -------
    dict
        ``exclusions`` and ``beside`` (sentences), ``follow_up_days`` (agreed, or None), ``first_touch`` (measured, or
        None), ``reasons`` with ``reasons_from`` (settings, hand-overs or proposal), ``owner`` and ``review_on`` (an ISO
        date, or None).
    """
    review = config.review
    until = int(NEVER) if as_of is None else int(as_of.timestamp() * 1_000_000)
    observed = rejections(handovers, until=until)
    named = [{"reason": reason, "share": None} for reason in review.rejection_reasons]
    proposed = [{"reason": reason, "share": None} for reason in PROPOSED_REASONS]
    return {
        "exclusions": [*_rules(config.policy.rules, ("never",)), *_left_out(config, skipped)],
        "beside": _rules(config.policy.rules, ("always", "sales-ready")),
        "follow_up_days": review.follow_up_days,
        "first_touch": first_touches(handovers, until=until, days=review.follow_up_days),
        "reasons": named or observed or proposed,
        "reasons_from": "settings" if named else "hand-overs" if observed else "proposal",
        "owner": review.owner,
        "review_on": None if as_of is None else _later(as_of.date(), review.review_every_days),
    }


def first_touches(handovers: pa.Table, *, until: int, days: float | None) -> dict[str, Any] | None:
    """How soon sales touched the leads that were handed over.

    Parameters
    ----------
    handovers : pa.Table
    until : int
        Microseconds: only what was known strictly before.
    days : float or None
        Time agreed.

    Returns
    -------
    dict or None
        ``handed``, ``touched`` so far, ``median_days`` and ``p90_days`` of these; ``in_time``: share (``value``,
        ``low``, ``high``, 0..1) touched within the time agreed, of those handed over as long ago, touched or not. None
        where no first touch is recorded.
    """
    if not handovers.num_rows:
        return None
    handed, touched = (microseconds(handovers[name], NEVER) for name in ("handed_at", "first_touch_at"))
    known = handed < until
    seen = known & (touched < until) & (touched >= handed)
    if not seen.any():
        return None
    taken = (touched - handed)[seen] / DAY
    found = {"handed": int(known.sum()), "touched": int(seen.sum()), "median_days": float(np.median(taken))}
    return {
        **found,
        "p90_days": float(np.quantile(taken, 0.9)),
        "in_time": _in_time(handed, touched, known, days, until),
    }


def rejections(handovers: pa.Table, *, until: int) -> list[dict[str, Any]]:
    """Reasons for which sales rejected leads, with the share of each in all that name one, the most frequent first.

    Parameters
    ----------
    handovers : pa.Table
    until : int
        Microseconds: only what was known strictly before.

    Returns
    -------
    list of dict
        ``reason`` and ``share`` (0..1); those given fewer than five times stand together as "other".
    """
    if not handovers.num_rows:
        return []
    rejected = microseconds(handovers["rejected_at"], NEVER) < until
    texts = [
        reason for reason, known in zip(handovers["reason"].to_pylist(), rejected, strict=True) if known and reason
    ]
    counted = Counter(texts).most_common(_MOST_REASONS)
    often = [(reason, n) for reason, n in counted if n >= _LEAST_TIMES]
    rest = len(texts) - sum(n for _, n in often)
    lines = [*often, *([("other", rest)] if often and rest else [])]
    return [{"reason": shown(reason), "share": n / len(texts)} for reason, n in lines]


def condition_words(condition: Condition) -> str:
    """Say a condition of a rule in plain words."""
    if condition.event is not None:
        when = "ever" if condition.window_days is None else f"in the last {condition.window_days} days"
        return f"at least {condition.at_least} '{shown(condition.event)}' {when}"
    op = {"=": "is", "!=": "is not", "in": "is one of", "not in": "is none of"}.get(condition.op, condition.op)
    value = condition.value
    values = value if isinstance(value, tuple) else () if value is None else (value,)
    return " ".join([shown(condition.column or ""), op, ", ".join(shown(str(v)) for v in values)]).strip()


def _rules(rules: Sequence[HardRule], kinds: Sequence[str]) -> list[str]:
    found = []
    for rule in rules:
        if rule.then in kinds:
            entered = [] if rule.stage is None else [f"entered the stage '{shown(rule.stage)}'"]
            when = " and ".join([*map(condition_words, rule.when), *entered])
            found.append(f"{_SAID[rule.then]}: {shown(rule.name)} ({when}).")
    return found


def _left_out(config: Config, skipped: Mapping[str, int]) -> list[str]:
    """Who is no candidate whatever the chance."""
    policy, lines = config.policy, []
    if config.suppress is not None:
        lines.append(f"On the list of suppressed leads ({skipped.get('suppressed', 0):,} now).")
    if config.leads.where:
        lines.append(f"Not meeting: {shown(config.leads.where)}.")
    if config.outcomes.ignore:
        lines.append(f"Known to be {', '.join(shown(name) for name in config.outcomes.ignore)}.")
    if policy.min_fit is not None:
        lines.append(f"Fit grade below {policy.min_fit}.")
    lines.append(f"Came in, or came back, more than {config.snapshots.max_age_days} days ago (dormant).")
    lines.append(f"Rejected by sales in the last {policy.retry_days} days, unless the lead acts anew.")
    return lines


def _in_time(handed: Any, touched: Any, known: Any, days: float | None, until: int) -> dict[str, float] | None:
    if days is None:
        return None
    span = int(days * DAY)
    due = known & (handed + span <= until)
    n = int(due.sum())
    if not n:
        return None
    kept = int((due & (touched - handed <= span)).sum())
    low, high = binomial_interval(kept, n)
    return {"value": kept / n, "low": low, "high": high}


def _later(day: date, days: int) -> str:
    return (day + timedelta(days=days)).isoformat()
