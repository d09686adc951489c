"""Tables of a real PostgreSQL are read like files, and rows reach it once or not at all."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from postgres_server import ESCAPED, PASSWORD

from mqlml.config import Config
from mqlml.errors import DataRefused, EngineError, MqlError, UsageError
from mqlml.history.postgres import Address, Incoming, delete_rows, fetch, upsert
from mqlml.history.reading import read_history

pytestmark = pytest.mark.engine

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
        ("n", pa.int64()),
        ("x", pa.float64()),
        ("yes", pa.bool_()),
        ("kind", pa.dictionary(pa.int32(), pa.string())),
    ]
)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = ("id", "at")


def rows(*ids, n=1, x=0.1 + 0.2, at=NOON):
    values = [list(ids), [at] * len(ids), [n] * len(ids), [x] * len(ids), [None] * len(ids), ["a"] * len(ids)]
    columns = [pa.array(v, f.type) for v, f in zip(values, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def write(url, *batches, table="t", key=KEY, schema=SCHEMA):
    return upsert(Address.of(url), [Incoming(table, schema, key, iter(batches))])


def read(url, query="SELECT id, n FROM t ORDER BY 1, 2"):
    import psycopg

    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def url(postgres):
    """Give a test a database of its own."""
    yield postgres.url
    change(
        postgres.url,
        "DROP SCHEMA public CASCADE; DROP SCHEMA IF EXISTS crm CASCADE; DROP ROLE IF EXISTS weak; CREATE SCHEMA public",
    )


def change(url, statements):
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements)


def test_upsert_when_repeated_then_keys_are_unique_and_values_exact(url):
    assert write(url, rows("a", "b"), rows("c")) == [3]
    assert write(url, rows("b", "d", n=2)) == [2]
    assert read(url) == [("a", 1), ("b", 2), ("c", 1), ("d", 2)]
    assert read(url, "SELECT * FROM t WHERE id = 'd'") == [("d", NOON, 2, 0.1 + 0.2, None, "a")]
    types = dict(read(url, "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 't'"))
    assert types == {
        "id": "text", "at": "timestamp with time zone", "n": "bigint", "x": "double precision", "yes": "boolean",
        "kind": "text",
    }  # fmt: skip


@pytest.mark.parametrize("name", ['x"; DROP TABLE keep; --', "select", "Größe", "'quoted'", "a$1"])
def test_upsert_when_names_are_hostile_then_they_are_only_names(name, url):
    change(url, "CREATE TABLE keep AS SELECT 1 AS one")
    schema = pa.schema([(name, pa.string()), ("n", pa.int64())])
    batch = pa.RecordBatch.from_pydict({name: [name], "n": [1]}, schema=schema)
    for _ in range(2):
        write(url, batch, table=name, key=(name,), schema=schema)
    quoted = name.replace('"', '""')
    assert read(url, f'SELECT * FROM "{quoted}"') == [(name, 1)]
    assert read(url, "SELECT * FROM keep") == [(1,)]
    assert delete_rows(Address.of(url), table=name, column=name, value=name) == 1
    assert read(url, f'SELECT * FROM "{quoted}"') == []


def test_upsert_when_several_tables_then_all_or_none(url):
    small = pa.schema([("id", pa.string())])
    good = pa.RecordBatch.from_pydict({"id": ["r"]}, schema=small)
    twice = pa.RecordBatch.from_pydict({"id": ["r", "r"]}, schema=small)
    address = Address.of(url)
    with pytest.raises(DataRefused, match=r"MQL-dup-key .*#runs: 2 of 2 rows: the same \(id\)"):
        upsert(address, [Incoming("t", SCHEMA, KEY, [rows("a")]), Incoming("runs", small, ("id",), [twice])])
    assert read(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
    upsert(address, [Incoming("t", SCHEMA, KEY, [rows("a")]), Incoming("runs", small, ("id",), [good])])
    assert read(url, "SELECT * FROM runs") == [("r",)]


def test_upsert_when_the_second_table_fails_in_the_server_then_the_first_is_as_before(url):
    write(url, rows("a"))
    change(url, "CREATE TABLE runs (id text PRIMARY KEY CHECK (id <> 'r'))")
    small = pa.schema([("id", pa.string())])
    bad = pa.RecordBatch.from_pydict({"id": ["r"]}, schema=small)
    with pytest.raises(DataRefused, match=r"MQL-database-value .*the database refuses a value: new row"):
        upsert(Address.of(url), [Incoming("t", SCHEMA, KEY, [rows("a", n=9)]), Incoming("runs", small, ("id",), [bad])])
    assert read(url) == [("a", 1)]


@pytest.mark.parametrize(
    ("made", "match"),
    [
        ("CREATE TABLE t (id text, at timestamptz, PRIMARY KEY (id, at))", 'ALTER TABLE "t" ADD COLUMN "n" bigint'),
        (
            "CREATE TABLE t (id text, at date, n bigint, x float8, yes bool, kind text, PRIMARY KEY (id, at))",
            "column 'at': is date in the table, not timestamp with time zone",
        ),
        (
            "CREATE TABLE t (id text PRIMARY KEY, at timestamptz, n bigint, x float8, yes bool, kind text)",
            r"the table's primary key is \(id\), not \(id, at\)",
        ),
    ],
)  # fmt: skip
def test_upsert_when_the_table_has_another_form_then_refused_before_any_row_is_read(made, match, url):
    change(url, made)

    def never():
        raise AssertionError("rows were asked for")
        yield

    with pytest.raises(DataRefused, match=match):
        upsert(Address.of(url), [Incoming("t", SCHEMA, KEY, never())])


def test_upsert_when_the_table_has_more_columns_then_they_keep_their_defaults(url):
    write(url, rows("a"))
    change(url, "ALTER TABLE t ADD COLUMN seen bool DEFAULT false; UPDATE t SET seen = true")
    write(url, rows("a", "b", n=2))
    assert read(url, "SELECT id, n, seen FROM t ORDER BY 1") == [("a", 2, True), ("b", 2, False)]


def test_upsert_when_two_run_at_once_then_both_are_there_and_none_fails(url):
    failed = []

    def run(n):
        try:
            write(url, rows(*(f"{i:03}" for i in range(n % 2, 200, 1 + n % 3)), n=n))
        except MqlError as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert read(url, "SELECT count(*), count(DISTINCT id) FROM t") == [(200, 200)]


def test_upsert_when_the_user_may_not_write_then_engine_error_names_the_right(url, postgres):
    change(url, "CREATE ROLE weak LOGIN PASSWORD 'w'")
    weak = f"postgresql://weak:w@127.0.0.1:{postgres.port}/postgres"
    write(url, rows("a"))
    change(url, "GRANT USAGE ON SCHEMA public TO weak; GRANT SELECT ON t TO weak")
    with pytest.raises(EngineError, match=r"permission denied for table t.*Hint: grant the user this right"):
        write(weak, rows("b"))
    assert read(url) == [("a", 1)]


def kinds(url, folder, **more):
    path = folder / "fetched.parquet"
    fetch(Address.of(url), section="leads", into=path, **{"table": None, "query": None} | more)
    return pq.read_table(path)


def test_fetch_when_types_are_postgres_own_then_numbers_are_numbers_and_the_rest_is_text(url, tmp_path):
    change(
        url,
        """CREATE TYPE mood AS ENUM ('ok');
        CREATE TABLE t (i smallint, n numeric(10, 2), m money, e mood, c char(4), u uuid, j jsonb,
        d date, ts timestamp, tz timestamptz, never timestamptz, a int[], b bool);
        INSERT INTO t VALUES (7, 12.50, 3.25, 'ok', 'ab', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"k": 1}',
        '2026-01-02', '2026-03-08 02:30:00', '2026-03-08 02:30:00+01', 'infinity', '{1,2}', true)""",
    )
    found = kinds(f"{url}#t", tmp_path).to_pylist()
    assert found == [
        {
            "i": 7, "n": 12.5, "m": 3.25, "e": "ok", "c": "ab", "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "j": '{"k": 1}', "d": date(2026, 1, 2), "ts": datetime(2026, 3, 8, 2, 30),
            "tz": datetime(2026, 3, 8, 1, 30, tzinfo=UTC), "never": None, "a": "{1,2}", "b": True,
        }
    ]  # fmt: skip


def test_fetch_when_a_query_is_given_then_its_rows_arrive_in_batches(url, tmp_path):
    query = "SELECT g AS n, repeat('x', 100) AS text FROM generate_series(1, 200000) g; "
    table = kinds(url, tmp_path, query=query)
    assert table.num_rows == 200_000
    assert sum(table["n"].to_pylist()) == 200_000 * 200_001 // 2


@pytest.mark.parametrize(
    ("more", "error", "match"),
    [
        ({"table": "lead"}, DataRefused, r"MQL-no-table .*there is no table 'lead'; nearest: 'leads'"),
        ({}, DataRefused, "holds several tables or none; there are: 'crm.events', 'public.leads', 'leads'"),
        ({"query": "SELEC 1"}, UsageError, r"\[leads\] query: syntax error"),
        ({"query": "SELECT nothing FROM leads"}, UsageError, r'\[leads\] query: column "nothing" does not exist'),
        ({"query": "SELECT 1; DROP TABLE leads"}, UsageError, r"\[leads\] query: syntax error"),
        ({"query": "DELETE FROM leads RETURNING *"}, UsageError, r"\[leads\] query: syntax error"),
        ({"query": "SELECT 1 / (one - 1) AS x FROM leads"}, EngineError, "division by zero"),
    ],
)
def test_fetch_when_it_cannot_be_read_then_the_message_says_why_and_nothing_changes(more, error, match, url, tmp_path):
    change(url, "CREATE TABLE leads AS SELECT 1 AS one; CREATE SCHEMA crm; CREATE TABLE crm.events AS SELECT 1 AS one")
    with pytest.raises(error, match=match):
        kinds(url, tmp_path, **more)
    assert read(url, "SELECT * FROM leads") == [(1,)]
    assert list(tmp_path.iterdir()) == []


def test_fetch_when_a_function_of_the_query_writes_then_the_database_refuses(url, tmp_path):
    change(
        url,
        "CREATE TABLE leads AS SELECT 1 AS one; CREATE FUNCTION sly() RETURNS int LANGUAGE sql "
        "AS 'DELETE FROM leads RETURNING one'",
    )
    with pytest.raises(EngineError, match="cannot execute DELETE in a read-only transaction"):
        kinds(url, tmp_path, query="SELECT sly()")
    assert read(url, "SELECT * FROM leads") == [(1,)]


@pytest.mark.parametrize("swap", [("127.0.0.1", "127.0.0.9"), (ESCAPED, "wrong%40pass"), ("/postgres", "/nowhere")])
def test_fetch_when_the_server_does_not_let_us_in_then_engine_error_without_the_password(swap, postgres, tmp_path):
    with pytest.raises(EngineError, match=r"MQL-database postgresql://mqlml@127\.0\.0") as error:
        kinds(postgres.url.replace(*swap), tmp_path)
    for secret in (PASSWORD, ESCAPED, "wrong@pass", "wrong%40pass"):
        assert secret not in str(error.value)
    assert error.value.exit_code == 5


def test_fetch_when_libpq_cannot_read_the_address_then_usage_error_without_the_password(postgres, tmp_path):
    with pytest.raises(UsageError, match="not an address that PostgreSQL understands") as error:
        kinds(postgres.url.replace(ESCAPED, "wr%zzong"), tmp_path)
    assert "zz" not in str(error.value)


def test_fetch_when_the_connection_breaks_half_way_then_engine_error_and_no_file(url, tmp_path):
    query = (
        "SELECT g, CASE WHEN g = 300000 THEN pg_terminate_backend(pg_backend_pid())::text ELSE repeat('x', 200) END "
    )
    with pytest.raises(EngineError, match=r"terminating connection|server closed|no connection|EOF|COPY") as error:
        kinds(url, tmp_path, query=query + "FROM generate_series(1, 400000) g")
    assert error.value.exit_code == 5
    assert PASSWORD not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def history(url, **more):
    settings = {
        "leads": {"path": f"{url}#crm.people", "id": "key", "created_at": "made", "timezone": "Europe/Berlin"},
        "outcomes": {"path": url, "query": "SELECT key AS lead_id, result AS outcome, closed AS decided_at FROM deals"},
        "events": {"path": url, "table": "events"},
        "label": {"horizon_days": 30},
    }
    return Config.of({**settings, **more})


def test_read_history_when_tables_are_in_postgres_then_cleaned_like_files(url, tmp_path):
    change(
        url,
        """CREATE SCHEMA crm;
        CREATE TABLE crm.people (key text, made timestamp, "Umsatz [€]" numeric, sector text);
        INSERT INTO crm.people VALUES ('007', '2026-01-10 12:00', 10.5, 'NA'), ('8', '2026-07-10 12:00', NULL, 'it'),
        (NULL, '2026-01-10', 1, 'it'), ('8', '2026-07-10 12:00', NULL, 'it');
        CREATE TABLE deals (key text, result text, closed timestamptz);
        INSERT INTO deals VALUES ('007', 'won', '2026-02-01 00:00+00'), ('8', 'lost', '2026-08-01 00:00+02');
        CREATE TABLE events (lead_id text, occurred_at timestamptz, event_type text);
        INSERT INTO events SELECT '007', '2026-01-11 00:00+00'::timestamptz + g * interval '1 hour', 'visit'
        FROM generate_series(1, 5) g""",
    )
    config = history(url)
    config = config.model_copy(update={"leads": config.leads.model_copy(update={"max_quarantined_share": 0.5})})
    with read_history(config) as found:
        leads = found.leads.to_pylist()
        assert [(r["lead_id"], r["created_at"]) for r in leads] == [
            ("007", datetime(2026, 1, 10, 11, tzinfo=UTC)),
            ("8", datetime(2026, 7, 10, 10, tzinfo=UTC)),
        ]
        assert found.attributes["Umsatz [€]"].to_pylist() == [float(Decimal("10.5")), None]
        assert found.attributes["sector"].to_pylist() == ["NA", "it"]
        assert found.connection.execute("SELECT count(*) FROM events").fetchone() == (5,)
        account = {a.table: (a.rows_in, a.used, a.quarantined) for a in found.accounts}
        assert account == {"leads": (4, 2, 1), "outcomes": (2, 2, 0), "events": (5, 5, 0)}
        assert ESCAPED not in str(found.accounts) + str(found.notes)


def test_read_history_when_tables_lack_columns_then_all_problems_come_at_once_without_the_password(url):
    change(url, "CREATE SCHEMA crm; CREATE TABLE crm.people (id text, made timestamp); CREATE TABLE events (x text)")
    with pytest.raises(DataRefused) as error:
        read_history(history(url, outcomes={"path": f"{url}#nothing"}))
    text = str(error.value)
    assert "127.0.0.1" in text
    assert "#crm.people: column 'key'" in text
    assert "MQL-no-table" in text
    assert "#events" in text
    assert ESCAPED not in text
    assert PASSWORD not in text
