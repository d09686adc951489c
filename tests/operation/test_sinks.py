"""Scores arrive whole, once and inert; whatever goes wrong, the old ones stay."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import subprocess
import sys
import weakref
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mqlml.errors import DataRefused, EngineError, UsageError
from mqlml.operation.sinks import KEY, write_scores

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        pa.field("lead_id", pa.string()),
        pa.field("as_of", pa.timestamp("us", "UTC")),
        pa.field("probability", pa.float64(), metadata={"description": "chance to win", "unit": "share"}),
        pa.field("is_mql", pa.bool_()),
        pa.field("tier", pa.dictionary(pa.int32(), pa.string())),
        pa.field("reason_1", pa.string()),
        pa.field("model_version", pa.string()),
        pa.field("policy_version", pa.string()),
    ],
    metadata={"what": "scores"},
)
MANIFEST = {"as_of": MARCH, "rows_in": 3}
SINKS = ["scores.parquet", "scores.csv", "scores.duckdb", "scores"]


def batch(ids, *, at=MARCH, probability=0.25, reason="3 visits"):
    n = len(ids)
    rows = {
        "lead_id": list(ids),
        "as_of": [at] * n,
        "probability": [probability] * n,
        "is_mql": [True] * n,
        "tier": ["hot"] * n,
        "reason_1": [reason] * n,
        "model_version": ["m1"] * n,
        "policy_version": ["p1"] * n,
    }
    return pa.RecordBatch.from_pydict(rows, schema=SCHEMA)


def write(out, *batches, manifest=MANIFEST):
    write_scores(iter(batches), SCHEMA, out, manifest=manifest)


def read(out):
    """Lead ids and chances, whatever the sink."""
    if out.suffix == ".csv":
        with out.open(encoding="utf-8", newline="") as file:
            return sorted((r["lead_id"], float(r["probability"])) for r in csv.DictReader(file))
    if out.suffix == ".duckdb":
        with duckdb.connect(out, read_only=True) as connection:
            return sorted(connection.execute("select lead_id, probability from scores").fetchall())
    table = pq.read_table(out)
    return sorted(zip(table["lead_id"].to_pylist(), table["probability"].to_pylist(), strict=True))


def manifest_of(out):
    if out.suffix:
        return out.with_name(f"{out.name}.manifest.json")
    return out / "as_of=2026-03-01" / "_manifest.json"


def snapshot(folder):
    """Every file below the folder with its bytes, hidden ones too."""
    return {p.relative_to(folder): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", SINKS)
def test_write_scores_when_read_back_then_rows_and_manifest_are_there_and_nothing_else(name, tmp_path):
    out = tmp_path / "deep" / name
    write(out, batch(["b", "a"]), batch([]), batch(["c"], probability=0.1 + 0.2))
    assert read(out) == [("a", 0.25), ("b", 0.25), ("c", 0.1 + 0.2)]
    expected = {"as_of": "2026-03-01T00:00:00+00:00", "rows_in": 3, "rows_written": 3}
    assert json.loads(manifest_of(out).read_text(encoding="utf-8")) == expected
    assert len(snapshot(tmp_path)) == 2


@pytest.mark.parametrize("name", SINKS)
def test_write_scores_when_repeated_then_nothing_doubles_and_files_are_equal(name, tmp_path):
    out = tmp_path / name
    write(out, batch(["a", "b"]))
    before = snapshot(tmp_path)
    write(out, batch(["a", "b"]))
    assert read(out) == [("a", 0.25), ("b", 0.25)]
    if name != "scores.duckdb":
        assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", SINKS)
def test_write_scores_when_no_lead_then_empty_output_with_manifest(name, tmp_path):
    out = tmp_path / name
    write(out)
    assert read(out) == []
    assert json.loads(manifest_of(out).read_text())["rows_written"] == 0


@pytest.mark.parametrize("name", SINKS)
def test_write_scores_when_source_fails_on_the_way_then_old_output_is_byte_identical(name, tmp_path):
    out = tmp_path / name
    write(out, batch(["a", "b"]))
    before = snapshot(tmp_path)

    def failing():
        yield batch(["a", "z"], probability=0.9)
        raise RuntimeError("the model broke")

    with pytest.raises(RuntimeError, match="the model broke"):
        write_scores(failing(), SCHEMA, out, manifest=MANIFEST)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", SINKS)
def test_write_scores_when_first_run_fails_then_no_file_is_left(name, tmp_path):
    def failing():
        yield batch(["a"])
        raise RuntimeError("the model broke")

    with pytest.raises(RuntimeError, match="the model broke"):
        write_scores(failing(), SCHEMA, tmp_path / name, manifest=MANIFEST)
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize("name", SINKS)
def test_write_scores_when_manifest_cannot_be_written_then_old_output_is_byte_identical(name, tmp_path):
    out = tmp_path / name
    write(out, batch(["a", "b"]))
    before = snapshot(tmp_path)
    for manifest in ({"as_of": MARCH, "x": math.nan}, {"as_of": MARCH, "x": object()}):
        with pytest.raises((ValueError, TypeError), match=r"JSON|cannot hold"):
            write(out, batch(["a"], probability=0.9), manifest=manifest)
    assert snapshot(tmp_path) == before


FULL_DISK = """
import json, resource, signal, sys
from pathlib import Path
import numpy as np, pyarrow as pa
from mqlml.errors import EngineError
from mqlml.operation.sinks import write_scores
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
n = 4_000
rng = np.random.default_rng(7)
schema = pa.schema([("lead_id", pa.string()), ("as_of", pa.timestamp("us", "UTC")), ("probability", pa.float64()),
                    ("model_version", pa.string()), ("policy_version", pa.string())])
