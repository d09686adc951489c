"""The past weeks walked again: learn, score and choose only from what was known then, and see what came of it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mqlml.decision.choosing import counted
from mqlml.decision.memory import Listed
from mqlml.decision.rules import known_then, rule_problems
from mqlml.errors import DataRefused, UsageError
from mqlml.history.writing import write_table, write_text
from mqlml.learning.present import present_problems
from mqlml.learning.snapshots import mark_table
from mqlml.learning.training import train_model
from mqlml.operation.bundle import moment_name, read_json, write_bundle
from mqlml.operation.golden import make_golden_rows
from mqlml.operation.scoring import LeadScorer, encode_json, grade_bounds
from mqlml.review.reasons import Explainer
from mqlml.tape.build import build_features
from mqlml.tape.engine import LocalEngine
from mqlml.workflows.choosing import Choosing, chosen
from mqlml.workflows.following import follow
from mqlml.workflows.grounding import gather
from mqlml.workflows.opening import Opened, Progress, Quiet, open_history
from mqlml.workflows.preparing import prepare, recipe_of
from mqlml.workflows.walkpages import markdown, week_rows

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.contract import History
    from mqlml.tape.engine import Engine

__all__ = ["Backtested", "backtest"]

# Models of the walk are lighter than the shipped one: fewer bags, origins and rows; if anything too modest.
_BAGS, _ORIGINS, _ROWS = 3, 2, 60_000
_EXPLAINED = 2_000


@dataclass(frozen=True)
class Backtested:
    """What a walk leaves behind: a page to read, and the same as plain data."""

    page: Path
    summary: Mapping[str, Any]


def backtest(
    config: Config,
    *,
    out: Path,
    weeks: int = 26,
    retrain_every_weeks: int = 13,
    as_of: str | None = None,
    restart: bool = False,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Backtested:
    """Walk past weeks: hand over by the policy as it would have been then, and follow what happened.

    A run that was stopped goes on where it was: each week is kept in ``out/state`` once it is complete.

    Parameters
    ----------
    config : Config
    out : Path
        Folder for ``backtest.md``, ``backtest.json``, ``weeks.csv`` and ``state``.
    weeks : int
        Weeks to walk; the newest ends one horizon before ``as_of``, so that every outcome is known.
    retrain_every_weeks : int
        Weeks for which a model is used.
    as_of : str, optional
        Until when outcomes are followed; by default the day after the newest creation or decision.
    restart : bool
        Forget what an earlier run left in ``out/state``.
    engine : Engine, optional
    progress : Progress, optional

    Raises
    ------
    DataRefused
        The history cannot be used, or holds too little before the first week.
    UsageError
        There are no dates or no horizon, or ``out`` holds a walk with other settings.
    """
    progress = progress or Quiet()
    progress.begin("Reading the history")
    with (engine or LocalEngine()).open(config) as history:
        opened = open_history(history, config, as_of=as_of, audit=False)
        walk = _Walk.plan(opened, config, out, weeks, retrain_every_weeks)
        walk.claim(restart=restart)
        progress.begin("Walking past weeks", weeks)
        before: Listed | None = None
        for number in range(weeks):
            walk.week(number, before)
            listed = Listed.of(pq.read_table(walk.file(number)))
            before = listed if before is None else before.then(listed)
            progress.advance()
        progress.begin("Following what happened")
        facts = [json.loads(walk.file(number, "json").read_text()) for number in range(weeks)]
        lists = [pq.read_table(walk.file(number)) for number in range(weeks)]
        summary = follow(opened, config, lists, facts, notes=walk.notes)
    return _publish(out, summary)


@dataclass(frozen=True)
class _Walk:
    history: History
    config: Config
    until: datetime
    out: Path
    origins: tuple[datetime, ...]
    every: int
    notes: tuple[str, ...]

    @classmethod
    def plan(cls, opened: Opened, config: Config, out: Path, weeks: int, every: int) -> _Walk:
        """Fix the weeks; refuse what cannot be walked."""
        if opened.as_of is None or config.label.horizon_days is None:
            lacking = "dates" if opened.as_of is None else "[label] horizon_days"
            raise UsageError(
                f"A backtest follows leads over time and needs {lacking}.",
                hint="see docs/backtest.md for what it reads",
            )
        history = opened.history
        problems = present_problems(history, config, attributes=history.attributes.column_names)
        problems += rule_problems(config.policy.rules, history)
        if problems:
            raise DataRefused(problems)
        rules, hindsight = known_then(config.policy.rules, history, config)
        notes = [
            f"The rule '{name}' needs today's value of a column, which is hindsight for a past week: not applied. "
            "Let [history] hold the column's changes, or name it in [leads] known_at_creation if it never changes."
            for name in hindsight
        ]
        searches = [f"[model] {key}" for key in ("select", "tune") if getattr(config.model, key)]
        if searches:
            notes.append(f"{' and '.join(searches)}: a walk does not search; it uses all features and default trees.")
        last = opened.as_of - timedelta(days=config.label.horizon_days)
        origins = tuple(last - timedelta(days=7 * back) for back in reversed(range(weeks)))
        policy = config.policy.model_copy(update={"rules": rules})
        model = config.model
        lighter = model.model_copy(
            update={
                "bags": min(model.bags, _BAGS),
                "origins": min(model.origins, _ORIGINS),
                "max_rows": min(model.max_rows, _ROWS),
            }
        )
        walked = config.model_copy(update={"policy": policy, "model": lighter})
        return cls(history, walked, opened.as_of, out, origins, every, tuple(notes))

    def file(self, number: int, suffix: str = "parquet") -> Path:
        """Where the list of a week lies, or its facts."""
        return self.out / "state" / f"{moment_name(self.origins[number])}.{suffix}"

    def claim(self, *, restart: bool) -> None:
        """Go on with an earlier run of the same walk; never mix two.

        Raises
        ------
        UsageError
            The folder holds another walk.
        """
        state = self.out / "state"
        if restart and state.exists():
            shutil.rmtree(state)
        mark, mine = state / "walk.json", self._fingerprint()
        if mark.exists() and mark.read_text() != mine:
            raise UsageError(
                f"{state} holds weeks walked with other settings or files.",
                hint="start over with --restart, or name another folder with --out",
            )
        if not mark.exists():
            write_text(mark, mine)

    def _fingerprint(self) -> str:
        settings = self.config.model_dump(mode="json", exclude={"output": True, "handoff": True, "model": {"threads"}})
        files = {}
        for name, section in self.config:
            path = getattr(section, "path", None)
            file = self.config.path(path) if path else None
            if file is not None and file.is_file():
                files[name] = [file.stat().st_size, file.stat().st_mtime_ns]
        data = [settings, files, [origin.isoformat() for origin in self.origins], self.every]
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest() + "\n"

    def week(self, number: int, before: Listed | None) -> None:
        """Score and choose as of one past moment, unless that has been done; ``before`` is everybody listed so far."""
        if self.file(number).exists() and self.file(number, "json").exists():
            return
        scorer = self._scorer(number - number % self.every)
        opened = open_history(self.history, self.config, as_of=self.origins[number].isoformat(), audit=False)
        lead = np.flatnonzero(opened.people.fates(int(opened.moment or 0))["candidate"])
        marks = mark_table(opened.people, lead, np.full(len(lead), opened.moment))
        table = build_features(self.history, marks, scorer.model.features)
        scored = scorer.score(table, as_of=opened.moment, reasons=self.config.policy.min_fit is not None)
        features = scorer.model.features
        choosing = Choosing(self.config, scorer.policy, opened, features, lead, before, walking=True)
        selection = choosing.select(scored.deciding())
        decided = chosen(scored.scores, selection, 0, policy_version=choosing.version)
        write_table(decided.drop_columns(["reason_1", "reason_2", "reason_3"]), self.file(number))
        facts = {
            "as_of": self.origins[number].isoformat(),
            "model_version": scorer.model_version,
            "candidates": len(lead),
            **read_json(scorer.bundle.parts, "promise.json"),
            "selection": selection.counts,
        }
        write_text(self.file(number, "json"), json.dumps(facts, indent=1))

    def _scorer(self, number: int) -> LeadScorer:
        """The model of a stretch of weeks, from the disk where an earlier run left it."""
        models = self.out / "state" / "models"
        name = moment_name(self.origins[number])
        there = sorted(models.glob(f"{name}-*")) if models.exists() else []
        return LeadScorer.load(there[0] if there else self._train(number, models))

    def _train(self, number: int, models: Path) -> Path:
        """Learn as a training on that day would, a little lighter; nothing is judged but the policy."""
        config, origin = self.config, self.origins[number]
        opened = open_history(self.history, config, as_of=origin.isoformat())
        ready = prepare(opened, config)
        rows, table, least = ready.rows, ready.table, config.model.min_level_count
        done = train_model(table, rows, ready.features, ready.plan, recipe=recipe_of(config), min_leads=least)
        basis = gather(opened, config, rows, ready.plan, table, done, None)
        policy = basis.policy(config.policy)
        worth = "worth_column" if config.policy.value_column is not None else "worth_learned"
        seen = counted(basis.replay, policy.unit, policy.cost, worth)
        outcome = seen.outcome(policy.threshold if policy.threshold is not None else 1.0)
        newest = table.take(pa.array(np.sort(np.argsort(-rows.when, kind="stable")[:_EXPLAINED])))
        promise = {
            "threshold": policy.threshold,
            "promised_win_rate": _finite(outcome.win_rate.value),
            "promised_per_week": outcome.per_week,
            "policy": policy.rule,
        }
        parts = {
            **done.model.to_parts(),
            "policy.json": encode_json(policy.to_dict()),
            "grades.json": encode_json(grade_bounds(Explainer(done.model).explain(newest, done.model.matrix(newest)))),
            "golden.json": encode_json(make_golden_rows(done.model)),
            "promise.json": encode_json(promise),
        }
        return write_bundle(parts, models, as_of=origin.astimezone(UTC))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _publish(out: Path, summary: Mapping[str, Any]) -> Backtested:
    page = out / "backtest.md"
    write_table(_week_table(summary["weeks"]), out / "weeks.csv")
    write_text(out / "backtest.json", encode_json(summary).decode() + "\n")
    write_text(page, markdown(summary))
    return Backtested(page, summary)


def _week_table(weeks: Sequence[Mapping[str, Any]]) -> pa.Table:
    rows = week_rows(weeks)
    return pa.Table.from_pylist(rows) if rows else pa.table({"week": pa.array([], pc.field("week").type)})
