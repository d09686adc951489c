"""Every feature equals plain SQL that was written from its description."""

from __future__ import annotations

from typing import Any

import pytest
from tape import oracle
from tape.feature_sets import EVERYTHING, VARIANTS
from tape.histories import case
from tape.oracle.compare import differences

from mqlml.tape.families import FAMILIES

SEEDS, MANY_SEEDS = range(6), range(6, 60)


def compare(make: Any, seed: int) -> None:
    history, marks = case(seed).of(make)
    assert not differences(history, marks, VARIANTS[seed % len(VARIANTS)])


@pytest.mark.parametrize("seed", SEEDS)
def test_every_feature_when_the_history_is_random_then_equals_plain_sql(make: Any, seed: int) -> None:
    compare(make, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY_SEEDS)
def test_every_feature_when_there_are_many_histories_then_equals_plain_sql(make: Any, seed: int) -> None:
    compare(make, seed)


def test_families_when_listed_then_each_has_an_oracle_and_features_that_are_compared() -> None:
    assert set(oracle.FAMILIES) == set(FAMILIES)
    for features in (EVERYTHING, VARIANTS[0]):
        assert set(features.families) == set(FAMILIES) == {feature.family for feature in features.features}
