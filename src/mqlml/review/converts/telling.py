"""Everything the report says of what converts, put together as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.history.touches import read_spend_rows, read_touches
from mqlml.learning.baselines import source_feature
from mqlml.learning.decisions import outcome_rows, positions
from mqlml.learning.moments import DAY, NEVER, microseconds
from mqlml.learning.snapshots import mark_table
from mqlml.review.converts.columns import column_codes, level_table, named_column, worth_of_columns
from mqlml.review.converts.judged import judged_leads, open_until
from mqlml.review.converts.losses import lost_reasons
from mqlml.review.converts.rates import rates
from mqlml.review.converts.spending import Campaigns, costs
from mqlml.review.converts.things import MOST_NAMES, touched
from mqlml.tape.build import build_features
from mqlml.tape.features import FeatureSet
from mqlml.tape.traffic import rules_in_force

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.contract import History
    from mqlml.learning.snapshots import Population
    from mqlml.review.converts.judged import Judged

__all__ = ["converts"]

Integers = npt.NDArray[np.int64]

_CAMPAIGN_NAMES = ("campaign", "utm_campaign", "utm[campaign]", "lead_campaign", "campaign_name", "original_campaign")
_SEEN_AFTER = DAY
"""What a column says is taken so long after a lead came in: most enrichment is done by then."""


@dataclass(frozen=True)
class _World:
    """What every part is counted from."""

    history: History
    people: Population
    config: Config
    features: FeatureSet
    as_of: int | None

    @property
    def least(self) -> int:
        """Leads that a name needs to be told, as the model needs them to learn it."""
        return self.config.model.min_level_count


def converts(
    history: History, people: Population, config: Config, features: FeatureSet, *, as_of: int | None
) -> dict[str, Any]:
    """Tell what went along with winning.

    Parameters
    ----------
    history : History
        Open.
    people : Population
        Built with ``until=as_of``.
    config : Config
    features : FeatureSet
        Names the attributes that may be looked at and the event types that may not.
    as_of : int or None
        Microseconds; None in a history without dates.

    Returns
    -------
    dict
        Plain data: ``leads`` and ``wins`` counted, their ``win_rate`` with 90 % ends, ``horizon_days``, ``least``,
        ``left_out`` (event types), ``machines`` (whether rules against machine traffic were not applied),
        ``sources``, ``campaigns``, ``columns``, the parts of ``things.touched``, ``lost`` and ``spend``. What the data
        do not hold is absent or None. The same history gives the same dictionary.
    """
    world = _World(history, people, config, features, as_of)
    judged = judged_leads(people, config, as_of=as_of)
    overall = rates(np.zeros(len(judged), dtype=np.int64), judged.won, judged.group, codes=1)[0]
    table, place = _attributes(world)
    told: dict[str, Any] = {**overall, "horizon_days": judged.horizon_days, "least": world.least}
    mine = table.take(pa.array(place[judged.lead]))
    told |= _columns(world, mine, judged, overall["win_rate"])
    if history.has_events and judged.dated:
        seen = judged.table()
        found = read_touches(history, seen, without=features.dropped_types, least=world.least, most=MOST_NAMES)
        told |= touched(found, judged, least=world.least, overall=overall["win_rate"])
        told["left_out"] = list(features.dropped_types)
        told["machines"] = bool(rules_in_force(features))
    source = source_feature(table)
    told["lost"] = lost_reasons(
        outcome_rows(history, until=as_of),
        people.group,
        None if source is None else _of_population(world, table[source], place),
        least=world.least,
    )
    told["spend"] = _spend(world, table, place)
    return told


def _attributes(world: _World) -> tuple[pa.Table, Integers]:
    """Attributes of all leads known today as they were a day after they came in, and the row of each lead in it.

    Sooner where the lead was decided or taken by sales within that day: nothing here knows how it ended.
    """
    people = world.people
    lead = np.flatnonzero(people.present)
    at = np.minimum(people.start + _SEEN_AFTER, np.maximum(open_until(people), people.start + 1))
    at = np.where(people.start < NEVER, np.minimum(at, NEVER if world.as_of is None else world.as_of), NEVER)
    features = FeatureSet(attributes=world.features.attributes, families=("attribute",))
    place = np.full(len(people.present), -1)
    place[lead] = np.arange(len(lead))
    return build_features(world.history, mark_table(people, lead, at[lead]), features), place


def _columns(world: _World, mine: pa.Table, judged: Judged, overall: float | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part, column in (("sources", source_feature(mine)), ("campaigns", named_column(mine, _CAMPAIGN_NAMES))):
        if column is not None:
            found[part] = level_table(mine[column], judged, least=world.least, overall=overall)
    features = [f for f in world.features.attribute_features if f.name in mine.column_names]
    seed = world.config.model.seed
    found["columns"] = worth_of_columns(mine, features, judged, least=world.least, seed=seed)
    return found


def _of_population(
    world: _World, column: pa.ChunkedArray, place: Integers, *, least: int | None = None
) -> tuple[tuple[str, ...], Integers]:
    """Levels of a column, and that of each lead of the population (below 0: none)."""
    names, code, _ = column_codes(column, least=world.least if least is None else least)
    return names, np.where(place >= 0, np.append(code, -1)[place], -1)


def _spend(world: _World, table: pa.Table, place: Integers) -> dict[str, Any] | None:
    spend = read_spend_rows(world.history)
    if not spend or world.as_of is None:
        return None
    column = named_column(table, _CAMPAIGN_NAMES)
    names, code = _event_campaigns(world) if column is None else _of_population(world, table[column], place, least=1)
    marked, by = _marked(world)
    campaigns = Campaigns(names, code, marked, by)
    days = world.config.label.horizon_days
    return costs(spend, campaigns, world.people, as_of=world.as_of, horizon_days=days)


def _event_campaigns(world: _World) -> tuple[tuple[str, ...], Integers]:
    """The campaign of each lead's first event that names one."""
    people = world.people
    code = np.full(len(people.present), -1)
    lead = np.flatnonzero(people.present)
    before = np.minimum(open_until(people), NEVER if world.as_of is None else world.as_of)[lead]
    seen = pa.table({"lead": lead, "lead_id": people.lead_id.take(pa.array(lead)), "before": before})
    most = dict.fromkeys(MOST_NAMES, 1_000)
    found = read_touches(world.history, seen, without=world.features.dropped_types, least=1, most=most).get("campaign")
    if found is None:
        return (), code
    order = np.lexsort((-found.code, -found.first))  # the earliest is written last
    code[found.lead[order]] = found.code[order]
    return found.names, code


def _marked(world: _World) -> tuple[npt.NDArray[np.bool_] | None, str]:
    """Leads that were marked as MQLs, or handed over, strictly before as-of; and which of the two is known."""
    history = world.history
    until = NEVER if world.as_of is None else world.as_of
    if "marked_at" in history.leads.column_names:
        return microseconds(history.leads["marked_at"], NEVER) < until, "marked as MQL"
    if not history.handovers.num_rows:
        return None, ""
    marked = np.zeros(history.leads.num_rows, dtype=bool)
    lead = positions(history, history.handovers["lead_id"])
    handed = microseconds(history.handovers["handed_at"], NEVER) < until
    marked[lead[(lead >= 0) & handed]] = True
    return marked, "handed over to sales"
