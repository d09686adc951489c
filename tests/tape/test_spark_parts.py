"""Parts of the Spark engine that need no Spark: what runs on executors, and what is said where Spark is missing."""

from __future__ import annotations

import pickle
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mqlml.cli import main
from mqlml.errors import EngineError, UsageError
from mqlml.history.remote import Cleaning
from mqlml.tape.features import FeatureSet
from mqlml.tape.spark.events import ddl
from mqlml.tape.spark.folder import WorkFolder
from mqlml.tape.spark.playing import Playing, check_version, told, whole_tables, with_assets
from mqlml.tape.spark.session import SparkSettings, _as_ours, open_session


def keyed(*keys: int) -> pa.RecordBatch:
    return pa.record_batch({"key": pa.array(keys, pa.int32())})


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([], []),
        ([[], []], []),
        ([[0, 0, 1], [1, 1], [], [1, 2], [3]], [[0, 0], [1, 1, 1, 1], [2], [3]]),
        ([[0], [0], [0]], [[0, 0, 0]]),
        ([[0, 1, 2]], [[0, 1], [2]]),
        ([[0], [1], [2, 2]], [[0], [1], [2, 2]]),
    ],
)
def test_whole_tables_when_batches_cut_keys_then_no_table_does(
    batches: list[list[int]], expected: list[list[int]]
) -> None:
    tables = [table["key"].to_pylist() for table in whole_tables(keyed(*batch) for batch in batches)]
    assert list(chain.from_iterable(tables)) == list(chain.from_iterable(batches))
    assert all(tables)
    firsts_and_lasts = [key for table in tables for key in {table[0], table[-1]}]
    assert len(firsts_and_lasts) == len(set(firsts_and_lasts))
    assert tables == expected


def test_with_assets_when_some_have_codes_then_the_others_get_codes_beyond() -> None:
    asset = pa.array([-1, 0, 1, 2, 2, 2, 17], pa.int64())
    name = pa.array([None, None, None, "b", "a", "b", None])
    coded = with_assets(pa.table({"asset": asset, "name": name}))["asset"].to_pylist()
    assert coded[:3] == [-1, 0, 1]
    assert coded[3] == coded[5] != coded[4]
    assert min(coded[3:6]) == 2
    assert coded[6] == 17  # the position of a mark


def test_told_when_counted_then_the_first_row_has_the_counts() -> None:
    assert told(np.array([[1, 2], [3, 4]]), 3).to_pylist() == [[1, 2, 3, 4], None, None]
    assert told(None, 2).to_pylist() == [None, None]


def test_check_version_when_executors_have_another_mqlml_then_refused() -> None:
    with pytest.raises(EngineError, match=r"mqlml .* on this executor, 0.0 where the run was started.*same version"):
        check_version("0.0")


def test_playing_when_sent_to_another_process_then_it_plays_the_same_features() -> None:
    playing = Playing(FeatureSet(event_types=("web",)))
    again = pickle.loads(pickle.dumps(playing))
    assert again.schema == playing.schema
    assert again.schema.names[:3] == ["position", "counts", "f0"]


def test_cleaning_when_a_part_has_no_rows_then_it_yields_none_and_does_not_fail() -> None:
    columns = pa.schema([("id", pa.int64()), ("mqlml:row", pa.int64())])
    leaves = pa.schema([("lead_id", pa.string()), ("fault", pa.int32())])
    sql = "SELECT id::VARCHAR AS lead_id, CASE WHEN id IS NULL THEN 0 END::INTEGER AS fault FROM raw.events"
    cleaning = pickle.loads(pickle.dumps(Cleaning(("id",), columns, leaves, sql, 0)))
    assert list(cleaning([])) == []
    batches = [pa.record_batch([[1, None], [1, 2]], schema=columns), pa.record_batch([[3], [3]], schema=columns)]
    rows = pa.Table.from_batches(cleaning(batches))
    assert rows.to_pydict() == {"lead_id": ["1", None, "3"], "fault": [None, 0, None]}


