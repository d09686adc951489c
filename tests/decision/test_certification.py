"""Certified win rates: counted by hand, compared with MAPIE, and kept in simulated histories."""

from __future__ import annotations

import numpy as np
import pytest
from decision.test_policy import replay_of
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from mqlml.decision.certification import LEAST_LEADS, certify, fixed_sequence, leads_needed
from mqlml.decision.replay import Replay
from mqlml.errors import GateClosed

P = np.linspace(0.99, 0.01, 1_000)


def window(won: np.ndarray, p: np.ndarray = P) -> Replay:
    """One snapshot a lead, all in one week."""
    n = len(won)
    zeros = np.zeros(n, dtype=np.int64)
    return Replay(np.arange(n), np.arange(n), zeros, p, won.astype(float), zeros[:1], 1.0)


def test_certify_when_the_best_hundred_win_then_it_stops_where_the_bound_falls_below() -> None:
    won = np.zeros(1_000)
    won[:100] = 1
    found = certify(window(won), 0.5, confidence=0.9)
    # 100 wins of n leads are shown to be more than half while the one-sided bound is above one half
    assert (found.wins, found.leads >= 100) == (100, True)
    assert found.bound == pytest.approx(beta.ppf(0.1, 100, found.leads - 99))
    assert found.bound > 0.5
    larger = int(np.ceil(found.leads * 1.06))
    assert beta.ppf(0.1, 100, larger - 99) < 0.5


def test_fixed_sequence_when_one_step_fails_then_later_ones_do_not_count() -> None:
    wins, leads = np.array([20, 5, 90]), np.array([30, 40, 100])
    assert fixed_sequence(wins, leads, target=0.4, confidence=0.9) == 1


def test_certify_when_a_lead_is_seen_often_then_it_counts_once_at_its_first_crossing() -> None:
    often = replay_of([(0, [0.9] * 10, k % 2 == 0) for k in range(60)])
    found = certify(often, 0.3, confidence=0.9)
    assert (found.leads, found.wins) == (60, 30)


def test_certify_when_the_target_is_above_what_exists_then_what_could_be_is_named() -> None:
    won = np.zeros(1_000)
    won[:30:3] = 1
    with pytest.raises(GateClosed, match=r"of the 30 leads .* 10 won\. .*ask for precision 0\.2\d+ or less") as refused:
        certify(window(won), 0.32, confidence=0.9)
    possible = float(str(refused.value).split("precision ")[1].split(" ")[0])
    assert possible == pytest.approx(beta.ppf(0.1, 10, 21), abs=1e-3)
    assert certify(window(won), possible, confidence=0.9).leads >= LEAST_LEADS


def test_certify_when_there_are_too_few_leads_then_it_says_how_many_are_needed() -> None:
    with pytest.raises(GateClosed, match="holds 29 leads, and at least 30"):
        certify(window(np.ones(29), P[:29]), 0.2, confidence=0.9)
    won = np.zeros(40)
    won[:30:4] = 1
    with pytest.raises(GateClosed, match=r"8 won\. At this rate \d+ such leads would be needed"):
        certify(window(won, P[:40]), 0.2, confidence=0.9)


def test_certify_when_another_rule_is_stricter_then_the_next_certified_threshold_holds() -> None:
    won = np.zeros(1_000)
    won[:300:2] = 1
    alone = certify(window(won), 0.3, confidence=0.9)
    strict = certify(window(won), 0.3, confidence=0.9, least=0.8)
    assert strict.threshold >= 0.8 > alone.threshold
    assert strict.leads == int((strict.threshold <= P).sum())
    with pytest.raises(GateClosed, match=r"ask for a threshold of at least 98 %"):
        certify(window(won), 0.3, confidence=0.9, least=0.98)


@pytest.mark.parametrize(
    ("target", "leads", "rate"),
    [(0.1, 50, 0.18), (0.1, 1000, 0.113), (0.2, 100, 0.26), (0.2, 500, 0.226), (0.3, 200, 0.345)],
)
def test_leads_needed_when_the_rate_is_the_least_of_so_many_leads_then_they_are_enough(
    target: float, leads: int, rate: float
) -> None:
    wins = round(rate * leads)
    assert fixed_sequence(np.array([wins]), np.array([leads]), target=target, confidence=0.9) == 1
    assert fixed_sequence(np.array([wins - 1]), np.array([leads]), target=target, confidence=0.9) == 0
    needed = leads_needed(target, rate, confidence=0.9)
    assert needed is not None
    assert needed <= leads


def test_leads_needed_when_the_rate_is_not_above_the_target_then_no_number_is_enough() -> None:
    assert leads_needed(0.2, 0.2, confidence=0.9) is None


@given(st.integers(0, 10_000), st.floats(0.1, 0.5), st.floats(0.01, 0.2))
def test_certify_when_the_target_is_lower_then_the_threshold_is_not_higher(
    seed: int, target: float, less: float
) -> None:
    generator = np.random.default_rng(seed)
    replay = window(generator.random(1_000) < P)
    strict, loose = (certify(replay, t, confidence=0.9) for t in (target, target - less / 2))
    assert loose.threshold <= strict.threshold
    assert loose.leads >= strict.leads


@pytest.mark.filterwarnings("ignore:Fixed sequence testing requires a monotonic risk:UserWarning")
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("target", [0.25, 0.35, 0.45])
def test_fixed_sequence_when_compared_with_mapie_then_the_thresholds_are_equal(seed: int, target: float) -> None:
    pytest.importorskip("mapie.risk_control", reason="MAPIE is not installed")
    from mapie.risk_control import BinaryClassificationController

    generator = np.random.default_rng(seed)
    p = generator.beta(1, 4, 3_000)
    won = (generator.random(3_000) < p).astype(int)
    grid = np.unique(np.quantile(p, np.linspace(0.0, 0.97, 60)))[::-1]
    controller = BinaryClassificationController(
        predict_function=lambda x: np.column_stack([1 - x[:, 0], x[:, 0]]),
        risk="precision",
        target_level=target,
        confidence_level=0.9,
        list_predict_params=grid,
        fwer_method="fixed_sequence",
    )
    theirs = np.sort(controller.calibrate(p[:, None], won).valid_predict_params)[::-1]
    leads = np.array([(p >= t).sum() for t in grid])
    wins = np.array([won[p >= t].sum() for t in grid])
    ours = grid[: fixed_sequence(wins, leads, target=target, confidence=0.9)]
    assert len(ours) > 0
    np.testing.assert_array_equal(ours, theirs)
