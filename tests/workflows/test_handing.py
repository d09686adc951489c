"""Lists for those who take the leads, and forgetting a person, through the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from workflows.conftest import AS_OF, Run

pytestmark = pytest.mark.training

SETTINGS = """
[handoff]
folder = "lists"
recipient = "country"
consent = "free_mail"
columns = ["job_title", "onboarding_owner"]
[suppress]
path = "suppress.csv"
[output]
scores = ["scores.parquet", "scores.duckdb"]
"""


@pytest.fixture
def settings(copy: Path) -> Path:
    """Return settings with lists and a place for scores."""
    file = copy / "mqlml.toml"
    # sales was handed this week's leads already, so those who wait have to be let in
    text = file.read_text().replace("# backlog_per_week = 5 ", "backlog_per_week = 50 ")
    file.write_text(text.replace("# control_per_week = 5 ", "control_per_week = 30 ") + SETTINGS)
    (copy / "suppress.csv").write_text("lead_id\nnobody\n")
    return file


def read(folder: Path) -> list[dict[str, str]]:
    found = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += list(csv.DictReader(file))
    return found


def test_score_when_lists_are_wanted_then_they_agree_with_the_scores_and_the_history(settings: Path, run: Run) -> None:
    folder = settings.parent
    ran = run("score", "--config", settings, "--as-of", AS_OF, "--json")
    assert ran.code == 0, ran.err
    assert ran.out.strip().startswith('{"out": "' + str(folder / "scores.parquet"))
    scores = pd.read_parquet(folder / "scores.parquet").set_index("lead_id")
    leads = pd.read_parquet(folder / "leads.parquet").set_index("lead_id")
    found = {row["lead_id"]: row for row in read(folder / "lists" / AS_OF)}
    assert set(found) == set(scores.index[(scores["change"] != "none") | scores["control"]])
    assert ran.json["mqls"] > 2
    assert len(found) - ran.json["mqls"] == scores["control"].sum() > 20
    by_sales = "event_type NOT IN ('call', 'meeting', 'email_open', 'email_sent')"
    events = f"FROM '{folder}/events.parquet' WHERE {by_sales} AND occurred_at < '{AS_OF}' AND recorded_at < '{AS_OF}'"
    last = dict(duckdb.sql(f"SELECT lead_id, max(occurred_at AT TIME ZONE 'UTC') {events} GROUP BY 1").fetchall())
    agree = 0
    for lead, row in found.items():
        assert row["reason_1"].lstrip("'") == scores["reason_1"][lead]
        for column in ("job_title", "onboarding_owner"):
            assert row[column] == ("" if pd.isna(leads[column][lead]) else leads[column][lead])
        if row["last_event_at"]:
            assert pd.Timestamp(row["last_event_at"]) <= pd.Timestamp(last[lead], tz="UTC")
            agree += pd.Timestamp(row["last_event_at"]) == pd.Timestamp(last[lead], tz="UTC")
            assert row["last_event"]
    assert agree > 0.8 * len(found)  # in the others the last event is one that machines make
    told = json.loads((folder / "lists" / AS_OF / "handoff.json").read_text())
    assert sum(entry["new"] for entry in told["recipients"]) == ran.json["mqls"]
    assert sum(entry["control"] for entry in told["recipients"]) == scores["control"].sum()


def test_score_when_a_column_of_the_lists_is_misspelt_then_refused_before_scoring(settings: Path, run: Run) -> None:
    settings.write_text(settings.read_text().replace('consent = "free_mail"', 'consent = "free_male"'))
    ran = run("score", "--config", settings, "--as-of", AS_OF)
    assert ran.code == 3
    assert (
        "column 'free_male': there is no such column; nearest: 'free_mail'. Fix: name the column in [handoff]"
        in ran.err
    )
    assert not (settings.parent / "lists").exists()


def test_forget_when_a_lead_is_everywhere_then_no_file_names_it_and_it_does_not_come_back(
    settings: Path, run: Run
) -> None:
    folder = settings.parent
    for out in (
        [],
        ["--out", folder / "scores.duckdb"],
        ["--out", folder / "kept", "--contributions", folder / "c.csv"],
    ):
        ran = run("score", "--config", settings, "--as-of", AS_OF, *out)
        assert ran.code == 0, ran.err
    lead = read(folder / "lists" / AS_OF)[0]["lead_id"]
    also = ["--also", folder / "kept", "--also", folder / "c.csv"]
    ran = run("forget", lead, "--config", settings, *also, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["suppressed"] is True
    rows = {Path(place["place"]).name: place["rows"] for place in ran.json["looked"]}
    assert rows.pop("c.csv") > 3
    assert rows == {"suppress.csv": 1, "scores.parquet": 1, "scores.duckdb": 1, "lists": 1, "kept": 1, "backtest": 0}
    delivered = {"leads", "outcomes", "events", "history", "stages", "handovers"}
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "suppress.csv" and path.stem not in delivered:
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content = str(pq.read_table(path).to_pylist()).encode()
            assert lead.encode() not in content, path
    again = run("forget", lead, "--config", settings, *also, "--json")
    assert (again.code, again.json["erased"], again.json["suppressed"]) == (0, 0, False)
    assert (folder / "suppress.csv").read_text() == f"lead_id\nnobody\n{lead}\n"
    assert run("score", "--config", settings, "--as-of", AS_OF).code == 0
    assert lead not in set(pd.read_parquet(folder / "scores.parquet")["lead_id"])
    assert lead not in {row["lead_id"] for row in read(folder / "lists" / AS_OF)}


def test_forget_when_there_is_no_list_then_usage_error_and_nothing_is_erased(copy: Path, run: Run) -> None:
    ran = run("forget", "L1", "--config", copy / "mqlml.toml")
    assert ran.code == 2
    assert "[suppress]" in ran.err
