"""What monitoring looks at while no outcome is known yet: MQLs week by week, and whether the tables keep coming."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.history.queries import event_days, leads_by_event_type
from mqlml.learning.moments import DAY, NEVER, microseconds
from mqlml.operation import monitoring_flow as flow
from mqlml.operation.monitoring import Measured, missing
from mqlml.workflows.watching import day_of

if TYPE_CHECKING:
    from mqlml.workflows.watching import PastScores, World

__all__ = ["flow_checks"]

Integers = npt.NDArray[np.int64]

_WEEKS, _DAYS_BEFORE = 13, 92


def flow_checks(
    world: World, past: PastScores, reference: Mapping[str, Any] | None
) -> tuple[list[dict[str, Any]], list[Measured]]:
    """MQLs week by week, and MON-05 and MON-10 to MON-12."""
    decision = world.summary["decision"]
    weeks = [(end, n) for end, n in flow.new_mqls(past.lists)]
    fresh = weeks[-1][1] if weeks and world.now - weeks[-1][0] < 7 * DAY else None
    replayed = [float(w["mqls"]) for w in decision.get("weeks_replayed") or []]
    usual = decision.get("mqls_per_week")
    days = event_days(world.history, until=world.now, days=_DAYS_BEFORE)
    since = 1.0 if reference is None else (reference["to"] - reference["from"]) / DAY
    checks = [
        flow.volume(fresh, replayed, usual=usual),
        flow.freshness(world.now, _times(world, days)),
    ]
    if world.history.remote is not None:
        elsewhere = "Needs the events here: monitoring reads them with the local engine."
        checks += [missing("MON-10", elsewhere), missing("MON-12", elsewhere)]
    else:
        leads = leads_by_event_type(world.history, since=world.now - 7 * DAY, until=world.now)
        known = None if reference is None else reference["event_types"]
        few = 0 if reference is None else reference["few"]
        checks += [flow.new_event_types(known, leads, few=few, days=since), flow.event_flow(_by_week(days))]
    told = [{"week": day_of(end - 7 * DAY), "mqls": n, **_range(usual)} for end, n in weeks]
    return told, checks


def _times(world: World, days: Sequence[tuple[str, int, int, int]]) -> dict[str, Integers]:
    """Ascending times before now of each table; of events the newest of each day."""
    newest: dict[int, int] = {}
    for _, day, _, at in days:
        newest[day] = max(at, newest.get(day, at))
    decided = microseconds(world.history.outcomes["decided_at"], NEVER)
    times = {
        "events": np.array(sorted(newest.values()), dtype=np.int64),
        "leads": np.sort(world.people.created),
        "outcomes": np.sort(decided),
        "hand-overs": np.sort(microseconds(world.history.handovers["handed_at"], NEVER)),
    }
    return {name: at[at < world.now] for name, at in times.items() if (at < world.now).any()}


def _by_week(days: Sequence[tuple[str, int, int, int]]) -> dict[str, list[float]]:
    """Events of each type in each of the last 13 weeks, the newest last; weeks before the first event are left out."""
    weeks = min(max((day for _, day, _, _ in days), default=0) // 7, _WEEKS)
    found: dict[str, list[float]] = {}
    for name, day, n, _ in days:
        if day // 7 < weeks:
            found.setdefault(name, [0.0] * weeks)[weeks - 1 - day // 7] += n
    return found


def _range(usual: Mapping[str, float] | None) -> dict[str, float | None]:
    return {"low": None, "high": None} if not usual else {"low": usual["p10"], "high": usual["p90"]}
