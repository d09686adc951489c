"""Why sales rejects leads, and the hard rule that would have kept them from it, in words."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import fisher_exact

from mqlml.errors import shown
from mqlml.learning.moments import DAY, NEVER
from mqlml.operation.monitoring import Measured, missing, percent
from mqlml.operation.monitoring_sales import Handed

__all__ = ["proposals", "reasons"]

Texts = npt.NDArray[np.object_]
Flags = npt.NDArray[np.bool_]

_DAYS, _FEWEST = 365, 10
_FREQUENT, _MOSTLY, _LEVEL = 0.1, 0.5, 0.01
_MOST_TOLD, _MOST_LEVELS = 10, 50


def reasons(handed: Handed, attributes: pa.Table) -> Measured:
    """MON-15: reasons of the rejections of a year, and the rules that frequent ones propose.

    Parameters
    ----------
    handed : Handed
    attributes : pa.Table
        Columns of the lead of each hand-over, row for row.
    """
    year = handed.at >= handed.now - _DAYS * DAY
    rejected = year & (handed.rejected < NEVER)
    known = Counter(r for r in handed.reason[rejected] if r is not None)
    if not known:
        return missing("MON-15", "Needs rejections with a reason in [handovers]; mqlml handovers import brings them.")
    proposed = proposals(handed, attributes, year, known)
    most = ", ".join(f"{shown(r)} ({n:,})" for r, n in known.most_common(3))
    sentence = f"{int(rejected.sum()):,} rejections in a year; most often: {most}. "
    if proposed:
        sentence += " ".join(rule["sentence"] for rule in proposed)
    else:
        sentence += "No column tells the leads of a frequent reason apart: ask sales what would have told them."
    figures = {"reasons": dict(known.most_common(_MOST_TOLD)), "proposed": proposed}
    return Measured("MON-15", sentence, watch=bool(proposed), figures=figures)


def proposals(handed: Handed, attributes: pa.Table, year: Flags, known: Counter[str]) -> list[dict[str, Any]]:
    """For each frequent reason the value of a column at which most hand-overs were rejected for it, if one stands out.

    A value is proposed where at least half of its hand-overs, and ten, were rejected for this reason, and that is no
    luck among all values looked at (Fisher's exact test, 1 %, Bonferroni).
    """
    found = []
    total = sum(known.values())
    looked = _levels(attributes, year)
    for reason, n in known.most_common():
        if n < max(_FEWEST, _FREQUENT * total):
            break
        hit = year & (handed.reason == reason) & (handed.rejected < NEVER)
        mostly = [one for one in looked if (hit & one[2]).sum() >= max(_FEWEST, _MOSTLY * (year & one[2]).sum())]
        tested = [(_p_value(hit, here, year), column, level, here) for column, level, here in mostly]
        if not tested:
            continue
        p, column, level, here = min(tested, key=lambda one: (one[0], one[1], one[2]))
        if p * len(looked) * len(known) <= _LEVEL:
            found.append(_rule(reason, column, level, hit & here, year & here, handed))
    return found


def _rule(reason: str, column: str, level: str, hit: Flags, here: Flags, handed: Handed) -> dict[str, Any]:
    n, rejected, won = int(here.sum()), int(hit.sum()), int((here & (handed.won < NEVER)).sum())
    sentence = (
        f"Proposed rule: keep leads with {shown(column)} = '{shown(level)}' from sales; of {n:,} handed over sales "
        f"rejected {rejected:,} ({percent(rejected / n)}) as '{shown(reason)}', and {won:,} were won."
    )
    return {"reason": reason, "column": column, "value": level, "handed_over": n, "rejected": rejected, "won": won,
            "sentence": sentence}  # fmt: skip


def _levels(attributes: pa.Table, year: Flags) -> list[tuple[str, str, Flags]]:
    """Values of text columns that ten hand-overs hold, at most 50 of a column."""
    found = []
    for name in attributes.column_names:
        column = attributes[name]
        if pa.types.is_floating(column.type):
            continue
        text = column.cast(pa.string())
        counts = Counter(v for v in text.filter(pa.array(year)).to_pylist() if v is not None)
        for level, n in counts.most_common(_MOST_LEVELS):
            if n >= _FEWEST:
                found.append((name, level, pc.fill_null(pc.equal(text, level), pa.scalar(value=False)).to_numpy()))
    return found


def _p_value(hit: Flags, here: Flags, year: Flags) -> float:
    table = [
        [int((hit & here).sum()), int((year & here & ~hit).sum())],
        [int((hit & ~here).sum()), int((year & ~here & ~hit).sum())],
    ]
    return float(fisher_exact(table, alternative="greater").pvalue)
