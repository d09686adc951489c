"""The search for better trees: seeded, in the ranges, and taken only where an unseen window says so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest

from mqlml.errors import UsageError
from mqlml.learning.hyperparameters import Hyperparameters
from mqlml.learning.inner_tests import Losses
from mqlml.learning.tuning import chosen_of, judge_find, need_optuna, search, tune

DEFAULT = Hyperparameters()
N = 600
NOISE = np.random.default_rng(0).normal(0, 0.3, N)


def best_at(leaves: int) -> Callable[[Hyperparameters], float]:
    return lambda h: 0.6 + abs(np.log(h.num_leaves / leaves)) / 100


def rows(mean: float, *, group: np.ndarray | None = None, noise: float = 0.0) -> Losses:
    return Losses(mean + NOISE * noise, np.arange(N) if group is None else group)


def test_search_when_small_trees_are_better_then_they_are_found_from_the_default_on() -> None:
    tried: list[Hyperparameters] = []

    def loss(h: Hyperparameters) -> float:
        tried.append(h)
        return best_at(5)(h)

    steps: list[int] = []
    found, losses = search(loss, trials=25, minutes=None, seed=0, step=lambda: steps.append(1))
    assert tried[0] == DEFAULT
    assert len(tried) == len(losses) == len(steps) == 25
    assert found.num_leaves <= 6
    assert min(losses) == best_at(5)(found)


def test_search_when_run_again_then_it_tries_the_same() -> None:
    runs = [search(best_at(5), trials=12, minutes=None, seed=3) for _ in range(2)]
    assert runs[0] == runs[1]
    assert search(best_at(5), trials=12, minutes=None, seed=4) != runs[0]


def test_search_when_the_time_is_up_then_it_tells_how_many_ran() -> None:
    found, losses = search(best_at(5), trials=50, minutes=1e-9, seed=0)
    assert found == DEFAULT
    assert len(losses) == 1, "the default is always tried"


def test_tune_when_the_find_holds_on_the_unseen_window_then_it_is_taken() -> None:
    done = tune(lambda h: rows(best_at(5)(h)), lambda h: rows(best_at(5)(h)), trials=25, minutes=None, seed=0)
    assert done.taken
    assert done.chosen.num_leaves <= 6
    assert done.before > done.after
    assert done.searched[0] == pytest.approx(done.before)
    assert "25 trials" in done.sentence
    assert done.told()["trees"].startswith(f"tuned: learning rate {done.found.learning_rate:.3f}")
    assert "is used" in done.sentence


def test_tune_when_the_find_was_luck_then_the_defaults_stay() -> None:
    done = tune(lambda h: rows(best_at(5)(h)), lambda h: rows(1.2 - best_at(5)(h)), trials=10, minutes=None, seed=0)
    assert not done.taken
    assert done.chosen == DEFAULT
    assert "defaults stay" in done.sentence
    assert done.told()["trees"].startswith(
        "default: learning rate 0.080, 12 leaves, 20 leads a leaf, 30% of the columns"
    )


def test_tune_when_the_default_is_best_then_nothing_is_gained() -> None:
    done = tune(lambda h: rows(best_at(12)(h)), lambda _: rows(0.6), trials=3, minutes=None, seed=0)
    assert done.found == DEFAULT
    assert done.surely == 0.0
    assert not done.taken


def test_judge_find_when_the_same_gain_rests_on_few_accounts_then_it_is_not_sure() -> None:
    better = Losses(rows(0.6).loss - 0.02 - 0.3 * NOISE, np.arange(N))
    alone = judge_find(DEFAULT, [0.7, 0.6], rows(0.6), better, asked=2, seed=0)
    order = np.argsort(NOISE)
    group = np.empty(N, dtype=np.int64)
    group[order] = np.arange(N) // (N // 5)
    few = judge_find(DEFAULT, [0.7, 0.6], rows(0.6, group=group), Losses(better.loss, group), asked=2, seed=0)
    assert alone.before - alone.after == pytest.approx(0.02, abs=0.005)
    assert alone.surely > 0 > few.surely
    assert few.before - few.after == pytest.approx(alone.before - alone.after)


def test_chosen_of_when_recorded_then_a_stand_in_uses_what_the_training_used() -> None:
    done = tune(lambda h: rows(best_at(5)(h)), lambda h: rows(best_at(5)(h)), trials=15, minutes=None, seed=0)
    stored = done.to_dict()
    assert chosen_of(stored) == done.found
    assert stored["found"] == asdict(done.found)
    assert chosen_of({**stored, "taken": False}) == chosen_of(None) == DEFAULT


def test_need_optuna_when_it_is_missing_then_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match="tune needs Optuna") as caught:
        need_optuna()
    assert "mqlml[tune]" in str(caught.value.hint)
