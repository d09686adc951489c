"""Today's leads against the frozen reference of the training: chances, features and categories never met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import binom, f

from mqlml.errors import shown
from mqlml.operation.monitoring import Measured, missing, percent
from mqlml.operation.reference import SCORE, Cells, moving, numbers_cells

__all__ = ["OLD_BUNDLE", "Shift", "chances", "features", "new_categories", "shift"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

OLD_BUNDLE = (
    "The bundle keeps no reference of its leads (trained before there was one, or on too few weeks): train again."
)
_FEWEST_LEADS, _FEWEST_ACCOUNTS, _MOST_TOLD = 50, 5, 8
# Population stability index below which a shift changes no decision; half of what is usually called moderate.
_LARGE = 0.05


@dataclass(frozen=True)
class Shift:
    """How far one feature lies from where it was.

    Attributes
    ----------
    name : str
    p_value : float
        Chance of so large a swing where nothing has changed.
    psi : float
        Population stability index, less what sampling alone would give.
    cell, before, now : str, float, float
        The part that moved most, and its share of the leads.
    """

    name: str
    p_value: float
    psi: float
    cell: str
    before: float
    now: float

    @property
    def sentence(self) -> str:
        """What moved."""
        return (
            f"{shown(self.name)}, {shown(self.cell)}: {percent(self.before)} of leads before, {percent(self.now)} now"
        )


def shift(name: str, reference: Mapping[str, Any], code: Integers) -> Shift:
    """Compare cells of today's leads, shape (n,), with a summary of the reference.

    Pearson's statistic against the way it swung from week to week at training (F test with Satterthwaite's degrees of
    freedom): neither the size of the sample nor a usual swing can alarm.
    """
    names = Cells(reference["kind"], tuple(reference["bounds"])).names
    before = np.asarray(reference["shares"], dtype=float)
    counts = np.bincount(code, minlength=len(before)).astype(float)
    n = counts.sum()
    # Common shocks weigh more in a larger sample.
    mean = reference["mean"] * max(1.0, n / reference["leads"])
    p = float(f.sf(moving(counts, before) / mean, reference["df"], reference["df"] * reference["independent"]))
    now = counts / n
    small = np.maximum(before, 1 / max(n, 1.0)), np.maximum(now, 1 / max(n, 1.0))
    psi = float(((now - before) * np.log(small[1] / small[0])).sum()) - ((before > 0).sum() - 1) / n
    moved = int(np.argmax(np.abs(now - before)))
    return Shift(name, p, max(psi, 0.0), names[moved], float(before[moved]), float(now[moved]))


def chances(reference: Mapping[str, Any] | None, p: Floats) -> Measured:
    """MON-06: today's chances against those that the same model gives the leads it learned from."""
    known = None if reference is None else reference.get(SCORE)
    if known is None:
        return missing("MON-06", OLD_BUNDLE)
    if len(p) < _FEWEST_LEADS:
        return missing("MON-06", f"Needs {_FEWEST_LEADS} leads to score, there are {len(p)}.")
    found = shift(SCORE, known, numbers_cells(known["bounds"], p))
    tenth = known["bounds"][-1] if known["bounds"] else 1.0
    sentence = (
        f"Chances of {len(p):,} leads, mean {percent(float(p.mean()))}: {percent(float((p > tenth).mean()))} lie above "
        f"{percent(tenth)}, at training {percent(known['shares'][len(known['bounds'])])} (stability index "
        f"{found.psi:.2f})."
    )
    return Measured("MON-06", sentence, found.p_value, large=found.psi >= _LARGE, figures={"psi": found.psi})


def features(reference: Mapping[str, Any] | None, table: pa.Table) -> tuple[Measured, list[Shift]]:
    """MON-07: every feature of the model; the smallest p-value counts, times their number.

    Returns
    -------
    tuple of (Measured, list of Shift)
        All shifts, the surest first.
    """
    if reference is None:
        return missing("MON-07", OLD_BUNDLE), []
    if table.num_rows < _FEWEST_LEADS:
        return missing("MON-07", f"Needs {_FEWEST_LEADS} leads to score, there are {table.num_rows}."), []
    found = [
        shift(name, known, Cells(known["kind"], tuple(known["bounds"])).of(table[name]))
        for name, known in reference["features"].items()
        if name in table.column_names
    ]
    found.sort(key=lambda s: (s.p_value, -s.psi))
    if not found:
        return missing("MON-07", OLD_BUNDLE), []
    large = [s for s in found if s.psi >= _LARGE] or found[:1]
    p = min(1.0, len(found) * large[0].p_value)
    odd = [s for s in large if s.p_value * len(found) <= 0.05]
    told = "; ".join(s.sentence for s in odd[:_MOST_TOLD])
    sentence = f"{len(odd)} of {len(found)} features moved more than they usually do" + (f": {told}." if odd else ".")
    figures = {"features": len(found), "moved": [vars(s) for s in odd[:_MOST_TOLD]]}
    return Measured("MON-07", sentence, p, large=large[0].psi >= _LARGE, figures=figures), found


def new_categories(reference: Mapping[str, Any] | None, table: pa.Table, group: Integers) -> Measured:
    """MON-09: values that too few leads held at training to have a cell of their own, and many hold now.

    A value held by fewer than ``few`` of the leads of the training has a share below ``few / leads``; accounts are
    counted, since colleagues share values (binomial test against that bound).
    """
    if reference is None:
        return missing("MON-09", OLD_BUNDLE)
    n, bound = len(np.unique(group)), reference["few"] / max(reference["leads"], 1)
    found = []
    for name, known in reference["features"].items():
        if known["kind"] == "category" and name in table.column_names:
            found += [(name, level, k) for level, k in _others(table[name], known["bounds"], group)]
    found = sorted((one for one in found if one[2] >= _FEWEST_ACCOUNTS), key=lambda one: (-one[2], one[0], one[1]))
    p = 1.0 if not found else min(1.0, len(found) * float(binom.sf(found[0][2] - 1, n, min(bound, 1.0))))
    odd = [one for one in found if len(found) * binom.sf(one[2] - 1, n, min(bound, 1.0)) <= 0.05]
    told = "; ".join(f"{shown(name)} '{shown(level)}' ({k:,} accounts)" for name, level, k in odd[:_MOST_TOLD])
    sentence = f"New, or rare at training: {told}." if odd else "No value that training hardly knew is frequent today."
    return Measured("MON-09", sentence, p, figures={"rare_values": len(found), "new": len(odd)})


def _others(column: pa.ChunkedArray, known: list[str], group: Integers) -> list[tuple[str, int]]:
    """Values without a cell of their own, and how many accounts hold each."""
    text = column.cast(pa.string())
    rows = pa.table({"level": text, "group": group})
    rows = rows.filter(pc.and_(text.is_valid(), pc.invert(pc.is_in(text, value_set=pa.array(known, pa.string())))))
    counted = rows.group_by("level").aggregate([("group", "count_distinct")]).to_pylist()
    return [(row["level"], row["group_count_distinct"]) for row in counted]