def test_ddl_when_names_hold_anything_then_they_are_quoted() -> None:
    schema = pa.schema([("a`b c", pa.int64()), ("s", pa.struct([("k0", pa.string()), ("k1", pa.float64())]))])
    assert ddl(schema) == "`a``b c` bigint, `s` struct<`k0`: string, `k1`: double>"


def test_work_folder_when_removed_then_only_its_own_files_are_gone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    folder = WorkFolder.make(str(tmp_path))
    place = folder.write("rows", pa.table({"a": [1, 2]}))
    assert place.startswith("file:/")
    assert folder.read_whole(f"{folder.path}/rows.parquet").to_pydict() == {"a": [1, 2]}
    assert folder.here.stat().st_mode & 0o077 == 0
    folder.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_work_folder_when_the_address_is_unknown_then_refused() -> None:
    with pytest.raises(UsageError, match=r"--spark-folder 'dbfs://x': this kind of address is not known.*hdfs://"):
        WorkFolder.make("dbfs://x")


def test_session_when_pyspark_is_missing_then_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(EngineError, match=r"needs PySpark, which is not installed. Hint: pip install 'mqlml\[spark\]'"):
        open_session(SparkSettings("local[1]"))


def fake_java(folder: Path, text: str, code: int = 0) -> None:
    (folder / "bin").mkdir()
    java = folder / "bin" / "java"
    java.write_text(f"#!/bin/sh\necho '{text}' >&2\nexit {code}\n")
    java.chmod(0o755)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ('openjdk version "11.0.22" 2024-01-16', 0, r"needs Java 17; '.*java' is Java 11"),
        ('java version "1.8.0_402"', 0, r"needs Java 17; '.*java' is Java 8"),
        ("Unable to locate a Java Runtime.", 1, r"needs Java 17, and none was found.*openjdk-17"),
    ],
)
def test_session_when_java_is_old_or_missing_then_says_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, code: int, message: str
) -> None:
    pytest.importorskip("pyspark", reason="PySpark is not here")
    from pyspark.sql import SparkSession

    fake_java(tmp_path, text, code)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: None)
    with pytest.raises(EngineError, match=message):
        open_session(SparkSettings("local[1]"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "An exception was thrown from the Python worker:\nTraceback (most recent call last):\n"
            '  File "x.py", line 1\nmqlml.errors.EngineError: mqlml 2 is installed here. Hint: install the same\n',
            "On a Spark executor: mqlml 2 is installed here. Hint: install the same",
        ),
        (
            "Traceback (most recent call last):\nModuleNotFoundError: No module named 'mqlml'\n",
            "mqlml is not installed on the executors. Hint: ship the environment, see docs/spark.md",
        ),
        (
            "An error occurred while calling o1.parquet.\n: org.apache.spark.SparkException: Job aborted.\n"
            "Caused by: java.io.IOException: No space left on device\n\tat x.y(Z.java:1)\n",
            "Spark failed while reading: No space left on device",
        ),
        ("", "Spark failed while reading: no reason given"),
    ],
)
def test_failure_when_spark_tells_it_then_one_sentence_names_the_cause(text: str, sentence: str) -> None:
    assert str(_as_ours(text, "reading")).startswith(sentence)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--spark-master", "local[2]"], "The --spark options need --engine spark."),
        (["--engine", "spark", "--spark-conf", "novalue"], "--spark-conf novalue: not a setting."),
    ],
)
def test_options_when_they_do_not_fit_then_usage_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, options: list[str], message: str
) -> None:
    settings = tmp_path / "mqlml.toml"
    settings.write_text('[leads]\npath = "leads.csv"\n[outcomes]\n')
    assert main(["-q", "train", "--config", str(settings), *options]) == 2
    assert message in capsys.readouterr().err


def test_path_when_it_names_a_spark_table_and_the_engine_is_local_then_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = tmp_path / "mqlml.toml"
    settings.write_text('[leads]\npath = "spark:crm.leads"\n[outcomes]\n')
    assert main(["-q", "train", "--config", str(settings)]) == 2
    message = "[leads] path: 'spark:crm.leads' is a table of a Spark catalogue. Hint: run train"
    assert message in capsys.readouterr().err
