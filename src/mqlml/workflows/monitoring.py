"""Monitoring: stored scores, answers from sales and today's leads against what the model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mqlml.errors import EngineError, UsageError
from mqlml.history.writing import write_text
from mqlml.operation import monitoring as told
from mqlml.operation import monitoring_drift as drift
from mqlml.operation.bundle import read_json
from mqlml.operation.monitoring import Check
from mqlml.operation.reference import REFERENCE
from mqlml.operation.registry import resolve, review_state
from mqlml.operation.scoring import LeadScorer, encode_json
from mqlml.review.report.monitor import render_monitor
from mqlml.tape.engine import LocalEngine
from mqlml.workflows import watching
from mqlml.workflows.opening import Progress, Quiet, open_history
from mqlml.workflows.reporting import in_force, monitor_path
from mqlml.workflows.stored_scores import stored_scores
from mqlml.workflows.watching_flow import flow_checks
from mqlml.workflows.watching_sales import sales_checks

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.operation.monitoring_drift import Shift
    from mqlml.workflows.watching import World

__all__ = ["Monitored", "monitor"]

_MOST_SHIFTS = 15


@dataclass(frozen=True)
class Monitored:
    """What monitoring found.

    Attributes
    ----------
    summary : mapping
        Everything the page says, as plain data.
    page : Path or None
        The HTML file, where one was asked for.
    run_id : str or None
        MLflow run; None where the record could not be made.
    closed : bool
        Whether a check alarms.
    """

    summary: dict[str, Any]
    page: Path | None
    run_id: str | None
    closed: bool


def monitor(
    config: Config,
    *,
    as_of: str,
    scores: Sequence[Path | str] = (),
    model: str | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
) -> Monitored:
    """Check a model in use as of a moment, looking only at what was known strictly before it.

    Parameters
    ----------
    config : Config
    as_of : str
        A date or an ISO timestamp.
    scores : sequence of Path or str
        Scores that were written in past weeks: files or folders. Without them nothing can be said of promises.
    model : str, optional
        A bundle's path or version; by default the champion.
    out : Path, optional
        HTML file for the page.
    progress : Progress, optional

    Raises
    ------
    UsageError
        The history has no dates, or ``out`` has another ending than .html.
    """
    if out is not None and out.suffix != ".html":
        raise UsageError(f"--out {out}: the page is HTML.", hint="end its name in .html")
    progress = progress or Quiet()
    stored = stored_scores(scores, config)
    progress.begin("Opening the model")
    models = config.path(config.output.models)
    scorer = LeadScorer.load(resolve(models, model))
    progress.begin("Reading the history")
    with LocalEngine().open(config, kinds=scorer.kinds) as history:
        opened = open_history(history, config, as_of=as_of, audit=False)
        if opened.as_of is None:
            raise UsageError("The history has no dates: there are no weeks to watch.", hint="add [leads] created_at")
        scorer.check_attributes(history.attributes, config.leads.path)
        world = watching.world(
            opened, config, scorer, in_force(read_json(scorer.bundle.parts, "report.json"), scorer.bundle)
        )
        progress.begin("Comparing")
        summary = _summary(world, watching.past_scores(world, stored))
    summary["review"] = review_state(models, scorer.bundle.path)
    page = render_monitor(summary)
    if out is not None:
        write_text(out, page)
    write_text(monitor_path(scorer.bundle.path), encode_json(summary).decode() + "\n")
    progress.begin("Recording in MLflow")
    run_id = _record(models, scorer.bundle.path, summary, page, config.output.name)
    return Monitored(summary, out, run_id, summary["state"] == "alarm")


def _summary(world: World, past: watching.PastScores) -> dict[str, Any]:
    parts = world.scorer.bundle.parts
    reference = read_json(parts, REFERENCE) if REFERENCE in parts else None
    features, shifts = drift.features(reference, world.today)
    outcomes, reliability = watching.outcome_checks(world, past)
    sales, teams, regions = sales_checks(world)
    weeks, flow = flow_checks(world, past, reference)
    found = [
        *outcomes,
        *flow,
        drift.chances(reference, world.p),
        features,
        watching.apart(world),
        drift.new_categories(reference, world.today, world.people.group[world.lead]),
        *sales,
        watching.expected(world, past, outcomes),
    ]
    checks = told.judge(found)
    state = next((s for s in ("alarm", "watch") if any(c.state == s for c in checks)), "fine")
    return {
        "title": "How the model is doing",
        "as_of": world.as_of.isoformat(),
        "model_version": world.scorer.model_version,
        "trained_as_of": world.summary.get("as_of"),
        "state": state,
        "alarms": [c.code for c in checks if c.state == "alarm"],
        "retrain": _retrain(world, checks),
        "checks": [check.to_dict() for check in checks],
        "budget": told.BUDGET,
        "weeks": weeks,
        "reliability": reliability,
        "shifts": [_plain(s) for s in shifts[:_MOST_SHIFTS]],
        "teams": teams,
        "regions": regions,
        "region_column": world.config.handovers.region if world.config.handovers is not None else None,
        "notes": [*world.notes, *past.notes],
    }


def _retrain(world: World, checks: Sequence[Check]) -> dict[str, Any]:
    trained = world.summary.get("as_of")
    if trained is None:
        return told.retrain(checks, age_days=None, new_wins=None, wins=None)
    since = datetime.fromisoformat(trained)
    wins = world.people.decisions.wins
    new = int((wins.at >= watching.as_microseconds(since)).sum())
    return told.retrain(
        checks, age_days=(world.as_of - since).days, new_wins=new, wins=len(wins.at) - new
    )  # fmt: skip


def _plain(found: Shift) -> dict[str, Any]:
    return {**vars(found), "p_value": float(np.clip(found.p_value, 0, 1))}


def _record(models: Path, bundle: Path, summary: dict[str, Any], page: str, registered: str) -> str | None:
    """Log the run; what was found is not lost because its record could not be made."""
    from mqlml.operation.tracking import log_monitoring

    states = {"fine": 0.0, "watch": 1.0, "alarm": 2.0}
    metrics = {f"{c['code']} state": states[c["state"]] for c in summary["checks"] if c["state"] in states}
    metrics |= {f"{c['code']} p-value": c["p_value"] for c in summary["checks"] if c["p_value"] is not None}
    metrics |= _figures(summary["checks"])
    params = {"as_of": summary["as_of"], "state": summary["state"], "retrain": summary["retrain"]["when"]}
    try:
        texts = {"monitor.html": page}
        return log_monitoring(
            models, bundle=bundle, params=params, metrics=metrics, texts=texts, registered=registered
        )  # fmt: skip
    except EngineError as error:
        summary["notes"].append(f"Not recorded in MLflow: {error}")
        return None


def _figures(checks: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Numbers of the checks, one level deep, that MLflow can draw over time."""
    found = {}
    for check in checks:
        for name, value in check["figures"].items():
            number = value.get("value", value.get("won")) if isinstance(value, dict) else value
            if isinstance(number, int | float) and not isinstance(number, bool):
                found[f"{check['code']} {name}"] = float(number)
    return found
