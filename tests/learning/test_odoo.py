"""Odoo's naive Bayes against values that Odoo's own tests state; numbers only, the algorithm from its description."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mqlml.learning.odoo import OdooLeads, fit_odoo, quintiles

# Digits: team, country, state, source, stage (4 is the won stage); then the outcome.
LEADS = """
11111 lost
12222 lost
13333 won
11232 open
12221 open
21223 lost
21232 lost
21331 won
21232 open
22122 open
32223 won
31211 lost
32331 lost
31232 open
"""
WORDS = [line.split() for line in LEADS.split("\n") if line]
DIGITS = np.array([[int(d) for d in digits] for digits, _ in WORDS])
OUTCOME = np.array([word for _, word in WORDS])


def golden_leads() -> tuple[OdooLeads, np.ndarray]:
    """The fourteen leads; both states of contact data are empty, which counts as a value of its own."""
    empty = np.zeros((len(DIGITS), 2), dtype=np.int64)
    leads = OdooLeads(
        fields=np.hstack([DIGITS[:, 1:4], empty]),
        team=DIGITS[:, 0] - 1,
        stage=np.where(OUTCOME == "won", 3, DIGITS[:, 4] - 1),
        tags=np.zeros((len(DIGITS), 0), dtype=bool),
    )
    return leads, OUTCOME.copy()


def some(leads: OdooLeads, which: np.ndarray | list[int]) -> OdooLeads:
    return OdooLeads(*(getattr(leads, name)[which] for name in ("fields", "team", "stage", "tags")))


def percent(leads: OdooLeads, outcome: np.ndarray, which: list[int]) -> list[float]:
    """Learn from what is closed, score some leads."""
    closed = outcome != "open"
    model = fit_odoo(some(leads, closed), (outcome[closed] == "won").astype(float), stages=3)
    return [round(100 * p, 2) for p in model.probability(some(leads, which))]


def without_team_3() -> tuple[OdooLeads, np.ndarray]:
    leads, outcome = golden_leads()
    return replace(leads, team=np.where(leads.team == 2, -1, leads.team)), outcome


def after_lead_9_is_won() -> tuple[OdooLeads, np.ndarray]:
    leads, outcome = without_team_3()
    outcome[9] = "won"
    stage = leads.stage.copy()
    stage[9], stage[[3, 8]] = 3, 0
    return replace(leads, stage=stage), outcome


def test_odoo_when_teams_have_leads_of_their_own_then_golden_values() -> None:
    assert percent(*golden_leads(), [3, 8, 13]) == [33.49, 7.74, 35.09]


def test_odoo_when_counted_for_a_team_then_its_stored_rows_are_golden() -> None:
    leads, outcome = golden_leads()
    closed = outcome != "open"
    model = fit_odoo(some(leads, closed), (outcome[closed] == "won").astype(float), stages=3)
    assert (model.stages.won[0, [0, 3]], model.stages.lost[0, [0, 3]]) == (
        pytest.approx([1.1, 1.1]),
        pytest.approx([2.1, 0.1]),
    )
    assert (model.fields[0].won[0, 2], model.fields[0].lost[0, 2]) == pytest.approx((0.1, 1.1))


def test_odoo_when_a_lead_has_no_team_then_the_pool_speaks() -> None:
    assert percent(*without_team_3(), [13]) == [35.19]


def test_odoo_when_one_more_is_won_and_two_go_back_then_golden_values() -> None:
    assert percent(*after_lead_9_is_won(), [3, 8]) == [20.87, 2.43]


def test_odoo_when_a_value_changes_then_golden_value() -> None:
    leads, outcome = after_lead_9_is_won()
    fields = leads.fields.copy()
    fields[8, 0] = 2
    assert percent(replace(leads, fields=fields), outcome, [8]) == [34.38]


def test_odoo_when_e_mail_addresses_are_checked_then_golden_values() -> None:
    leads, outcome = after_lead_9_is_won()
    fields = leads.fields.copy()
    fields[:, 3] = 1 + np.arange(len(fields)) % 2
    assert percent(replace(leads, fields=fields), outcome, [3, 8]) == [4.21, 0.23]


def test_odoo_when_nothing_but_the_stage_counts_then_golden_values() -> None:
    leads, outcome = after_lead_9_is_won()
    assert percent(replace(leads, fields=leads.fields[:, :0]), outcome, [3, 8]) == [34.38, 50.0]


def test_odoo_when_leads_carry_tags_then_golden_values() -> None:
    """A only 30 lost, 19 won; B only 40 and 9; both 35 and 14."""
    groups = [((1, 0), 30, 19), ((0, 1), 40, 9), ((1, 1), 35, 14)]
    tags = np.array([carried for carried, lost, won in groups for _ in range(lost + won)], dtype=bool)
    won = np.concatenate([np.r_[np.zeros(lost), np.ones(wins)] for _, lost, wins in groups])
    n = len(won)
    leads = OdooLeads(np.zeros((n, 0), dtype=int), np.zeros(n, dtype=int), np.where(won > 0, 1, 0), tags)
    model = fit_odoo(leads, won)
    asked = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=bool)
    four = np.zeros(4, dtype=int)
    p = model.probability(OdooLeads(np.zeros((4, 0), dtype=int), four, four, asked))
    assert np.round(100 * p, 2).tolist() == [33.69, 23.51, 28.05, 28.6]


def test_odoo_when_a_tag_is_rare_then_it_is_not_looked_at() -> None:
    won = np.r_[np.ones(20), np.zeros(60)]
    tags = np.zeros((80, 1), dtype=bool)
    tags[:40] = True
    leads = replace(OdooLeads.plain(np.zeros((80, 0), dtype=int)), tags=tags)
    p = fit_odoo(leads, won).probability(some(leads, [0, 79]))
    assert p[0] == p[1] == pytest.approx(20.1 / 80.2, abs=1e-4)


def test_odoo_when_a_lead_has_no_stage_or_is_won_then_the_chance_is_none_or_certain() -> None:
    leads = OdooLeads.plain(np.zeros((4, 1), dtype=int))
    model = fit_odoo(leads, np.array([1.0, 0.0, 1.0, 0.0]))
    asked = replace(some(leads, [0, 1]), stage=np.array([-1, 1]))
    assert model.probability(asked).tolist() == [0.0, 1.0]


def test_odoo_when_evidence_is_repeated_then_it_is_multiplied_and_clamped() -> None:
    """Ten copies of a value three times as frequent among won leads, at one win in five: certainty."""
    won = np.repeat([1.0, 0.0, 1.0, 0.0], [600, 800, 200, 2_400])
    value = np.repeat([1, 1, 0, 0], [600, 800, 200, 2_400])
    fields = np.tile(value[:, None], 10)
    p = fit_odoo(OdooLeads.plain(fields), won).probability(OdooLeads.plain(fields[:1]))
    assert p == pytest.approx([0.9999])


def test_quintiles_when_a_number_is_binned_then_by_the_rows_learned_from() -> None:
    values = np.array([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100, np.nan])
    learned = np.arange(12) < 10
    assert quintiles(values, learned).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, -1]
    assert quintiles(np.zeros(3), np.ones(3, dtype=bool)).tolist() == [0, 0, 0]
    assert quintiles(np.full(2, np.nan), np.ones(2, dtype=bool)).tolist() == [-1, -1]
