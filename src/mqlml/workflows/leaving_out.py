"""Features that add nothing are left out before a training, where ``[model] select`` asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mqlml.errors import shown
from mqlml.learning.baselines import source_feature
from mqlml.learning.fewer_tests import find_fewer
from mqlml.tape.pace import TRACKING_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mqlml.config import Config
    from mqlml.learning.fewer_features import Fewer
    from mqlml.learning.recipe import Recipe
    from mqlml.review.criteria import Criteria
    from mqlml.tape.features import FeatureSet
    from mqlml.workflows.opening import Progress
    from mqlml.workflows.preparing import Prepared

__all__ = ["leave_out_features", "must_stay"]


def leave_out_features(
    ready: Prepared, config: Config, recipe: Recipe, criteria: Criteria, progress: Progress
) -> tuple[Prepared, Fewer | None, list[str]]:
    """Leave features out that add nothing on forward tests older than the windows that are reported.

    Parameters
    ----------
    ready : Prepared
    config : Config
    recipe : Recipe
    criteria : Criteria
        What people decided on criteria.
    progress : Progress

    Returns
    -------
    tuple of (Prepared, Fewer or None, list of str)
        The same rows and table with the features that are kept; None where nothing was looked for; what to tell.
    """
    if not config.model.select:
        return ready, None, []
    progress.begin("Trying fewer features")
    found = find_fewer(
        ready.table,
        ready.rows,
        ready.features,
        ready.plan,
        recipe=recipe,
        min_leads=config.model.min_level_count,
        stay=must_stay(ready, config, criteria),
        step=progress.advance,
    )
    if isinstance(found, str):
        return ready, None, [f"Fewer features were not tried: {found}."]
    if not found.taken:
        return ready, found, [found.sentence]
    less = ready.features.without(found.left_out)
    return replace(ready, features=less), found, [found.sentence, *_gone(ready.features, less)]


def _gone(before: FeatureSet, after: FeatureSet) -> Iterator[str]:
    """Say of which criteria nothing is left: people look for what they know, and it is in no list of the model."""
    kept = {f.criterion for f in after.features}
    names = dict.fromkeys(f.criterion for f in before.features if f.criterion not in kept)
    if names:
        listed = ", ".join(f"'{shown(name)}'" for name in names)
        yield f"Criteria of which no feature is kept (a decision in criteria.toml keeps one): {listed}."


def must_stay(ready: Prepared, config: Config, criteria: Criteria) -> frozenset[str]:
    """Features that others than the model need, or that people decided on.

    Barred criteria stay out of the model as before; their features stay in the set, so that it can be said what barring
    them costs.
    """
    policy, features = config.policy, ready.features
    named = (source_feature(ready.table), TRACKING_NAME, "events.any.count_ever")
    columns = (config.model.segment, policy.value_column)
    stay = {*named, *(f"lead.{name}" for name in columns if name is not None)}
    # A lead is called silent by the longest window.
    stay |= {f"events.any.count_{days}d" for days in features.windows_days[-1:]}
    decided = {mark.name for mark in criteria.marks if mark.decision != "none"}
    return frozenset(
        f.name
        for f in features.features
        if f.name in stay or f.criterion in decided or (f.group == "fit" and policy.min_fit is not None)
    )
