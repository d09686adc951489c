"""Table ``spend`` of the synthetic history: what each campaign cost, month by month."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mqlml.history.sample.columns import START
from mqlml.history.sample.people import DAYS

COST_A_LEAD = {"search-brand": 38.0, "search-generic": 96.0, "webinar-series": 64.0, "spring-fair": 150.0}
"""What a lead of each campaign costs about, before seasons and haggling."""
SHARE = {"search-brand": 0.12, "search-generic": 0.12, "webinar-series": 0.12, "spring-fair": 0.09}
"""Share of all leads that each campaign brings about."""


def spend(leads: int, seed: int) -> pa.Table:
    """One row a campaign and month, for a history of so many leads."""
    rng = np.random.default_rng([seed, 2**31])
    first, last = START.astype("datetime64[M]"), (START + np.timedelta64(DAYS, "D")).astype("datetime64[M]")
    months = np.arange(first, last + 1)
    a_month = leads / len(months)
    names = [name for name in COST_A_LEAD for _ in months]
    usual = [COST_A_LEAD[name] * SHARE[name] * a_month for name in names]
    return pa.table(
        {
            "campaign": names,
            "period_start": pa.array(np.tile(months, len(COST_A_LEAD)).astype("datetime64[D]")),
            "cost": np.round(np.array(usual) * rng.lognormal(0, 0.2, len(names)), 2),
        }
    )
