"""Three extracts made by hand: what changed between them is collected once, and read as of each moment."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mqlml.config import Config
from mqlml.errors import DataRefused, UsageError
from mqlml.history.collecting import collect
from mqlml.history.reading import read_history
from mqlml.tape.build import build_features
from mqlml.tape.features import Attribute, FeatureSet
from mqlml.workflows.forgetting import forget

pytestmark = pytest.mark.long

HEADER = "lead_id,created_at,status,employees,email,note\n"
JANUARY = [datetime(2026, 1, day, tzinfo=UTC) for day in (10, 17, 24)]
# B answers between the first two extracts, A grows; in the third B is worked and A's size is emptied; C is new.
EXTRACTS = [
    {"A": ("new", "10"), "B": ("new", "5")},
    {"A": ("new", "12"), "B": ("answered", "5"), "C": ("new", "")},
    {"A": ("new", ""), "B": ("working", "5"), "C": ("new", "7")},
]
CHANGES = [
    ("A", JANUARY[1], "employees", "12", "10"),
    ("B", JANUARY[1], "status", "answered", "new"),
    ("A", JANUARY[2], "employees", None, "12"),
    ("B", JANUARY[2], "status", "working", "answered"),
    ("C", JANUARY[2], "employees", "7", None),
]


def deliver(folder, number):
    created = {"A": "2026-01-02", "B": "2026-01-05", "C": "2026-01-12"}
    rows = [
        f'{lead},{created[lead]},{status},{size},{lead}{size}@canary.example,"called {status}: {"x" * 100}"'
        for lead, (status, size) in EXTRACTS[number].items()
    ]
    (folder / "leads.csv").write_text(HEADER + "\n".join(rows) + "\n")


def settings(folder, **more):
    history = {"collect": "kept", **more.pop("history", {})}
    (folder / "outcomes.csv").write_text("lead_id,outcome,decided_at\nA,won,2026-02-01\n")
    plain = {
        "leads": {"path": "leads.csv", "timezone": "UTC"},
        "outcomes": {"path": "outcomes.csv"},
        "history": history,
        "suppress": {"path": "suppress.csv"},
    }
    (folder / "suppress.csv").write_text("lead_id\n")
    return Config.of({**plain, **more}, root=folder)


def collected(folder):
    rows = pq.read_table(folder / "kept" / "changes.parquet").to_pylist()
    return [tuple(row[name] for name in ("lead_id", "changed_at", "field", "value", "old_value")) for row in rows]


def files(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "kept").iterdir()}


@pytest.fixture
def config(tmp_path):
    config = settings(tmp_path)
    for number, moment in enumerate(JANUARY):
        deliver(tmp_path, number)
        collect(config, as_of=moment)
    return config


def test_collect_when_three_extracts_differ_then_each_change_is_there_once(config, tmp_path):
    assert collected(tmp_path) == CHANGES


def test_collect_when_it_is_told_then_counts_add_up(tmp_path):
    config = settings(tmp_path)
    told = []
    for number, moment in enumerate(JANUARY):
        deliver(tmp_path, number)
        told.append(collect(config, as_of=moment))
    assert [(t.kept_as_of, t.leads, t.changes, t.rows) for t in told] == [
        (None, 2, 0, 0),
        (JANUARY[0].isoformat(), 3, 2, 2),
        (JANUARY[1].isoformat(), 3, 3, 5),
    ]


def test_collect_when_the_extract_is_the_same_then_nothing_is_added_and_bytes_stay(config, tmp_path):
    before = files(tmp_path)
    again = collect(config, as_of=JANUARY[2])
    assert (again.changes, again.notes, files(tmp_path)) == (0, (), before)
    later = collect(config, as_of=datetime(2026, 1, 31, tzinfo=UTC))
    assert (later.changes, collected(tmp_path)) == (0, CHANGES)


def test_collect_when_an_older_extract_comes_then_it_says_so_and_changes_nothing(config, tmp_path):
    before = files(tmp_path)
    deliver(tmp_path, 0)
    for moment in (JANUARY[0], JANUARY[2]):
        assert "2026-01-24" in collect(config, as_of=moment).notes[0]
    assert files(tmp_path) == before


def test_collect_when_columns_hold_people_or_texts_then_they_are_left_out(config, tmp_path):
    told = collect(config, as_of=JANUARY[2])
    assert told.left_out == ("email", "note")
    for path in (tmp_path / "kept").iterdir():
        assert b"canary" not in path.read_bytes()
        assert b"xxxx" not in path.read_bytes()


@pytest.mark.parametrize("key", ["sensitive", "exclude"])
def test_collect_when_a_column_is_declared_away_then_it_is_not_kept(key, tmp_path):
    config = settings(tmp_path, leads={"path": "leads.csv", "timezone": "UTC", key: ["status"]})
    deliver(tmp_path, 0)
    collect(config, as_of=JANUARY[0])
    assert pq.read_schema(tmp_path / "kept" / "extract.parquet").names == ["lead_id", "employees"]


def test_collect_when_numbers_are_a_leads_own_then_they_count_as_phone_numbers(tmp_path):
    rows = [f"L{i},2026-01-01,{49_151_000_000 + i},{i % 40}" for i in range(80)]
    (tmp_path / "leads.csv").write_text("lead_id,created_at,phone,visits\n" + "\n".join(rows) + "\n")
    assert collect(settings(tmp_path), as_of=JANUARY[0]).left_out == ("phone",)


def test_collect_when_nobody_said_where_then_usage_error(tmp_path):
    config = settings(tmp_path).model_copy(update={"history": None})
    with pytest.raises(UsageError, match=r"add collect = \"collected\" to \[history\]"):
        collect(config, as_of=JANUARY[0])
    with pytest.raises(UsageError, match="name a table with 'path', or a folder"):
        Config.of({"leads": {"path": "x.csv"}, "outcomes": {}, "history": {}})


def test_collect_when_what_was_kept_is_damaged_then_refused_and_untouched(config, tmp_path):
    kept = tmp_path / "kept" / "extract.parquet"
    kept.write_bytes(kept.read_bytes()[:-9])
    before = files(tmp_path)
    with pytest.raises(DataRefused, match=r"MQL-collected .*restore the folder"):
        collect(config, as_of=datetime(2026, 1, 31, tzinfo=UTC))
    assert files(tmp_path) == before


KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from mqlml.config import Config
from mqlml.history import collecting, writing
folder, step, moment = Path(sys.argv[1]), int(sys.argv[2]), datetime.fromisoformat(sys.argv[3])
seen = 0
move = writing._move
def moved(temporary, path):
    global seen
    if seen == step:
        os.kill(os.getpid(), signal.SIGKILL)
    move(temporary, path)
    seen += 1
    if seen == step:
        os.kill(os.getpid(), signal.SIGKILL)
writing._move = moved
leads = {"path": "leads.csv", "timezone": "UTC"}
config = Config.of({"leads": leads, "outcomes": {}, "history": {"collect": "kept"}}, root=folder)
collecting.collect(config, as_of=moment)
"""


