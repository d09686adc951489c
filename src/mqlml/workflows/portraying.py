"""Parts of a training's summary that speak of people rather than of the model: definition, groups, ideal customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mqlml.review.agreement import agreement
from mqlml.review.profile import Profile, ideal_customer, signal_columns, signals
from mqlml.review.sensitive import Watched, by_group, groups_of

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.review.reasons import Explanation
    from mqlml.workflows.describing import Learned

__all__ = ["portray"]


def portray(learned: Learned, config: Config, explanation: Explanation) -> dict[str, Any]:
    """Make these parts of the summary: ``definition``, ``sensitive``, ``ideal`` and ``signals``.

    Parameters
    ----------
    learned : Learned
    config : Config
    explanation : Explanation
        Of the newest snapshots; weighs the criteria.
    """
    opened, rows, features = learned.opened, learned.rows, learned.looked_at
    skipped = next((a.skipped for a in opened.history.accounts if a.table == "leads"), {})
    profile = Profile.of(learned.table, rows, features.features, explanation)
    declared = {"budget": config.leads.budget, "authority": config.leads.authority}
    return {
        "definition": agreement(config, as_of=opened.as_of, handovers=opened.history.handovers, skipped=skipped),
        "sensitive": _sensitive(learned, config),
        "ideal": ideal_customer(profile),
        "signals": signals(profile, signal_columns(opened.attributes, declared)),
    }


def _sensitive(learned: Learned, config: Config) -> list[dict[str, Any]]:
    names = config.leads.sensitive
    if not names:
        return []
    rows, tested, policy = learned.rows, learned.training.tested, learned.policy
    own = np.flatnonzero(tested.own)
    own = own[np.lexsort((rows.when[tested.row[own]], rows.lead[tested.row[own]]))]
    row = tested.row[own]
    mql = policy.mqls(tested.p[own], row, policy.values(learned.table.take(pa.array(row))))
    seen = Watched(rows.lead[row], rows.group[row], tested.p[own], rows.won[row], np.asarray(mql, dtype=bool))
    attributes = learned.opened.history.attributes
    # Only leads that were tested are grouped, so that no value of few of them stands alone.
    there, place = np.unique(seen.lead, return_inverse=True)
    groups = {name: groups_of(attributes[name].take(pa.array(there)))[place] for name in names}
    return by_group(seen, groups, seed=config.model.seed)