ids = pa.array([f"{x:x}" for x in rng.integers(0, 2**62, n)])
rows = pa.RecordBatch.from_arrays([ids, pa.array([1_772_323_200_000_000] * n).cast(schema.field("as_of").type),
    pa.array(rng.random(n)), pa.array(["m1"] * n), pa.array(["p1"] * n)], schema=schema)
done = []
for out, limit in json.load(sys.stdin):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_scores([rows], schema, Path(out), manifest={"note": "x" * 10})
        done.append("written")
    except EngineError as error:
        done.append(type(error).__name__)
print(json.dumps(done))
"""


NARROW = [
    SCHEMA.get_field_index(name) for name in ("lead_id", "as_of", "probability", "model_version", "policy_version")
]


def write_narrow(out):
    schema = pa.schema([SCHEMA.field(i) for i in NARROW])
    write_scores([batch(["a", "b"]).select(NARROW)], schema, out, manifest={"as_of": MARCH})


@pytest.fixture(scope="module")
def full_disk(tmp_path_factory):
    """Write 4,000 rows in a child process where no file may grow beyond a limit; keep what came of it."""
    folder = tmp_path_factory.mktemp("full")
    jobs = [(folder / "old" / name / name, limit) for name in SINKS for limit in (0, 20, 4_000, 30_000)]
    jobs += [(folder / "database" / f"{limit}.duckdb", limit) for limit in (100_000, 300_000, 900_000)]
    for out in {out for out, _ in jobs}:
        write_narrow(out)
    jobs += [(folder / "new" / "scores.duckdb", limit) for limit in (100_000, 300_000)]
    before = snapshot(folder / "old")
    given = json.dumps([[str(out), limit] for out, limit in jobs]).encode()
    child = subprocess.run([sys.executable, "-c", FULL_DISK], input=given, capture_output=True, check=True)
    return folder, before, [(*job, result) for job, result in zip(jobs, json.loads(child.stdout), strict=True)]


def test_write_scores_when_disk_is_full_then_engine_error_and_old_output_is_byte_identical(full_disk):
    folder, before, results = full_disk
    found = [(out, result) for out, _, result in results if folder / "old" in out.parents]
    assert [result for _, result in found] == ["EngineError"] * 16
    assert snapshot(folder / "old") == before
    for out, _ in found:
        assert read(out) == [("a", 0.25), ("b", 0.25)]


def test_write_scores_when_disk_fills_up_in_a_database_then_all_rows_or_none_and_the_manifest_agrees(full_disk):
    folder, _, results = full_disk
    found = [(out, result) for out, _, result in results if out.parent == folder / "database"]
    assert len(found) == 3
    for out, result in found:
        assert len(read(out)) == {"EngineError": 2, "written": 4_002}[result]
        manifest = json.loads(manifest_of(out).read_text())
        assert manifest["rows_written"] == {"EngineError": 2, "written": 4_000}[result]


def test_write_scores_when_disk_fills_up_in_a_new_database_then_nothing_is_left(full_disk):
    folder, _, results = full_disk
    assert [result for out, _, result in results if out.parent == folder / "new"] == ["EngineError"] * 2
    assert list((folder / "new").iterdir()) == []


def test_write_scores_when_parquet_then_compressed_with_descriptions(tmp_path):
    out = tmp_path / "scores.parquet"
    write(out, batch(["a"]))
    schema = pq.read_schema(out)
    assert schema.field("probability").metadata[b"description"] == b"chance to win"
    assert schema.metadata[b"what"] == b"scores"
    assert schema.field("as_of").type == pa.timestamp("us", "UTC")
    assert pq.ParquetFile(out).metadata.row_group(0).column(0).compression == "ZSTD"


PAYLOADS = [
    "=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\x00=1", "=", "\tx", "\nx", "\rx",
    "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)", " =1+1", "\u00a0=1", "\u3000\uff1d1", "\ufeff=1", "\u200b=1",
    '=HYPERLINK("http://x","y")', '="a",=1', "=cmd|' /C calc'!A0",
]  # fmt: skip
HARMLESS = [
    "",
    "a=1",
    "1-2",
    "x@example.org",
    "00123",
    "1e5",
    "NA",
    "null",
    'say "no"',
    "a,b",
    "a\nb",
    "Ü",
    "'quoted",
    " x",
]


def test_write_scores_when_csv_cells_could_be_formulas_then_an_apostrophe_stands_in_front(tmp_path):
    out = tmp_path / "scores.csv"
    write(out, *(batch([str(i)], reason=text) for i, text in enumerate([*PAYLOADS, *HARMLESS])))
    with out.open(encoding="utf-8", newline="") as file:
        cells = [row["reason_1"] for row in csv.DictReader(file)]
    assert cells == [*("'" + text for text in PAYLOADS), *HARMLESS]


def test_write_scores_when_csv_headers_or_categories_could_be_formulas_then_they_are_inert_too(tmp_path):
    schema = pa.schema([("=lead", pa.string()), ("n", pa.int64()), ("c", pa.dictionary(pa.int32(), pa.string()))])
    rows = pa.RecordBatch.from_pydict({"=lead": ["-1"], "n": [-1], "c": ["@x"]}, schema=schema)
    write_scores([rows], schema, tmp_path / "s.csv", manifest={})
    assert (tmp_path / "s.csv").read_bytes() == b'"\'=lead","n","c"\n"\'-1",-1,"\'@x"\n'


def test_write_scores_when_csv_then_numbers_and_times_come_back_exactly(tmp_path):
    numbers = [0.1 + 0.2, 1e-300, 5e-324, 1 / 3, -0.0, 123456789.123456789, *np.random.default_rng(3).random(200)]
    moments = [MARCH, MARCH + timedelta(hours=9, minutes=30), MARCH + timedelta(microseconds=1)]
    rows = [batch(["x"], probability=p, at=moments[i % 3]) for i, p in enumerate(numbers)]
    write(tmp_path / "scores.csv", *rows, batch(["none"], reason=None))
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [float(r["probability"]) for r in found[:-1]] == numbers
    texts = ["2026-03-01T00:00:00Z", "2026-03-01T09:30:00Z", "2026-03-01T00:00:00.000001Z"]
    assert [r["as_of"] for r in found[:3]] == texts
    assert [datetime.fromisoformat(r["as_of"]) for r in found[:3]] == moments
    assert found[-1]["reason_1"] == ""
    assert found[-1]["is_mql"] == "true"


def test_write_scores_when_folder_then_each_moment_is_replaced_on_its_own(tmp_path):
    out = tmp_path / "scores"
    later = MARCH + timedelta(hours=9, minutes=30)
    write(out, batch(["a"]), batch(["b"], at=later), batch(["c"]))
    assert sorted(p.name for p in out.iterdir()) == ["as_of=2026-03-01", "as_of=2026-03-01T093000Z"]
    first = snapshot(out / "as_of=2026-03-01")
    write(out, batch(["b", "d"], at=later, probability=0.5))
    assert read(out) == [("a", 0.25), ("b", 0.5), ("c", 0.25), ("d", 0.5)]
    assert snapshot(out / "as_of=2026-03-01") == first
    found = duckdb.sql(f"select distinct as_of::varchar from read_parquet('{out}/*/*.parquet', hive_partitioning=true)")
    assert sorted(found.fetchall()) == [("2026-03-01",), ("2026-03-01T093000Z",)]


def test_write_scores_when_folder_and_batch_mixes_moments_then_rows_are_parted(tmp_path):
    rows = pa.Table.from_batches([batch(["a"]), batch(["b"], at=None), batch(["c"])]).combine_chunks().to_batches()
    assert len(rows) == 1
    write(tmp_path / "scores", *rows)
    undated = tmp_path / "scores" / "as_of=__HIVE_DEFAULT_PARTITION__" / "scores.parquet"
    assert pq.ParquetFile(undated).read()["lead_id"].to_pylist() == ["b"]
    assert json.loads((undated.with_name("_manifest.json")).read_text())["rows_written"] == 1
    assert sorted(
        duckdb.sql(f"select lead_id from '{tmp_path}/scores/*/*.parquet' where as_of is null").fetchall()
    ) == [("b",)]


@pytest.mark.parametrize(
    ("moment", "folder"),
    [
        (MARCH.isoformat(), "2026-03-01"),
        (date(2026, 3, 1), "2026-03-01"),
        (datetime(2026, 3, 1, 9), "2026-03-01T090000Z"),
        (None, "__HIVE_DEFAULT_PARTITION__"),
    ],
)
def test_write_scores_when_folder_is_empty_then_partition_is_named_by_the_manifest(moment, folder, tmp_path):
    write(tmp_path / "scores", manifest={"as_of": moment})
    assert [p.name for p in (tmp_path / "scores").iterdir()] == [f"as_of={folder}"]


def test_write_scores_when_folder_and_moment_is_no_moment_then_usage_error(tmp_path):
    schema = pa.schema([("lead_id", pa.string()), ("as_of", pa.string())])
    rows = pa.RecordBatch.from_pydict({"lead_id": ["a"], "as_of": ["../../etc"]}, schema=schema)
    with pytest.raises(UsageError, match=r"'\.\./\.\./etc' in column 'as_of' is not a moment"):
        write_scores([rows], schema, tmp_path / "scores", manifest={})
    assert snapshot(tmp_path) == {}


def test_write_scores_when_database_then_key_is_enforced_and_same_keys_are_replaced(tmp_path):
    out = tmp_path / "scores.duckdb"
    write(out, batch(["a", "b"]))
    write(out, batch(["b", "c"], probability=0.75))
    write(out, batch(["b"], at=MARCH + timedelta(days=7), probability=0.5))
    assert read(out) == [("a", 0.25), ("b", 0.5), ("b", 0.75), ("c", 0.75)]
    with duckdb.connect(out) as connection:
        found = connection.execute(
            "select constraint_column_names from duckdb_constraints() where constraint_type = 'PRIMARY KEY'"
        ).fetchall()
        assert found == [(list(KEY),)]
        types = dict(connection.execute("select column_name, data_type from duckdb_columns()").fetchall())
    assert types["as_of"] == "TIMESTAMP WITH TIME ZONE"
    assert types["tier"] == "VARCHAR"


def test_write_scores_when_database_holds_other_tables_then_they_stay(tmp_path):
    out = tmp_path / "crm's.duckdb"
    with duckdb.connect(out) as connection:
        connection.execute("create table crm as select 42 as answer")
    write(out, batch(["a"]))
    with duckdb.connect(out, read_only=True) as connection:
        assert connection.execute("select answer from crm").fetchall() == [(42,)]
    assert read(out) == [("a", 0.25)]


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([batch(["a", "b", "a"])], r"MQL-dup-key .*2 of 3 rows: the same \(lead_id, as_of, model_version"),
        ([batch(["a"]), batch(["b"], at=None)], r"MQL-null-key .*column 'as_of': 1 of 2 rows: has no value"),
    ],
)
def test_write_scores_when_keys_are_bad_then_refused_and_database_is_byte_identical(rows, match, tmp_path):
    out = tmp_path / "scores.duckdb"
    write(out, batch(["old"]))
    before = snapshot(tmp_path)
    with pytest.raises(DataRefused, match=match):
        write(out, *rows)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("definition", "match"),
    [
        (
            "create table scores (lead_id varchar primary key)",
            "column 'probability': is missing in 'scores', not DOUBLE",
        ),
        ("create view scores as select 1 as lead_id", "scores"),
    ],
)
def test_write_scores_when_table_is_another_one_then_refused_and_rows_stay(definition, match, tmp_path):
    out = tmp_path / "scores.duckdb"
    with duckdb.connect(out) as connection:
        connection.execute(definition)
    before = snapshot(tmp_path)
    with pytest.raises((DataRefused, EngineError), match=match):
        write(out, batch(["a"]))
    assert snapshot(tmp_path) == before


def test_write_scores_when_file_is_no_database_then_engine_error_and_file_stays(tmp_path):
    out = tmp_path / "scores.duckdb"
    out.write_bytes(b"not a database" * 1000)
    before = snapshot(tmp_path)
    with pytest.raises(EngineError, match=r"MQL-database .*scores\.duckdb: .* Hint: its tables are as before"):
        write(out, batch(["a"]))
    assert snapshot(tmp_path) == before


def test_write_scores_when_database_is_in_use_then_engine_error(tmp_path):
    out = tmp_path / "scores.duckdb"
    write(out, batch(["a"]))
    holder = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", holder, str(out)], stdin=-1, stdout=-1) as other:
        assert other.stdout.readline() == b"ready\n"
        with pytest.raises(EngineError, match="Could not set lock"):
            write(out, batch(["b"]))
        other.stdin.close()
    assert read(out) == [("a", 0.25)]


@pytest.mark.parametrize("name", ["scores.xlsx", "scores.parquet.gz", "scores.json"])
def test_write_scores_when_suffix_is_unknown_then_usage_error_names_the_known_ones(name, tmp_path):
    with pytest.raises(UsageError, match=r"Hint: end the name in \.parquet, \.csv or \.duckdb"):
        write(tmp_path / name, batch(["a"]))
    assert snapshot(tmp_path) == {}


def test_write_scores_when_folder_has_a_dot_and_exists_then_it_is_a_folder(tmp_path):
    (tmp_path / "scores.v2").mkdir()
    write(tmp_path / "scores.v2", batch(["a"]))
    assert read(tmp_path / "scores.v2" / "as_of=2026-03-01" / "scores.parquet") == [("a", 0.25)]


def test_write_scores_when_manifest_is_filled_on_the_way_then_it_is_read_at_the_end(tmp_path):
    manifest = {"path": Path("a/b"), "counts": MappingProxyType({"dormant": np.int64(2)}), "scored": 0}

    def counting():
        for ids in (["a", "b"], ["c"]):
            manifest["scored"] += len(ids)
            yield batch(ids)

    write_scores(counting(), SCHEMA, tmp_path / "s.parquet", manifest=manifest)
    assert json.loads((tmp_path / "s.parquet.manifest.json").read_text()) == {
        "path": "a/b", "counts": {"dormant": 2}, "scored": 3, "rows_written": 3,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["scores.parquet", "scores.csv", "scores"])
def test_write_scores_when_rows_arrive_in_other_batches_then_bytes_are_equal(name, tmp_path):
    write(tmp_path / "one" / name, batch(["a", "b", "c"]))
    write(tmp_path / "two" / name, batch(["a"]), batch(["b", "c"]))
    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "two")


def test_write_scores_when_many_rows_then_batches_are_not_held(tmp_path):
    columns = batch([str(i) for i in range(20_000)]).columns
    alive = []

    def counting():
        for _ in range(20):
            rows = pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
            alive.append(weakref.ref(rows))
            yield rows
            del rows
            assert sum(ref() is not None for ref in alive) <= 2

    write_scores(counting(), SCHEMA, tmp_path / "s.parquet", manifest={})
    assert pq.read_metadata(tmp_path / "s.parquet").num_rows == 400_000
