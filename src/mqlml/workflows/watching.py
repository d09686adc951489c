"""What monitoring looks at: today's leads, matured scores, hand-overs and flows, gathered for the checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.history.queries import event_days, leads_by_event_type
from mqlml.learning.decisions import positions
from mqlml.learning.evaluation import reliability
from mqlml.learning.moments import DAY, NEVER, as_microseconds, microseconds
from mqlml.learning.resampling import Resampler
from mqlml.learning.snapshots import mark_table
from mqlml.operation import monitoring_flow as flow
from mqlml.operation import monitoring_outcomes as outcome
from mqlml.operation import monitoring_sales as sales
from mqlml.operation.monitoring import Measured, missing
from mqlml.operation.monitoring_domain import PAST_MOMENTS, told_apart
from mqlml.operation.monitoring_outcomes import Matured
from mqlml.operation.monitoring_reasons import reasons
from mqlml.operation.monitoring_sales import Handed
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
    "expected",
    "flow_checks",
    "outcome_checks",
    "past_scores",
    "sales_checks",
    "world",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# A few thousand leads tell every drift that matters; more only take longer.
_MOST_LEADS, _LEADS_A_MOMENT, _MOST_MATURED = 10_000, 400, 100_000
_YEAR, _WEEKS, _DAYS_BEFORE, _WEEK = 365, 13, 92, 7 * DAY


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


def flow_checks(
    world: World, past: PastScores, reference: Mapping[str, Any] | None
) -> tuple[list[dict[str, Any]], list[Measured]]:
    """MQLs week by week, and MON-05 and MON-10 to MON-12."""
    decision = world.summary["decision"]
    weeks = [(end, n) for end, n in flow.new_mqls(past.lists)]
    fresh = weeks[-1][1] if weeks and world.now - weeks[-1][0] < 7 * DAY else None
    replayed = [float(w["mqls"]) for w in decision.get("weeks_replayed") or []]
    usual = decision.get("mqls_per_week")
    days = event_days(world.history, until=world.now, days=_DAYS_BEFORE)
    since = 1.0 if reference is None else (reference["to"] - reference["from"]) / DAY
    checks = [
        flow.volume(fresh, replayed, usual=usual),
        flow.freshness(world.now, _times(world, days)),
    ]
    if world.history.remote is not None:
        elsewhere = "Needs the events here: monitoring reads them with the local engine."
        checks += [missing("MON-10", elsewhere), missing("MON-12", elsewhere)]
    else:
        leads = leads_by_event_type(world.history, since=world.now - 7 * DAY, until=world.now)
        known = None if reference is None else reference["event_types"]
        few = 0 if reference is None else reference["few"]
        checks += [flow.new_event_types(known, leads, few=few, days=since), flow.event_flow(_by_week(days))]
    told = [{"week": _iso(end - 7 * DAY), "mqls": n, **_range(usual)} for end, n in weeks]
    return told, checks


def sales_checks(world: World) -> tuple[list[Measured], list[dict[str, Any]], list[dict[str, Any]]]:
    """MON-13 to MON-16, and the answers by team and by region."""
    settings = world.config.handovers
    if settings is None:
        what = "Needs the table [handovers]: when leads went to sales, and what sales said."
        return [missing(f"MON-{number}", what) for number in (13, 14, 15, 16)], [], []
    handed, lead, region = _handed(world, settings.region)
    days = settings.touch_within_days
    checks = [
        sales.acceptance(handed),
        sales.first_touch(handed, within_days=days),
        reasons(handed, world.history.attributes.take(pa.array(lead))),
        sales.not_won(handed, horizon_days=world.horizon_days, within_days=days),
    ]
    teams = sales.by_part(handed, handed.recipient, within_days=days)
    return checks, teams, sales.by_part(handed, handed.region, within_days=days) if region else []


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
    return looked, (f"Features are compared as of {_iso(looked)}, the day of the week that was learned from.",)


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


def _handed(world: World, region: str | None) -> tuple[Handed, Integers, str | None]:
    """Hand-overs and answers as they were known then; a region that is no column of the leads is left out."""
    table = world.history.handovers
    lead, at = positions(world.history, table["lead_id"]), microseconds(table["handed_at"], NEVER)
    known = (lead >= 0) & (at < world.now)
    table, lead, at = table.filter(pa.array(known)), lead[known], at[known]
    moments = {name: microseconds(table[f"{name}_at"], NEVER) for name in ("accepted", "rejected", "first_touch")}
    answers = {name: np.where(when < world.now, when, NEVER) for name, when in moments.items()}
    texts = {name: np.asarray(table[name].to_pylist(), dtype=object) for name in ("reason", "recipient")}
    attributes = world.history.attributes
    found = region if region in attributes.column_names else None
    place = np.full(len(lead), None, dtype=object)
    if found is not None:
        place = np.asarray(attributes[found].cast(pa.string()).take(pa.array(lead)).to_pylist(), dtype=object)
    won = world.people.decisions.wins.first_from(lead, at)
    handed = Handed(
        lead, world.people.group[lead], at, answers["accepted"], answers["rejected"], answers["first_touch"], won,
        texts["reason"], texts["recipient"], place, world.now,
    )  # fmt: skip
    return handed, lead, found


def _times(world: World, days: Sequence[tuple[str, int, int, int]]) -> dict[str, Integers]:
    """Ascending times before now of each table; of events the newest of each day."""
    newest: dict[int, int] = {}
    for _, day, _, at in days:
        newest[day] = max(at, newest.get(day, at))
    decided = microseconds(world.history.outcomes["decided_at"], NEVER)
    times = {
        "events": np.array(sorted(newest.values()), dtype=np.int64),
        "leads": np.sort(world.people.created),
        "outcomes": np.sort(decided),
        "hand-overs": np.sort(microseconds(world.history.handovers["handed_at"], NEVER)),
    }
    return {name: at[at < world.now] for name, at in times.items() if (at < world.now).any()}


def _by_week(days: Sequence[tuple[str, int, int, int]]) -> dict[str, list[float]]:
    """Events of each type in each of the last 13 weeks, the newest last; weeks before the first event are left out."""
    weeks = min(max((day for _, day, _, _ in days), default=0) // 7, _WEEKS)
    found: dict[str, list[float]] = {}
    for name, day, n, _ in days:
        if day // 7 < weeks:
            found.setdefault(name, [0.0] * weeks)[weeks - 1 - day // 7] += n
    return found


def _drawn(lead: Integers, most: int, seed: int) -> Integers:
    if len(lead) <= most:
        return lead
    return np.sort(np.random.default_rng(seed).choice(lead, most, replace=False))


def _range(usual: Mapping[str, float] | None) -> dict[str, float | None]:
    return {"low": None, "high": None} if not usual else {"low": usual["p10"], "high": usual["p90"]}


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1_000_000, UTC).date().isoformat()
