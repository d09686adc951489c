"""What a training tells: the summary that reports are drawn from, and the files of the bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml import __version__
from mqlml.learning.pairs import pair_notes
from mqlml.operation.golden import make_golden_rows
from mqlml.operation.policies import REPLAY, encode_replay
from mqlml.operation.reference import REFERENCE, frozen_reference
from mqlml.operation.scoring import COMPARISONS, encode_json, grade_bounds
from mqlml.review.comparing import measure_comparisons
from mqlml.review.converts import converts
from mqlml.review.decision import decision
from mqlml.review.drivers import drivers
from mqlml.review.level import level_now
from mqlml.review.nurture import lacking, near_misses, preceded
from mqlml.review.reasons import Explainer, difference_from_shap
from mqlml.review.report import summary as figures_of
from mqlml.review.scorecard import Seen, make_scorecard
from mqlml.tape.traffic import Tally
from mqlml.workflows.opening import Opened
from mqlml.workflows.portraying import portray
from mqlml.workflows.vocabulary import read_vocabulary

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.decision.basis import Basis
    from mqlml.decision.policy import Policy
    from mqlml.learning.fewer_features import Fewer
    from mqlml.learning.judgement import Judgement
    from mqlml.learning.labels import Rows
    from mqlml.learning.training import Training
    from mqlml.learning.tuning import Tuned
    from mqlml.learning.windows import Plan
    from mqlml.review.reasons import Explanation
    from mqlml.tape.features import FeatureSet

__all__ = ["Learned", "describe"]

# The reasons of this many newest snapshots stand for all: drivers and grades settle long before.
_EXPLAINED = 4_000
_CHECKED_WITH_SHAP = 50


@dataclass(frozen=True)
class Learned:
    """What a training learned and from what, before it is told.

    ``looked_at`` are the features of ``table``; the model may do without some of them.
    """

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
    looked_at: FeatureSet
    notes: tuple[str, ...]
    fewer: Fewer | None = None
    tuned: Tuned | None = None


def describe(learned: Learned, config: Config) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The summary, and the files of the bundle."""
    model, rows, table = learned.training.model, learned.rows, learned.table
    newest = np.sort(np.argsort(-rows.when, kind="stable")[:_EXPLAINED])
    sample = table.take(pa.array(newest))
    matrix = model.matrix(sample)
    explanation = Explainer(model).explain(sample, matrix)
    used = {column.feature for column in model.encoder.columns}
    # What converts is told of snapshots whose whole horizon is known.
    mature = table if rows.mature.all() else table.filter(pa.array(rows.mature))
    labelled = rows.where(rows.mature)
    shown_drivers = drivers(explanation, sample, model.features, used, mature, labelled)
    checked = difference_from_shap(model, matrix[:_CHECKED_WITH_SHAP])
    summary = _summary(learned, config, shown_drivers, checked)
    summary |= portray(learned, config, explanation)
    summary["converts"] = converts(
        learned.opened.history, learned.opened.people, config, learned.looked_at, as_of=learned.opened.moment
    )
    summary["nurture"] = _nurture(
        learned, explanation, newest, model.probability(sample, matrix), labels=_labels(learned, config)
    )
    parts = {
        **model.to_parts(),
        "policy.json": encode_json(learned.policy.to_dict()),
        REPLAY: encode_replay(learned.basis),
        COMPARISONS: encode_json(measure_comparisons(model.features, mature, labelled, used=used).to_dict()),
        "grades.json": encode_json(grade_bounds(explanation)),
        "golden.json": encode_json(make_golden_rows(model)),
        "training.json": encode_json(_settings(config, learned)),
        "report.json": encode_json(summary),
        "criteria.json": encode_json(learned.criteria),
    }
    parts.update(_reference(learned, sorted(used), config))
    return summary, parts


