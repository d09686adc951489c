"""Honesty by simulation: no signal where there is none, and intervals that hold what they promise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from history.histories import configured, reading
from learning.simulated import FEATURES, GENERATORS, Simulated, simulate
from scipy.special import expit

from mqlml.errors import DataRefused
from mqlml.learning.baselines import simpler_ways
from mqlml.learning.evaluation import log_loss
from mqlml.learning.judgement import Judgement, judge
from mqlml.learning.labels import labelled_rows
from mqlml.learning.measures import accuracy, measure
from mqlml.learning.recipe import Recipe
from mqlml.learning.resampling import Interval, Resampler
from mqlml.learning.snapshots import population
from mqlml.learning.training import train_model
from mqlml.learning.windows import plan_windows

pytestmark = pytest.mark.long

SIGNAL = ("ready", "not better")
SIZES = (10, 30, 100, 300, 1_000)


def shuffled(data: Simulated, *, seed: int) -> Simulated:
    """Deal the leads' outcomes anew; each lead's snapshots keep one outcome."""
    rows = data.rows
    lead, first = np.unique(rows.lead, return_index=True)
    outcome = np.random.default_rng(seed).permutation(rows.won[first])
    return replace(data, rows=replace(rows, won=outcome[np.searchsorted(lead, rows.lead)]))


def judged(data: Simulated, *, seed: int) -> Judgement:
    """Train, test and judge as a training does, with few bags."""
    plan = plan_windows(data.rows, origins=4, seed=seed)
    tested = train_model(data.table, data.rows, FEATURES, plan, recipe=Recipe(seed, 2, 1), min_leads=20).tested
    tested.baselines.update(simpler_ways(data.table, data.rows, plan, present=None))
    return judge(data.rows, tested, plan, segments={}, seed=seed)


def verdicts_of_shuffled(seeds: range) -> Iterator[str]:
    for seed in seeds:
        data = simulate("many weak", seed=seed, won=300, lost=300)
        yield judged(shuffled(data, seed=seed), seed=seed).verdict["code"]


@pytest.mark.slow
def test_verdict_when_labels_are_shuffled_then_a_signal_is_claimed_at_most_5_times_in_100() -> None:
    codes = list(verdicts_of_shuffled(range(100)))
    claimed = sum(code in SIGNAL for code in codes)
    assert claimed <= 5, f"a signal in {claimed} of 100"


def test_verdict_when_labels_are_shuffled_then_no_signal_is_claimed_and_without_shuffling_it_is() -> None:
    assert not set(verdicts_of_shuffled(range(2))) & set(SIGNAL)
    assert judged(simulate("many weak", seed=0, won=300, lost=300), seed=0).verdict["code"] in SIGNAL


def excess_loss(kind: str, size: int, *, seed: int) -> float:
    """Log loss of the shipped model on 4,000 fresh leads less that of the rate it was trained on."""
    data = simulate(kind, seed=seed, won=size, lost=size)
    plan = plan_windows(data.rows, origins=4, seed=seed)
    model = train_model(data.table, data.rows, FEATURES, plan, recipe=Recipe(seed, 3, 1), min_leads=20).model
    fresh = simulate(kind, seed=1_000_000 + seed, won=2_000, lost=2_000)
    won, ones = fresh.rows.won, np.ones(len(fresh.rows))
    base = np.full(len(won), data.rows.base_rate)
    return log_loss(won, model.probability(fresh.table), ones) - log_loss(won, base, ones)


@pytest.mark.slow
def test_model_when_histories_are_tiny_to_large_then_it_is_hardly_ever_worse_than_the_base_rate() -> None:
    excess = [excess_loss(kind, size, seed=seed) for kind in GENERATORS for size in SIZES for seed in range(4)]
    fine = sum(value <= 0.005 for value in excess)
    assert fine >= 0.95 * len(excess), f"{fine} of {len(excess)}; the worst by {max(excess):.3f}"


@pytest.mark.parametrize("kind", ["noise", "words"])
def test_model_when_ten_were_won_and_ten_were_not_then_it_is_no_worse_than_the_base_rate(kind: str) -> None:
    assert excess_loss(kind, 10, seed=0) <= 0.005


def population_of(accounts: int, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes, chances a little off, simpler chances, accounts: leads of one are alike, and seen repeatedly."""
    generator = np.random.default_rng(seed)
    account = np.repeat(np.arange(accounts), 1 + generator.poisson(0.6, accounts))
    seen = generator.normal(0, 0.7, accounts)[account] + generator.normal(0, 1.0, len(account))
    unseen = generator.normal(0, 0.6, accounts)[account] + generator.normal(0, 0.3, len(account))
    lead = np.repeat(np.arange(len(account)), 1 + generator.poisson(3, len(account)))
    luck = generator.random(len(account))[lead]
    won = (luck < expit(-2.0 + seen + unseen)[lead]).astype(float)
    p = expit(-1.7 + 0.9 * seen[lead] + generator.normal(0, 0.3, len(lead)))
    simpler = expit(-1.6 + 0.5 * seen[lead] + generator.normal(0, 0.4, len(lead)))
    return won, p, simpler, account[lead]


