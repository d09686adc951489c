"""What would happen to the threshold if the numbers behind it were others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mqlml.decision.choosing import counted, set_policy
from mqlml.errors import GateClosed

if TYPE_CHECKING:
    from mqlml import config
    from mqlml.decision.basis import Basis

__all__ = ["sensitivity"]

_TIMES = {
    "capacity_per_week": (0.5, 0.75, 1.25, 1.5, 2.0),
    "cost": (0.5, 0.75, 1.5, 2.0),
    "value": (0.5, 0.75, 1.5, 2.0),
}


def sensitivity(settings: config.Policy, basis: Basis) -> list[dict[str, Any]]:
    """Choose the threshold again with one number changed, the others kept.

    Parameters
    ----------
    settings : config.Policy
    basis : Basis

    Returns
    -------
    list of dict
        ``rule`` (capacity_per_week, cost or value), ``setting``, and ``threshold``, ``mqls_per_week``, ``win_rate`` and
        ``share_of_wins``, all None where the rule cannot be met then.
    """
    lines = []
    for rule, times in _TIMES.items():
        now = getattr(settings, rule)
        if not isinstance(now, int | float):
            continue
        for factor in times:
            other = max(round(now * factor), 1) if rule == "capacity_per_week" else now * factor
            if other != now:
                lines.append({"rule": rule, "setting": other, **_outcome(settings, rule, other, basis)})
    return lines


def _outcome(settings: config.Policy, rule: str, other: float, basis: Basis) -> dict[str, float | None]:
    nothing: dict[str, float | None] = dict.fromkeys(("threshold", "mqls_per_week", "win_rate", "share_of_wins"))
    changed = settings.model_copy(update={rule: other})
    if isinstance(changed.value, float) and changed.cost is not None and changed.cost >= changed.value:
        return nothing
    try:
        policy = set_policy(
            changed, basis.replay, base_rate=basis.base_rate, worths=basis.worths, certifiable=basis.certifiable
        )
    except GateClosed:
        return nothing
    if policy.threshold is None:
        return nothing
    name = "worth_column" if changed.value_column is not None else "worth_learned"
    found = counted(basis.replay, policy.unit, policy.cost, name).outcome(policy.threshold)
    return {
        "threshold": policy.threshold,
        "mqls_per_week": None if found.per_week is None else found.per_week["median"],
        "win_rate": found.win_rate.value,
        "share_of_wins": found.share_of_wins.value,
    }
