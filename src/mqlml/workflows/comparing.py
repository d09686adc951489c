"""Two bundles compared: on the newest weeks whose outcomes are known, and on whom each would hand over today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.errors import DataRefused, GateClosed, UsageError
from mqlml.history.writing import write_table
from mqlml.learning.comparison import LEAST_WINS, compare_chances
from mqlml.learning.labels import labelled_rows
from mqlml.learning.moments import DAY
from mqlml.learning.snapshots import mark_table
from mqlml.operation.registry import resolve, review_state
from mqlml.operation.scoring import LeadScorer
from mqlml.operation.spreadsheets import table_for_spreadsheets
from mqlml.review.report import summary as figures_of
from mqlml.tape.build import build_features
from mqlml.tape.engine import LocalEngine
from mqlml.workflows.opening import Opened, Progress, Quiet, open_history
from mqlml.workflows.standins import knew_until, same_question, same_recipe, stand_in
from mqlml.workflows.turning import turn

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.config import Config
    from mqlml.learning.labels import Rows
    from mqlml.learning.model import Model
    from mqlml.tape.engine import Engine

__all__ = ["Pair", "compare", "compare_pair"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """The bundle in use, or any first one, and the one that is held against it."""

    old: LeadScorer
    new: LeadScorer

    @classmethod
    def load(cls, config: Config, old: str | None, new: str) -> Pair:
        """Open two bundles by path or version; None is the champion.

        Raises
        ------
        UsageError
            There is no such bundle, or both are the same.
        """
        models = config.path(config.output.models)
        pair = cls(LeadScorer.load(resolve(models, old)), LeadScorer.load(resolve(models, new)))
        if pair.old.model_version == pair.new.model_version:
            raise UsageError(f"'{pair.old.model_version}' cannot be compared with itself.", hint="name another bundle")
        return pair


def compare(
    config: Config,
    old: str,
    new: str,
    *,
    as_of: str | None = None,
    previous: Path | None = None,
    out: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compare two bundles on past weeks and on today's candidates.

    Parameters
    ----------
    config : Config
    old, new : str
        Bundles' paths or versions, ``"champion"`` or ``"challenger"``.
    as_of : str, optional
        By default the day after the newest creation or decision.
    previous : Path, optional
        Scores that the old bundle gave at an earlier moment (Parquet): tells what new facts moved.
    out : Path, optional
        ``.parquet`` or ``.csv``: one row a candidate, and what moved it.
    engine : Engine, optional
    progress : Progress, optional

    Returns
    -------
    dict
        Plain data; see `compare_pair`.
    """
    pair = Pair.load(config, old, new)
    found, table = compare_pair(config, pair, as_of=as_of, previous=previous, engine=engine, progress=progress)
    if out is not None:
        write_table(table_for_spreadsheets(table) if out.suffix.lower() == ".csv" else table, out)
    return found


def compare_pair(
    config: Config,
    pair: Pair,
    *,
    as_of: str | None = None,
    previous: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], pa.Table]:
    """Compare two opened bundles.

    Returns
    -------
    tuple of (dict, pa.Table)
        ``as_of``, ``old``, ``new``, ``window`` (the rows, ``shipped`` and ``again`` as `compare_chances` gives them,
        who ``learned`` from them, ``why`` there is none), ``lists`` and ``notes``; and one row a candidate.
    """
    progress = progress or Quiet()
    progress.begin("Reading the history")
    with (engine or LocalEngine()).open(config, kinds={**pair.old.kinds, **pair.new.kinds}) as history:
        opened = open_history(history, config, as_of=as_of, audit=False)
        for scorer in (pair.old, pair.new):
            scorer.check_attributes(history.attributes, config.leads.path)
        progress.begin("Comparing on past weeks")
        window = _window(opened, config, pair)
        progress.begin("Comparing today's lists")
        lists, table = turn(opened, config, pair.old, pair.new, previous=previous)
    models = config.path(config.output.models)
    return {
        "as_of": None if opened.as_of is None else opened.as_of.isoformat(),
        "old": _named(models, pair.old),
        "new": _named(models, pair.new),
        "window": window,
        "lists": lists,
        "notes": list(opened.notes),
    }, table