def figures_of(accounts: int, *, seed: int, draws: int = 200) -> dict[str, Interval]:
    """Every figure that is reported with an interval; the gains are those of a ladder."""
    won, p, simpler, group = population_of(accounts, seed=seed)
    resampler = Resampler(group, seed=seed, draws=draws, winning_groups=len(np.unique(group[won > 0])))
    ours = measure(won, p, resampler, reference=np.full(len(won), 0.15))
    theirs = accuracy(won, simpler, resampler)
    drawn = {name: draws for name, draws in ours.items() if name != "ece"}
    drawn["win_rate"] = resampler.means({"won": won})["won"]
    drawn["better_by_log_loss"] = theirs["log_loss"] - ours["log_loss"]
    drawn["better_by_auc"] = ours["auc"] - theirs["auc"]
    return {name: draws.interval() for name, draws in drawn.items()}


def covered(truth: dict[str, Interval], accounts: int, seeds: range) -> dict[str, float]:
    """Share of the seeds in which each figure's interval holds its true value."""
    hits = dict.fromkeys(truth, 0)
    for seed in seeds:
        for name, found in figures_of(accounts, seed=seed).items():
            assert found.low is not None
            assert found.high is not None
            hits[name] += found.low <= truth[name].value <= found.high
    return {name: n / len(seeds) for name, n in hits.items()}


@pytest.fixture(scope="module")
def truth() -> dict[str, Interval]:
    """The figures of a population so large that luck does not matter."""
    return figures_of(40_000, seed=2**31, draws=2)


@pytest.mark.slow
def test_intervals_when_accounts_cluster_then_they_hold_the_truth_nine_times_in_ten(truth: dict[str, Interval]) -> None:
    shares = covered(truth, 200, range(400))
    assert all(0.86 <= share <= 0.94 for share in shares.values()), shares


def test_intervals_when_few_histories_are_drawn_then_about_nine_in_ten_hold_the_truth(
    truth: dict[str, Interval],
) -> None:
    shares = covered(truth, 60, range(20))
    assert all(share >= 0.65 for share in shares.values()), shares
    assert 0.84 <= np.mean(list(shares.values())) <= 0.96


@pytest.mark.parametrize(("won", "lost"), [(9, 300), (300, 9)])
def test_labelled_rows_when_fewer_than_ten_of_a_class_then_refused(tmp_path: Path, won: int, lost: int) -> None:
    leads = pa.table({"lead_id": [str(i) for i in range(won + lost)], "outcome": ["won"] * won + ["lost"] * lost})
    sections = {"leads": {"path": "l.parquet", "created_at": ""}, "outcomes": {"path": ""}}
    with reading(tmp_path, {"l.parquet": leads}, **sections) as history:
        people = population(history, configured(tmp_path, **sections), until=None)
    with pytest.raises(DataRefused, match="at least 10 of each are needed") as refused:
        labelled_rows(people, configured(tmp_path, **sections), as_of=None)
    assert refused.value.exit_code == 3
