"""How often monitoring alarms by itself, and how often it finds what changed: made-up weeks through the real checks.

Run ``python benchmarks/monitoring.py --weeks 400 --power 30``. Every week is a world of its own: leads that stay for
weeks, colleagues who share features and luck, a newsletter that shifts features of everybody in some weeks, values with
a long tail, chances that are known no better than a test can tell them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import expit, logit

from mqlml.learning.moments import DAY, NEVER
from mqlml.operation import monitoring_drift as drift
from mqlml.operation import monitoring_flow as flow
from mqlml.operation import monitoring_outcomes as outcome
from mqlml.operation import monitoring_sales as sales
from mqlml.operation.monitoring import Check, Measured, judge
from mqlml.operation.monitoring_domain import told_apart
from mqlml.operation.reference import frozen_reference

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

WEEKS, MATURED, ARRIVALS, STAY, COLUMNS, DRAWN = 50, 12, 30, 8.0, 12, 80
SOURCES, TAIL = 6, 40
NUMBERS = tuple(f"x{j}" for j in range(COLUMNS))
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "win rate -30 %": {"win_rate": 0.7},
    "one feature +0.3 sd": {"shift": 0.3, "shifted": 1},
    "five features +0.3 sd": {"shift": 0.3, "shifted": 5},
    "a new source, 20 % of leads": {"new_source": 0.2},
    "an event gone silent": {"silent": True},
    "no events for a week": {"stale_days": 7.0},
    "acceptance 60 to 40 %": {"acceptance": 0.4},
    "win rate -30 %, four times the leads": {"win_rate": 0.7, "arrivals": 120},
    "one feature +0.3 sd, four times the leads": {"shift": 0.3, "shifted": 1, "arrivals": 120},
}
Change = Mapping[str, Any]


@dataclass(frozen=True)
class World:
    """Leads at weekly moments, sorted by lead, then week; ``today`` is the last week."""

    lead: Integers
    group: Integers
    week: Integers
    table: pa.Table
    p: Floats
    luck: Floats = field(repr=False)

    def rows(self, *weeks: int) -> Integers:
        """Rows of some weeks."""
        return np.flatnonzero(np.isin(self.week, weeks))


def make_world(rng: np.random.Generator, change: Change) -> World:
    """Draw leads, their stay, and features with a part of the lead, of the account, of the week and of nobody."""
    n = int(rng.poisson(change.get("arrivals", ARRIVALS) * (WEEKS + 30)))
    born = rng.integers(-30, WEEKS, n)
    stay = 1 + rng.geometric(1 / STAY, n)
    account = np.sort(rng.integers(0, int(n / 1.6), n))
    lead = np.repeat(np.arange(n), stay)
    week = np.concatenate([b + np.arange(s) for b, s in zip(born, stay, strict=True)])
    kept = (week >= 0) & (week < WEEKS)
    lead, week = lead[kept], week[kept]
    group = account[lead]
    by_lead, by_account = rng.normal(size=(n, COLUMNS)), rng.normal(size=(n, COLUMNS))
    letters = rng.normal(size=(WEEKS, COLUMNS)) * np.where(np.arange(COLUMNS) < 4, 0.25, 0.0)
    x = 0.75 * by_lead[lead] + 0.35 * by_account[group] + letters[week] + 0.55 * rng.normal(size=(len(lead), COLUMNS))
    today = week == WEEKS - 1
    x[np.ix_(today, np.arange(COLUMNS) < change.get("shifted", 0))] += change.get("shift", 0.0)
    source = _sources(rng, n)[lead]
    new = today & (rng.random(n) < change.get("new_source", 0.0))[lead]
    source = np.where(new, "tiktok", source)
    p = expit(-2.6 + x[:, :6] @ np.array([0.6, 0.5, -0.5, 0.4, 0.3, 0.3]))
    columns = {name: pa.array(x[:, j]) for j, name in enumerate(NUMBERS)}
    # Colleagues share some of their luck.
    luck = expit(0.9 * logit(rng.random(n)) + 0.4 * logit(rng.random(n))[account])
    ranks = np.argsort(np.argsort(luck)) / n
    return World(lead, group, week, pa.table({**columns, "source": source.tolist()}), p, ranks[lead])


def _sources(rng: np.random.Generator, n: int) -> npt.NDArray[np.object_]:
    """Six usual sources, and a long tail of rare ones."""
    share = np.r_[np.full(SOURCES, 0.95 / SOURCES), np.full(TAIL, 0.05 / TAIL)]
    names = np.array([f"source {k}" for k in range(SOURCES + TAIL)], dtype=object)
    return names[rng.choice(SOURCES + TAIL, n, p=share)]


def outcomes(rng: np.random.Generator, world: World, change: Change) -> list[Measured]:
    """MON-01 to MON-04 on twenty matured weeks, with a promise that rests on a test of about 400 wins."""
    rows = world.rows(*range(WEEKS - 2 - MATURED, WEEKS - 2))
    error = float(rng.normal(0, 0.05))
    p = np.clip(world.p[rows], 1e-6, 1 - 1e-6)
    true = np.clip(p * np.exp(error) * change.get("win_rate", 1.0), 0, 1)
    line = np.quantile(p, 0.9)
    control = (p < line) & (rng.random(len(p)) < 0.01)
    scores = outcome.Matured(
        world.lead[rows], world.group[rows], world.week[rows] * 7 * DAY, p,
        (world.luck[rows] < true).astype(float), p >= line, control,
    )  # fmt: skip
    promise = {"value": 1.0, "low": 1 - 1.645 * 0.05, "high": 1 + 1.645 * 0.05}
    test = {"value": 1.0, "low": 1 - 1.645 * 0.06, "high": 1 + 1.645 * 0.06}
    return [
        outcome.mql_win_rate(scores, promised=promise, seed=0),
        outcome.level(scores, tested=promise, seed=0),
        outcome.slope(scores, tested=test, seed=0),
        outcome.control_leads(scores, per_week=5),
    ]


def leads(world: World) -> list[Measured]:
    """MON-06 to MON-09: a year for the reference, six weeks later today."""
    past = world.rows(*range(WEEKS - 6))
    now = world.rows(WEEKS - 1)
    table = world.table.take(pa.array(past))
    reference = frozen_reference(
        table, at=world.week[past] * 7 * DAY, lead=world.lead[past], features=table.column_names,
        chances=_chances, event_types={}, min_level_count=20,
    )  # fmt: skip
    today = world.table.take(pa.array(now))
    features, _ = drift.features(reference, today)
    return [
        drift.chances(reference, world.p[now]),
        features,
        drift.new_categories(reference, today, world.group[now]),
        _apart(world),
    ]


def _chances(table: pa.Table) -> Floats:
    x = np.stack([table[name].to_numpy() for name in NUMBERS[:6]], axis=1)
    return expit(-2.6 + x @ np.array([0.6, 0.5, -0.5, 0.4, 0.3, 0.3]))  # type: ignore[no-any-return]


def _apart(world: World) -> Measured:
    weeks = [WEEKS - 1, *range(WEEKS - 10, 0, -4)][:13]
    every = world.rows(*weeks)
    # The first rows of a week are those of the oldest leads: drawn at random, as monitoring does.
    mixed = np.random.default_rng(0).permutation(every)
    place = {w: mixed[world.week[mixed] == w][:DRAWN] for w in weeks}
    rows = np.concatenate(list(place.values()))
    number = np.array([weeks.index(w) for w in world.week[rows]])
    source = np.array(world.table["source"].to_pylist(), dtype=object)[rows]
    levels = [f"source {k}" for k in range(SOURCES)]
    x = np.stack([world.table[name].to_numpy()[rows] for name in NUMBERS], axis=1)
    dummies = np.stack([source == level for level in levels] + [~np.isin(source, levels)], axis=1)
    return told_apart(np.c_[x, dummies], number, world.group[rows], seed=0)


def flows(rng: np.random.Generator, change: Change) -> list[Measured]:
    """MON-05 and MON-10 to MON-12: counts that swing more than by luck, quiet week-ends."""
    replayed = rng.poisson(20 * rng.gamma(20, 1 / 20, 26)).astype(float)
    usual = {"median": 20.0, "p10": 13.0, "p90": 27.0}
    rates = np.array([2000, 800, 300, 120, 60, 25])
    weeks = rng.poisson(rates[:, None] * rng.gamma(30, 1 / 30, (6, 13)) * rng.gamma(100, 1 / 100, 13)).astype(float)
    if change.get("silent"):
        weeks[2, -1] = 0
    now = 200 * 7 * DAY
    times = {name: np.sort(now - rng.integers(0, 120 * DAY, n)) for name, n in (("leads", 800), ("outcomes", 120))}
    events = np.sort(now - rng.integers(0, 120 * DAY, 40_000))
    quiet = (events // DAY) % 7 >= 5
    times["events"] = events[~quiet & (events < now - int(change.get("stale_days", 0) * DAY))]
    seen = {"page_view": 300, **{f"odd {k}": 1 for k in range(rng.poisson(0.3))}}
    return [
        flow.volume(float(rng.poisson(20 * rng.gamma(20, 1 / 20))), replayed.tolist(), usual=usual),
        flow.event_flow({f"type {j}": w.tolist() for j, w in enumerate(weeks)}),
        flow.new_event_types({"page_view": 50_000}, seen, few=20, days=365),
        flow.freshness(now, times),
    ]


def answers(rng: np.random.Generator, change: Change) -> list[Measured]:
    """MON-13 and MON-14: twenty hand-overs a week for seventy weeks; colleagues are accepted together more often."""
    n, now = 1400, 100 * 7 * DAY
    at = np.sort(now - rng.integers(0, 70 * 7 * DAY, n))
    group = rng.integers(0, 900, n)
    rate = np.where(at > now - 105 * DAY, change.get("acceptance", 0.6), 0.6)
    yes = rng.random(n) < expit(logit(rate) + 0.8 * rng.normal(size=900)[group])
    answered = np.where(yes, at + (rng.exponential(2, n) * DAY).astype(np.int64), NEVER)
    touched = np.where(rng.random(n) < 0.85, at + (rng.exponential(1, n) * DAY).astype(np.int64), NEVER)
    known = {"accepted": answered, "rejected": np.where(yes, NEVER, at + DAY), "touched": touched}
    known = {name: np.where(when < now, when, NEVER) for name, when in known.items()}
    nothing = np.full(n, None, dtype=object)
    handed = sales.Handed(
        lead=np.arange(n), group=group, at=at, **known, won=np.full(n, NEVER), reason=nothing, recipient=nothing,
        region=nothing, now=now,
    )  # fmt: skip
    return [sales.acceptance(handed), sales.first_touch(handed, within_days=2.0)]


def week(seed: int, change: Change | None = None) -> list[Check]:
    """One week through every check that has a test."""
    rng, change = np.random.default_rng(seed), change or {}
    world = make_world(rng, change)
    return judge([*outcomes(rng, world, change), *leads(world), *flows(rng, change), *answers(rng, change)])


def run(weeks: int, *, seed: int, change: Change | None = None) -> tuple[int, Counter[str], Counter[str]]:
    """Count weeks with an alarm, alarms by check, and checks that were on watch or alarmed."""
    alarmed, alarms, watched = 0, Counter[str](), Counter[str]()
    for k in range(weeks):
        checks = week(seed + k, change)
        loud = [c.code for c in checks if c.state == "alarm"]
        alarmed += bool(loud)
        alarms.update(loud)
        watched.update(c.code for c in checks if c.p_value is not None and c.p_value <= 0.05)
        if k % 50 == 49:
            print(f"  {k + 1} weeks, {alarmed} with an alarm {dict(alarms)}", file=sys.stderr, flush=True)
    return alarmed, alarms, watched


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--weeks", type=int, default=400, help="weeks in which nothing changes")
    parser.add_argument("--power", type=int, default=50, help="weeks of each change")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    begun = time.perf_counter()
    alarmed, alarms, watched = run(asked.weeks, seed=asked.seed)
    print(f"no change: {alarmed} of {asked.weeks} weeks alarm ({100 * alarmed / asked.weeks:.1f} %)")
    print(f"  alarms {dict(alarms)}")
    print(f"  p <= 0.05 alone: { {c: round(100 * n / asked.weeks, 1) for c, n in sorted(watched.items())} } %")
    for name, change in CHANGES.items():
        found, alarms, _ = run(asked.power, seed=10_000 + asked.seed, change=change)
        print(f"{name}: {found} of {asked.power} weeks alarm; {dict(alarms.most_common(4))}", flush=True)
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
