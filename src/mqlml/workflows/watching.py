"""What monitoring looks at: today's leads, matured scores, hand-overs and flows, gathered for the checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.learning.decisions import positions
from mqlml.learning.evaluation import reliability
from mqlml.learning.moments import DAY, NEVER, as_microseconds, microseconds
from mqlml.learning.resampling import Resampler
from mqlml.learning.snapshots import mark_table
from mqlml.operation import monitoring_outcomes as outcome
from mqlml.operation.monitoring import Measured
from mqlml.operation.monitoring_domain import PAST_MOMENTS, told_apart
from mqlml.operation.monitoring_outcomes import Matured
from mqlml.operation.parts import read_json
from mqlml.operation.reference import REFERENCE
from mqlml.tape.build import build_features

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.contract import History
    from mqlml.learning.snapshots import Population
    from mqlml.operation.scoring import LeadScorer
    from mqlml.workflows.opening import Opened

__all__ = [
    "PastScores",
    "World",
    "apart",
    "as_microseconds",
    "day_of",
    "expected",
    "outcome_checks",
    "past_scores",
    "world",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# A few thousand leads tell every drift that matters; more only take longer.
_MOST_LEADS, _LEADS_A_MOMENT, _MOST_MATURED = 10_000, 400, 100_000
_YEAR, _WEEK = 365, 7 * DAY


@dataclass(frozen=True)
class World:
    """What is known at the moment of monitoring.

    Attributes
    ----------
    history, people, config, scorer
        The history, everybody in it, the settings and the model.
    summary : mapping
        The bundle's own account of its training.
    as_of : datetime
    now : int
        The same in microseconds.
    looked : int
        Moment of the leads that are compared with those learned from: at most six days before, on the same day of the
        week as they were, since a Monday has no Sunday's visits.
    lead : ndarray of int64, shape (n,)
        The candidates then, at most 10,000 drawn at random.
    today : pa.Table
        Their features.
    p : ndarray of float64, shape (n,)
        Their chances.
    notes : tuple of str
    """

    history: History
    people: Population
    config: Config
    scorer: LeadScorer
    summary: Mapping[str, Any]
    as_of: datetime
    now: int
    looked: int
    lead: Integers
    today: pa.Table
    p: Floats
    notes: tuple[str, ...]

    @property
    def seed(self) -> int:
        """For everything that is drawn."""
        return self.config.model.seed

    @property
    def horizon_days(self) -> int | None:
        """The horizon of the model, not of today's settings."""
        found: int | None = read_label(self.scorer)["horizon_days"]
        return found


@dataclass(frozen=True)
class PastScores:
    """Stored scores: those whose horizon is over, and the list of each moment.

    Attributes
    ----------
    matured : Matured
    lists : tuple of (int, frozenset of str)
        Moments in microseconds, ascending, and who was an MQL.
    chances : ndarray of float64
        Of the MQLs of the newest list.
    notes : tuple of str
    """

    matured: Matured
    lists: tuple[tuple[int, frozenset[str]], ...]
    chances: Floats
    notes: tuple[str, ...]


def read_label(scorer: LeadScorer) -> Mapping[str, Any]:
    """``[label]`` as it was at training."""
    label: Mapping[str, Any] = read_json(scorer.bundle.parts, "training.json")["label"]
    return label


def world(opened: Opened, config: Config, scorer: LeadScorer, summary: Mapping[str, Any]) -> World:
    """Compute features and chances of the candidates of today, or of the last day that is the same day of the week."""
    if opened.as_of is None:
        raise ValueError("a history without dates has no today")
    now = as_microseconds(opened.as_of)
    looked, notes = _same_weekday(now, scorer)
    lead = _drawn(np.flatnonzero(opened.people.fates(looked)["candidate"]), _MOST_LEADS, config.model.seed)
    today = _features(opened, scorer, lead, np.full(len(lead), looked))
    p = scorer.model.probability(today) if len(lead) else np.zeros(0)
    return World(
        opened.history, opened.people, config, scorer, summary, opened.as_of, now, looked, lead, today, p,
        (*opened.notes, *notes),
    )  # fmt: skip


def past_scores(world: World, stored: pa.Table) -> PastScores:
    """Look up what became of stored scores; those of other models count where none of this one is old enough."""
    at = microseconds(stored["as_of"], NEVER)
    stored, at = stored.filter(pa.array(at <= world.now)), at[at <= world.now]
    lead = positions(world.history, stored["lead_id"])
    horizon = NEVER if world.horizon_days is None else world.horizon_days * DAY
    ripe = (lead >= 0) & (at + horizon <= world.now)
    version = np.asarray(stored["model_version"].to_pylist(), dtype=object)
    notes = []
    if (ripe & (version == world.scorer.model_version)).any():
        ripe &= version == world.scorer.model_version
    elif ripe.any():
        names = ", ".join(sorted({str(v) for v in version[ripe]})[:5])
        notes.append(f"No score of this model is old enough yet: promises are those of {names}.")
    if (lead < 0).any():
        notes.append(f"{int((lead < 0).sum()):,} stored scores belong to leads that are not in the leads file.")
    ids, mql = np.asarray(stored["lead_id"].to_pylist(), dtype=object), stored["is_mql"].to_numpy()
    moments = np.unique(at)
    lists = tuple((int(m), frozenset(ids[(at == m) & mql])) for m in moments)
    p = stored["probability"].to_numpy()
    newest = p[(at == moments[-1]) & mql] if len(moments) and at[-1] == world.now else np.zeros(0)
    return PastScores(_matured(world, stored, lead, at, p, ripe, horizon), lists, newest, tuple(notes))


