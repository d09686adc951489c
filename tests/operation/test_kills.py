"""A run that is killed leaves the scores of one whole run, in every sink."""

from __future__ import annotations

import json

import duckdb
import pytest
from operation.killing import kill_at, kill_runs

pytestmark = pytest.mark.long

STAGED = [f"mqlml.operation.sinks _stage {when} 1" for when in ("before", "after")]
MOVES = [f"mqlml.history.writing _move {when} {n}" for n in (1, 2) for when in ("before", "after")]
FLUSHES = [f"mqlml.history.writing _flush_to_disk before {n}" for n in (1, 2, 3, 4)]
FILE_POINTS = [*STAGED, *MOVES, *FLUSHES]
DATABASE_POINTS = [
    *STAGED,
    *(f"mqlml.history.databases {name} {when} 1" for name in ("_upsert", "_fold_log") for when in ("before", "after")),
    *(f"mqlml.history.writing _move {when} 2" for when in ("before", "after")),  # the first is that of the staged rows
]
"""Where something becomes visible or durable: a kill between two of these is a kill at one of them."""


def check_whole(path, number, rows):
    """All rows come from one run, and every lead once; the manifest belongs to it, or to the run before it."""
    if path.suffix == ".duckdb":
        with duckdb.connect(path, read_only=True) as connection:
            found = summary(connection.table("scores"))
    else:
        found = summary(duckdb.sql(f"FROM '{path if path.suffix else path / '*' / '*.parquet'}'"))
    ((run, n, leads),) = found
    assert (n, leads) == (rows, rows), f"kill {number}"
    assert number >= run or number == -1
    beside = path.with_name(f"{path.name}.manifest.json") if path.suffix else path / "as_of=2026-03-01/_manifest.json"
    manifest = json.loads(beside.read_text())
    assert manifest["rows_written"] == rows
    if number == -1:
        assert run == float(manifest["run"]) == -1


def summary(relation):
    return relation.aggregate("probability, count(*), count(DISTINCT lead_id)", "probability").fetchall()


@pytest.mark.parametrize("name", ["scores.parquet", "scores.csv", "scores.duckdb", "scores"])
def test_write_scores_when_killed_at_a_named_point_then_one_whole_run_is_there_and_the_next_completes(name, tmp_path):
    path = tmp_path / name
    points = DATABASE_POINTS if name == "scores.duckdb" else FILE_POINTS
    kill_at(str(path), points, 1_500, check=lambda n: check_whole(path, n, 1_500))


@pytest.mark.parametrize("name", ["scores.parquet", "scores.csv", "scores.duckdb"])  # a folder is written as Parquet is
def test_write_scores_when_killed_20_times_then_one_whole_run_is_there(name, tmp_path):
    path = tmp_path / name
    ended = kill_runs(str(path), 20, 1_500, share=lambda n: n / 20, check=lambda n: check_whole(path, n, 1_500))
    assert len(ended) == 20


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scores.parquet", "scores.csv", "scores.duckdb"])  # a folder is written as Parquet is
def test_write_scores_when_killed_200_times_then_one_whole_run_is_there(name, tmp_path):
    path = tmp_path / name
    ended = kill_runs(
        str(path), 200, 20_000, share=lambda n: (n % 41) / 40, check=lambda n: check_whole(path, n, 20_000)
    )
    assert ended.count(0) < 150  # most were killed on the way
    print(f"{name}: {len(ended)} signals, {len(ended) - ended.count(0)} runs ended by them")  # noqa: T201
