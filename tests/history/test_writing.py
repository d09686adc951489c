"""Publication: whole or not at all, and the same bytes for the same rows."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mqlml.errors import DataRefused, EngineError, Problem, UsageError
from mqlml.history import writing


def some_rows(n: int) -> pa.Table:
    return pa.table(
        {
            "lead_id": pa.array([f"L{i}" for i in range(n)]),
            "score": pa.array([i / 7 for i in range(n)]),
            "tier": pa.array(["hot" if i % 3 else "cold" for i in range(n)]).dictionary_encode(),
        }
    )


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_table_when_cut_differently_then_same_bytes(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "ROWS_PER_GROUP", 10)
    table = some_rows(37)
    writing.write_table(table, tmp_path / "a" / name)
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=4))
    writing.write_table(reader, tmp_path / "b" / name)
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_parquet_when_read_back_then_equal_and_zstd(tmp_path: Path) -> None:
    table = some_rows(11)
    writing.write_table(table, tmp_path / "rows.parquet")
    assert pq.read_table(tmp_path / "rows.parquet").equals(table)
    assert pq.ParquetFile(tmp_path / "rows.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


def test_parquet_when_no_rows_then_columns_stay(tmp_path: Path) -> None:
    writing.write_table(some_rows(0), tmp_path / "rows.parquet")
    assert pq.read_table(tmp_path / "rows.parquet").column_names == ["lead_id", "score", "tier"]


def test_csv_when_written_then_header_iso_time_and_empty_for_null(tmp_path: Path) -> None:
    at = pa.array([datetime(2026, 3, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC"))
    writing.write_table(pa.table({"who": ["a,b", "c"], "at": at}), tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text() == '"who","at"\n"a,b",2026-03-01 00:00:00.000000Z\n"c",\n'


def test_table_when_suffix_is_unknown_then_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"end the name in \.parquet or \.csv"):
        writing.write_table(some_rows(1), tmp_path / "rows.xlsx")
    assert left_in(tmp_path) == []


def test_publish_when_body_fails_then_old_bytes_and_no_leftovers(tmp_path: Path) -> None:
    target = tmp_path / "scores.csv"
    writing.write_text(target, "old")

    def fail_half_way() -> None:
        with writing.publish(target) as temporary:
            temporary.write_text("half")
            raise DataRefused([Problem("x", "scores.csv", "no good", "repair it")])

    with pytest.raises(DataRefused, match="no good"):
        fail_half_way()
    assert target.read_text() == "old"
    assert left_in(tmp_path) == ["scores.csv"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_publish_when_disk_fails_then_engine_error_and_old_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    target = tmp_path / "model.bin"
    writing.write_bytes(target, b"old")

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, no_space)
    with pytest.raises(EngineError, match=r"model\.bin: No space left on device"):
        writing.write_bytes(target, b"new")
    assert target.read_bytes() == b"old"
    assert left_in(tmp_path) == ["model.bin"]


@pytest.mark.parametrize("groups", [1, 3])
def test_stream_when_the_disk_is_full_then_engine_error_and_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: int
) -> None:
    target = tmp_path / "rows.parquet"
    writing.write_table(some_rows(3), target)
    before = target.read_bytes()

    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "ROWS_PER_GROUP", 10)
    monkeypatch.setattr(pq.ParquetWriter, "write_table", no_space)
    with pytest.raises(EngineError, match=r"rows\.parquet: No space left on device"):
        writing.write_table(some_rows(10 * groups), target)
    assert target.read_bytes() == before
    assert left_in(tmp_path) == ["rows.parquet"]


def test_stream_when_a_later_piece_fails_then_old_file_stays(tmp_path: Path) -> None:
    target = tmp_path / "rows.parquet"
    writing.write_table(some_rows(3), target)
    before = target.read_bytes()

    def fail_on_second_piece() -> None:
        with writing.table_writer(target, some_rows(5).schema) as add:
            add(some_rows(5))
            add(pa.table({"other": [1]}))

    with pytest.raises(ValueError, match="field names"):
        fail_on_second_piece()
    assert target.read_bytes() == before
    assert left_in(tmp_path) == ["rows.parquet"]


def test_directory_when_target_is_new_then_published_whole(tmp_path: Path) -> None:
    with writing.publish(tmp_path / "bundle") as temporary:
        temporary.mkdir()
        (temporary / "part.json").write_text("{}")
        assert left_in(tmp_path) == [temporary.name]
    assert left_in(tmp_path) == ["bundle"]
    assert (tmp_path / "bundle" / "part.json").read_text() == "{}"


def test_directory_when_target_exists_then_refused_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "part.json").write_text("old")

    def publish_again() -> None:
        with writing.publish(tmp_path / "bundle") as temporary:
            temporary.mkdir()

    with pytest.raises(EngineError, match="exists already"):
        publish_again()
    assert (tmp_path / "bundle" / "part.json").read_text() == "old"
    assert left_in(tmp_path) == ["bundle"]
