"""Training: from a history to a bundle, a report and a record of both."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml import __version__
from mqlml.decision.choosing import set_policy
from mqlml.decision.rules import rule_problems
from mqlml.errors import DataRefused, EngineError
from mqlml.history.writing import write_text
from mqlml.learning.baselines import simpler_ways, source_feature
from mqlml.learning.handed import weigh_control
from mqlml.learning.judgement import judge
from mqlml.learning.labels import labelled_rows
from mqlml.learning.pairs import choose_pairs, pair_notes
from mqlml.learning.present import present_problems, present_rule
from mqlml.learning.propensity import Recipe
from mqlml.learning.snapshots import mark_table
from mqlml.learning.training import JUDGED_BAGS, train_model
from mqlml.learning.windows import plan_windows
from mqlml.operation.bundle import write_bundle
from mqlml.operation.golden import make_golden_rows
from mqlml.operation.policies import REPLAY, encode_replay
from mqlml.operation.registry import adopt_first, champion, review_state
from mqlml.operation.scoring import encode_json, grade_bounds
from mqlml.review.decision import decision
from mqlml.review.drivers import drivers
from mqlml.review.nurture import lacking, near_misses, preceded
from mqlml.review.reasons import Explainer, difference_from_shap
from mqlml.review.report import figures, model_card, render_report
from mqlml.review.report import summary as figures_of
from mqlml.review.scorecard import Seen, make_scorecard
from mqlml.tape.build import build_features
from mqlml.tape.engine import LocalEngine
from mqlml.tape.traffic import Tally
from mqlml.tape.vocabulary import learn_feature_set
from mqlml.workflows.deciding import read_decisions, tests_to_weigh, weigh
from mqlml.workflows.grounding import gather
from mqlml.workflows.opening import Opened, Progress, Quiet, open_history, refuse_leaks

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.decision.basis import Basis
    from mqlml.decision.policy import Policy
    from mqlml.learning.judgement import Judgement
    from mqlml.learning.labels import Rows
    from mqlml.learning.model import Model
    from mqlml.learning.training import Tested, Training
    from mqlml.learning.windows import Plan
    from mqlml.review.reasons import Explanation
    from mqlml.tape.engine import Engine

__all__ = ["Trained", "report_path", "train"]

# The reasons of this many newest snapshots stand for all: drivers and grades settle long before.
_EXPLAINED = 4_000
_CHECKED_WITH_SHAP = 50


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


@dataclass(frozen=True)
class _Learned:
    opened: Opened
    rows: Rows
    plan: Plan
    table: pa.Table
    training: Training
    judgement: Judgement
    basis: Basis
    policy: Policy
    criteria: Mapping[str, Any]
    tally: Tally
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
    """
    progress = progress or Quiet()
    progress.begin("Reading the history")
    with (engine or LocalEngine()).open(config) as history:
        progress.begin("Auditing columns")
        opened = open_history(history, config, as_of=as_of)
        refuse_leaks(opened.audit, config)
        learned = _learn(opened, config, progress)
        progress.begin("Explaining and reporting")
        summary, parts = _describe(learned, config)
    models = config.path(config.output.models)
    bundle = write_bundle(parts, models, as_of=opened.as_of)
    return _publish(bundle, models, summary, learned.training.model, progress)


def report_path(bundle: Path) -> Path:
    """Where the report of a bundle lies: beside it, since a bundle holds nothing that is not hashed."""
    return bundle.with_name(f"{bundle.name}.report.html")


