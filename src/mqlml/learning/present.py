"""The team's present rule: what it said of each snapshot, from what was recorded by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.errors import DataRefused, Problem
from mqlml.learning.conditions import ANY, feature_of, needed_features, points_of, problems_of
from mqlml.learning.snapshots import DAY, NEVER, mark_table
from mqlml.tape.build import build_features
from mqlml.tape.features import Attribute, FeatureSet
from mqlml.tape.local import changed_fields

if TYPE_CHECKING:
    from mqlml.config import Config, PresentCondition
    from mqlml.history.contract import History
    from mqlml.learning.labels import Rows
    from mqlml.learning.snapshots import Population

__all__ = ["PresentRule", "present_problems", "present_rule"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_WHERE = "mqlml.toml"


@dataclass(frozen=True)
class PresentRule:
    """What the present rule said of each row to learn from.

    Attributes
    ----------
    name : str
        For the ladder of baselines.
    sentence : str
        What the rule is and from when on it counts.
    points : ndarray of float64, shape (rows,)
        Higher is better; NaN where nothing was recorded.
    marked : ndarray of bool, shape (rows,), or None
        Whether the lead was an MQL; None where nobody said from how many points on it is.
    """

    name: str
    sentence: str
    points: Floats
    marked: Flags | None


def present_problems(history: History, config: Config, *, attributes: Sequence[str]) -> list[Problem]:
    """List what makes the named present rule unknowable as of a past moment; empty where it can be judged.

    Parameters
    ----------
    history : History
    config : Config
    attributes : sequence of str
        Columns of the leads known to hold what they held at creation.
    """
    policy = config.policy
    if policy.present_score is not None and policy.present_score not in changed_fields(history):
        return [_todays_value(policy.present_score)]
    if policy.present_stage is not None and not history.stage_entries(policy.present_stage).num_rows:
        what = f"[policy] present_stage names '{policy.present_stage}', and [stages] holds no lead that entered it"
        fix = "write the stage as it stands in [stages], or remove [policy] present_stage"
        return [Problem("present-stage", _WHERE, what, fix)]
    changed = changed_fields(history)
    return problems_of(policy.present, history, changed=changed, attributes=attributes, dated=history.has_dates)


def present_rule(
    history: History, config: Config, rows: Rows, people: Population, *, table: pa.Table
) -> tuple[PresentRule | None, str | None]:
    """Find the present rule that ``[policy]`` names, or else the recorded hand-overs; ``present_problems`` first.

    Parameters
    ----------
    history : History
    config : Config
    rows : Rows
    people : Population
    table : pa.Table
        Features of ``rows``; values that are missing in it are computed.

    Returns
    -------
    tuple of (PresentRule or None, str or None)
        The rule, and a note where one is named that cannot be compared.

    Raises
    ------
    DataRefused
        The score has no number before any snapshot.
    """
    policy = config.policy
    if policy.present_score is not None:
        return _score_rule(history, config, rows, people, policy.present_score), None
    if policy.present:
        return _conditions_rule(history, config, rows, people, table), None
    found = _recorded(history, config)
    if found is None:
        return None, None
    if rows.timing != "horizon":
        return (
            None,
            f"{found[0][0].upper()}{found[0][1:]} cannot be compared: that needs dates and [label] horizon_days.",
        )
    return _dated_rule(*found, history, config, rows, people), None


def _score_rule(history: History, config: Config, rows: Rows, people: Population, field: str) -> PresentRule:
    features = FeatureSet(attributes=(Attribute(field, "number", "history"),), age=False)
    points = build_features(history, mark_table(people, rows.lead, rows.at), features)[f"lead.{field}"].to_numpy()
    if not np.isfinite(points).any():
        what = f"no value of '{field}' that is a number was recorded before any snapshot"
        fix = "check the field's name and values in [history], or remove [policy] present_score"
        raise DataRefused([Problem("present-score", _WHERE, what, fix, column=field)])
    least = config.policy.present_from
    return PresentRule(
        f"your present rule: score '{field}'",
        f"The score '{field}' as [history] shows it for the moment of each snapshot"
        + ("." if least is None else f"; an MQL has at least {least:g}."),
        points,
        None if least is None else points >= least,
    )


def _todays_value(field: str) -> Problem:
    return Problem(
        "present-score",
        _WHERE,
        f"[history] holds no change of '{field}': only today's value is known, set with all that came after in view",
        "export the changes of this field into [history], or name recorded MQL dates ([policy] present_dates), "
        "or declare the rule itself ([[policy.present]])",
        column=field,
    )


def _conditions_rule(history: History, config: Config, rows: Rows, people: Population, table: pa.Table) -> PresentRule:
    conditions = config.policy.present
    features = needed_features(conditions, history, changed_fields(history))
    # The model's "any event" leaves out those made by sales; a rule may well count them.
    whole = any(condition.event == ANY for condition in conditions)
    if whole or not _asked_for(conditions) <= set(table.column_names):
        table = build_features(history, mark_table(people, rows.lead, rows.at), features)
    points = points_of(conditions, table)
    least = config.policy.present_from
    if least is None and all(condition.points == 1 for condition in conditions):
        least = 1.0
    count = f"{len(conditions)} condition" + ("s" if len(conditions) > 1 else "")
    return PresentRule(
        f"your present rule: {count}",
        f"The points that {count} in the settings give at the moment of each snapshot"
        + ("." if least is None else f"; an MQL has at least {least:g}."),
        points,
        None if least is None else points >= least,
    )


def _asked_for(conditions: Sequence[PresentCondition]) -> set[str]:
    return {feature_of(condition) for condition in conditions}


def _recorded(history: History, config: Config) -> tuple[str, pa.Table] | None:
    """Recorded moments at which leads became MQLs: what they are, and a table of ``lead_id`` and ``at``."""
    policy = config.policy
    if policy.present_dates is not None:
        found = pa.table({"lead_id": history.leads["lead_id"], "at": history.leads["marked_at"]})
        return f"your present rule: dates in '{policy.present_dates}'", found.filter(pc.is_valid(found["at"]))
    if policy.present_stage is not None:
        return f"your present rule: stage '{policy.present_stage}'", history.stage_entries(policy.present_stage)
    drawn = pc.equal(history.handovers["by"], "control")
    handed = history.handovers.filter(pc.invert(pc.coalesce(drawn, pa.scalar(value=False))))
    if not handed.num_rows:
        return None
    return "your present rule: hand-overs", pa.table({"lead_id": handed["lead_id"], "at": handed["handed_at"]})


def _dated_rule(
    name: str, moments: pa.Table, history: History, config: Config, rows: Rows, people: Population
) -> PresentRule:
    """A lead is an MQL from the step of the calendar in which it was marked.

    Hand-overs end a lead's candidacy, so at no snapshot would "before it" be true of a lead that sales kept: the rule
    is given until the next snapshot instead, which favours it, never the model.
    """
    step = config.snapshots.every_days
    place = pc.index_in(moments["lead_id"], value_set=history.leads["lead_id"].combine_chunks())
    known = pc.is_valid(place).to_numpy()
    at = moments["at"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).fill_null(int(NEVER)).to_numpy()
    first = np.full(history.leads.num_rows, NEVER)
    np.minimum.at(first, place.fill_null(0).to_numpy()[known].astype(np.int64), at[known])
    ids = people.lead_id.take(pa.array(rows.lead))
    lead = pc.index_in(ids, value_set=history.leads["lead_id"].combine_chunks()).to_numpy(zero_copy_only=False)
    marked = first[lead.astype(np.int64)] < rows.at + step * DAY
    days = "day" if step == 1 else f"{step} days"
    return PresentRule(
        name,
        f"A lead counts as chosen from the last snapshot before it was marked, so this rule may know up to {days} "
        "more than the model; that sales then worked these leads counts in its favour too.",
        marked.astype(float),
        marked,
    )
