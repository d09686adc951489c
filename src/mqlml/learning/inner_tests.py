"""Forward tests inside the history known before the first window whose figures a training reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.learning.evaluation import losses
from mqlml.learning.settling import settle
from mqlml.learning.windows import plan_windows

if TYPE_CHECKING:
    from mqlml.learning.labels import Rows
    from mqlml.learning.recipe import Recipe
    from mqlml.learning.settling import Scored
    from mqlml.learning.windows import Plan, Round

__all__ = ["TOO_FEW", "InnerTests", "Losses", "inner_tests", "row_losses"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

TOO_FEW = "too few leads were won before the first window whose figures are reported"

# Two windows to search on and one to check the find.
_WINDOWS = 3
_REPORTED = ("certify", "compare", "test")


@dataclass(frozen=True)
class Losses:
    """Log loss of each row of some forward tests.

    Attributes
    ----------
    loss : ndarray of float64, shape (n,)
    group : ndarray of int64, shape (n,)
        Account of each row.
    """

    loss: Floats
    group: Integers


@dataclass(frozen=True)
class InnerTests:
    """What was known before the first reported window, and rounds in it.

    Attributes
    ----------
    table : pa.Table
        Features of ``rows``.
    rows : Rows
    early : tuple of Round
        To search on.
    late : tuple of Round
        The latest window, kept for the check of what was found.
    """

    table: pa.Table
    rows: Rows
    early: tuple[Round, ...]
    late: tuple[Round, ...]


def inner_tests(table: pa.Table, rows: Rows, plan: Plan, *, seed: int) -> InnerTests | str:
    """Plan windows once more among what was known before the first one that is reported, or say why there can be none.

    Parameters
    ----------
    table : pa.Table
        Features of ``rows``, in their order.
    rows : Rows
    plan : Plan
        Of the training.
    seed : int
    """
    first = min((r.origin for r in plan.rounds if r.part in _REPORTED and r.origin is not None), default=None)
    if plan.mode != "forward" or first is None:
        return "the history cannot be tested forward in time"
    known = rows.mature & (rows.known <= first) & (rows.when < first)
    table, rows = table.filter(pa.array(known)), rows.where(known)
    if not 0 < rows.winning_leads() < len(np.unique(rows.lead)):
        return TOO_FEW
    inner = plan_windows(rows, origins=_WINDOWS, seed=seed)
    if inner.mode != "forward":
        return f"before the first window whose figures are reported {inner.why}"
    last = inner.rounds[-1].origin
    if last == inner.rounds[0].origin:
        return TOO_FEW
    early = tuple(r for r in inner.rounds if r.origin != last)
    return InnerTests(table, rows, early, tuple(r for r in inner.rounds if r.origin == last))


def row_losses(scored: Scored, then: Rows, recipe: Recipe) -> Floats:
    """Log loss of each row of one test, calibrated on nothing but what its own fit held out.

    Parameters
    ----------
    scored : Scored
    then : Rows
        As they were known at its origin.
    recipe : Recipe
    """
    chance = settle(then, scored.fitted, (), recipe=recipe).probability(scored)
    return losses(scored.halves.won, chance)["log_loss"]