def _summary(learned: Learned, config: Config, shown_drivers: list[dict[str, Any]], checked: float) -> dict[str, Any]:
    opened, rows, model = learned.opened, learned.rows, learned.training.model
    labels = _labels(learned, config)
    return {
        "title": "Who will convert",
        "as_of": None if opened.as_of is None else opened.as_of.isoformat(),
        "policy_version": learned.policy.version,
        "verdict": learned.judgement.verdict,
        "population": figures_of.population_figures(opened.people, rows, learned.plan, config, as_of=opened.moment),
        "decision": decision(learned.policy, learned.basis),
        "evaluation": figures_of.evaluation(learned.judgement, rows),
        "level": level_now(learned.training.settled.level, rows.base_rate),
        "plan": figures_of.plan_lines(learned.plan, rows),
        "audit": figures_of.audit_lines(opened.audit),
        "drivers": [{**driver, "label": labels.get(driver["criterion"])} for driver in shown_drivers],
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
            **({} if learned.fewer is None else learned.fewer.told()),
            **({} if learned.tuned is None else learned.tuned.told()),
            "reasons differ from the shap package by at most": checked,
        },
        "versions": _versions(),
    }


def _reference(learned: Learned, used: Sequence[str], config: Config) -> dict[str, bytes]:
    """What monitoring compares later leads with; no part where there are no moments to compare with."""
    rows = learned.rows
    found = frozen_reference(
        learned.table,
        at=rows.at,
        lead=rows.lead,
        features=used,
        chances=learned.training.model.probability,
        event_types=learned.opened.history.event_type_counts(learned.opened.as_of),
        min_level_count=config.model.min_level_count,
    )
    return {} if found is None else {REFERENCE: encode_json(found)}


def _labels(learned: Learned, config: Config) -> dict[str, str]:
    """What people call criteria: in the vocabulary, and beside their decisions, which hold where both do."""
    marked = {mark["name"]: mark["label"] for mark in learned.criteria["marks"] if mark["label"]}
    return {**read_vocabulary(config).labels, **marked}


def _nurture(
    learned: Learned,
    explanation: Explanation,
    row: npt.NDArray[np.int64],
    p: npt.NDArray[np.float64],
    *,
    labels: Mapping[str, str],
) -> dict[str, Any] | None:
    """Who is just below the line at the last explained snapshot of each lead, and what preceded crossing it."""
    policy, rows, tested = learned.policy, learned.rows, learned.training.tested
    if policy.threshold is None:
        return None
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
    own = tested.own
    before = preceded(
        learned.table,
        rows,
        tested.row[own],
        tested.p[own],
        learned.looked_at,
        threshold=policy.threshold,
        labels=labels,
    )
    return {**found, "preceded": before if rows.timing == "horizon" else None}


def _scorecard(learned: Learned, config: Config) -> dict[str, Any]:
    """The points scorecard that stands for the model in tools that cannot run it."""
    rows, tested, model = learned.rows, learned.training.tested, learned.training.model
    own = tested.own
    row, p, part = tested.row[own], tested.p[own], tested.part[own]
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
        rows.lead[row],
    )
    used = {column.feature for column in model.encoder.columns}
    looked_at = [feature for feature in model.features.features if feature.name in used]
    levels = {name: model.encoder.levels(name) for name in used}
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
        "added to a segment's log-odds": {
            name: offset.applied for name, offset in (training.model.segments.offsets or {}).items()
        },
        "features with a rule for values never seen": {
            rule.feature.removeprefix("lead."): rule.slope for rule in training.model.newcomers
        },
    }


def _settings(config: Config, learned: Learned) -> dict[str, Any]:
    """What the bundle's rows and labels were, for whoever scores or compares; no paths, no people."""
    return {
        "label": config.label.model_dump(),
        "snapshots": config.snapshots.model_dump(by_alias=True),
        "model": config.model.model_dump(exclude={"threads"}),
        "fewer features": None if learned.fewer is None else learned.fewer.to_dict(),
        "tuned": None if learned.tuned is None else learned.tuned.to_dict(),
        "timing": learned.rows.timing,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    others = ("lightgbm", "scikit-learn", "numpy", "pyarrow", "duckdb", "numba")
    return {"mqlml": __version__, **{name: version(name) for name in others}}