def _learn(opened: Opened, config: Config, progress: Progress) -> _Learned:
    rules = rule_problems(config.policy.rules, opened.history)
    if problems := [*present_problems(opened.history, config, attributes=opened.attributes), *rules]:
        raise DataRefused(problems)
    rows = labelled_rows(opened.people, config, as_of=opened.moment)
    rows = weigh_control(opened.history, rows, every_days=config.snapshots.every_days, until=opened.moment)
    plan = plan_windows(rows, origins=config.model.origins, seed=config.model.seed, refit=config.model.refit)
    progress.begin("Computing features")
    features = learn_feature_set(opened.history, config, until=opened.as_of, attributes=opened.attributes)
    first_origin = min((r.origin for r in plan.rounds if r.origin is not None), default=None)
    pairs = choose_pairs(opened.history, features, rows, config, before=first_origin, seed=config.model.seed)
    features = replace(features, pairs=pairs)
    tally = Tally()
    table = build_features(opened.history, mark_table(opened.people, rows.lead, rows.at), features, tally=tally)
    present, note = present_rule(opened.history, config, rows, opened.people, table=table)
    decided = read_decisions(config, features)
    recipe = Recipe(
        config.model.seed,
        config.model.bags,
        threads_of(config),
        calibration=config.model.calibration,
        constraints=decided.constraints,
    )
    judged = len(plan.rounds) - len(plan.frozen)
    progress.begin("Learning", recipe.bags + min(recipe.bags, JUDGED_BAGS) * judged)
    least = config.model.min_level_count
    training = train_model(table, rows, features, plan, recipe=recipe, min_leads=least, step=progress.advance)
    progress.begin("Judging")
    tested = training.tested
    tested.baselines.update(simpler_ways(table, rows, plan, present=present))
    judgement = judge(rows, tested, plan, segments=_segments(table), seed=config.model.seed, present=present)
    basis = gather(opened, config, rows, plan, table, training, present)
    policy = set_policy(
        config.policy,
        basis.replay,
        base_rate=basis.base_rate,
        worths=basis.worths,
        certifiable=basis.certifiable,
    )
    if decided.forcing:
        progress.begin("Weighing decisions on criteria", tests_to_weigh(decided))
    weighed = weigh(
        decided,
        rows,
        tested,
        lambda changed: train_model(table, rows, features, plan, recipe=changed, min_leads=least).tested,
        recipe=replace(recipe, bags=min(recipe.bags, JUDGED_BAGS)),
        best=_share_of_mqls(policy, table, tested),
        progress=progress.advance,
    )
    notes = (*decided.notes, *(() if note is None else (note,)))
    return _Learned(opened, rows, plan, table, training, judgement, basis, policy, weighed, tally, notes)


def _share_of_mqls(policy: Policy, table: pa.Table, tested: Tested) -> float:
    values = policy.values(table.take(pa.array(tested.row)))
    return float(np.mean(policy.mqls(tested.p, tested.row, values)))


def threads_of(config: Config) -> int:
    """Threads to use; they change the time taken, never a result."""
    return config.model.threads or os.cpu_count() or 1


