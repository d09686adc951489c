"""What every training begins with: labelled snapshots, a window plan, and the features of both."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mqlml.errors import DataRefused, Problem
from mqlml.learning.constraints import Constraints
from mqlml.learning.handed import weigh_control
from mqlml.learning.labels import labelled_rows
from mqlml.learning.pairs import choose_pairs
from mqlml.learning.recipe import Recipe
from mqlml.learning.snapshots import mark_table
from mqlml.learning.windows import plan_windows
from mqlml.tape.build import build_features
from mqlml.tape.traffic import Tally
from mqlml.tape.vocabulary import learn_feature_set

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.config import Config
    from mqlml.learning.labels import Rows
    from mqlml.learning.windows import Plan
    from mqlml.tape.features import FeatureSet
    from mqlml.workflows.opening import Opened

__all__ = ["Prepared", "prepare", "recipe_of"]

_FREE = Constraints()
_ATTRIBUTE = "lead."


@dataclass(frozen=True)
class Prepared:
    """Snapshots with their labels and features.

    Attributes
    ----------
    rows : Rows
    plan : Plan
    features : FeatureSet
    table : pa.Table
        Features of ``rows``, in their order.
    tally : Tally
        What the rules against machine traffic left out.
    """

    rows: Rows
    plan: Plan
    features: FeatureSet
    table: pa.Table
    tally: Tally = field(default_factory=Tally)


def prepare(opened: Opened, config: Config) -> Prepared:
    """Label snapshots, plan the windows and compute the features, all from what was known at ``opened.moment``.

    Raises
    ------
    DataRefused
        Too few leads were won or lost, or ``[model] segment`` names no column of words.
    """
    model, history = config.model, opened.history
    rows = labelled_rows(opened.people, config, as_of=opened.moment)
    rows = weigh_control(history, rows, every_days=config.snapshots.every_days, until=opened.moment)
    plan = plan_windows(rows, origins=model.origins, seed=model.seed, refit=model.refit)
    features = learn_feature_set(history, config, until=opened.as_of, attributes=opened.attributes)
    _refuse_unknown_segment(features, config)
    first = min((r.origin for r in plan.rounds if r.origin is not None), default=None)
    features = replace(features, pairs=choose_pairs(history, features, rows, config, before=first, seed=model.seed))
    tally = Tally()
    table = build_features(history, mark_table(opened.people, rows.lead, rows.at), features, tally=tally)
    return Prepared(rows, plan, features, table, tally)


def recipe_of(config: Config, constraints: Constraints = _FREE) -> Recipe:
    """How models are fitted by these settings; threads change the time taken, never a result."""
    model = config.model
    threads = model.threads or os.cpu_count() or 1
    segment = None if model.segment is None else f"{_ATTRIBUTE}{model.segment}"
    return Recipe(
        model.seed, model.bags, threads, calibration=model.calibration, constraints=constraints, segment=segment
    )


def _refuse_unknown_segment(features: FeatureSet, config: Config) -> None:
    """Segments are told apart by a column that the model may look at, too."""
    name = config.model.segment
    if name is None or any(f.name == f"{_ATTRIBUTE}{name}" and f.kind == "category" for f in features.features):
        return
    known = [f.criterion for f in features.attribute_features if f.kind == "category"]
    what = "named in [model] segment, and no column of words that was known when leads were looked at"
    fix = f"name one of: {', '.join(known)}" if known else "remove 'segment' from [model]"
    raise DataRefused([Problem("segment", config.leads.path, what, fix, column=name)])
