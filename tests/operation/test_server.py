"""Scores reach PostgreSQL with their manifest, whole and once, whenever a run is killed."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from operation.killing import kill_at, kill_runs
from operation.test_sinks import KEY, MARCH, SCHEMA, batch
from postgres_server import ESCAPED, PASSWORD

from mqlml.errors import DataRefused, EngineError
from mqlml.operation.sinks import write_scores

pytestmark = pytest.mark.engine

BOTH = ("before", "after")
MANIFEST = {"as_of": MARCH, "model_version": "m1", "policy_version": "p1", "rows_in": 3}


def change(url, statements):
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements)


def read(url, query):
    import psycopg

    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def url(postgres):
    """Give a test a database of its own."""
    yield postgres.url
    change(postgres.url, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")


def write(out, *batches, manifest=MANIFEST):
    write_scores(iter(batches), SCHEMA, out, manifest=manifest)


def test_write_scores_when_in_postgres_then_rows_and_manifest_are_there_once(url):
    for n in (1, 2):
        write(f"{url}?table=daily", batch(["a", "b"], probability=n / 4), batch([]))
    assert read(url, "SELECT lead_id, as_of, probability, tier, is_mql FROM daily ORDER BY 1") == [
        ("a", MARCH, 0.5, "hot", True),
        ("b", MARCH, 0.5, "hot", True),
    ]
    ((as_of, rows, text),) = read(url, "SELECT as_of, rows_written, manifest FROM daily_manifests")
    assert (as_of, rows) == (MARCH, 2)
    assert json.loads(text)["rows_in"] == 3
    assert PASSWORD not in text
    write(
        url, batch(["c"], at=datetime(2026, 3, 8, tzinfo=UTC)), manifest={**MANIFEST, "as_of": "2026-03-08T00:00:00Z"}
    )
    assert read(url, "SELECT lead_id FROM scores") == [("c",)]
    key = read(url, "SELECT conkey FROM pg_constraint WHERE conname = 'scores_pkey'")[0][0]
    assert [SCHEMA.names[i - 1] for i in key] == list(KEY)


def test_write_scores_when_in_postgres_and_the_source_fails_then_old_rows_stay(url):
    write(url, batch(["a"]))

    def failing():
        yield batch(["a", "z"], probability=0.9)
        raise RuntimeError("the model broke")

    with pytest.raises(RuntimeError, match="the model broke"):
        write_scores(failing(), SCHEMA, url, manifest=MANIFEST)
    assert read(url, "SELECT lead_id, probability FROM scores") == [("a", 0.25)]


def test_write_scores_when_in_postgres_and_there_are_no_dates_then_refused(url):
    with pytest.raises(DataRefused, match=r"MQL-null-key .*column 'as_of': 1 of 1 rows"):
        write(url, batch(["a"], at=None), manifest={**MANIFEST, "as_of": None})
    with pytest.raises(DataRefused, match=r"MQL-null-key .*without dates.*Fix: write to Parquet or CSV"):
        write(url, manifest={**MANIFEST, "as_of": None})


def test_write_scores_when_postgres_goes_away_half_way_then_engine_error_and_old_rows_stay(postgres, url):
    write(url, batch(["a"]))

    def broken():
        yield batch(["b"], probability=0.75)
        postgres.stop()

    try:
        with pytest.raises(EngineError, match=r"MQL-database postgresql://mqlml@127\.0\.0\.1") as error:
            write_scores(broken(), SCHEMA, url, manifest=MANIFEST)
        with pytest.raises(EngineError, match="Connection refused"):
            write(url, batch(["b"]))
    finally:
        postgres.start()
    assert ESCAPED not in str(error.value)
    assert PASSWORD not in str(error.value)
    assert read(url, "SELECT lead_id, probability FROM scores") == [("a", 0.25)]
    write(url, batch(["b"]))
    assert read(url, "SELECT count(*) FROM scores") == [(2,)]


def test_write_scores_when_the_connection_is_cut_while_rows_are_copied_then_old_rows_stay(url):
    write(url, batch(["a"]))
    change(
        url,
        "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END';"
        "CREATE TRIGGER cut BEFORE INSERT ON scores_manifests FOR EACH ROW EXECUTE FUNCTION cut()",
    )
    with pytest.raises(EngineError, match=r"terminating connection|server closed"):
        write(url, batch(["a", "b"], probability=0.75))
    assert read(url, "SELECT lead_id, probability FROM scores") == [("a", 0.25)]


def check_whole(url, number, rows):
    found = read(url, "SELECT probability, count(*), count(DISTINCT lead_id) FROM scores GROUP BY 1")
    told = json.loads(read(url, "SELECT manifest FROM scores_manifests")[0][0])["run"]
    assert found == [(float(told), rows, rows)], f"kill {number}"


def test_write_scores_when_killed_at_a_named_point_then_postgres_holds_one_whole_run(url):
    """Around the staging of the rows, and before and after each of the two tables is written in the transaction."""
    module = "mqlml.history.postgres.upserting"
    points = [f"{module} {name} {when} {n}" for name in ("check_staged", "_write") for n in (1, 2) for when in BOTH]
    kill_at(url, points, 1_500, check=lambda n: check_whole(url, n, 1_500))


def test_write_scores_when_killed_then_postgres_holds_one_whole_run(url):
    ended = kill_runs(url, 20, 1_500, share=lambda n: n / 20, check=lambda n: check_whole(url, n, 1_500))
    assert len(ended) == 20


@pytest.mark.slow
def test_write_scores_when_killed_200_times_then_postgres_holds_one_whole_run(url):
    ended = kill_runs(url, 200, 20_000, share=lambda n: (n % 41) / 40, check=lambda n: check_whole(url, n, 20_000))
    assert ended.count(0) < 150  # most were killed on the way
    print(f"postgresql: {len(ended)} signals, {len(ended) - ended.count(0)} runs ended by them")  # noqa: T201
