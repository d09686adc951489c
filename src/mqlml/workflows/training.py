"""Training: from a history to a bundle, a report and a record of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.decision.rules import rule_problems
from mqlml.errors import DataRefused
from mqlml.history.writing import write_text
from mqlml.learning.baselines import simpler_ways, source_feature
from mqlml.learning.judgement import judge
from mqlml.learning.present import present_problems, present_rule
from mqlml.learning.training import JUDGED_BAGS, train_model
from mqlml.learning.tuning import need_optuna
from mqlml.operation.aliases import follow_standing
from mqlml.operation.bundle import write_bundle
from mqlml.operation.promotion import set_challenger
from mqlml.operation.registry import adopt_first, champion
from mqlml.review.report import figures, render_report
from mqlml.tape.engine import LocalEngine
from mqlml.workflows.deciding import read_decisions, tests_to_weigh, weigh
from mqlml.workflows.describing import Learned, describe
from mqlml.workflows.grounding import gather
from mqlml.workflows.leaving_out import leave_out_features
from mqlml.workflows.opening import Opened, Progress, Quiet, open_history, refuse_leaks
from mqlml.workflows.preparing import prepare, recipe_of
from mqlml.workflows.recording import record_training
from mqlml.workflows.reviewing import as_told
from mqlml.workflows.tuning import tune_trees

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.decision.policy import Policy
    from mqlml.learning.fewer_features import Fewer
    from mqlml.learning.model import Model
    from mqlml.learning.recipe import Recipe
    from mqlml.learning.training import Tested
    from mqlml.learning.tuning import Tuned
    from mqlml.tape.engine import Engine
    from mqlml.tape.features import FeatureSet
    from mqlml.workflows.deciding import Decided
    from mqlml.workflows.preparing import Prepared

__all__ = ["Trained", "report_path", "train"]


@dataclass(frozen=True)
class Trained:
    """What a training leaves behind.

    Attributes
    ----------
    bundle, report : Path
    summary : mapping
        Everything the report says, as plain data.
    champion : bool
        Whether the bundle is the one in use.
    run_id : str or None
        MLflow run; None where the record could not be made.
    notes : tuple of str
    """

    bundle: Path
    report: Path
    summary: Mapping[str, Any]
    champion: bool
    run_id: str | None
    notes: tuple[str, ...]


def train(
    config: Config, *, as_of: str | None = None, engine: Engine | None = None, progress: Progress | None = None
) -> Trained:
    """Learn from what was known before ``as_of``, judge it, decide on a threshold and write a bundle.

    Parameters
    ----------
    config : Config
    as_of : str, optional
        A date or an ISO timestamp; by default the day after the newest creation or decision.
    engine : Engine, optional
        Where events are read and features are computed; by default here. Results do not depend on it.
    progress : Progress, optional

    Raises
    ------
    DataRefused
        The history cannot be used, a column gives the outcome away, the present rule is known only as of today, or too
        few leads were won or lost.
    UsageError
        ``[model] tune`` is asked for and Optuna is not installed.
    """
    progress = progress or Quiet()
    if config.model.tune:
        need_optuna()
    progress.begin("Reading the history")
    with (engine or LocalEngine()).open(config) as history:
        progress.begin("Auditing columns")
        opened = open_history(history, config, as_of=as_of)
        refuse_leaks(opened.audit, config)
        learned = _learn(opened, config, progress)
        progress.begin("Explaining and reporting")
        summary, parts = describe(learned, config)
    models = config.path(config.output.models)
    bundle = write_bundle(parts, models, as_of=opened.as_of)
    return _publish(config, bundle, models, summary, learned.training.model, progress)


def report_path(bundle: Path) -> Path:
    """Where the report of a bundle lies: beside it, since a bundle holds nothing that is not hashed."""
    return bundle.with_name(f"{bundle.name}.report.html")


def _learn(opened: Opened, config: Config, progress: Progress) -> Learned:
    rules = rule_problems(config.policy.rules, opened.history)
    if problems := [*present_problems(opened.history, config, attributes=opened.attributes), *rules]:
        raise DataRefused(problems)
    progress.begin("Computing features")
    ready = prepare(opened, config)
    rows, plan, table = ready.rows, ready.plan, ready.table
    present, note = present_rule(opened.history, config, rows, opened.people, table=table)
    decided = read_decisions(config, ready.features)
    chosen = _choose(ready, config, decided, progress)
    features, recipe = chosen.features, chosen.recipe
    judged = len(plan.rounds) - len(plan.frozen)
    progress.begin("Learning", recipe.bags + min(recipe.bags, JUDGED_BAGS) * judged)
    least = config.model.min_level_count
    training = train_model(table, rows, features, plan, recipe=recipe, min_leads=least, step=progress.advance)
    progress.begin("Judging")
    tested = training.tested
    tested.baselines.update(simpler_ways(table, rows, plan, present=present))
    segments = _segments(table, config)
    judgement = judge(
        rows, tested, plan, segments=segments, segment=config.model.segment, seed=config.model.seed, present=present
    )
    basis = gather(opened, config, rows, plan, table, training, present)
    policy = basis.policy(config.policy)
    if decided.forcing:
        progress.begin("Weighing decisions on criteria", tests_to_weigh(decided))
    weighed = weigh(
        decided,
        rows,
        tested,
        lambda changed: train_model(table, rows, features, plan, recipe=changed, min_leads=least).tested,
        recipe=replace(recipe, bags=min(recipe.bags, JUDGED_BAGS)),
        best=_share_of_mqls(policy, table, tested),
        threshold=policy.threshold,
        progress=progress.advance,
    )
    notes = (*decided.notes, *(() if note is None else (note,)), *chosen.notes)
    done = (training, judgement, basis, policy, weighed)
    return Learned(
        opened, rows, plan, table, *done, ready.tally, ready.features, notes, fewer=chosen.fewer, tuned=chosen.tuned
    )


@dataclass(frozen=True)
class _Chosen:
    """Features and recipe as searches that were asked for left them, and what they found."""

    features: FeatureSet
    recipe: Recipe
    fewer: Fewer | None
    tuned: Tuned | None
    notes: tuple[str, ...]


def _choose(ready: Prepared, config: Config, decided: Decided, progress: Progress) -> _Chosen:
    """Leave features out, then tune the trees on those that are kept; both only where asked for."""
    recipe = recipe_of(config, decided.constraints)
    ready, fewer, said = leave_out_features(ready, config, recipe, decided.criteria, progress)
    tuned, told = tune_trees(ready, config, recipe, progress)
    if tuned is not None:
        recipe = replace(recipe, trees=tuned.chosen)
    return _Chosen(ready.features, recipe, fewer, tuned, (*said, *told))


def _share_of_mqls(policy: Policy, table: pa.Table, tested: Tested) -> float:
    values = policy.values(table.take(pa.array(tested.row)))
    return float(np.mean(policy.mqls(tested.p, tested.row, values)))


def _segments(table: pa.Table, config: Config) -> dict[str, np.ndarray[Any, np.dtype[np.str_]]]:
    """Values to break the evaluation down by: the segment, the source, and whether a lead's activity is tracked."""
    segments = {}
    own = None if config.model.segment is None else f"lead.{config.model.segment}"
    for name in dict.fromkeys(name for name in (own, source_feature(table)) if name is not None):
        values = pc.fill_null(table[name].cast(pa.string()), "not supplied").to_pylist()
        segments[name.removeprefix("lead.")] = np.asarray(values, dtype=str)
    if "events.any.count_ever" in table.column_names:
        ever = table["events.any.count_ever"].to_numpy() > 0
        segments["activity"] = np.where(ever, "tracked", "never tracked")
    return segments


def _publish(
    config: Config, bundle: Path, models: Path, summary: dict[str, Any], model: Model, progress: Progress
) -> Trained:
    """Adopt the first bundle, or name the challenger; write the report beside it and record the run."""
    adopted = adopt_first(models, bundle.name)
    set_challenger(models, bundle.name)
    in_use = champion(models)
    full = as_told(summary, models, bundle)
    charts = figures(full)
    page = render_report(full, charts)
    write_text(report_path(bundle), page)
    notes = list(summary["notes"])
    if adopted:
        notes.append("This is the first bundle: it is in use from now on, marked unreviewed until people have read it.")
    progress.begin("Recording in MLflow")
    run_id, said = record_training(config, bundle, full, model, page, charts)
    notes += said
    if run_id is not None:
        notes += follow_standing(config)
    mine = in_use is not None and in_use.name == bundle.name
    return Trained(bundle, report_path(bundle), full, mine, run_id, tuple(notes))