def outcome_checks(world: World, past: PastScores) -> tuple[list[Measured], list[dict[str, float]]]:
    """MON-01 to MON-04, and promised against realised win rates in groups."""
    scores, seed = past.matured, world.seed
    measured = {m["name"]: m["model"] for m in (world.summary.get("evaluation") or {}).get("metrics", [])}
    checks = [
        outcome.mql_win_rate(scores, promised=world.summary["decision"].get("win_rate"), seed=seed),
        outcome.level(scores, tested=measured.get("observed_over_expected"), seed=seed),
        outcome.slope(scores, tested=measured.get("slope"), seed=seed),
        outcome.control_leads(scores, per_week=world.config.policy.control_per_week),
    ]
    if not checks[1].measured:
        return checks, []
    groups = reliability(scores.won, scores.p, scores.lead, Resampler(scores.group, seed=seed))
    return checks, groups


def apart(world: World) -> Measured:
    """MON-08: today's leads against those at moments before the model was trained, computed anew from the history.

    The moments end where no candidate of then can be one of today's.
    """
    trained = world.summary.get("as_of")
    end = world.looked - world.people.max_age_days * DAY
    if trained is not None:
        end = min(end, as_microseconds(datetime.fromisoformat(trained)))
    end = world.looked - -(-(world.looked - end) // _WEEK) * _WEEK
    # Half of the candidates of a moment before the records begin are too young to be like any others.
    first = max(end - _YEAR * DAY, int(world.people.start.min()) + world.people.max_age_days * DAY)
    steps = np.unique(np.linspace(0, max(end - first, 0) // _WEEK, PAST_MOMENTS).astype(np.int64))
    moments: Integers = end - steps * _WEEK if first < end else steps[:0]
    lead = [_drawn(world.lead, _LEADS_A_MOMENT, world.seed)]
    for moment in moments:
        there = np.flatnonzero(world.people.fates(int(moment))["candidate"])
        lead.append(_drawn(there, _LEADS_A_MOMENT, world.seed))
    number = np.repeat(np.arange(len(lead)), [len(part) for part in lead])
    at = np.r_[world.looked, moments].astype(np.int64)[number]
    who = np.concatenate(lead)
    order = np.lexsort((at, who))
    opened = _Opened(world.history, world.people)
    table = _features(opened, world.scorer, who[order], at[order])
    matrix = world.scorer.model.matrix(table) if table.num_rows else np.zeros((0, 1))
    return told_apart(matrix, number[order], world.people.group[who[order]], seed=world.seed)


def expected(world: World, past: PastScores, outcomes: Sequence[Measured]) -> Measured:
    """MON-17: from the newest list where it is of today, else from whom the policy would choose."""
    chances = past.chances
    if not len(chances):
        policy = world.scorer.policy
        chances = world.p[policy.mqls(world.p, world.lead.astype(str), policy.values(world.today))]
    level = next(m for m in outcomes if m.code == "MON-02")
    sure = level.p_value is not None and level.p_value <= 0.01
    ratio = level.figures["observed_over_expected"]["value"] if sure else None
    usual = world.summary["decision"].get("mqls_per_week")
    return outcome.next_week(chances, usual=None if usual is None else usual["median"], ratio=ratio)


def _same_weekday(now: int, scorer: LeadScorer) -> tuple[int, tuple[str, ...]]:
    """The last moment on the training's weekly grid, and what to say of it."""
    parts = scorer.bundle.parts
    every = read_json(parts, "training.json")["snapshots"]["every_days"]
    reference = read_json(parts, REFERENCE) if REFERENCE in parts else None
    if reference is None or every % 7:
        return now, ()
    looked = now - (now - reference["to"]) % _WEEK
    if looked == now:
        return now, ()
    return looked, (f"Features are compared as of {day_of(looked)}, the day of the week that was learned from.",)


@dataclass(frozen=True)
class _Opened:
    history: History
    people: Population


def _features(opened: Opened | _Opened, scorer: LeadScorer, lead: Integers, at: Integers) -> pa.Table:
    return build_features(opened.history, mark_table(opened.people, lead, at), scorer.model.features)


def _matured(
    world: World, stored: pa.Table, lead: Integers, at: Integers, p: Floats, ripe: npt.NDArray[np.bool_], horizon: Any
) -> Matured:
    row = np.flatnonzero(ripe)
    kept = np.isin(lead[row], _drawn(np.unique(lead[row]), _most_leads(lead[row]), world.seed))
    row = row[kept]
    row = row[np.lexsort((at[row], lead[row]))]
    won = world.people.decisions.wins.first_from(lead[row], at[row]) - at[row] < horizon
    return Matured(
        lead[row],
        world.people.group[lead[row]],
        at[row],
        np.clip(p[row], 1e-9, 1 - 1e-9),
        won.astype(float),
        stored["is_mql"].to_numpy()[row],
        stored["control"].to_numpy()[row],
    )


def _most_leads(lead: Integers) -> int:
    """So many leads that about as many rows remain as can be handled; whole leads, for their first crossings."""
    return int(len(np.unique(lead)) * min(1.0, _MOST_MATURED / max(len(lead), 1)))


def _drawn(lead: Integers, most: int, seed: int) -> Integers:
    if len(lead) <= most:
        return lead
    return np.sort(np.random.default_rng(seed).choice(lead, most, replace=False))


def day_of(moment: int) -> str:
    """The day of a moment, as text."""
    return datetime.fromtimestamp(moment / 1_000_000, UTC).date().isoformat()
