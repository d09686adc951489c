"""The variance between true values, from estimates that have errors of their own."""

from __future__ import annotations

import numpy as np
import pytest

from mqlml.learning.shrinkage import between_variance


def test_between_variance_when_estimates_differ_by_chance_alone_then_it_is_about_nothing() -> None:
    generator = np.random.default_rng(0)
    variances = generator.uniform(0.1, 1.0, 400)
    assert between_variance(generator.normal(0, np.sqrt(variances)), variances) < 0.05


def test_between_variance_when_true_values_differ_then_it_is_found() -> None:
    generator = np.random.default_rng(1)
    variances = generator.uniform(0.1, 1.0, 4_000)
    found = between_variance(generator.normal(5, np.sqrt(variances + 0.49)), variances)
    assert found == pytest.approx(0.49, abs=0.06)


def test_between_variance_when_there_is_one_estimate_then_nothing_can_be_said() -> None:
    assert between_variance(np.ones(1), np.ones(1)) == 0.0