@pytest.mark.parametrize("step", [0, 1, 2])
def test_collect_when_killed_around_each_file_then_the_next_run_completes(step, tmp_path):
    """Killed before the first file is there, between the two, and after the second."""
    config = settings(tmp_path)
    deliver(tmp_path, 0)
    collect(config, as_of=JANUARY[0])
    for number in (1, 2):
        deliver(tmp_path, number)
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(step), JANUARY[number].isoformat()]
        killed = subprocess.run(command, env={**os.environ}, capture_output=True, check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        collect(config, as_of=JANUARY[number])
        assert collected(tmp_path) == [change for change in CHANGES if change[1] <= JANUARY[number]]


def as_of(config, *moments):
    """Status and size of A, B and C as of each moment, as features of a history."""
    with read_history(config) as history:
        assert "changes" in history.tables
        attributes = (Attribute("status", "category", "history"), Attribute("employees", "number", "history"))
        features = FeatureSet((), (7,), (), attributes)
        pairs = list(itertools.product("ABC", moments))
        at = pa.array([moment for _, moment in pairs], pa.timestamp("us", "UTC"))
        marks = pa.table({"lead_id": [lead for lead, _ in pairs], "at": at})
        table = build_features(history, marks, features)
        found = zip(table["lead.status"].to_pylist(), table["lead.employees"].to_pylist(), strict=True)
        sizes = [(status, None if size is None or size != size else size) for status, size in found]
        return {lead: sizes[i * len(moments) : (i + 1) * len(moments)] for i, lead in enumerate("ABC")}


def test_read_history_when_changes_were_collected_then_values_hold_as_of_each_moment(config):
    """A change holds strictly after the moment of the extract that showed it first."""
    at = [JANUARY[1], datetime(2026, 1, 18, tzinfo=UTC), JANUARY[2], datetime(2026, 1, 25, tzinfo=UTC)]
    assert as_of(config, *at) == {
        "A": [("new", 10), ("new", 12), ("new", 12), ("new", None)],
        "B": [("new", 5), ("answered", 5), ("answered", 5), ("working", 5)],
        "C": [("new", None), ("new", None), ("new", None), ("new", 7)],
    }


def test_read_history_when_a_history_is_delivered_too_then_its_fields_come_from_it_alone(config, tmp_path):
    """The CRM knows that B answered on the 11th; its history has no old values, what was collected has."""
    (tmp_path / "crm.csv").write_text("lead_id,changed_at,field,value\nB,2026-01-11T00:00:00Z,status,answered\n")
    both = settings(tmp_path, history={"path": "crm.csv"})
    at = [JANUARY[0], datetime(2026, 1, 12, tzinfo=UTC), datetime(2026, 1, 25, tzinfo=UTC)]
    found = as_of(both, *at)
    assert found["B"] == [(None, 5), ("answered", 5), ("answered", 5)]
    assert found["A"] == [(None, 10), (None, 10), (None, None)]
    with read_history(both) as history:
        accounts = {a.table: a.rows_in for a in history.accounts}
        assert (accounts["changes"], accounts["collected"]) == (1, 5)
        assert history.connection.execute("SELECT count(*) FROM changes").fetchone() == (4,)


def test_read_history_when_nothing_was_collected_yet_then_there_is_no_field_history(tmp_path):
    config = settings(tmp_path)
    deliver(tmp_path, 0)
    with read_history(config) as history:
        assert "changes" not in history.tables
    collect(config, as_of=JANUARY[0])
    with read_history(config) as history:
        assert "changes" not in history.tables


def test_forget_when_changes_were_collected_then_the_lead_is_gone_and_does_not_come_back(config, tmp_path):
    found = forget(config, "B")
    assert found["erased"] == 3  # two changes and the row of the last extract
    assert [change[0] for change in collected(tmp_path)] == ["A", "A", "C"]
    deliver(tmp_path, 1)
    told = collect(config, as_of=datetime(2026, 1, 31, tzinfo=UTC))
    assert told.kept_as_of == JANUARY[2].isoformat()
    assert {change[0] for change in collected(tmp_path)} == {"A", "C"}
    assert b"working" not in (tmp_path / "kept" / "extract.parquet").read_bytes()
    assert pq.read_table(tmp_path / "kept" / "extract.parquet")["lead_id"].to_pylist() == ["A", "C"]