def _describe(learned: _Learned, config: Config) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The summary, and the files of the bundle."""
    model, rows, table = learned.training.model, learned.rows, learned.table
    newest = np.sort(np.argsort(-rows.when, kind="stable")[:_EXPLAINED])
    sample = table.take(pa.array(newest))
    matrix = model.matrix(sample)
    explanation = Explainer(model).explain(sample, matrix)
    used = {column.feature for column in model.encoder.columns}
    # What converts is told of snapshots whose whole horizon is known.
    mature = table if rows.mature.all() else table.filter(pa.array(rows.mature))
    shown_drivers = drivers(explanation, sample, model.features, used, mature, rows.where(rows.mature))
    checked = difference_from_shap(model, matrix[:_CHECKED_WITH_SHAP])
    summary = _summary(learned, config, shown_drivers, checked)
    summary["nurture"] = _nurture(learned, explanation, newest, model.probability(sample, matrix))
    parts = {
        **model.to_parts(),
        "policy.json": encode_json(learned.policy.to_dict()),
        REPLAY: encode_replay(learned.basis),
        "grades.json": encode_json(grade_bounds(explanation)),
        "golden.json": encode_json(make_golden_rows(model)),
        "training.json": encode_json(_settings(config, learned)),
        "report.json": encode_json(summary),
        "criteria.json": encode_json(learned.criteria),
    }
    return summary, parts


def _summary(learned: _Learned, config: Config, shown_drivers: list[dict[str, Any]], checked: float) -> dict[str, Any]:
    opened, rows, model = learned.opened, learned.rows, learned.training.model
    return {
        "title": "Who will convert",
        "as_of": None if opened.as_of is None else opened.as_of.isoformat(),
        "policy_version": learned.policy.version,
        "verdict": learned.judgement.verdict,
        "population": figures_of.population_figures(opened.people, rows, learned.plan, config, as_of=opened.moment),
        "decision": decision(learned.policy, learned.basis),
        "evaluation": figures_of.evaluation(learned.judgement, rows),
        "plan": figures_of.plan_lines(learned.plan, rows),
        "audit": figures_of.audit_lines(opened.audit),
        "drivers": _labelled(shown_drivers, learned.criteria),
        "criteria": learned.criteria,
        "scorecard": _scorecard(learned, config),
        "accounting": figures_of.accounting(opened.history.accounts),
        "traffic": learned.tally.lines(),
        "notes": [
            *opened.notes,
            *rows.notes,
            *model.features.notes,
            *pair_notes(model.features.pairs),
            *learned.tally.notes,
            *learned.notes,
        ],
        "undeclared": list(opened.undeclared),
        "features": len(model.features.features),
        "recipe": {
            "bags": len(model.blend.trees),
            "share of trees in the blend": model.blend.weight,
            **_calibration(learned.training),
            "columns": len(model.encoder.columns),
            "reasons differ from the shap package by at most": checked,
        },
        "versions": _versions(),
    }


def _labelled(shown_drivers: list[dict[str, Any]], criteria: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Drivers with what people call them beside their names."""
    labels = {mark["name"]: mark["label"] for mark in criteria["marks"] if mark["label"]}
    return [{**driver, "label": labels.get(driver["criterion"])} for driver in shown_drivers]


def _nurture(
    learned: _Learned, explanation: Explanation, row: npt.NDArray[np.int64], p: npt.NDArray[np.float64]
) -> dict[str, Any] | None:
    """Who is just below the line at the last explained snapshot of each lead, and what preceded crossing it."""
    policy, rows, tested = learned.policy, learned.rows, learned.training.tested
    if policy.threshold is None:
        return None
    labels = {mark["name"]: mark["label"] for mark in learned.criteria["marks"] if mark["label"]}
    features = learned.training.model.features
    # Rows are sorted by lead and moment, and so are the explained ones.
    last = np.r_[rows.lead[row][1:] != rows.lead[row][:-1], True]
    tier = policy.tiers(p, policy.mqls(p, row, policy.values(learned.table.take(pa.array(row)))))
    found = near_misses(
        p[last],
        tier[last] == "nurture",
        lacking(explanation, features)[last],
        explanation.names,
        threshold=policy.threshold,
        labels=labels,
    )
    own = np.isfinite(tested.settled)
    before = preceded(
        learned.table, rows, tested.row[own], tested.settled[own], features, threshold=policy.threshold, labels=labels
    )
    return {**found, "preceded": before if rows.timing == "horizon" else None}


def _scorecard(learned: _Learned, config: Config) -> dict[str, Any]:
    """The points scorecard that stands for the model in tools that cannot run it."""
    rows, tested, model = learned.rows, learned.training.tested, learned.training.model
    own = np.isfinite(tested.settled)
    row, p, part = tested.row[own], tested.settled[own], tested.part[own]
    held_out, where = part == part[-1], "the newest that were tested"
    if held_out.all():
        held_out, where = rows.group[row] % 4 == 0, "a quarter of the accounts"
    table = learned.table.take(pa.array(row))
    present = tested.baselines.get("present rule")
    seen = Seen(
        table,
        p,
        rows.won[row],
        held_out,
        where,
        learned.policy.mqls(p, row, learned.policy.values(table)),
        None if present is None else present[own],
    )
    columns = model.encoder.columns
    used = {column.feature for column in columns}
    named: dict[str, set[str]] = {name: set() for name in used}
    for column in columns:
        if column.level is not None:
            named[column.feature].add(column.level)
    looked_at = [feature for feature in model.features.features if feature.name in used]
    levels = {name: frozenset(found) for name, found in named.items()}
    return make_scorecard(seen, looked_at, levels, seed=config.model.seed)


