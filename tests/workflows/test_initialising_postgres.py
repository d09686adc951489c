"""Settings proposed from a database: the same as from files, and no password in any of them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from history import exports
from postgres_server import ESCAPED, PASSWORD, USER, Server
from workflows.conftest import Run

from mqlml.cli import main
from mqlml.errors import UsageError
from mqlml.history.discovery.places import Place
from mqlml.history.discovery.proposing import Wishes, propose_place
from mqlml.history.postgres import listing

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    assert main(["-q", "sample", "--leads", "1000", "--seed", "5", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    yield postgres.url
    change(postgres.url, "DROP SCHEMA public CASCADE; DROP ROLE IF EXISTS weak; CREATE SCHEMA public")


def change(url: str, statements: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements)


def test_init_when_tables_lie_in_a_database_then_check_accepts_the_settings(
    sample: Path, database: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports.into_postgres(sample, database)
    started = run("init", database, "--out", tmp_path, "--json")
    assert started.code == 0, started.err
    text = (tmp_path / "mqlml.toml").read_text(encoding="utf-8")
    for said in (started.out, started.err, text):
        assert PASSWORD not in said
        assert ESCAPED not in said
    place = f"postgresql://{USER}@{database.rpartition('@')[2]}"
    settings = tomllib.loads(text)
    assert settings["leads"]["path"] == f"{place}#prospects"
    assert settings["leads"]["created_at"] == "registered_at"
    assert settings["events"]["path"] == f"{place}#activities"
    assert "'invoices'" in text
    assert started.json["next_steps"][0].startswith("export PGPASSWORD")
    assert started.json["again"].endswith(f":***@{database.rpartition('@')[2]}' --out {tmp_path} --tables-only")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    checked = run("check", "--config", tmp_path / "mqlml.toml", "--json")
    assert checked.code == 0, checked.err
    assert checked.json["population"]["leads"] == 1_000


def test_init_when_a_table_is_large_then_a_part_is_read_and_what_is_made_is_made_of_the_whole(
    sample: Path, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports.into_postgres(sample, database)
    monkeypatch.setattr(listing, "_LARGE_BYTES", 1 << 16)
    found = propose_place(Place.of(database, out=tmp_path), wishes=Wishes(), copies=tmp_path).found
    assert found.leads is not None
    assert (found.leads.table.sampled, found.leads.table.raw.rows_in) == (False, 1_000)
    [events] = found.of("events")
    assert events.table.sampled
    assert 0 < events.table.raw.rows_in < 10_000
    assert "looked at" in events.table.remarks[0]


def test_init_when_a_table_may_not_be_read_then_says_which_right_is_missing(
    sample: Path, database: str, tmp_path: Path, run: Run
) -> None:
    exports.into_postgres(sample, database)
    change(database, "CREATE ROLE weak LOGIN PASSWORD 'w'; GRANT SELECT ON prospects TO weak")
    weak = f"postgresql://weak:w@{database.rpartition('@')[2]}"
    refused = run("init", weak, "--out", tmp_path)
    assert refused.code == 3
    assert 'GRANT USAGE ON SCHEMA "public" and SELECT ON "public"."activities"' in refused.err
    change(database, "GRANT USAGE ON SCHEMA public TO weak")
    started = run("init", weak, "--out", tmp_path)
    assert started.code == 0, started.err
    assert 'GRANT SELECT ON "public"."activities"' in " ".join(started.out.split())
    change(database, "REVOKE SELECT ON prospects FROM weak; DROP TABLE activities, invoices")
    refused = run("init", weak, "--out", tmp_path, "--force")
    assert refused.code == 3
    assert 'GRANT SELECT ON "public"."prospects"' in refused.err
    change(database, "DROP TABLE prospects")
    refused = run("init", weak, "--out", tmp_path, "--force")
    assert refused.code == 3
    assert "shows this user no tables" in refused.err
    refused = run("init", weak.replace(":w@", ":wrong@"), "--out", tmp_path, "--force")
    assert refused.code == 5
    assert "password authentication failed" in refused.err


def test_place_when_settings_cannot_go_there_then_says_where_they_can(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        Place.of("postgresql:///crm", out=tmp_path / "missing")
    with pytest.raises(UsageError, match="--out is for databases"):
        Place.of(str(tmp_path), out=tmp_path)
    with pytest.raises(UsageError, match="neither a folder nor a file"):
        Place.of(str(tmp_path / "missing"))
