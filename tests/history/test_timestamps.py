"""Times become UTC once and by one rule, or are refused; nothing is guessed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest
from history.histories import EVENTS, LEADS, OUTCOMES, Content, account, at, configured, reading, write

from mqlml.errors import DataRefused, UsageError
from mqlml.history.reading import read_history
from mqlml.history.zones import LocalTime

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Asia/Kolkata",
]


def convert(zone: str, times: list[datetime]) -> list[tuple[datetime | None, bool]]:
    """Convert naive times with the SQL of a zone."""
    sql = LocalTime(zone)
    with duckdb.connect() as connection:
        connection.register("times", pa.table({"i": range(len(times)), "t": pa.array(times, pa.timestamp("us"))}))
        return [
            (utc, bool(twice))
            for utc, twice in connection.sql(
                f"SELECT {sql.utc('t')}, {sql.ambiguous('t')} FROM times ORDER BY i"
            ).fetchall()
        ]


def by_zoneinfo(zone: str, time: datetime) -> tuple[datetime | None, bool]:
    """Convert with fold = 0; None where the clock skipped that time, and whether it happened twice."""
    first = time.replace(tzinfo=ZoneInfo(zone))
    utc = first.astimezone(UTC)
    exists = utc.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == time
    twice = exists and first.replace(fold=1).astimezone(UTC) != utc
    return (utc.replace(tzinfo=None) if exists else None), twice


@pytest.mark.parametrize("zone", ZONES)
def test_local_time_when_around_clock_changes_then_equals_zoneinfo(zone: str) -> None:
    start = datetime(2017, 1, 1)
    times = [start + timedelta(minutes=15 * i) for i in range(4 * 24 * 365 * 3)]
    tz = ZoneInfo(zone)
    shifts = [t.replace(tzinfo=tz).utcoffset() for t in times]
    near = {
        j
        for i in range(1, len(times))
        if shifts[i] != shifts[i - 1]
        for j in range(max(0, i - 100), min(len(times), i + 100))
    }
    chosen = [times[i] for i in sorted(near | set(range(0, len(times), 997)))]
    assert convert(zone, chosen) == [by_zoneinfo(zone, time) for time in chosen]


@pytest.mark.parametrize("zone", ZONES)
def test_local_time_when_over_a_century_then_equals_zoneinfo(zone: str) -> None:
    times = [datetime(1905, 1, 1, 12) + timedelta(days=13 * i) for i in range(5400)]
    assert convert(zone, times) == [by_zoneinfo(zone, time) for time in times]


def test_local_time_when_a_microsecond_from_the_change_then_exact() -> None:
    tick = timedelta(microseconds=1)
    skip, back = datetime(2024, 3, 31, 2), datetime(2024, 10, 27, 2)
    hour = timedelta(hours=1)
    times = [skip - tick, skip, skip + hour - tick, skip + hour, back - tick, back, back + hour - tick, back + hour]
    assert convert("Europe/Berlin", times) == [
        (datetime(2024, 3, 31, 1) - tick, False),
        (None, False),
        (None, False),
        (datetime(2024, 3, 31, 1), False),
        (datetime(2024, 10, 27, 0) - tick, False),
        (datetime(2024, 10, 27, 0), True),
        (datetime(2024, 10, 27, 1) - tick, True),
        (datetime(2024, 10, 27, 2), False),
    ]


def created(
    folder: Path, values: list[Any], *, suffix: str = "csv", **keys: Any
) -> tuple[list[datetime | None], tuple[str, ...], int]:
    """Read leads with these creation times: what they became, the notes, and how many rows were set aside."""
    ids = [f"L{i:03}" for i in range(len(values))]
    text = "lead_id,created_at\n" + "".join(f"{i},{v}\n" for i, v in zip(ids, values, strict=True))
    content: Content = text if suffix == "csv" else pa.table({"lead_id": ids, "created_at": values})
    keys = {"path": f"leads.{suffix}", "max_quarantined_share": 0.5} | keys
    with reading(
        folder, {f"leads.{suffix}": content, "outcomes.csv": "lead_id,outcome\nL000,won\n"}, leads=keys
    ) as history:
        return history.leads["created_at"].to_pylist(), history.notes, account(history, "leads").quarantined


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-01", "2024-03-01T00:00"),
        ("2024-03-01 10:00", "2024-03-01T10:00"),
        ("2024-03-01T10:00:00.5", "2024-03-01T10:00:00.5"),
        ("2024-03-01T10:00:00Z", "2024-03-01T10:00"),
        ("2024-03-01 10:00:00+02:00", "2024-03-01T08:00"),
        ("2024-03-01T10:00:00-0530", "2024-03-01T15:30"),
        ("2024-03-01T10:00+05", "2024-03-01T05:00"),
        ("2024-03-01 10:00:00 UTC", "2024-03-01T10:00"),
        ("2024-03-01T10:00:00.123456789Z", "2024-03-01T10:00:00.123456"),
    ],
)
def test_iso_when_written_in_any_way_then_utc(tmp_path: Path, text: str, expected: str) -> None:
    times, _, _ = created(tmp_path, [text, "2024-01-01T00:00:00Z"])
    assert times == [at(expected), at("2024-01-01")]


def test_times_when_naive_and_no_zone_is_declared_then_utc_with_a_note(tmp_path: Path) -> None:
    times, notes, _ = created(tmp_path, ["2024-07-01 10:00"])
    assert times == [at("2024-07-01T10:00")]
    assert any("'created_at' of leads.csv names no time zone and is read as UTC" in note for note in notes)
    _, notes, _ = created(tmp_path, ["2024-07-01 10:00Z"])
    assert not any("time zone" in note for note in notes)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_times_when_the_clock_changes_then_set_aside_or_earlier(tmp_path: Path, suffix: str) -> None:
    texts = ["2024-03-31 02:30:00", "2024-10-27 02:30:00", "2024-07-01 12:00:00"]
    values = texts if suffix == "csv" else [datetime.fromisoformat(t) for t in texts]
    times, notes, quarantined = created(tmp_path, values, suffix=suffix, timezone="Europe/Berlin")
    assert times == [at("2024-10-27T00:30"), at("2024-07-01T10:00")]
    assert quarantined == 1
    assert any("1 times in 'created_at'" in note and "earlier instant" in note for note in notes)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (pa.timestamp("ns"), datetime(2024, 1, 1, 12), "2024-01-01T11:00"),
        (pa.timestamp("s"), datetime(2024, 1, 1, 12), "2024-01-01T11:00"),
        (pa.timestamp("ms", "America/New_York"), datetime(2024, 1, 1, 12, tzinfo=UTC), "2024-01-01T12:00"),
        (pa.date32(), date(2024, 1, 1), "2023-12-31T23:00"),
        (pa.string(), "2024-01-01T12:00:00", "2024-01-01T11:00"),
    ],
)
def test_parquet_when_of_any_type_of_time_then_utc(
    tmp_path: Path, kind: pa.DataType, value: Any, expected: str
) -> None:
    times, _, _ = created(tmp_path, pa.array([value], kind), suffix="parquet", timezone="Europe/Berlin")
    assert times == [at(expected)]


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("03/04/2024", "may be day or month first.*timestamp_format"),
        ("1704067200", "look like seconds since 1970"),
        ("1704067200000", "look like milliseconds"),
        ("1704067200000000", "micro- or nanoseconds"),
        ("45292.5", "look like Excel's day numbers"),
        ("20240101", "dates without separators"),
        ("yesterday", "values such as 'yesterday' are not ISO 8601"),
    ],
)
def test_times_when_not_iso_then_refused_naming_the_key(tmp_path: Path, value: str, match: str) -> None:
    leads = "lead_id,created_at\n" + "".join(f"L{i},{value}\n" for i in range(3))
    write(tmp_path, {"leads.csv": leads, "outcomes.csv": "lead_id,outcome\nL0,won\n"})
    with pytest.raises(DataRefused, match=match) as caught:
        read_history(configured(tmp_path))
    assert "column 'created_at': 3 of 3 rows" in str(caught.value)
    assert "[leads]" in str(caught.value)


@pytest.mark.parametrize(("years", "unit"), [(-20, "s"), (200, "s")])
def test_times_when_mostly_implausible_then_refused(tmp_path: Path, years: int, unit: str) -> None:
    table = pa.table(
        {"lead_id": ["a", "b"], "created_at": pa.array([datetime(2000 + years, 1, 1)] * 2, pa.timestamp(unit))}
    )
    write(tmp_path, {"leads.parquet": table, "outcomes.csv": "lead_id,outcome\na,won\n"})
    with pytest.raises(DataRefused, match="column 'created_at': 2 of 2 rows: most times lie before 1990 or after 2100"):
        read_history(configured(tmp_path, leads={"path": "leads.parquet"}))


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("%d/%m/%Y", "03/04/2024", "2024-04-03T00:00"),
        ("%m/%d/%Y %I:%M %p", "03/04/2024 01:30 PM", "2024-03-04T13:30"),
        ("%d.%m.%Y %H:%M %z", "01.02.2024 10:00 +0200", "2024-02-01T08:00"),
        ("%Y%m%d", "20240131", "2024-01-31T00:00"),
        ("%d/%m/%Y", "2024-03-04T05:00:00Z", "2024-03-04T05:00"),
    ],
)
def test_format_when_declared_then_read_by_it(tmp_path: Path, pattern: str, text: str, expected: str) -> None:
    times, _, _ = created(tmp_path, [text], timestamp_format=pattern)
    assert times == [at(expected)]


def test_format_when_it_does_not_fit_then_refused(tmp_path: Path) -> None:
    write(tmp_path, {"leads.csv": "lead_id,created_at\na,04/25/2024\n", "outcomes.csv": "lead_id,outcome\na,won\n"})
    with pytest.raises(DataRefused, match=r"values such as '04/25/2024'.*not '%d/%m/%Y' or ISO 8601"):
        read_history(configured(tmp_path, leads={"timestamp_format": "%d/%m/%Y"}))
    with pytest.raises(UsageError, match=r"\[leads\] timestamp_format: '%Q' is not a format"):
        read_history(configured(tmp_path, leads={"timestamp_format": "%Q"}))


def test_placeholders_when_required_or_optional_then_missing_and_counted(tmp_path: Path) -> None:
    outcomes = "lead_id,outcome,decided_at\n007,lost,9999-12-31\n1e5,lost,1900-01-01T00:00:00Z\n"
    with reading(tmp_path, {"leads.csv": LEADS, "outcomes.csv": outcomes}) as history:
        assert history.outcomes["decided_at"].null_count == 2
        assert any("2 times in 'decided_at' of outcomes.csv are placeholders" in note for note in history.notes)


def test_infinite_times_when_in_parquet_or_duckdb_then_missing(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "crm.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE o AS SELECT '007' AS lead_id, 'lost' AS outcome, 'infinity'::TIMESTAMP AS decided_at "
            "UNION ALL SELECT '1e5', 'lost', '-infinity'::TIMESTAMP"
        )
    with reading(tmp_path, {"leads.csv": LEADS}, outcomes={"path": "crm.duckdb"}) as history:
        assert history.outcomes["decided_at"].null_count == 2


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_dates_of_events_when_without_a_time_then_known_when_the_day_is_over(tmp_path: Path, suffix: str) -> None:
    table = pa.table({"lead_id": ["007"], "occurred_at": [date(2024, 1, 5)], "event_type": ["visit"]})
    files: dict[str, Content] = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES}
    files[f"events.{suffix}"] = "lead_id,occurred_at,event_type\n007,2024-01-05,visit\n" if suffix == "csv" else table
    with reading(tmp_path, files, leads={"timezone": "Europe/Berlin"}, events={"path": f"events.{suffix}"}) as history:
        assert history.event_type_counts(at("2024-01-05T22:59:59")) == {}
        assert history.event_type_counts(at("2024-01-05T23:00")) == {"visit": 1}
        assert any("dates without times" in note for note in history.notes)


def test_until_when_in_the_same_microsecond_then_not_yet_known(tmp_path: Path) -> None:
    with reading(
        tmp_path, {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.csv": EVENTS}, events={"path": "events.csv"}
    ) as history:
        moment, tick = at("2024-01-01T09:00"), timedelta(microseconds=1)
        assert [history.event_type_counts(t) for t in (moment - tick, moment, moment + tick)] == [{}, {}, {"visit": 1}]


def test_recorded_when_later_than_occurred_then_known_from_then(tmp_path: Path) -> None:
    rows = "007,2024-01-05T00:00Z,v,2024-02-01T00:00Z\n007,2024-01-06T00:00Z,v,\n"
    events = "lead_id,occurred_at,event_type,recorded_at\n" + rows
    with reading(
        tmp_path, {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.csv": events}, events={"path": "events.csv"}
    ) as history:
        assert history.event_type_counts(at("2024-01-20")) == {"v": 1}
        assert history.event_type_counts(at("2024-03-01")) == {"v": 2}
