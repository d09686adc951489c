"""Scoring a history as of a moment: candidates in, scores, manifest and contributions out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mqlml.errors import UsageError, masked
from mqlml.history.postgres import is_postgres
from mqlml.history.writing import table_writer
from mqlml.learning.snapshots import NEVER, mark_table
from mqlml.operation.bundle import read_json
from mqlml.operation.elsewhere import ScoringElsewhere
from mqlml.operation.registry import resolve, review_state
from mqlml.operation.scoring import CONTRIBUTIONS, SCORES, LeadScorer
from mqlml.operation.sinks import write_scores
from mqlml.review.nurture import near_misses
from mqlml.tape.build import build_features
from mqlml.tape.engine import remote_tape
from mqlml.tape.traffic import Tally
from mqlml.workflows.choosing import Choosing, chosen, waiting
from mqlml.workflows.collecting import collect_if_asked
from mqlml.workflows.handing import Handing, handing_over
from mqlml.workflows.keeping import engine_for
from mqlml.workflows.opening import Opened, Progress, Quiet, open_history
from mqlml.workflows.previous import previous_list
from mqlml.workflows.vocabulary import new_event_types, read_vocabulary, unknown_words

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.operation.scoring import Scored
    from mqlml.tape.engine import Engine, RemoteTape

__all__ = ["ScoreResult", "score"]

# Each time anew the events are read; reasons need a multiple of a lead's features in memory.
_LEADS_AT_A_TIME, _SCORED_AT_A_TIME = 200_000, 25_000


@dataclass(frozen=True)
class ScoreResult:
    """What a scoring run did; the manifest holds the same.

    ``state`` tells what was read where events are kept; the manifest is that of a run that reads everything.
    """

    out: Path | str
    manifest: Mapping[str, Any]
    state: Mapping[str, Any] | None = None


def score(
    config: Config,
    *,
    out: Path | str | None = None,
    as_of: str | None = None,
    model: str | None = None,
    previous: Path | str | None = None,
    reasons: bool = True,
    contributions: Path | None = None,
    handoff: Path | None = None,
    engine: Engine | None = None,
    state: Path | None = None,
    progress: Progress | None = None,
) -> ScoreResult:
    """Score every candidate as of a moment.

    Parameters
    ----------
    config : Config
        Where the data are; candidates follow its ``[snapshots]``.
    out : Path or str
        .parquet, .csv, .duckdb, a folder, or a table of PostgreSQL as ``postgresql://user@host/database#table``;
        by default the first place of ``[output] scores``.
    as_of : str, optional
        By default the day after the newest creation or decision.
    model : str, optional
        A bundle's path or version; by default the champion.
    previous : Path or str, optional
        Scores of an earlier moment (Parquet), or a table of PostgreSQL, of which the newest before this one count:
        ``change`` compares with their MQLs.
    reasons : bool
    contributions : Path, optional
        Parquet or CSV file for all contributions, one row a lead and criterion.
    handoff : Path, optional
        Folder for the lists of those who take the leads; by default that of ``[handoff]``, if there is one.
    engine : Engine, optional
        Where events are read and features and scores are computed; by default here. Results do not depend on it.
    state : Path, optional
        Folder in which checked events are kept, so that the next run reads only new files of the folder ``[events]
        path``; by default that of ``[output] state``, if there is one. Results do not depend on it.
    progress : Progress, optional
    """
    progress = progress or Quiet()
    progress.begin("Opening the model")
    out = _place(config) if out is None else out
    config, lists = handing_over(config, handoff)
    models = config.path(config.output.models)
    bundle = resolve(models, model)
    scorer = LeadScorer.load(bundle, words=read_vocabulary(config))
    progress.begin("Reading the history")
    collected = collect_if_asked(config, as_of=as_of)
    with engine_for(config, engine, state) as (place, kept), place.open(config, kinds=scorer.kinds) as history:
        opened = open_history(history, config, as_of=as_of, audit=False)
        new_columns = scorer.check_attributes(history.attributes, config.leads.path)
        lead, skipped = _who(opened)
        choosing = Choosing(config, scorer.policy, opened, scorer.model.features, lead, previous_list(previous, opened))
        choosing.check()
        handing = None
        if lists is not None and config.handoff is not None:
            handing = Handing(config.handoff, lists, opened, scorer.model.features)
            handing.check()
        manifest = _manifest(scorer, opened, config, skipped, review_state(models, bundle), new_columns)
        manifest["policy_version"] = choosing.version
        _add_collected(manifest, collected)
        wanted = reasons or contributions is not None or config.policy.min_fit is not None
        progress.begin("Scoring", -(-max(len(lead), 1) // _SCORED_AT_A_TIME))
        run = _Run(scorer, opened, lead, choosing, wanted, contributions is not None, manifest, progress, handing)
        with table_writer(contributions, CONTRIBUTIONS) if contributions else nullcontext() as add:
            write_scores(run.batches(add), SCORES, out, manifest=manifest)
        if handing is not None:
            progress.begin("Writing the lists")
            manifest["handoff"] = handing.write(manifest)
    return ScoreResult(masked(out) if isinstance(out, str) else out, manifest, kept.told if kept else None)


def _place(config: Config) -> Path | str:
    """Where scores are kept unless the command says otherwise."""
    if not config.output.places:
        raise UsageError(
            "Where to write the scores is not said.", hint='add --out scores.parquet, or scores = ["..."] to [output]'
        )
    place = config.output.places[0]
    return place if is_postgres(place) else config.path(place)


def _add_collected(manifest: dict[str, Any], collected: Mapping[str, Any] | None) -> None:
    if collected is not None:
        manifest["collected"] = {"changes": collected["rows"]}  # so far, so that a run repeated says the same
        manifest["notes"] += collected["notes"]


@dataclass(frozen=True)
class _Run:
    """Scores chunk by chunk, chooses when all are there and counts; the manifest is written after the last chunk."""

    scorer: LeadScorer
    opened: Opened
    lead: np.ndarray[Any, np.dtype[np.int64]]
    choosing: Choosing
    reasons: bool
    contributions: bool
    manifest: dict[str, Any]
    progress: Progress
    handing: Handing | None = None
    tally: Tally = field(default_factory=Tally)

    def batches(self, add: Callable[[pa.Table], None] | None) -> Iterator[pa.RecordBatch]:
        """Batches of scores; their contributions go to ``add`` where somebody wants them."""
        lacks: list[np.ndarray[Any, np.dtype[np.int16]]] = []
        with waiting() as aside:
            for scored in self._parts():
                if scored.lacks is not None:
                    lacks.append(scored.lacks)
                if add is not None:
                    add(scored.contributions())
                aside.add(scored)
                self.progress.advance()
            everybody = aside.close()
            selection = self.choosing.select(everybody)
            start = 0
            for table in aside.batches():
                done = chosen(table, selection, start, policy_version=self.choosing.version)
                start += table.num_rows
                self._count(done)
                if self.handing is not None:
                    self.handing.add(done)
                yield from done.to_batches()
        counts, notes = self.choosing.facts(selection, everybody["probability"].to_numpy())
        self.manifest["selection"] = counts
        self.manifest["traffic"] = self.tally.lines()
        self.manifest["notes"] += [*self.tally.notes, *notes]
        self._nurture(everybody["probability"].to_numpy(), selection.tier == "nurture", lacks)

    def _nurture(
        self,
        p: np.ndarray[Any, np.dtype[np.float64]],
        nurture: np.ndarray[Any, np.dtype[np.bool_]],
        lacks: list[np.ndarray[Any, np.dtype[np.int16]]],
    ) -> None:
        """Add who is just below the line, what they lack and what preceded crossing it in the past."""
        scorer, threshold = self.scorer, self.scorer.policy.threshold
        if threshold is None or not len(p):
            return
        if not self.reasons:
            self.manifest["notes"].append("Near misses are not told: they are made of the reasons.")
            return
        names = tuple(scorer.explainer.criteria)
        found = near_misses(p, nurture, np.concatenate(lacks), names, threshold=threshold, labels=scorer.labels)
        stored = scorer.bundle.parts
        told = read_json(stored, "report.json").get("nurture") if "report.json" in stored else None
        self.manifest["nurture"] = {**found, "preceded": None if told is None else told["preceded"]}

    def _parts(self) -> Iterator[Scored]:
        tape = remote_tape(self.opened.history)
        if tape is not None and self.opened.moment is not None:
            if len(self.lead):
                yield from self._elsewhere(tape, self.opened.moment)
            return
        for start in range(0, len(self.lead), _LEADS_AT_A_TIME):
            yield from self._score(self.lead[start : start + _LEADS_AT_A_TIME])

    def _elsewhere(self, tape: RemoteTape, moment: int) -> Iterator[Scored]:
        """Scores made where the features are; they come back in the order of the leads."""
        scoring = ScoringElsewhere.of(
            self.scorer,
            as_of=moment,
            previous=None,
            reasons=self.reasons,
            contributions=self.contributions,
        )
        history, features = self.opened.history, self.scorer.model.features
        marks = self._marks(self.lead)
        for batch in tape.apply(history, marks, features, scoring, scoring.schema, tally=self.tally):
            yield scoring.scored(batch, self.scorer)

    def _marks(self, lead: np.ndarray[Any, np.dtype[np.int64]]) -> pa.Table:
        moment = NEVER if self.opened.moment is None else self.opened.moment
        return mark_table(self.opened.people, lead, np.full(len(lead), moment, dtype=np.int64))

    def _score(self, lead: np.ndarray[Any, np.dtype[np.int64]]) -> Iterator[Scored]:
        table = build_features(self.opened.history, self._marks(lead), self.scorer.model.features, tally=self.tally)
        for start in range(0, table.num_rows, _SCORED_AT_A_TIME):
            part = table.slice(start, _SCORED_AT_A_TIME)
            yield self.scorer.score(part, as_of=self.opened.moment, reasons=self.reasons)

    def _count(self, scores: pa.Table) -> None:
        for tier in ("hot", "mql", "nurture", "cold"):
            count = sum(value == tier for value in scores["tier"].to_pylist())
            self.manifest["tiers"][tier] = self.manifest["tiers"].get(tier, 0) + count
        for word in ("untracked", "silent", "unseen value"):
            count = sum(word in value for value in scores["quality"].to_pylist())
            self.manifest["quality"][word] = self.manifest["quality"].get(word, 0) + count
        self.manifest["scored"] += scores.num_rows
        self.manifest["mqls"] += int(np.sum(scores["is_mql"].to_numpy()))


def _who(opened: Opened) -> tuple[np.ndarray[Any, np.dtype[np.int64]], dict[str, int]]:
    """Candidates to score, and how many leads are skipped for which reason."""
    people = opened.people
    if opened.moment is None:
        open_leads = np.isnan(people.outcome) & ~people.ignored
        return np.flatnonzero(open_leads), {
            "decided": int((~np.isnan(people.outcome)).sum()),
            "outcome ignored": int(people.ignored.sum()),
        }
    fates = people.fates(opened.moment)
    candidates = np.flatnonzero(fates.pop("candidate"))
    return candidates, {name: int(flags.sum()) for name, flags in fates.items() if flags.any()}


def _manifest(
    scorer: LeadScorer, opened: Opened, config: Config, skipped: dict[str, int], review: str, new_columns: list[str]
) -> dict[str, Any]:
    account = next(a for a in opened.history.accounts if a.table == "leads")
    notes = list(opened.notes)
    unknown = [name for name in new_columns if name not in config.policy.columns_beside]
    if unknown:
        notes.append(f"Columns the model does not know, not used: {', '.join(unknown)}.")
    notes += new_event_types(scorer.model.features, opened)
    notes += unknown_words(scorer.words, scorer.model.features)
    return {
        "model_version": scorer.model_version,
        "policy_version": scorer.policy.version,
        "review": review,
        "as_of": opened.as_of,
        "policy": scorer.policy.rule,
        "threshold": scorer.policy.threshold,
        "rows_in": account.rows_in,
        "quarantined": account.quarantined,
        "skipped": {**account.skipped, **skipped},
        "scored": 0,
        "mqls": 0,
        "tiers": {},
        "quality": {},
        "traffic": [],
        "label": config.label.model_dump(),
        "tables": [
            {"table": a.table, "rows_in": a.rows_in, "used": a.used, "quarantined": a.quarantined,
             "skipped": dict(a.skipped)}
            for a in opened.history.accounts
        ],
        "notes": notes,
    }  # fmt: skip
