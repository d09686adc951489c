"""Lists say who is new, stays and leaves, one file a recipient, in the words of their CRM."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from mqlml.config import Handoff
from mqlml.errors import UsageError
from mqlml.operation.handoff import COLUMNS, headers, write_handoff

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
FACTS = {"as_of": MARCH, "model_version": "m1"}


def rows(*leads, **carried):
    """One row per (lead_id, change, probability, control)."""
    n = len(leads)
    utc = pa.timestamp("us", "UTC")
    columns = {
        "lead_id": [lead[0] for lead in leads],
        "change": [lead[1] for lead in leads],
        "mql_since": pa.array([MARCH if lead[1] in ("new", "stays") else None for lead in leads], utc),
        "tier": ["mql"] * n,
        "score": [round(100 * lead[2]) for lead in leads],
        "rule": pa.array([None] * n, pa.string()),
        "reason_1": ["3 visits"] * n,
        "reason_2": ["=HYPERLINK(1)"] * n,
        "reason_3": pa.array([None] * n, pa.string()),
        "last_event": ["visit"] * n,
        "last_event_at": pa.array([MARCH] * n, utc),
        "as_of": pa.array([MARCH] * n, utc),
        "probability": [lead[2] for lead in leads],
        "control": [len(lead) > 3 for lead in leads],
    }
    return pa.table({**columns, **carried})


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


LEADS = [("a", "stays", 0.9), ("b", "new", 0.2), ("c", "leaves", 0.1), ("d", "new", 0.5), ("e", "none", 0.05, True)]


def test_write_handoff_when_there_is_no_recipient_then_one_file_new_leads_first(tmp_path):
    told = write_handoff(rows(*LEADS, ("f", "none", 0.9)), tmp_path, Handoff(), facts=FACTS)
    found = read(tmp_path / "all.csv")
    assert [(r["lead_id"], r["change"]) for r in found] == [
        ("d", "new"), ("b", "new"), ("e", "control"), ("a", "stays"), ("c", "leaves"),
    ]  # fmt: skip
    assert list(found[0]) == list(COLUMNS)
    assert found[0]["mql_since"] == "2026-03-01T00:00:00Z"
    assert found[2]["mql_since"] == ""
    assert found[0]["reason_2"] == "'=HYPERLINK(1)"
    manifest = json.loads((tmp_path / "handoff.json").read_text())
    assert manifest["recipients"] == told["recipients"]
    assert manifest["recipients"] == [
        {"recipient": "all", "file": "all.csv", "new": 2, "control": 1, "stays": 1, "leaves": 1}
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.csv", "handoff.json"]


def test_write_handoff_when_recipients_are_named_anyhow_then_each_has_a_file_of_its_own_in_the_folder(tmp_path):
    teams = ["../../etc", "Süd", "sued", None, "SUED"]
    settings = Handoff(recipient="team", consent="may mail", columns=["=cmd"])
    carried = {"team": teams, "may mail": ["yes", None, "no", "yes", "yes"], "=cmd": ["+1", "x", "y", "z", "w"]}
    told = write_handoff(rows(*LEADS, **carried), tmp_path / "lists", settings, facts=FACTS)
    files = {entry["recipient"]: entry["file"] for entry in told["recipients"]}
    assert len(set(files.values())) == 5
    assert len({name.lower() for name in files.values()}) == 5  # also where a disk ignores capitals
    assert files["Süd"] == "S-d.csv"
    assert files[""] == "without-recipient.csv"
    assert {p.name for p in (tmp_path / "lists").iterdir()} == {*files.values(), "handoff.json"}
    assert [p.name for p in tmp_path.iterdir()] == ["lists"]
    (row,) = read(tmp_path / "lists" / files["../../etc"])
    assert (row["lead_id"], row["may mail"], row["'=cmd"]) == ("a", "yes", "'+1")


def test_write_handoff_when_a_recipient_gets_nobody_anymore_then_the_old_list_goes_and_other_files_stay(tmp_path):
    settings = Handoff(recipient="team")
    write_handoff(rows(*LEADS[:2], team=["north", "south"]), tmp_path, settings, facts=FACTS)
    (tmp_path / "notes.csv").write_text("mine")
    write_handoff(rows(LEADS[0], team=["north"]), tmp_path, settings, facts=FACTS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["handoff.json", "north.csv", "notes.csv"]
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    write_handoff(rows(LEADS[0], team=["north"]), tmp_path, settings, facts=FACTS)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_write_handoff_when_nobody_is_listed_then_an_empty_list_says_so(tmp_path):
    write_handoff(rows(("f", "none", 0.9)), tmp_path, Handoff(), facts=FACTS)
    assert read(tmp_path / "all.csv") == []


def test_write_handoff_when_the_manifest_cannot_be_written_then_the_old_lists_stay(tmp_path):
    write_handoff(rows(*LEADS), tmp_path, Handoff(), facts=FACTS)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="Circular"):
        write_handoff(rows(LEADS[0]), tmp_path, Handoff(), facts={"loop": loop})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("salesforce", ["Id", "MQL_Change__c", "MQL_Since__c", "MQL_Reason_1__c", "MQL_Last_Event_At__c", "phone"]),
        ("hubspot", ["hs_object_id", "mql_change", "mql_since", "mql_reason_1", "mql_last_event_at", "phone"]),
        ("dynamics365", ["leadid", "new_mqlchange", "new_mqlsince", "new_mqlreason1", "new_mqllasteventat", "phone"]),
    ],
)
def test_headers_when_a_preset_is_chosen_then_the_crm_s_names(preset, expected):
    found = headers(Handoff(preset=preset, columns=["phone"]))
    assert [found[n] for n in ("lead_id", "change", "mql_since", "reason_1", "last_event_at", "phone")] == expected
    own = headers(Handoff(preset=preset, columns=["phone"], names={"phone": "Phone", "change": "Status"}))
    assert (own["phone"], own["change"]) == ("Phone", "Status")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"names": {"fone": "Phone"}}, "the lists have no column 'fone'"),
        ({"names": {"tier": "X", "rule": "X"}}, "two columns are named 'X'"),
        ({"columns": ["rule"]}, "'rule' is a column of the lists themselves"),
    ],
)
def test_headers_when_names_do_not_fit_then_usage_error(settings, match):
    with pytest.raises(UsageError, match=match):
        headers(Handoff(**settings))
