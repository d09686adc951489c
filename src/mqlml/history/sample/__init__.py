"""A seeded synthetic B2B history: realistic enough to learn from, with a known truth behind it.

Fit and interest decide who starts a buying project; the project raises activity and may end in a win. Seasons, drift,
mail scanners, untracked leads, late records, recycled and still-open leads and one leaking column are built in.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from mqlml.errors import UsageError
from mqlml.history.sample import records
from mqlml.history.sample.columns import lead_ids
from mqlml.history.sample.events import draw_deeds
from mqlml.history.sample.fields import changes, draw_attributes
from mqlml.history.sample.journey import draw_journey
from mqlml.history.sample.people import DAYS, draw_people
from mqlml.history.sample.settings import settings_text
from mqlml.history.sample.spending import spend
from mqlml.history.writing import refuse_other_text, table_writer, write_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

__all__ = ["AS_OF", "FEWEST", "MOST", "write_sample"]

AS_OF = "2026-06-30"
"""End of the history (midnight UTC): nothing in it is later."""
FEWEST, MOST = 100, 10_000_000
LEADS_PER_BLOCK = 10_000
"""Leads drawn together; fixed, so that memory is bounded and the rows do not depend on the machine."""
GROWTH = 1.35
"""Leads a week at the end of the history, relative to its average."""
CAPACITY_SHARE = 0.125


def write_sample(
    out: Path, *, leads: int, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> dict[str, int]:
    """Write a synthetic history of about three years into ``out``.

    Parameters
    ----------
    out : Path
        Folder for ``leads``, ``events``, ``outcomes``, ``history``, ``stages``, ``handovers`` and ``spend`` (Parquet)
        and ``mqlml.toml``.
    leads : int
        Number of leads, 100 to 10 million.
    seed : int
        Same seed and number of leads, same bytes.
    progress : callable, optional
        Called with (leads written, leads in all) after each block of 10,000.

    Returns
    -------
    dict of str to int
        Rows of each table.

    Raises
    ------
    UsageError
        The number of leads is out of range, or ``out`` holds other settings already.
    EngineError
        Writing failed.
    """
    if not FEWEST <= leads <= MOST:
        raise UsageError(f"A sample of {leads:,} leads is out of range.", hint=f"ask for {FEWEST:,} to {MOST:,} leads")
    text = settings_text(leads=leads, seed=seed, as_of=AS_OF, capacity=capacity(leads))
    refuse_other_text(out / "mqlml.toml", text)
    rows = _write_tables(out, leads, seed, progress)
    write_text(out / "mqlml.toml", text)
    return rows


def capacity(leads: int) -> int:
    """Leads that sales can take a week: one eighth of those that come in at the end of the history."""
    return max(1, round(leads / (DAYS / 7) * GROWTH * CAPACITY_SHARE))


def block(seed: int, first: int, n: int) -> dict[str, pa.Table]:
    """Draw the tables of the ``n`` leads that start at number ``first``."""
    rng = np.random.default_rng([seed, first])
    who = draw_people(rng, n)
    course = draw_journey(rng, who)
    more = draw_attributes(rng, who)
    ids = lead_ids(first, n)
    return {
        "leads": records.leads(rng, ids, first, who, more, course),
        "outcomes": records.outcomes(rng, ids, who, course),
        "handovers": records.handovers(rng, ids, course),
        "stages": records.stages(rng, ids, who, course),
        "history": changes(ids, who, more, course),
        "events": records.events(ids, draw_deeds(rng, who, course)),
    }


def _write_tables(out: Path, leads: int, seed: int, progress: Callable[[int, int], None] | None) -> dict[str, int]:
    rows: dict[str, int] = {}
    add: dict[str, Callable[[pa.Table], None]] = {}
    with ExitStack() as files:
        for first in range(0, leads, LEADS_PER_BLOCK):
            n = min(LEADS_PER_BLOCK, leads - first)
            for name, table in block(seed, first, n).items():
                if name not in add:
                    add[name] = files.enter_context(table_writer(out / f"{name}.parquet", table.schema))
                add[name](table)
                rows[name] = rows.get(name, 0) + table.num_rows
            if progress is not None:
                progress(first + n, leads)
        costs = spend(leads, seed)
        files.enter_context(table_writer(out / "spend.parquet", costs.schema))(costs)
    return rows | {"spend": costs.num_rows}
