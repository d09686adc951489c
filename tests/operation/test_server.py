"""Scores reach PostgreSQL with their manifest, whole and once, whenever a run is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from operation.test_sinks import KEY, MARCH, SCHEMA, batch
from postgres_server import ESCAPED, PASSWORD

from mqlml.errors import DataRefused, EngineError
from mqlml.operation.sinks import write_scores

pytestmark = pytest.mark.slow  # `make test-engines` runs them, as the drivers are not in requirements.lock

MANIFEST = {"as_of": MARCH, "model_version": "m1", "policy_version": "p1", "rows_in": 3}

# Imports once, then writes in a child of its own whenever a line says the run's number.
FORKS = """
import os, sys
from datetime import UTC, datetime
import pyarrow as pa
import adbc_driver_postgresql.dbapi, duckdb
from mqlml.operation.sinks import write_scores

out, rows = sys.argv[1], int(sys.argv[2])
march = datetime(2026, 3, 1, tzinfo=UTC)
schema = pa.schema([("lead_id", pa.string()), ("as_of", pa.timestamp("us", "UTC")), ("probability", pa.float64()),
                    ("model_version", pa.string()), ("policy_version", pa.string())])

def batches(run):
    for start in range(0, rows, 1000):
        n = min(1000, rows - start)
        yield pa.RecordBatch.from_arrays([pa.array([f"L{i}" for i in range(start, start + n)]),
            pa.array([march] * n, schema.field("as_of").type), pa.array([float(run)] * n),
            pa.array(["m1"] * n), pa.array(["p1"] * n)], schema=schema)

for line in sys.stdin:
    run = line.strip()
    child = os.fork()
    if child == 0:
        manifest = {"as_of": march, "model_version": "m1", "policy_version": "p1", "run": run}
        write_scores(batches(run), schema, out, manifest=manifest)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


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


def killed(url, kills, rows, *, share):
    """Kill runs at moments spread over their course; each leaves all rows of the old run or all of the new."""
    ended = []
    with subprocess.Popen(
        [sys.executable, "-c", FORKS, url, str(rows)], stdin=-1, stdout=-1, text=True, bufsize=1
    ) as forks:

        def begin(run):
            forks.stdin.write(f"{run}\n")
            return int(forks.stdout.readline())

        def finish():
            return int(forks.stdout.readline())

        begin(0)
        assert finish() == 0
        begun = time.monotonic()
        begin(0)
        assert finish() == 0
        took = time.monotonic() - begun
        for number in range(1, kills + 1):
            child = begin(number)
            time.sleep(took * share(number))
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL if number % 2 else signal.SIGTERM)
            ended.append(finish())
            check_whole(url, number, rows)
        begin(-1)
        assert finish() == 0
        forks.stdin.close()
    assert read(url, "SELECT DISTINCT probability FROM scores") == [(-1.0,)]
    return ended


def check_whole(url, number, rows):
    found = read(url, "SELECT probability, count(*), count(DISTINCT lead_id) FROM scores GROUP BY 1")
    told = json.loads(read(url, "SELECT manifest FROM scores_manifests")[0][0])["run"]
    assert found == [(float(told), rows, rows)], f"kill {number}"


def test_write_scores_when_killed_then_postgres_holds_one_whole_run(url):
    ended = killed(url, 5, 3_000, share=lambda n: n / 6)
    assert len(ended) == 5


@pytest.mark.crashes
def test_write_scores_when_killed_200_times_then_postgres_holds_one_whole_run(url):
    ended = killed(url, 200, 20_000, share=lambda n: (n % 41) / 40)
    assert ended.count(0) < 150  # most were killed on the way
