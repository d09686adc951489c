"""One person goes; everybody else's rows stay as they were."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from operation.test_handoff import FACTS, rows
from operation.test_sinks import SCHEMA, batch, snapshot, write

from mqlml.config import Handoff
from mqlml.errors import DataRefused, EngineError
from mqlml.operation.erasing import erase_in_file, erase_in_folder
from mqlml.operation.handoff import write_handoff

SINKS = ["scores.parquet", "scores.csv", "scores.duckdb"]
CANARY = "canary-7f3a9"
LATER = datetime(2026, 3, 8, tzinfo=UTC)


@pytest.mark.parametrize("name", SINKS)
def test_erase_when_a_lead_is_in_a_file_then_no_byte_of_it_stays_and_running_again_changes_nothing(name, tmp_path):
    path = tmp_path / name
    write(path, batch(["a", CANARY]), batch(["b"]), batch([CANARY], at=LATER))
    write(tmp_path / "expected" / name, batch(["a"]), batch(["b"]))
    assert erase_in_file(path, CANARY) == 2
    assert CANARY.encode() not in path.read_bytes()
    if name != "scores.duckdb":
        assert path.read_bytes() == (tmp_path / "expected" / name).read_bytes()
    else:
        with duckdb.connect(path, read_only=True) as connection:
            assert connection.execute("SELECT lead_id FROM scores ORDER BY 1").fetchall() == [("a",), ("b",)]
            keys = "SELECT count(*) FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'"
            assert connection.execute(keys).fetchall() == [(1,)]
        write(path, batch(["a"], probability=0.5))
    before = snapshot(tmp_path)
    assert erase_in_file(path, CANARY) == 0
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", SINKS)
def test_erase_when_others_are_attached_to_the_lead_then_only_the_reference_goes(name, tmp_path):
    schema = pa.schema([*SCHEMA, ("attached_to", pa.string())])
    from mqlml.operation.sinks import write_scores

    two = batch(["a", 'b, "c"'])
    with_reference = pa.RecordBatch.from_arrays([*two.columns, pa.array([CANARY, "x"])], schema=schema)
    path = tmp_path / name
    write_scores([with_reference], schema, path, manifest={"as_of": "2026-03-01"})
    assert erase_in_file(path, CANARY) == 1
    assert CANARY.encode() not in path.read_bytes()
    found = duckdb.sql(f"FROM '{path}'") if name != "scores.duckdb" else None
    if found is None:
        with duckdb.connect(path, read_only=True) as connection:
            got = connection.execute("SELECT lead_id, probability, attached_to FROM scores ORDER BY 1").fetchall()
    else:
        got = found.select("lead_id, probability, attached_to").order("lead_id").fetchall()
    assert got == [("a", 0.25, None), ('b, "c"', 0.25, "x")]


def test_erase_when_ids_only_resemble_then_nothing_happens(tmp_path):
    for name in SINKS:
        write(tmp_path / name, batch(["0042", "42", "4 2", "42x"]))
        assert erase_in_file(tmp_path / name, "042") == 0
        assert erase_in_file(tmp_path / name, "42") == 1
    assert [r[0] for r in duckdb.sql(f"SELECT lead_id FROM '{tmp_path}/scores.parquet' ORDER BY 1").fetchall()] == [
        "0042", "4 2", "42x",
    ]  # fmt: skip


def test_erase_when_an_id_would_be_a_formula_then_it_is_found_in_csv(tmp_path):
    path = tmp_path / "scores.csv"
    write(path, batch(["=1+1", "a\nb"], reason="line\nbreak"))
    assert erase_in_file(path, "=1+1") == 1
    assert b"1+1" not in path.read_bytes()
    assert erase_in_file(path, "a\nb") == 1
    assert path.read_bytes().count(b"\n") == 1


def test_erase_when_lists_call_the_id_otherwise_then_found_by_their_manifest(tmp_path):
    leads = [("a", "new", 0.9), (CANARY, "stays", 0.5)]
    write_handoff(rows(*leads), tmp_path / "2026-03-01", Handoff(preset="salesforce"), facts=FACTS)
    assert erase_in_folder(tmp_path, CANARY) == 1
    assert CANARY not in (tmp_path / "2026-03-01" / "all.csv").read_text()
    assert '"a"' in (tmp_path / "2026-03-01" / "all.csv").read_text()


def test_erase_when_a_folder_holds_scores_of_many_days_then_all_are_searched(tmp_path):
    write(tmp_path / "scores", batch(["a", CANARY]), batch([CANARY], at=LATER))
    (tmp_path / "scores" / "_notes.csv").write_text("other,columns\n1,2\n")
    assert erase_in_folder(tmp_path / "scores", CANARY) == 2
    assert pq.read_table(tmp_path / "scores")["lead_id"].to_pylist() == ["a"]


@pytest.mark.parametrize(
    ("name", "error"), [("s.parquet", DataRefused), ("s.duckdb", EngineError), ("s.csv", DataRefused)]
)
def test_erase_when_a_file_cannot_be_read_then_it_is_told_and_stays(name, error, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"\xff\xfe\xff" * 500)
    before = path.read_bytes()
    with pytest.raises(error, match=re.escape(name)):
        erase_in_file(path, CANARY)
    assert path.read_bytes() == before
