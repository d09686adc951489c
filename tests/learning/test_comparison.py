"""Two models on the same leads: known differences are found, equal models do not differ, too few wins are told."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from mqlml.learning.comparison import compare_chances
from mqlml.learning.labels import Rows
from mqlml.learning.moments import DAY


def world(leads=600, weeks=3, seed=3):
    """Make snapshots of leads whose true log-odds are known; two leads share an account."""
    generator = np.random.default_rng(seed)
    lead = np.repeat(np.arange(leads), weeks)
    at = np.tile(np.arange(weeks) * 7 * DAY, leads)
    z = np.repeat(generator.normal(-1.5, 1.5, leads), weeks)
    won = np.repeat(generator.random(leads) < expit(z[::weeks]), weeks).astype(float)
    return Rows(lead, at, at, at + 90 * DAY, won, lead // 2, "horizon"), z


def test_compare_chances_when_models_differ_then_figures_are_those_of_scikit_learn_and_paired():
    rows, z = world()
    good, bad = expit(z), expit(0.2 * z - 1)
    found = compare_chances(rows, good, bad, old_mqls=good > 0.4, new_mqls=bad > 0.3, seed=1)
    figures = {f["name"]: f for f in found["figures"]}
    assert figures["log_loss"]["old"]["value"] == pytest.approx(log_loss(rows.won, good))
    assert figures["auc"]["new"]["value"] == pytest.approx(roc_auc_score(rows.won, bad))
    assert found["worse_by"]["value"] == pytest.approx(log_loss(rows.won, bad) / log_loss(rows.won, good) - 1)
    assert found["worse_by"]["low"] > 0
    difference = figures["log_loss"]["difference"]
    width = difference["high"] - difference["low"]
    assert width < figures["log_loss"]["old"]["high"] - figures["log_loss"]["old"]["low"]
    # The order is the same, so that as many leads are the same leads.
    assert found["same_number"]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_compare_chances_when_mqls_are_counted_then_each_lead_once():
    rows, z = world(weeks=4)
    p = expit(z)
    found = compare_chances(rows, p, p, old_mqls=p > 0.5, new_mqls=p > 0.3, seed=1)
    first = np.unique(rows.lead, return_index=True)[1]
    for name, line in (("old", 0.5), ("new", 0.3)):
        picked = p[first] > line
        assert found["mqls"][name]["leads"] == picked.sum()
        assert found["mqls"][name]["win_rate"]["value"] == pytest.approx(rows.won[first][picked].mean())


def test_compare_chances_when_both_are_the_same_then_no_difference_at_all():
    rows, z = world()
    p = expit(z)
    found = compare_chances(rows, p, p.copy(), old_mqls=p > 0.5, new_mqls=p > 0.5, seed=1)
    assert found["worse_by"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert all(f["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0} for f in found["figures"])


def test_compare_chances_when_fewer_than_ten_leads_were_won_then_none():
    rows, _ = world()
    rows = rows.where((rows.won == 0) | (rows.lead < np.unique(rows.lead[rows.won > 0])[9]))
    p = np.full(len(rows), 0.1)
    assert compare_chances(rows, p, p, old_mqls=p > 1, new_mqls=p > 1, seed=1) is None


@pytest.mark.slow
def test_compare_chances_when_truth_is_known_then_a_worse_model_rarely_passes_and_a_better_one_does():
    """At the default margin of 2 %: a worse model passes in at most 5 % of worlds, a better one in 80 % or more."""
    worlds, passed = 60, {"worse": 0, "better": 0}
    for seed in range(worlds):
        rows, z = world(leads=1500, weeks=1, seed=seed)
        noisy = z + np.random.default_rng(seed + 1000).normal(0, 1.0, len(z))
        good, bad = expit(z), expit(0.75 * noisy - 0.35)
        for name, (old, new) in {"worse": (good, bad), "better": (bad, good)}.items():
            found = compare_chances(rows, old, new, old_mqls=z > 0, new_mqls=z > 0, seed=seed)
            passed[name] += found["worse_by"]["high"] <= 0.02
    assert passed["worse"] <= 0.05 * worlds
    assert passed["better"] >= 0.8 * worlds
