"""Outcomes beyond won and lost: opportunities that are open, whom they name, and why they were lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from history.histories import LEADS, account, at, reading

from mqlml.errors import DataRefused

HEAD = "lead_id,outcome,decided_at,opened_at,opportunity_id,is_primary\n"


def test_read_history_when_an_opportunity_is_open_then_its_row_is_kept_without_an_outcome(tmp_path: Path) -> None:
    outcomes = HEAD + (
        "007,won,2024-02-01T00:00:00Z,2024-01-20T00:00:00Z,o1,yes\n"
        "1e5,,,2024-01-25T00:00:00Z,o1,0\n"
        "null,,2024-02-05T00:00:00Z,,,\n"
    )
    with reading(tmp_path, {"leads.csv": LEADS, "outcomes.csv": outcomes}) as history:
        rows = history.outcomes.select(
            ["lead_id", "outcome", "decided_at", "opened_at", "opportunity_id", "is_primary"]
        ).to_pylist()
        assert account(history, "outcomes").skipped == {"open": 1}
    assert [tuple(row.values()) for row in rows] == [
        ("007", "won", at("2024-02-01"), at("2024-01-20"), "o1", True),
        ("1e5", None, None, at("2024-01-25"), "o1", False),
    ]


def test_read_history_when_no_row_says_more_then_outcomes_are_as_before(tmp_path: Path) -> None:
    outcomes = "lead_id,outcome,decided_at\n007,won,2024-02-01T00:00:00Z\n1e5,,\n"
    with reading(tmp_path, {"leads.csv": LEADS, "outcomes.csv": outcomes}) as history:
        row = history.outcomes.to_pylist()
    assert len(row) == 1
    assert row[0]["opened_at"] is None
    assert row[0]["opportunity_id"] is None
    assert row[0]["is_primary"] is False


def test_read_history_when_an_opportunity_opens_after_its_decision_then_when_is_left_out_and_told(
    tmp_path: Path,
) -> None:
    outcomes = HEAD + (
        "007,won,2024-02-01T00:00:00Z,2024-02-03T00:00:00Z,,\n1e5,lost,2024-02-01T00:00:00Z,2024-02-01T00:00:00Z,,\n"
    )
    with reading(tmp_path, {"leads.csv": LEADS, "outcomes.csv": outcomes}) as history:
        assert history.outcomes["opened_at"].to_pylist() == [None, at("2024-02-01")]
        assert any("1 rows were opened after they were decided" in note for note in history.notes)


def test_read_history_when_decisions_are_days_then_an_opening_on_that_day_counts_from_its_start(
    tmp_path: Path,
) -> None:
    outcomes = HEAD + "007,won,2024-02-01,2024-02-01T15:00:00Z,,\n1e5,lost,2024-02-01,2024-02-02T15:00:00Z,,\n"
    with reading(tmp_path, {"leads.csv": LEADS, "outcomes.csv": outcomes}) as history:
        assert history.outcomes["opened_at"].to_pylist() == [at("2024-02-01"), None]


def test_read_history_when_a_flag_is_no_flag_then_it_is_refused_with_its_words(tmp_path: Path) -> None:
    outcomes = HEAD + "007,won,2024-02-01T00:00:00Z,,o1,perhaps\n"
    with (
        pytest.raises(DataRefused, match=r"MQL-no-flag outcomes.csv: column 'is_primary'.*'perhaps'.*write true"),
        reading(tmp_path, {"leads.csv": LEADS, "outcomes.csv": outcomes}),
    ):
        pass


@pytest.mark.parametrize("own_file", [True, False])
def test_read_history_when_leads_hold_the_reason_of_a_loss_then_it_is_no_attribute(
    tmp_path: Path, *, own_file: bool
) -> None:
    leads = (
        "lead_id,created_at,size,lost_reason,outcome,decided_at\n"
        "a,2024-01-01T00:00:00Z,1,no budget,lost,2024-02-01T00:00:00Z\n"
        "b,2024-01-01T00:00:00Z,2,,won,2024-02-01T00:00:00Z\n"
    )
    files = {"leads.csv": leads, "outcomes.csv": "lead_id,outcome,decided_at\na,won,2024-02-01T00:00:00Z\n"}
    sections = {} if own_file else {"outcomes": {"path": ""}}
    with reading(tmp_path, files, **sections) as history:
        assert "lost_reason" not in history.attributes.column_names
        assert "size" in history.attributes.column_names
        if not own_file:
            assert sorted(history.outcomes["lost_reason"].to_pylist(), key=str) == [None, "no budget"]
