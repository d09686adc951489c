"""Tuning before a training, where ``[model] tune`` asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqlml.learning.tuning import Tuned, tune
from mqlml.learning.tuning_tests import plan_tests

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.learning.recipe import Recipe
    from mqlml.workflows.opening import Progress
    from mqlml.workflows.preparing import Prepared

__all__ = ["tune_trees"]


def tune_trees(ready: Prepared, config: Config, recipe: Recipe, progress: Progress) -> tuple[Tuned | None, list[str]]:
    """Search for better trees on forward tests older than the windows that are reported.

    Returns
    -------
    tuple of (Tuned or None, list of str)
        None where nothing was searched; and what to tell.
    """
    model = config.model
    if not model.tune:
        return None, []
    progress.begin("Preparing to tune")
    tests = plan_tests(
        ready.table, ready.rows, ready.features, ready.plan, recipe=recipe, min_leads=model.min_level_count
    )
    if isinstance(tests, str):
        return None, [f"Not tuned: {tests}."]
    progress.begin("Tuning", model.tune)
    searched, unseen = tests
    found = tune(
        searched.losses,
        unseen.losses,
        trials=model.tune,
        minutes=model.tune_minutes,
        seed=model.seed,
        step=progress.advance,
    )
    return found, [found.sentence]
