"""The synthetic history: the contract's tables, nothing after the end, a known truth, stable bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from mqlml.config import Config
from mqlml.errors import UsageError
from mqlml.history import sample
from mqlml.history.sample import AS_OF, write_sample
from mqlml.history.sample.journey import draw_journey, win_probability
from mqlml.history.sample.people import draw_people

TABLES = ("leads", "events", "outcomes", "history", "stages", "handovers", "spend")


def digests(out: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(out.iterdir())}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, leads=6_000, seed=1)
    return folder


@pytest.fixture(scope="module")
def world(out: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for table in TABLES:
        connection.execute(f"CREATE VIEW {table} AS FROM '{out}/{table}.parquet'")
    connection.execute("CREATE VIEW wins AS SELECT lead_id, decided_at AS won_at FROM outcomes WHERE outcome = 'won'")
    return connection


def value(world: duckdb.DuckDBPyConnection, sql: str) -> float:
    return float(world.execute(sql).fetchall()[0][0])


def test_sample_when_written_then_rows_as_reported_and_settings_load(tmp_path: Path) -> None:
    rows = write_sample(tmp_path, leads=100, seed=3)
    assert set(rows) == set(TABLES)
    assert rows["leads"] == 100
    assert rows == {table: pq.read_metadata(tmp_path / f"{table}.parquet").num_rows for table in TABLES}
    config = Config.load(tmp_path / "mqlml.toml")
    declared = {*config.leads.known_at_creation, *config.leads.state, *config.leads.exclude}
    assert declared == set(pq.read_schema(tmp_path / "leads.parquet").names) - {"lead_id", "account_id", "created_at"}
    assert (config.label.horizon_days, config.policy.capacity_per_week) == (90, 1)
    assert AS_OF in (tmp_path / "mqlml.toml").read_text()


def test_sample_when_same_seed_then_same_bytes_and_other_seed_other_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "LEADS_PER_BLOCK", 200)
    seen: list[tuple[int, int]] = []
    write_sample(tmp_path / "a", leads=500, seed=5, progress=lambda done, total: seen.append((done, total)))
    write_sample(tmp_path / "b", leads=500, seed=5)
    write_sample(tmp_path / "c", leads=500, seed=6)
    first, again, other = (digests(tmp_path / name) for name in "abc")
    assert first == again
    assert all(first[name] != other[name] for name in first)
    assert seen == [(200, 500), (400, 500), (500, 500)]


@pytest.mark.parametrize("leads", [0, 99, 10_000_001])
def test_sample_when_size_is_out_of_range_then_refused(tmp_path: Path, leads: int) -> None:
    with pytest.raises(UsageError, match="ask for 100 to 10,000,000 leads"):
        write_sample(tmp_path, leads=leads)


def test_sample_when_settings_were_edited_then_nothing_is_touched(tmp_path: Path) -> None:
    write_sample(tmp_path, leads=100)
    (tmp_path / "mqlml.toml").write_text("# mine")
    before = digests(tmp_path)
    with pytest.raises(UsageError, match="exists already and differs"):
        write_sample(tmp_path, leads=200)
    assert digests(tmp_path) == before


def test_ids_when_joined_then_unique_and_known(world: duckdb.DuckDBPyConnection) -> None:
    assert value(world, "SELECT count(DISTINCT lead_id) FROM leads") == 6_000
    for table in TABLES[1:-1]:
        assert value(world, f"SELECT count(*) FROM {table} ANTI JOIN leads USING (lead_id)") == 0
    assert value(world, "SELECT count(*) FROM spend ANTI JOIN leads USING (campaign)") == 0
    assert (
        value(
            world,
            "SELECT count(*) FROM leads WHERE campaign IS NOT NULL AND campaign NOT IN (SELECT campaign FROM spend)",
        )
        == 0
    )


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("leads", "created_at"),
        ("events", "occurred_at"),
        ("events", "recorded_at"),
        ("outcomes", "decided_at"),
        ("history", "changed_at"),
        ("stages", "entered_at"),
        ("handovers", "handed_at"),
        ("handovers", "first_touch_at"),
        ("spend", "period_start"),
    ],
)
def test_times_when_compared_with_the_end_then_all_before(
    world: duckdb.DuckDBPyConnection, table: str, column: str
) -> None:
    assert value(world, f"SELECT count(*) FROM {table} WHERE {column} >= TIMESTAMPTZ '{AS_OF}'") == 0


def test_decisions_when_compared_with_creation_then_later(world: duckdb.DuckDBPyConnection) -> None:
    for table, column in (("outcomes", "decided_at"), ("handovers", "handed_at"), ("stages", "entered_at")):
        assert (
            value(world, f"SELECT count(*) FROM {table} JOIN leads USING (lead_id) WHERE {column} <= created_at") == 0
        )
    assert value(world, "SELECT count(*) FROM handovers JOIN wins USING (lead_id) WHERE handed_at >= won_at") == 0
    assert value(world, "SELECT count(*) FROM events WHERE recorded_at < occurred_at") == 0


def test_figures_when_counted_then_as_designed(world: duckdb.DuckDBPyConnection) -> None:
    within = value(
        world,
        f"""SELECT avg(coalesce(won_at < created_at + INTERVAL 90 DAY, false)::INT) FROM leads LEFT JOIN wins
        USING (lead_id) WHERE created_at < TIMESTAMPTZ '{AS_OF}' - INTERVAL 90 DAY""",
    )
    assert 0.08 < within < 0.125
    handed = value(world, "SELECT count(*) FROM handovers") / 6_000
    assert 0.15 < handed < 0.25
    days = "SELECT quantile_cont(epoch(won_at - created_at) / 86400, {}) FROM wins JOIN leads USING (lead_id)"
    assert 35 < value(world, days.format(0.5)) < 65
    assert value(world, days.format(0.9)) > 120
    assert value(world, "SELECT count(DISTINCT lead_id) FROM outcomes") < 0.6 * 6_000
    assert value(world, "SELECT count(*) FROM (SELECT lead_id FROM outcomes GROUP BY 1 HAVING count(*) > 1)") > 20


def test_leaking_column_when_compared_then_filled_for_winners_only(world: duckdb.DuckDBPyConnection) -> None:
    filled = "SELECT avg((onboarding_owner IS NOT NULL)::INT) FROM leads {} JOIN wins USING (lead_id)"
    assert value(world, filled.format("SEMI")) > 0.95
    assert value(world, filled.format("ANTI")) < 0.01


def test_events_when_after_the_win_then_there_and_only_the_as_of_rule_helps(world: duckdb.DuckDBPyConnection) -> None:
    after = value(world, "SELECT count(*) FROM events JOIN wins USING (lead_id) WHERE occurred_at >= won_at")
    assert after > 1_000


def test_mail_when_sent_then_scanners_open_within_seconds_for_some_leads(world: duckdb.DuckDBPyConnection) -> None:
    at_once = value(
        world,
        """SELECT avg((epoch(occurred_at) % 86400 BETWEEN 7.5 * 3600 AND 7.5 * 3600 + 25)::INT) FROM events
        WHERE event_type = 'email_open'""",
    )
    assert 0.4 < at_once < 0.8
    assert 0.08 < value(world, "SELECT 1 - count(DISTINCT lead_id) / 6000 FROM events") < 0.2


def test_history_when_followed_then_old_value_is_the_value_before(world: duckdb.DuckDBPyConnection) -> None:
    broken = """SELECT count(*) FROM (SELECT old_value, lag(value) OVER w AS before, row_number() OVER w AS place
        FROM history WINDOW w AS (PARTITION BY lead_id, field ORDER BY changed_at))
        WHERE place > 1 AND old_value IS DISTINCT FROM before"""
    assert value(world, broken) == 0
    latest = """SELECT count(*) FROM (SELECT lead_id, arg_max(value, changed_at) AS value FROM history
        WHERE field = '{0}' GROUP BY 1) JOIN leads USING (lead_id) WHERE value IS DISTINCT FROM {0}::VARCHAR"""
    for field in ("lead_status", "job_title", "company_size"):
        assert value(world, latest.format(field)) == 0
    assert value(world, "SELECT count(*) FROM history WHERE old_value IS NOT NULL") > 1_000


def test_truth_when_simulated_then_wins_follow_the_known_probability() -> None:
    rng = np.random.default_rng(11)
    who = draw_people(rng, 40_000)
    course = draw_journey(rng, who)
    truth = win_probability(who.fit, who.interest, who.created)
    won = np.isfinite(course.won)
    band = np.digitize(truth, np.quantile(truth, [0.2, 0.4, 0.6, 0.8]))
    for b in range(5):
        of_band = band == b
        tolerance = 4 * np.sqrt(truth[of_band].mean() / of_band.sum())
        assert won[of_band].mean() == pytest.approx(truth[of_band].mean(), abs=tolerance)
    assert (course.project[won] < course.won[won]).all()
