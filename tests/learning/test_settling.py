"""What is added to a fit before it may speak: its own held-out scores first, forward tests and time where they tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from mqlml.learning.calibration import Calibrator
from mqlml.learning.encoder import Encoder
from mqlml.learning.labels import Rows
from mqlml.learning.logistic import Logistic
from mqlml.learning.propensity import Blend, Halves
from mqlml.learning.recipe import Recipe
from mqlml.learning.settling import Fitted, Scored, known_at, settle
from mqlml.learning.windows import Round

N = 4_000
RECIPE = Recipe(seed=0, bags=2, threads=1)
RAW = np.random.default_rng(0).normal(-1, 1, N)
WON = (np.random.default_rng(1).random(N) < expit(RAW)).astype(float)
NONE = np.zeros(N, dtype=bool)


def history(**changes: Any) -> Rows:
    n = np.arange(N)
    return Rows(**{"lead": n, "at": n, "when": n, "known": n, "won": WON, "group": n, "timing": "order", **changes})


def fit(*, scale: float = 1.0, **changes: Any) -> Fitted:
    """A logistic half whose held-out scores are off by a factor."""
    blend = Blend(Logistic(0.0, np.zeros(0), np.zeros(0), 0.03), (), 0.0)
    held_out = Halves(scale * RAW, scale * RAW, WON)
    return Fitted(
        **{
            "row": np.arange(N),
            "encoder": Encoder(()),
            "blend": blend,
            "held_out": held_out,
            "newcomers": (),
            "few": None,
            **changes,
        }
    )


def test_settle_when_scores_are_too_bold_then_the_line_undoes_it() -> None:
    found = settle(history(timing="none"), fit(scale=2.0), [], recipe=RECIPE)
    assert found.calibrator.slope == pytest.approx(0.5, abs=0.05)
    assert found.level.windows == 0, "no time, no drift"


def test_settle_when_leads_are_few_then_their_cautious_calibration_is_kept_but_for_the_shift() -> None:
    found = settle(history(), fit(few=Calibrator(0.3, -1.0), shift=0.25), [], recipe=RECIPE)
    assert (found.calibrator.slope, found.calibrator.intercept) == (0.3, -0.75)


def test_settle_when_the_rows_learned_from_were_won_more_often_then_the_level_is_shifted() -> None:
    plain = settle(history(timing="none"), fit(), [], recipe=RECIPE)
    moved = settle(history(timing="none"), fit(shift=-0.4), [], recipe=RECIPE)
    assert moved.calibrator.intercept == pytest.approx(plain.calibrator.intercept - 0.4)


def scored(familiar: np.ndarray) -> Scored:
    """A forward test of well-calibrated scores, but for leads with a level never seen, whose scores are upside down."""
    raw = np.where(familiar, RAW, -RAW)
    own = Round("test", NONE, NONE, 0)
    return Scored(own, np.arange(N), fit(), Halves(raw, raw, WON), np.full(N, -1), base=0.3, familiar=familiar)


def test_settle_when_a_test_holds_levels_never_seen_then_they_do_not_turn_the_slope_of_everybody_else() -> None:
    half = np.arange(N) % 2 == 0
    misled = replace(scored(half), familiar=np.ones(N, dtype=bool))
    slope = {
        name: settle(history(timing="none"), fit(), [test], recipe=RECIPE).slope_on_later_leads
        for name, test in (("told apart", scored(half)), ("misled", misled))
    }
    assert slope["told apart"] == pytest.approx(1.0, abs=0.05)
    assert slope["misled"] < 0.7


def test_known_at_when_labels_were_not_known_yet_then_they_teach_nothing() -> None:
    test = scored(np.ones(N, dtype=bool))
    assert known_at(None, history(), [test]) == []
    (kept,) = known_at(1_000, history(known=np.arange(N) + 400), [test])
    assert kept.row.tolist() == list(range(601))
    assert len(kept.halves.won) == 601
