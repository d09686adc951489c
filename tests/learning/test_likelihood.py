"""Small logistic fits against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from mqlml.learning.likelihood import fit_terms, line_loss


def test_fit_terms_when_parts_have_intercepts_then_scikit_learn_with_dummies_agrees() -> None:
    generator = np.random.default_rng(0)
    terms, part = generator.normal(size=(8_000, 2)), generator.integers(0, 3, 8_000)
    won = (generator.random(8_000) < expit(terms @ [0.7, -0.4] + np.array([-1.0, 0.0, 0.5])[part])).astype(float)
    slopes, intercepts = fit_terms(terms, won, part, pull=0.0)
    design = np.column_stack([terms, np.eye(3)[part]])
    theirs = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(design, won).coef_[0]
    assert slopes == pytest.approx(theirs[:2], abs=1e-3)
    # A weak prior holds the intercepts together.
    assert intercepts == pytest.approx(theirs[2:], abs=5e-3)


def test_fit_terms_when_scores_are_extreme_then_it_still_converges() -> None:
    generator = np.random.default_rng(1)
    raw = np.concatenate([generator.normal(0, 1, 5_000), generator.normal(-14, 1, 1_000)])
    won = (generator.random(6_000) < np.where(raw < -8, 0.6, expit(raw))).astype(float)
    (slope,), _ = fit_terms(raw[:, None], won, np.zeros(6_000, dtype=int), pull=0.0)
    assert slope == pytest.approx(LogisticRegression(C=np.inf, tol=1e-9).fit(raw[:, None], won).coef_[0, 0], abs=1e-3)


def test_fit_terms_when_there_are_no_terms_then_only_the_offset_is_moved() -> None:
    won = np.array([1.0, 0.0, 0.0, 0.0])
    _, (intercept,) = fit_terms(np.zeros((4, 0)), won, np.zeros(4, dtype=int), offset=np.full(4, 2.0))
    assert expit(2.0 + intercept) == pytest.approx(0.25)


def test_line_loss_when_the_chance_is_a_half_then_it_is_ln_2() -> None:
    assert line_loss(np.zeros(2), np.array([0.0, 1.0])) == pytest.approx(np.log(2))