def _named(models: Path, scorer: LeadScorer) -> dict[str, Any]:
    return {
        "model_version": scorer.model_version,
        "policy_version": scorer.policy.version,
        "rule": scorer.policy.rule,
        "threshold": scorer.policy.threshold,
        "review": review_state(models, scorer.bundle.path),
        "features": len(scorer.model.features.features),
    }


def _window(opened: Opened, config: Config, pair: Pair) -> dict[str, Any]:
    """Past weeks that both are held against; where one learned from them, both recipes are fitted again before them."""
    empty: dict[str, Any] = {
        "shipped": None, "again": None, "learned": [], "remade": [], "same_recipe": False,
        "why": None,
    }  # fmt: skip
    if why := same_question(pair.old, config) or same_question(pair.new, config):
        return {**empty, "why": why}
    if opened.moment is None or config.label.horizon_days is None:
        return {**empty, "why": "past weeks have outcomes only in a history with dates and [label] horizon_days"}
    try:
        rows = labelled_rows(opened.people, config, as_of=opened.moment)
    except DataRefused as error:
        return {**empty, "why": error.problems[0].what}
    rows = rows.where(rows.mature)
    rows = rows.where(rows.at > int(rows.at.max()) - config.promotion.weeks * 7 * DAY)
    facts = {**empty, **_facts(rows)}
    return {**facts, **_judge(opened, config, pair, rows)}


def _facts(rows: Rows) -> dict[str, Any]:
    day = [figures_of.day(int(at)) for at in (rows.at.min(), rows.at.max())]
    return {
        "from": day[0],
        "to": day[1],
        "snapshots": len(rows),
        "leads": len(np.unique(rows.lead)),
        "wins": rows.winning_leads(),
        "accounts": len(np.unique(rows.group)),
    }


def _judge(opened: Opened, config: Config, pair: Pair, rows: Rows) -> dict[str, Any]:
    start = int(rows.at.min())
    known = {side: knew_until(scorer) for side, scorer in (("old", pair.old), ("new", pair.new))}
    learned = [side for side, until in known.items() if until is None or until > start]
    tables = _features(opened, pair, rows)
    shipped = _compared(config, pair, rows, tables, {"old": pair.old.model, "new": pair.new.model})
    if shipped is None:
        why = f"fewer than {LEAST_WINS} leads of these weeks were won, or not won"
        return {"learned": learned, "why": why}
    if not learned:
        return {"shipped": shipped}
    models: dict[str, Model] = {}
    remade = ["new"] if learned == ["new"] else ["old", "new"]
    try:
        models["new"] = stand_in(opened.history, config, pair.new, at=start)
        if remade == ["new"]:
            models["old"] = pair.old.model
        else:
            same = same_recipe(pair.old, pair.new)
            models["old"] = models["new"] if same else stand_in(opened.history, config, pair.old, at=start)
    except (DataRefused, GateClosed) as error:
        what = error.problems[0].what if isinstance(error, DataRefused) else str(error)
        why = f"too little was known before {_facts(rows)['from']} to fit the recipes again: {what}"
        return {"shipped": shipped, "learned": learned, "why": why}
    again = _compared(config, pair, rows, tables, models)
    same = models["old"] is models["new"]
    return {"shipped": shipped, "again": again, "learned": learned, "remade": remade, "same_recipe": same}


def _features(opened: Opened, pair: Pair, rows: Rows) -> dict[str, pa.Table]:
    marks = mark_table(opened.people, rows.lead, rows.at)
    old = build_features(opened.history, marks, pair.old.model.features)
    same = pair.new.model.features.to_dict() == pair.old.model.features.to_dict()
    return {"old": old, "new": old if same else build_features(opened.history, marks, pair.new.model.features)}


def _compared(
    config: Config, pair: Pair, rows: Rows, tables: Mapping[str, pa.Table], models: Mapping[str, Model]
) -> dict[str, Any] | None:
    p: dict[str, Floats] = {side: models[side].probability(tables[side]) for side in ("old", "new")}
    above = {}
    for side, scorer in (("old", pair.old), ("new", pair.new)):
        policy = scorer.policy
        above[side] = policy.mqls(p[side], np.arange(len(rows)), policy.values(tables[side]))
    return compare_chances(
        rows, p["old"], p["new"], old_mqls=above["old"], new_mqls=above["new"], seed=config.model.seed
    )
