"""What thresholds are chosen from, gathered at training so that they can be chosen again without it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.decision.basis import Basis
from mqlml.decision.replay import make_replay
from mqlml.decision.rules import under_rules
from mqlml.decision.value import Worth, column_worth, learned_worth
from mqlml.errors import GateClosed
from mqlml.learning.baselines import source_feature
from mqlml.learning.followed import followed, win_values

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.decision.rules import Ruled
    from mqlml.learning.labels import Rows
    from mqlml.learning.present import PresentRule
    from mqlml.learning.training import Tested, Training
    from mqlml.learning.windows import Plan
    from mqlml.workflows.opening import Opened

__all__ = ["gather"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def gather(
    opened: Opened,
    config: Config,
    rows: Rows,
    plan: Plan,
    table: pa.Table,
    training: Training,
    present: PresentRule | None,
) -> Basis:
    """Arrange the tested snapshots with everything that rules and evidence need of them.

    Without refit only the windows are kept that the shipped model itself predicted; they alone speak of it. Snapshots
    that a hard rule decides are left out: no threshold hands them over.

    Parameters
    ----------
    opened : Opened
    config : Config
    rows : Rows
    plan : Plan
    table : pa.Table
        Features of ``rows``.
    training : Training
    present : PresentRule or None

    Raises
    ------
    GateClosed
        Rules decide every snapshot: there is nobody to set a threshold for.
    """
    tested = training.tested
    own, ruled = _to_decide(opened, config, rows, tested)
    row = tested.row[own]
    value = win_values(opened.history, config, rows, until=opened.moment)
    worths = _worths(config, rows, plan, table, training, value)
    more = followed(opened.history, config, rows, until=opened.moment)
    more |= {} if value is None else {"value": value}
    more |= {} if present is None or present.marked is None else {"present": present.marked.astype(np.float64)}
    more |= {f"worth_{name}": worth.of(table) for name, worth in worths.items()}
    replay = make_replay(
        rows,
        row,
        tested.p[own],
        every_days=config.snapshots.every_days,
        part=tested.part[own],
        more={name: values[row] for name, values in more.items()},
    )
    return Basis(
        replay=replay,
        base_rate=rows.base_rate,
        every_days=config.snapshots.every_days,
        horizon_days=config.label.horizon_days if rows.timing == "horizon" else None,
        target=config.label.target,
        certifiable=bool(plan.frozen),
        worths=MappingProxyType(worths),
        value_column=config.policy.value_column,
        seed=config.model.seed,
        as_of=None if opened.as_of is None else opened.as_of.isoformat(),
        ruled=MappingProxyType(ruled.to_dict()),
    )


def _to_decide(opened: Opened, config: Config, rows: Rows, tested: Tested) -> tuple[Flags, Ruled]:
    """Tested rows that speak for the shipped model and that no hard rule decides, and what rules decide."""
    own = tested.own.copy()
    ruled = under_rules(config, opened.history, opened.people, rows.lead[tested.row[own]], rows.at[tested.row[own]])
    if ruled.row.all():
        raise GateClosed(
            "every lead of the past weeks is under one of [[policy.rules]]: there is no threshold to set.",
            hint="narrow the rules; each counts the leads it held for: "
            + ", ".join(f"'{name}' {n:,}" for name, n in ruled.by_rule.items()),
        )
    own[own] = ~ruled.row
    return own, ruled


def _worths(
    config: Config, rows: Rows, plan: Plan, table: pa.Table, training: Training, value: Floats | None
) -> dict[str, Worth]:
    found: dict[str, Worth | None] = {}
    if config.policy.value_column is not None:
        found["column"] = column_worth(table, config.policy.value_column, where=config.leads.path)
    if value is not None:
        # Values are learned from the same wins as the model, so that a window kept aside stays unseen.
        learned = plan.frozen[0].fit if plan.frozen else np.ones(len(rows), dtype=bool)
        first = _first_wins(rows, learned)
        source = source_feature(table)
        names = None if source is None else np.asarray(_texts(table[source]), dtype=object)[first]
        levels = set() if source is None else training.model.encoder.levels(source)
        found["learned"] = learned_worth(value[first], names, source, named=levels)
    return {name: worth for name, worth in found.items() if worth is not None}


def _first_wins(rows: Rows, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The first won row of each winning lead among the chosen ones."""
    won = np.flatnonzero((rows.won > 0) & chosen)
    _, first = np.unique(rows.lead[won], return_index=True)
    return won[first]


def _texts(column: pa.ChunkedArray) -> list[str]:
    return pc.fill_null(column.cast(pa.string()), "").to_pylist()  # type: ignore[no-any-return]
