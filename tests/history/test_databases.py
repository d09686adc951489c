"""Rows reach a table once, under any name, or the table stays as it was."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from mqlml.history.databases import upsert_table

HOSTILE = ['x"; DROP TABLE keep; --', "select", "utm[source]", "a b", "Größe", "'quoted'"]
SCHEMA = pa.schema([("id", pa.string()), ("n", pa.int64())])


def rows(*ids, n=1):
    return pa.RecordBatch.from_pydict({"id": list(ids), "n": [n] * len(ids)}, schema=SCHEMA)


def content(path, table="t"):
    with duckdb.connect(path, read_only=True) as connection:
        quoted = table.replace('"', '""')
        return sorted(connection.execute(f'select * from "{quoted}"').fetchall())


@pytest.mark.parametrize("name", HOSTILE)
def test_upsert_table_when_names_are_hostile_then_they_are_only_names(name, tmp_path):
    path = tmp_path / f"{name.replace('/', '')}.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("create table keep as select 1 as one")
    schema = pa.schema([(name, pa.string()), ("n", pa.int64())])
    batch = pa.RecordBatch.from_pydict({name: [name], "n": [1]}, schema=schema)
    for _ in range(2):
        upsert_table([batch], schema, path, table=name, key=[name])
    assert content(path, name) == [(name, 1)]
    assert content(path, "keep") == [(1,)]


def test_upsert_table_when_every_column_is_in_the_key_then_repeats_change_nothing(tmp_path):
    path = tmp_path / "k.duckdb"
    for _ in range(2):
        upsert_table([rows("a", "b")], SCHEMA, path, table="t", key=["id", "n"])
    assert content(path) == [("a", 1), ("b", 1)]


def test_upsert_table_when_columns_come_in_another_order_then_they_are_matched_by_name(tmp_path):
    path = tmp_path / "o.duckdb"
    upsert_table([rows("a")], SCHEMA, path, table="t", key=["id"])
    turned = pa.schema([SCHEMA.field("n"), SCHEMA.field("id")])
    upsert_table([rows("b", n=2)], turned, path, table="t", key=["id"])
    assert content(path) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("existing", [True, False])
def test_upsert_table_when_stopped_before_the_commit_then_table_is_as_before(existing, tmp_path):
    path = tmp_path / "s.duckdb"
    if existing:
        upsert_table([rows("a")], SCHEMA, path, table="t", key=["id"])
    seen = []

    def stop(count):
        seen.append(count)
        raise RuntimeError("no room for the manifest")

    with pytest.raises(RuntimeError, match="no room for the manifest"):
        upsert_table([rows("a", "b", n=2)], SCHEMA, path, table="t", key=["id"], before_commit=stop)
    assert seen == [2]
    assert [p.name for p in tmp_path.iterdir()] == (["s.duckdb"] if existing else [])
    assert not existing or content(path) == [("a", 1)]
