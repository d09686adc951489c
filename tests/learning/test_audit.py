"""The leak audit finds planted leaks, keeps honest columns, and says both in words that hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from mqlml.learning.audit import AuditInput, Finding, audit_columns, usable_columns
from mqlml.learning.audit_statistics import Closed, auc, judge_levels, split_closed
from mqlml.learning.audit_values import read_column

pytestmark = pytest.mark.long

DAY = 86_400_000_000
START = 1_640_995_200_000_000
CRMS = 20


def input_of(
    columns: dict[str, object], won: np.ndarray, created: np.ndarray | None = None, **settings: object
) -> AuditInput:
    rows = np.arange(len(won))
    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    return AuditInput(table, won.astype(np.float64), created, rows, rows, **settings)  # type: ignore[arg-type]


def clean_crm(seed: int) -> tuple[dict[str, object], np.ndarray, np.ndarray, np.ndarray]:
    """Ten honest columns, the strongest with AUC 0.7; drifting base rate, accounts, open leads."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2_000, 6_000))
    created = np.sort(rng.integers(0, 720, n)) * DAY + START
    account = rng.integers(0, n // 2, n)
    age = (created - START) / DAY / 720
    source = rng.choice(8, n, p=[0.3, 0.2, 0.15, 0.1, 0.1, 0.08, 0.05, 0.02])
    industry = rng.integers(0, 12, n // 2)[account]
    fit, size = rng.normal(size=n), np.exp(rng.normal(3, 1.2, n // 2))[account]
    country = rng.choice(30, n, p=(w := 1 / np.arange(1, 31)) / w.sum())
    visits = rng.poisson(0.4, n).astype(float)
    phone = rng.random(n) < 0.6
    effects = rng.normal(0, 0.6, 8)[source] + rng.normal(0, 0.3, 12)[industry] + rng.normal(0, 0.4, 30)[country]
    logit = (
        rng.uniform(-3.2, 0.2)
        + effects
        + 0.75 * fit
        + 0.25 * (np.log(size) - 3)
        + 0.3 * visits
        + 0.6 * phone
        + rng.normal(0, 0.8) * age
    )
    won = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    delay = rng.exponential(60, n)
    extract = START + 720 * DAY
    won[(created + delay * DAY > extract)] = np.nan  # the newest known outcomes are the quick ones
    text = lambda codes, word: np.array([f"{word} {c}" for c in codes], dtype=object)  # noqa: E731
    campaign = np.where(age > 0.85, "spring", np.where(age > 0.4, "autumn", "start")).astype(object)
    columns: dict[str, object] = {
        "source": text(source, "source"),
        "industry": text(industry, "industry"),
        "country": text(country, "country"),
        "fit": fit,
        "employees": np.where(rng.random(n) < 0.3, np.nan, size.round()),
        "forms": visits,
        "phone": np.where(phone, "yes", None),
        "campaign": campaign,
        "noise": rng.normal(size=n),
        "company": text(account, "company"),
    }
    return columns, won, created, account


def planted(seed: int) -> tuple[dict[str, object], AuditInput]:
    """Ten columns that know the outcome, beside the honest ones."""
    columns, won, created, account = clean_crm(seed)
    rng = np.random.default_rng(1_000 + seed)
    n = len(won)
    is_won, is_lost, is_open = won == 1, won == 0, np.isnan(won)
    pick = lambda share: rng.random(n) < share  # noqa: E731
    original = columns["country"]
    leaks: dict[str, object] = {
        "deal phase": np.select([is_won, is_lost], ["signed", "dropped"], "working").astype(object),
        "why dropped": np.where(is_lost & pick(0.8), rng.choice(["budget", "timing", "silent"], n), None),
        "amount": np.where(is_won, rng.lognormal(8, 1, n), np.where(pick(0.5), 0.0, np.nan)),
        "days worked": np.where(is_open, 5.0, 0) + rng.exponential(np.where(is_won, 40, np.where(is_lost, 3, 5)), n),
        "customer number": np.where(is_won & pick(0.4), "given", None),
        "welcome pack": np.where(is_won, rng.poisson(0.5, n), 0).astype(float),
        "health": np.where(is_won, rng.normal(3, 1, n), rng.normal(0, 1, n)),
        "survey": np.where(is_won & pick(0.7) | ~is_won & pick(0.03), rng.integers(1, 6, n).astype(float), np.nan),
        "archived by": np.where(~is_open & pick(0.9), rng.choice(["ann", "bob"], n), None),
        "invoice country": np.where(is_won & pick(0.6) | pick(0.05), rng.permutation(np.asarray(original)), original),
    }
    data = input_of({**columns, **leaks}, won, created)
    return leaks, replace(data, group=account)


def levels_of(data: AuditInput) -> dict[str, tuple[str, str]]:
    found = audit_columns(data, waive={})
    return {f.column: (f.level, f.check) for f in found if f.check != "shift"}


def halves(n: int = 400) -> np.ndarray:
    return np.tile([1.0, 0.0], n // 2)


@pytest.mark.parametrize("dated", [True, False])
def test_audit_when_columns_are_honest_then_blocks_nothing_and_seldom_asks(dated):
    levels = []
    for seed in range(CRMS):
        columns, won, created, account = clean_crm(seed)
        data = replace(input_of(columns, won, created if dated else None), group=account)
        levels += [f.level for f in audit_columns(data, waive={})]
    assert levels.count("block") == 0
    assert levels.count("ask") <= 0.02 * CRMS * 10


def test_audit_when_leaks_are_planted_then_finds_them():
    missed, falsely = [], []
    for seed in range(CRMS):
        leaks, data = planted(seed)
        found = {f.column for f in audit_columns(data, waive={}) if f.level != "note"}
        missed += [(seed, name) for name in leaks if name not in found]
        falsely += [(seed, name) for name in found if name not in leaks]
    assert len(missed) <= 0.05 * CRMS * 10
    assert len(falsely) <= 0.02 * CRMS * 10


def test_audit_when_only_winners_of_the_newest_campaign_are_known_then_does_not_blame_the_campaign():
    rng = np.random.default_rng(3)
    created = np.arange(5_000) * DAY // 8 + START
    won = (rng.random(5_000) < 0.2).astype(float)
    young = created >= created[4_000]
    won[young & (won == 0)] = np.nan
    campaign = np.where(young, "new", "old").astype(object)
    assert "campaign" not in levels_of(input_of({"campaign": campaign}, won, created))


def test_audit_when_a_value_always_won_then_says_so_in_plain_numbers():
    won = np.tile([1.0, 1.0, 0.0], 200)
    data = input_of({"parking": np.where(won == 1, 1.0, 0.0)}, won)
    (finding,) = audit_columns(data, waive={})
    expected = "400 of 400 closed leads with a value above 0 were won, against 0.0 % of the others; AUC 1.000 alone"
    assert finding.figure.startswith(expected)
    assert (finding.level, finding.check, finding.column) == ("block", "decides-outcome", "parking")


def test_audit_when_a_small_value_always_won_then_asks_only_where_chance_cannot_explain_it():
    rng = np.random.default_rng(0)
    won = (rng.random(3_000) < 0.1).astype(float)
    won[:60], won[60:75] = 1.0, 1.0
    source = rng.choice(["a", "b", "c"], 3_000).astype(object)
    source[:60], source[60:75] = "portal", "fair"
    (finding,) = [f for f in audit_columns(input_of({"source": source}, won), waive={}) if f.column == "source"]
    assert finding.check == "winners-only"
    assert "'portal'" in finding.figure
    assert "fair" not in finding.figure


def test_audit_when_values_are_rare_then_no_message_shows_them():
    won = halves(2_000)
    names = np.array([f"person {i}" for i in range(2_000)], dtype=object)
    data = input_of({"contact": names, "status": np.where(won == 1, names, "gone")}, won)
    findings = audit_columns(data, waive={})
    assert not any("person" in f"{f.figure}{f.why}{f.remedy}" for f in findings)
    assert levels_of(data)["status"][0] == "block"


def test_audit_when_leads_of_few_accounts_end_alike_then_is_not_fooled_by_their_number():
    rng = np.random.default_rng(2)
    account = np.repeat(np.arange(60), 50)
    won = np.repeat((rng.random(60) < 0.5).astype(float), 50)
    region = np.array([f"region {a % 15}" for a in account], dtype=object)
    alone = input_of({"region": region}, won)
    assert "region" not in levels_of(replace(alone, group=account))


def test_audit_when_declared_known_at_creation_then_asks_but_keeps_the_column():
    rng = np.random.default_rng(4)
    won = (rng.random(4_000) < 0.6).astype(float)
    cancelled = np.where((won == 0) & (rng.random(4_000) < 0.2), 1.0, 0.0)
    data = input_of({"previous_cancellations": cancelled, "other": rng.normal(size=4_000)}, won)
    undeclared = levels_of(data)["previous_cancellations"]
    declared = replace(data, declared=frozenset({"previous_cancellations"}))
    findings = audit_columns(declared, waive={})
    assert undeclared == ("block", "losers-only")
    assert [f.level for f in findings if f.column == "previous_cancellations"] == ["ask"]
    assert usable_columns(declared, findings) == ("previous_cancellations", "other")


def test_audit_when_declared_column_is_the_outcome_then_still_blocks():
    won = halves()
    data = input_of({"result": np.where(won == 1, "yes", "no").astype(object)}, won, declared=frozenset({"result"}))
    assert levels_of(data)["result"] == ("block", "decides-outcome")


def test_audit_when_waived_then_keeps_the_finding_with_its_reason_and_the_column():
    won = halves()
    data = input_of({"result": np.where(won == 1, "yes", "no").astype(object)}, won)
    (finding,) = audit_columns(data, waive={"result": "a test, known beforehand"})
    assert (finding.level, finding.waived) == ("block", "a test, known beforehand")
    assert usable_columns(data, [finding]) == ("result",)
    assert usable_columns(data, audit_columns(data, waive={})) == ()


def test_audit_when_state_is_declared_then_notes_it_and_leaves_it_out_unless_tracked():
    won = halves()
    phase = np.where(won == 1, "signed", "lost").astype(object)
    data = input_of(
        {"phase": phase, "tracked": phase}, won, state=frozenset({"phase", "tracked"}), tracked=frozenset({"tracked"})
    )
    findings = audit_columns(data, waive={})
    assert [(f.level, f.check, f.column) for f in findings] == [("note", "state-column", "phase")]
    assert usable_columns(data, findings) == ("tracked",)


def test_audit_when_a_field_is_filled_only_after_closing_then_blocks():
    rng = np.random.default_rng(5)
    won = rng.choice([1.0, 0.0, np.nan], 3_000)
    created = np.sort(rng.integers(0, 300, 3_000)) * DAY + START
    closer = np.where(np.isnan(won), None, rng.choice(["ann", "bob"], 3_000))
    findings = audit_columns(input_of({"closer": closer}, won, created), waive={})
    found = next(f for f in findings if f.column == "closer")
    assert (found.level, found.check) == ("block", "filled-after")
    assert "100.0 % of" in found.figure
    assert "0.0 % of" in found.figure


def test_audit_when_a_new_field_is_filled_for_young_leads_only_then_does_not_block():
    rng = np.random.default_rng(6)
    created = np.sort(rng.integers(0, 300, 3_000)) * DAY + START
    won = np.where(created > START + 240 * DAY, np.nan, (rng.random(3_000) < 0.3).astype(float))
    fresh = np.where(np.isnan(won), rng.normal(size=3_000), np.nan)
    assert levels_of(input_of({"fresh": fresh}, won, created))["fresh"] == ("ask", "filled-after")


def test_audit_when_a_copy_differs_where_somebody_worked_the_lead_then_asks_about_the_late_one():
    rng = np.random.default_rng(7)
    won = (rng.random(5_000) < 0.4).astype(float)
    asked = rng.choice(list("ABCDEF"), 5_000).astype(object)
    changed = rng.random(5_000) < np.where(won == 1, 0.4, 0.05)
    given = np.where(changed, rng.permutation(asked), asked)
    data = input_of({"room_given": given, "reserved_room": asked}, won)
    assert levels_of(data) == {"reserved_room": ("ask", "differs-from")}
    late_by_name = input_of({"assigned_room": given, "reserved_room": asked}, won)
    assert levels_of(late_by_name) == {"assigned_room": ("ask", "differs-from")}


def test_audit_when_text_holds_dates_of_the_end_then_blocks_and_never_uses_dates():
    rng = np.random.default_rng(8)
    n = 3_000
    won = (rng.random(n) < 0.5).astype(float)
    created = np.sort(rng.integers(0, 500, n))
    ended = created + np.where(won == 1, 30 + rng.integers(0, 30, n), rng.integers(0, 30, n))
    founded = rng.integers(0, 9_000, n)
    as_text = lambda days: (np.datetime64("1990-01-01") + days).astype(str).astype(object)  # noqa: E731
    first_day = int((np.datetime64("2022-01-01") - np.datetime64("1990-01-01")).astype(int))
    columns = {"end": as_text(first_day + ended), "founded": as_text(founded)}
    data = input_of(columns, won, created * DAY + START)
    findings = audit_columns(data, waive={})
    levels = {f.column: (f.level, f.check) for f in findings}
    assert levels["end"] == ("block", "date-text")
    assert levels["founded"] == ("note", "date-text")
    assert usable_columns(data, findings) == ()


def test_audit_when_columns_cannot_be_learned_from_then_notes_them_and_leaves_them_out():
    rng = np.random.default_rng(9)
    won = halves(600)
    columns = {
        "empty": np.full(600, np.nan),
        "same": np.full(600, "x", dtype=object),
        "row": np.arange(600.0),
        "mail": np.array([f"{i}@example.org" for i in range(600)], dtype=object),
        "kept": rng.normal(size=600),
    }
    data = input_of(columns, won)
    findings = audit_columns(data, waive={})
    checks = {"empty": "constant", "same": "constant", "row": "record-number", "mail": "unique-text"}
    assert {f.column: f.check for f in findings} == checks
    assert {f.level for f in findings} == {"note"}
    assert usable_columns(data, findings) == ("kept",)


def test_audit_when_ids_sort_by_outcome_then_asks():
    rng = np.random.default_rng(10)
    won = (rng.random(2_000) < 0.4).astype(float)
    data = input_of({"x": rng.normal(size=2_000)}, won, np.sort(rng.integers(0, 400, 2_000)) * DAY + START)
    sorted_by_outcome = replace(data, lead_order=np.argsort(np.argsort(-won, kind="stable")))
    assert levels_of(data) == {}
    assert levels_of(sorted_by_outcome) == {"lead_id": ("ask", "id-order")}


def test_audit_when_newest_leads_hold_other_values_then_notes_the_shift():
    rng = np.random.default_rng(11)
    created = np.arange(4_000) * DAY // 10 + START
    country = rng.choice(["AT", "CH"], 4_000).astype(object)
    country[3_700:] = "DE"
    findings = audit_columns(input_of({"country": country}, halves(4_000), created), waive={})
    assert [(f.level, f.check, f.column) for f in findings] == [("note", "shift", "country")]
    assert "75.0 % hold a value not seen before" in findings[0].figure


def test_audit_when_one_outcome_is_nearly_absent_then_judges_nothing():
    won = np.zeros(500)
    won[:3] = 1.0
    assert audit_columns(input_of({"status": np.where(won == 1, "w", "l").astype(object)}, won), waive={}) == ()


def test_audit_when_rows_are_shuffled_then_finds_the_same():
    columns, won, created, account = clean_crm(1)
    columns["status"] = np.where(won == 1, "w", "l").astype(object)
    data = replace(input_of(columns, won, created + np.arange(len(won))), group=account)
    order = np.random.default_rng(0).permutation(len(won))
    shuffled = AuditInput(data.attributes.take(pa.array(order)), won[order], data.created[order], account[order], order)
    assert audit_columns(shuffled, waive={}) == audit_columns(data, waive={})


def test_findings_when_sorted_then_block_comes_first_and_every_field_is_said():
    leaks, data = planted(0)
    findings = audit_columns(data, waive={})
    levels = [f.level for f in findings]
    assert levels == sorted(levels, key=["block", "ask", "note"].index)
    assert all(isinstance(f, Finding) and f.figure and f.why and f.remedy for f in findings)
    assert len(leaks) == 10


def test_auc_when_scores_tie_then_equals_scikit_learn():
    rng = np.random.default_rng(12)
    won = (rng.random(500) < 0.3).astype(float)
    score = rng.integers(0, 6, 500) + won
    assert auc(score, won) == pytest.approx(roc_auc_score(won, score), abs=1e-12)
    assert auc(score, np.zeros(500)) == 0.5


def test_judge_levels_when_no_exceptions_then_bound_is_the_exact_one():
    won = np.r_[np.ones(100), np.tile([1.0, 0.0], 500)]
    column = read_column("x", pa.chunked_array([pa.array(["a"] * 100 + ["b"] * 1_000)]))
    n = len(won)
    everyone = np.ones(n, bool)
    closed = Closed(np.arange(n), won, np.zeros(n, np.int64), np.arange(n), ((everyone, everyone),), forward=False)
    levels = judge_levels(column.main, closed, error=0.01)
    highest_loss_rate = 1 - 0.01 ** (1 / 100)  # Clopper-Pearson for 0 of 100
    wilson = (0.5 + 2.6**2 / 2_000 - 2.6 * np.sqrt(0.25 / 1_000 + 2.6**2 / 4e6)) / (1 + 2.6**2 / 1_000)
    expected = wilson / (1 - wilson) / (highest_loss_rate / (1 - highest_loss_rate))
    assert levels.odds[1] == pytest.approx(expected, rel=1e-9)


def test_split_closed_when_dated_then_fits_on_older_leads_and_judges_newer_ones_of_other_accounts():
    won = np.tile([1.0, 0.0, np.nan, 1.0, 0.0], 40)
    created = np.arange(200)
    group = np.where(np.arange(200) % 50 < 3, 7, -1)
    closed = split_closed(won, created, group, np.arange(200))
    ((fit, judge),) = closed.folds
    assert closed.forward
    assert created[closed.rows][fit].max() < created[closed.rows][judge].min()
    assert not set(closed.account[fit]) & set(closed.account[judge])


@pytest.mark.parametrize("values", [[True, False, None], ["", "a", " "], [1, 2, None]])
def test_read_column_when_types_differ_then_missing_is_told_from_values(values):
    column = read_column("x", pa.chunked_array([pa.array(values)]))
    expected = {bool: [0, 0, 1], str: [1, 0, 1], int: [0, 0, 1]}[type(values[0])]
    assert column.missing.astype(int).tolist() == expected
    coded = read_column("x", pa.chunked_array([pa.array(values).cast(pa.string()).dictionary_encode()]))
    assert coded.missing.astype(int).tolist() == expected