def _calibration(training: Training) -> dict[str, Any]:
    """How chances are made of raw scores, and what is expected of the time to come."""
    calibrator, level = training.model.calibrator, training.settled.level
    return {
        "calibration": calibrator.kind,
        "calibration slope": calibrator.slope,
        "calibration intercept": calibrator.intercept,
        "slope expected on later leads": training.settled.slope_on_later_leads,
        "win rate of the newest window against the history, log-odds": level.newest,
        "its 90 % interval": [level.low, level.high],
        "share of such changes that lasts": level.persistence,
        "carried forward, log-odds": level.applied,
        "features with a rule for values never seen": {
            rule.feature.removeprefix("lead."): rule.slope for rule in training.model.newcomers
        },
    }


def _settings(config: Config, learned: _Learned) -> dict[str, Any]:
    """What the bundle's rows and labels were, for whoever scores or compares; no paths, no people."""
    return {
        "label": config.label.model_dump(),
        "snapshots": config.snapshots.model_dump(by_alias=True),
        "model": config.model.model_dump(exclude={"threads"}),
        "timing": learned.rows.timing,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    others = ("lightgbm", "scikit-learn", "numpy", "pyarrow", "duckdb", "numba")
    return {"mqlml": __version__, **{name: version(name) for name in others}}


def _segments(table: pa.Table) -> dict[str, np.ndarray[Any, np.dtype[np.str_]]]:
    """Values to break the evaluation down by: the source, and whether a lead's activity is tracked."""
    segments = {}
    name = source_feature(table)
    if name is not None:
        values = pc.fill_null(table[name].cast(pa.string()), "not supplied").to_pylist()
        segments[name.removeprefix("lead.")] = np.asarray(values, dtype=str)
    if "events.any.count_ever" in table.column_names:
        ever = table["events.any.count_ever"].to_numpy() > 0
        segments["activity"] = np.where(ever, "tracked", "never tracked")
    return segments


def _publish(bundle: Path, models: Path, summary: dict[str, Any], model: Model, progress: Progress) -> Trained:
    """Adopt the first bundle, write the report beside it and record the run."""
    adopted = adopt_first(models, bundle.name)
    in_use = champion(models)
    full = {**summary, "model_version": bundle.name, "review": review_state(models, bundle)}
    page = render_report(full)
    write_text(report_path(bundle), page)
    notes = list(summary["notes"])
    if adopted:
        notes.append("This is the first bundle: it is in use from now on, marked unreviewed until people have read it.")
    progress.begin("Recording in MLflow")
    run_id = _record(bundle, models, full, model, page, notes)
    mine = in_use is not None and in_use.name == bundle.name
    return Trained(bundle, report_path(bundle), full, mine, run_id, tuple(notes))


def _record(
    bundle: Path, models: Path, summary: dict[str, Any], model: Model, page: str, notes: list[str]
) -> str | None:
    """Log the run; a training is not lost because its record could not be made."""
    from mqlml.operation.tracking import log_training

    metrics = {m["name"]: m["model"]["value"] for m in summary["evaluation"]["metrics"]}
    population = summary["population"]
    try:
        return log_training(
            models,
            bundle=bundle,
            name=bundle.name,
            params={
                "as_of": summary["as_of"],
                "horizon_days": population["horizon_days"],
                "mode": population["mode"],
                "snapshots": population["snapshots"],
                "features": summary["features"],
                "policy": summary["decision"]["kind"],
                "threshold": summary["decision"]["threshold"],
                "verdict": summary["verdict"]["code"],
            },
            metrics={k: v for k, v in metrics.items() if v is not None},
            figures=figures(summary),
            texts={
                "report.html": page,
                "model_card.md": model_card(summary),
                "features.md": model.features.dictionary(),
            },
            signature_inputs=[(f.name, "double" if f.kind == "number" else "string") for f in model.features.features],
        )
    except EngineError as error:
        notes.append(f"Not recorded in MLflow: {error} The bundle is complete all the same.")
        return None
