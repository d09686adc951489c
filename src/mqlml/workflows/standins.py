"""A bundle's recipe fitted again as of an earlier moment, so that it is judged on leads it has not learned from."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from mqlml.config import Config
from mqlml.learning.constraints import Constraints
from mqlml.learning.handed import weigh_control
from mqlml.learning.labels import labelled_rows
from mqlml.learning.moments import as_microseconds
from mqlml.learning.snapshots import mark_table
from mqlml.learning.training import train_model
from mqlml.learning.tuning import chosen_of
from mqlml.learning.windows import plan_windows
from mqlml.operation.bundle import read_json
from mqlml.review.criteria import Criteria
from mqlml.tape.build import build_features
from mqlml.workflows.opening import open_history
from mqlml.workflows.preparing import recipe_of

if TYPE_CHECKING:
    from mqlml.history.contract import History
    from mqlml.learning.model import Model
    from mqlml.operation.scoring import LeadScorer

__all__ = ["criteria_of", "knew_until", "same_question", "same_recipe", "stand_in"]

# A stand-in is judged against another one made in the same way: both are made lighter than what is shipped.
_BAGS, _ORIGINS, _ROWS = 2, 2, 300_000
_UNSEEN = ("certify", "compare", "test")


def knew_until(scorer: LeadScorer) -> int | None:
    """Tell the first moment whose outcomes a bundle's model had not learned from, in microseconds.

    Returns
    -------
    int or None
        None where the bundle does not say: written before this was kept, or from a history without dates.
    """
    parts = scorer.bundle.parts
    if "report.json" not in parts or "training.json" not in parts:
        return None
    summary = read_json(parts, "report.json")
    if summary["as_of"] is None:
        return None
    if not read_json(parts, "training.json")["model"]["refit"]:
        unseen = [line["from"] for line in summary["plan"] if line["part"] in _UNSEEN and line["from"]]
        if unseen:
            return as_microseconds(datetime.combine(date.fromisoformat(min(unseen)), time(), tzinfo=UTC))
    return as_microseconds(datetime.fromisoformat(summary["as_of"]))


def same_question(scorer: LeadScorer, config: Config) -> str | None:
    """Say in what a bundle foresees something else than the settings ask for; None where it does not."""
    if "training.json" not in scorer.bundle.parts:
        return f"'{scorer.model_version}' does not say what it was trained for"
    trained = read_json(scorer.bundle.parts, "training.json")["label"]
    for key, value in config.label.model_dump(include={"horizon_days", "target"}).items():
        if trained[key] != value:
            return f"'{scorer.model_version}' was trained with [label] {key} = {trained[key]}, now it is {value}"
    return None


def criteria_of(scorer: LeadScorer) -> Criteria:
    """Decisions on criteria that a bundle obeys."""
    parts = scorer.bundle.parts
    return Criteria.from_dict(read_json(parts, "criteria.json")) if "criteria.json" in parts else Criteria()


def same_recipe(one: LeadScorer, other: LeadScorer) -> bool:
    """Whether two bundles differ by nothing but the history they learned from."""

    def recipe(scorer: LeadScorer) -> list[Any]:
        c = criteria_of(scorer)
        stored = read_json(scorer.bundle.parts, "training.json")
        tuned = asdict(chosen_of(stored.get("tuned")))
        return [scorer.model.features.to_dict(), stored["model"], tuned, c.barred, c.direction, c.caps]

    return recipe(one) == recipe(other)


def stand_in(history: History, config: Config, scorer: LeadScorer, *, at: int) -> Model:
    """Fit a bundle's recipe (features, settings, decisions on criteria) on what was known before a moment.

    Parameters
    ----------
    history : History
    config : Config
    scorer : LeadScorer
        The bundle.
    at : int
        Microseconds.

    Raises
    ------
    DataRefused
        Too little was known by then.
    """
    config = _settings_of(scorer, config)
    moment = datetime.fromtimestamp(at / 1_000_000, UTC)
    opened = open_history(history, config, as_of=moment.isoformat(), audit=False)
    rows = labelled_rows(opened.people, config, as_of=at)
    rows = weigh_control(history, rows, every_days=config.snapshots.every_days, until=at)
    plan = plan_windows(rows, origins=config.model.origins, seed=config.model.seed, refit=True)
    features, marks = scorer.model.features, criteria_of(scorer)
    table = build_features(history, mark_table(opened.people, rows.lead, rows.at), features)
    trees = chosen_of(read_json(scorer.bundle.parts, "training.json").get("tuned"))
    recipe = replace(recipe_of(config, Constraints(marks.barred, marks.direction, marks.caps)), trees=trees)
    least = config.model.min_level_count
    return train_model(table, rows, features, plan, recipe=recipe, min_leads=least).model


def _settings_of(scorer: LeadScorer, config: Config) -> Config:
    stored: dict[str, Any] = dict(read_json(scorer.bundle.parts, "training.json")["model"])
    stored["threads"] = config.model.threads
    for name, most in (("bags", _BAGS), ("origins", _ORIGINS), ("max_rows", _ROWS)):
        stored[name] = min(stored[name], most)
    return config.model_copy(update={"model": type(config.model).model_validate(stored)})
