"""`mqlml check` with an earlier extract, and what it says of columns that [history] changes late."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from workflows.conftest import Run

N = 600
SETTINGS = """
[leads]
path = "leads.parquet"
known_at_creation = ["source", "employees"]
[outcomes]
path = "outcomes.parquet"
"""


def days(number: np.ndarray) -> pa.Array:
    return pa.array(np.datetime64("2025-01-01T00:00:00", "us") + number * np.timedelta64(86_400_000_000, "us"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Leads of 300 days, decided 100 days later (the newest are open), and the extract of day 200."""
    rng = np.random.default_rng(0)
    row = np.arange(N)
    created, ids = row // 2, [f"lead {i}" for i in row]
    closed = created + 100 < 300
    won = np.where(rng.random(N) < 0.4, "won", "lost")
    columns = {
        "lead_id": ids,
        "created_at": days(created),
        "source": rng.choice(["web", "fair"], N),
        "employees": rng.integers(1, 500, N).astype(float),
        "closer": np.where(rng.random(N) < 0.5, "ann", "bob"),
        "code": [f"{i % 7:03}" for i in row],
    }
    pq.write_table(pa.table(columns), tmp_path / "leads.parquet")
    known = np.flatnonzero(created <= 200)
    before = dict(columns) | {"closer": np.where(created + 100 < 200, columns["closer"], "pool"), "left out": ["x"] * N}
    before["employees"] = np.where(row % 50 == 0, columns["employees"] + 5, columns["employees"])
    del before["code"]
    pq.write_table(pa.table(before).take(known[::-1]), tmp_path / "before.parquet")
    at = np.flatnonzero(closed)
    decided = {"lead_id": [ids[i] for i in at], "outcome": won[at], "decided_at": days(created[at] + 100)}
    pq.write_table(pa.table(decided), tmp_path / "outcomes.parquet")
    (tmp_path / "mqlml.toml").write_text(SETTINGS)
    return tmp_path


def test_check_when_an_earlier_extract_differs_then_each_column_is_told_as_it_is(folder: Path, run: Run) -> None:
    ran = run("check", "--config", folder / "mqlml.toml", "--previous", folder / "before.parquet", "--json")
    found = {f["column"]: f for f in ran.json["audit"] if f["check"].startswith("changed")}
    assert {name: f["level"] for name, f in found.items()} == {"closer": "block", "employees": "ask"}
    assert "that closed in between, 100.0 % of" not in found["employees"]["figure"]
    assert "declared as known at creation, yet changes" in found["employees"]["why"]
    assert ran.code == 3
    assert "closer" not in ran.json["attributes"]
    assert any("402 of 600 leads stand in the earlier extract before.parquet too" in note for note in ran.json["notes"])


def test_check_when_it_differs_in_a_waived_column_then_it_is_told_and_used(folder: Path, run: Run) -> None:
    settings = folder / "mqlml.toml"
    settings.write_text(f'{SETTINGS}[audit.waive]\ncloser = "was corrected by hand"\n')
    ran = run("check", "--config", settings, "--previous", folder / "before.parquet", "--json")
    assert ran.code == 0
    assert "closer" in ran.json["attributes"]
    assert [f["waived"] for f in ran.json["audit"] if f["column"] == "closer"] == ["was corrected by hand"]


def test_check_when_the_extract_is_today_s_then_nothing_changed(folder: Path, run: Run) -> None:
    ran = run("check", "--config", folder / "mqlml.toml", "--previous", folder / "leads.parquet", "--json")
    assert ran.code == 0, ran.err
    assert not [f for f in ran.json["audit"] if f["check"].startswith("changed")]


def test_check_when_the_extract_cannot_be_read_then_its_name_and_the_reason_are_said(folder: Path, run: Run) -> None:
    missing = run("check", "--config", folder / "mqlml.toml", "--previous", folder / "none.parquet")
    assert missing.code == 3
    assert "none.parquet" in missing.err
    pq.write_table(pa.table({"id": ["a"], "created_at": days(np.arange(1))}), folder / "other.parquet")
    other = run("check", "--config", folder / "mqlml.toml", "--previous", folder / "other.parquet")
    assert other.code == 3
    assert "other.parquet" in other.err
    assert "lead_id" in other.err


def test_check_when_history_changes_columns_late_then_it_is_told(folder: Path, run: Run) -> None:
    late = np.arange(0, 300, 3)
    changes = {
        "lead_id": [f"lead {i}" for i in late] * 2,
        "changed_at": pa.concat_arrays([days(late // 2 + 100), days(late // 2 + 20)]),
        "field": ["closer"] * len(late) + ["source"] * len(late),
        "value": ["ann"] * len(late) + ["web"] * len(late),
        "old_value": ["pool"] * len(late) + ["fair"] * len(late),
    }
    pq.write_table(pa.table(changes), folder / "history.parquet")
    settings = folder / "mqlml.toml"
    settings.write_text(f'{SETTINGS}[history]\npath = "history.parquet"\n')
    ran = run("check", "--config", settings, "--json")
    assert ran.code == 0, ran.err
    found = {f["column"]: (f["level"], f["check"]) for f in ran.json["audit"] if f["check"].startswith("changed")}
    assert found == {"closer": ("note", "changed-after-closing"), "source": ("ask", "changed-after-creation")}
