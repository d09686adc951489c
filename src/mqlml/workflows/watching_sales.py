"""What monitoring looks at of sales: hand-overs and the answers to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.learning.decisions import positions
from mqlml.learning.moments import NEVER, microseconds
from mqlml.operation import monitoring_sales as sales
from mqlml.operation.monitoring import Measured, missing
from mqlml.operation.monitoring_reasons import reasons
from mqlml.operation.monitoring_sales import Handed

if TYPE_CHECKING:
    from mqlml.workflows.watching import World

__all__ = ["sales_checks"]

Integers = npt.NDArray[np.int64]


def sales_checks(world: World) -> tuple[list[Measured], list[dict[str, Any]], list[dict[str, Any]]]:
    """MON-13 to MON-16, and the answers by team and by region."""
    settings = world.config.handovers
    if settings is None:
        what = "Needs the table [handovers]: when leads went to sales, and what sales said."
        return [missing(f"MON-{number}", what) for number in (13, 14, 15, 16)], [], []
    handed, lead, region = _handed(world, settings.region)
    days = settings.touch_within_days
    checks = [
        sales.acceptance(handed),
        sales.first_touch(handed, within_days=days),
        reasons(handed, world.history.attributes.take(pa.array(lead))),
        sales.not_won(handed, horizon_days=world.horizon_days, within_days=days),
    ]
    teams = sales.by_part(handed, handed.recipient, within_days=days)
    return checks, teams, sales.by_part(handed, handed.region, within_days=days) if region else []


def _handed(world: World, region: str | None) -> tuple[Handed, Integers, str | None]:
    """Hand-overs and answers as they were known then; a region that is no column of the leads is left out."""
    table = world.history.handovers
    lead, at = positions(world.history, table["lead_id"]), microseconds(table["handed_at"], NEVER)
    known = (lead >= 0) & (at < world.now)
    table, lead, at = table.filter(pa.array(known)), lead[known], at[known]
    moments = {name: microseconds(table[f"{name}_at"], NEVER) for name in ("accepted", "rejected", "first_touch")}
    answers = {name: np.where(when < world.now, when, NEVER) for name, when in moments.items()}
    texts = {name: np.asarray(table[name].to_pylist(), dtype=object) for name in ("reason", "recipient")}
    attributes = world.history.attributes
    found = region if region in attributes.column_names else None
    place = np.full(len(lead), None, dtype=object)
    if found is not None:
        place = np.asarray(attributes[found].cast(pa.string()).take(pa.array(lead)).to_pylist(), dtype=object)
    won = world.people.decisions.wins.first_from(lead, at)
    handed = Handed(
        lead, world.people.group[lead], at, answers["accepted"], answers["rejected"], answers["first_touch"], won,
        texts["reason"], texts["recipient"], place, world.now,
    )  # fmt: skip
    return handed, lead, found
