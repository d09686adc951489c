"""Decisions of marketing and sales on criteria: read before a training, weighed after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mqlml.errors import UsageError, shown
from mqlml.learning.constraints import Constraints
from mqlml.learning.decided import effect, volume
from mqlml.learning.moments import DAY
from mqlml.learning.resampling import Resampler
from mqlml.review.criteria import Criteria, read_criteria

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.learning.labels import Rows
    from mqlml.learning.recipe import Recipe
    from mqlml.learning.training import Tested
    from mqlml.tape.features import FeatureSet

__all__ = ["Decided", "read_decisions", "tests_to_weigh", "weigh"]

# Weighing a decision is a training without it; the first ones in the file are weighed on their own.
_MOST_WEIGHED = 6


@dataclass(frozen=True)
class Decided:
    """What people decided, in the form that they wrote and in the form that a model obeys.

    Attributes
    ----------
    criteria : Criteria
    constraints : Constraints
    notes : tuple of str
    """

    criteria: Criteria
    constraints: Constraints
    notes: tuple[str, ...] = ()

    @property
    def forcing(self) -> tuple[str, ...]:
        """Criteria whose decision changes the model."""
        c = self.constraints
        names = {*c.barred, *c.direction, *c.caps}
        return tuple(mark.name for mark in self.criteria.marks if mark.name in names)

    def without(self, name: str) -> Constraints:
        """Everything but the decision on one criterion."""
        c = self.constraints
        return Constraints(
            c.barred - {name},
            {k: v for k, v in c.direction.items() if k != name},
            {k: v for k, v in c.caps.items() if k != name},
        )


def read_decisions(config: Config, features: FeatureSet) -> Decided:
    """Read ``[criteria] path``, or ``criteria.toml`` beside the settings where there is one.

    Parameters
    ----------
    config : Config
    features : FeatureSet
        Names the criteria there are.

    Raises
    ------
    UsageError
        The file is wrong, or asks for a direction or a cap of something that is no number.
    """
    path = config.path(config.criteria.path)
    if not path.is_file():
        if "path" in config.criteria.model_fields_set:
            raise UsageError(f"[criteria] path: there is no file '{config.criteria.path}'.", hint="correct the path")
        return Decided(Criteria(), Constraints())
    criteria = read_criteria(path.read_text(encoding="utf-8"), where=config.criteria.path)
    constraints = Constraints(criteria.barred, criteria.direction, criteria.caps)
    if wrong := constraints.without_direction(features.features):
        names = ", ".join(f"'{shown(name)}'" for name in wrong)
        raise UsageError(
            f"{config.criteria.path}: {names}: no number, so it has neither a direction nor a cap.",
            hint="approve or bar it",
        )
    gone = criteria.unknown({feature.criterion for feature in features.features})
    notes = [f"{config.criteria.path}: {len(criteria.marks):,} decisions on criteria are obeyed."]
    if gone:
        names = ", ".join(f"'{shown(name)}'" for name in gone)
        notes.append(f"{config.criteria.path}: not among today's criteria, so nothing to obey: {names}.")
    return Decided(criteria, constraints, tuple(notes))


def weigh(
    decided: Decided,
    rows: Rows,
    tested: Tested,
    test: Callable[[Recipe], Tested],
    *,
    recipe: Recipe,
    best: float,
    threshold: float | None,
    progress: Callable[[], None],
) -> Mapping[str, Any]:
    """Say what the decisions cost or gained, together and one by one, on the same tested rows.

    Parameters
    ----------
    decided : Decided
    rows : Rows
    tested : Tested
        Of the model that obeys.
    test : callable
        Tests a recipe on the same plan.
    recipe : Recipe
        The one that obeys.
    best : float
        Share of snapshots that is handed over, 0..1.
    threshold : float or None
        Chance from which a lead is handed over; None where the policy has no line.
    progress : callable
        Called after each test.

    Returns
    -------
    dict
        The decisions as plain data, each that changes the model with its ``effect`` in words and ``figures``:
        ``log_loss``, ``win_rate`` of as many MQLs, ``mqls_per_week`` at the same threshold (None without one or
        without dates), each as an interval of what the decision adds, and ``same``, the share of MQLs that stay.
        The same for all together in ``together`` and ``together_figures``.
    """
    data = decided.criteria.to_dict()
    forcing = decided.forcing
    if not forcing:
        return {**data, "together": None, "together_figures": None}
    resampler = Resampler(rows.group[tested.row], seed=recipe.seed)

    def against(constraints: Constraints) -> dict[str, Any]:
        free = test(replace(recipe, constraints=constraints))
        progress()
        found = effect(rows.won[tested.row], tested.p, free.p, resampler, best=best)
        return {
            "log_loss": found.log_loss.to_dict(),
            "win_rate": found.win_rate.to_dict(),
            "mqls_per_week": _volume(rows, tested, free, resampler, threshold),
            "same": found.same,
        }

    together = against(Constraints())
    alone = {forcing[0]: together} if len(forcing) == 1 else {}
    for name in forcing[:_MOST_WEIGHED] if not alone else ():
        alone[name] = against(decided.without(name))
    marks = [{**mark, **_told(alone.get(mark["name"]))} for mark in data["marks"]]
    return {**data, "marks": marks, "together": _sentence(together), "together_figures": together}


def tests_to_weigh(decided: Decided) -> int:
    """How many tests ``weigh`` makes."""
    many = len(decided.forcing)
    return many if many < 2 else 1 + min(many, _MOST_WEIGHED)


def _volume(
    rows: Rows, tested: Tested, free: Tested, resampler: Resampler, threshold: float | None
) -> dict[str, float | None] | None:
    """What the decisions add to the MQLs of a week, in a history with dates and at one threshold for both."""
    if threshold is None or rows.timing != "horizon":
        return None
    when = rows.when[tested.row]
    weeks = max(float(np.ptp(when)) / (7 * DAY), 1.0)
    obeying, ignoring = (t.own & (t.p >= threshold) for t in (tested, free))
    return volume(rows.lead[tested.row], obeying, ignoring, resampler, weeks=weeks).to_dict()


def _told(found: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"effect": None if found is None else _sentence(found), "figures": found}


def _sentence(found: Mapping[str, Any]) -> str:
    loss, rate, week = found["log_loss"], found["win_rate"], found["mqls_per_week"]
    if (loss["low"] or 0.0) > 0:
        word = "It costs"
    else:
        word = "It gains" if (loss["high"] or 0.0) < 0 else "No difference that could be told"
    weekly = "" if week is None else f"MQLs a week at the same threshold {_span(week, 1)}; "
    return (
        f"{word}: log loss {_span(loss, 5)}; win rate of as many MQLs {_span(rate, 1, scale=100)} points; {weekly}"
        f"{100 * found['same']:.0f} % of them are the same."
    )


def _span(found: Mapping[str, float | None], digits: int, *, scale: float = 1.0) -> str:
    value, low, high = found["value"] or 0.0, found["low"], found["high"]
    said = f"{scale * value:+.{digits}f}"
    return said if low is None or high is None else f"{said} [{scale * low:+.{digits}f}, {scale * high:+.{digits}f}]"
