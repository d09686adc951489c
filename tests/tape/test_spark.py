"""The Spark engine: the same numbers, accounts and notes as on one machine, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from history.histories import configured
from sparks import CUT

from mqlml.config import Config
from mqlml.errors import DataRefused, EngineError, UsageError
from mqlml.history.contract import History
from mqlml.history.queries import signs_of_life
from mqlml.history.touches import TOUCH_KINDS, read_touches
from mqlml.tape.build import build_features
from mqlml.tape.engine import Engine, LocalEngine, remote_tape
from mqlml.tape.features import FAMILIES, FeatureSet, Pair
from mqlml.tape.spark import SparkEngine, SparkSettings
from mqlml.tape.traffic import Tally
from mqlml.tape.vocabulary import learn_feature_set

pytestmark = pytest.mark.engine

START = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
HOUR = 3_600_000_000
DAY = 24 * HOUR
MOMENT = pa.timestamp("us", tz="UTC")
UNTIL = datetime(2025, 4, 1, tzinfo=UTC)
LEADS = [f"lead {i}" for i in range(12)]
SECTIONS: dict[str, Any] = {
    "leads": {"path": "leads.parquet"},
    "outcomes": {"path": "outcomes.parquet"},
    "events": {"path": "events.parquet", "by_sales": ["call"], "max_unknown_share": 1.0, "tracked": "seen"},
    "history": {"path": "history.parquet"},
    "links": {"path": "links.parquet"},
    "suppress": {"path": "suppress.parquet"},
    "stages": {"path": "stages.parquet"},
    "features": {"max_event_types": 3, "max_assets": 2, "max_channels": 2, "families": FAMILIES},
}


def moments(rng: np.random.Generator, n: int) -> np.ndarray:
    """Coarse times, so that many facts share a moment with each other, with marks and with window borders."""
    return START + rng.integers(0, 4 * 100, n) * (DAY // 4) + rng.choice([0, 0, 0, -1, 1], n)


def write_history(folder: Path, seed: int, events: int = 500, *, hectic: bool = False) -> None:
    """Accounts of several leads, late and repeated events, changes, merged ids, suppressed leads, strangers.

    ``hectic``: all events within an hour, so that rules against machine traffic find something.
    """
    rng = np.random.default_rng(seed)
    accounts = [[None, "acme", "bolt"][i] for i in rng.integers(0, 3, len(LEADS))]
    tables = {
        "leads": {
            "lead_id": pa.array(LEADS),
            "account_id": pa.array(accounts, pa.string()),
            "created_at": pa.array(moments(rng, len(LEADS)), MOMENT),
            "grade": pa.array([[None, "new", "old"][i] for i in rng.integers(0, 3, len(LEADS))], pa.string()),
            "size [n]": pa.array(rng.normal(size=len(LEADS))),
            "seen": pa.array([[None, "yes", "No "][i] for i in rng.integers(0, 3, len(LEADS))], pa.string()),
        },
        "outcomes": {
            "lead_id": pa.array(["lead 0"]),
            "outcome": ["won"],
            "decided_at": pa.array([START + 400 * DAY], MOMENT),
        },
        "events": random_events(rng, events, hectic=hectic),
        "history": {
            "lead_id": pa.array(rng.choice(LEADS, 40)),
            "changed_at": pa.array(moments(rng, 40), MOMENT),
            "field": pa.array(rng.choice(["grade", "points"], 40)),
            "value": pa.array([[None, "new", "lost", "7", "2.5"][i] for i in rng.integers(0, 5, 40)], pa.string()),
            "old_value": pa.array([[None, "old"][i] for i in rng.integers(0, 2, 40)], pa.string()),
        },
        "stages": {
            "lead_id": pa.array(rng.choice(LEADS, 20)),
            "stage": pa.array(rng.choice(["new", "demo", "offer"], 20)),
            "entered_at": pa.array(moments(rng, 20), MOMENT),
        },
        "links": {
            "other_id": pa.array(["twin", "cookie"]),
            "lead_id": pa.array(["lead 1", "lead 2"]),
            "valid_from": pa.array([None, START + 30 * DAY], MOMENT),
        },
        "suppress": {"lead_id": pa.array(["lead 3", "cookie"])},
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def random_events(rng: np.random.Generator, n: int, *, hectic: bool) -> dict[str, pa.Array]:
    ids = [*LEADS, *LEADS[:3], *LEADS[:1] * 5, "twin", "cookie", "nobody", None, " "]
    occurred = START + 30 * DAY + rng.integers(0, 3_600, n) * 1_000_000 if hectic else moments(rng, n)
    delay = np.array([0, 0, 0, -DAY, DAY, 20 * DAY])[rng.integers(0, 6, n)]
    values = [None, np.nan, np.inf, -0.0, 0.1, 0.2, 0.3, 1e17]
    kinds = ["web", "web", "mail", "form", "chat", "call", "webinar", None]
    table = {
        "lead_id": pa.array([ids[i] for i in rng.integers(0, len(ids), n)], pa.string()),
        "occurred_at": pa.array(occurred, MOMENT, mask=rng.random(n) < 0.01),
        "recorded_at": pa.array(occurred + delay, MOMENT, mask=rng.random(n) < 0.5),
        "event_type": pa.array([kinds[i] for i in rng.integers(0, len(kinds), n)], pa.string()),
        "value": pa.array([values[i] for i in rng.integers(0, len(values), n)], pa.float64()),
        "agent": pa.array(
            [[None, "Mozilla", "GoogleBOT/2", "\u212aroll"][i] for i in rng.integers(0, 4, n)], pa.string()
        ),
        "channel": pa.array([[None, "email", "phone", "Ä", "z", ""][i] for i in rng.integers(0, 6, n)], pa.string()),
        "asset": pa.array([[None, "a", "b", "é", "z", "𝄞", "\uffee"][i] for i in rng.integers(0, 7, n)], pa.string()),
    }
    again = pa.array(np.r_[np.arange(n), rng.integers(0, n, n // 10)])
    return {name: column.take(again) for name, column in table.items()}


def random_marks(history: History, seed: int) -> pa.Table:
    """Marks at moments of events, several a lead, in no order; some leads have none."""
    rng = np.random.default_rng(seed)
    ids = history.leads["lead_id"].to_pylist()[::2]
    at = START + rng.integers(0, 4 * 90, 60) * (DAY // 4)
    return pa.table({"lead_id": pa.array(rng.choice(ids, 60)), "at": pa.array(at, MOMENT)})


class Told(NamedTuple):
    """What an engine tells of a history."""

    history: History
    features: FeatureSet
    table: pa.Table
    counts: dict[str, int]
    tally: Tally


def everything(engine: Engine, config: Config, seed: int = 0) -> Told:
    """Ask an engine everything about a history."""
    with engine.open(config) as history:
        attributes = [*history.attributes.column_names, "points"]
        features = learn_feature_set(history, config, until=UNTIL, attributes=attributes)
        first, then, *_ = (*features.event_types, "web", "web")
        features = replace(features, pairs=(Pair(first, then, 7), Pair(then, then, 1)))
        tally = Tally()
        table = build_features(history, random_marks(history, seed), features, tally=tally)
        return Told(history, features, table, history.event_type_counts(UNTIL), tally)


def assert_same(there: Told, here: Told) -> None:
    assert there.history.accounts == here.history.accounts
    assert there.history.notes == here.history.notes
    assert there.features == here.features
    assert_equal(there.table, here.table)
    assert list(there.counts.items()) == list(here.counts.items())
    assert there.tally == here.tally


def assert_equal(one: pa.Table, other: pa.Table) -> None:
    assert one.schema == other.schema
    for name in one.column_names:
        mine, theirs = one[name].combine_chunks(), other[name].combine_chunks()
        if pa.types.is_floating(mine.type):
            assert mine.to_numpy().tobytes() == theirs.to_numpy().tobytes(), name
        else:
            assert mine.equals(theirs), name


def settings(folder: Path, **changed: Any) -> Config:
    sections = {name: {**SECTIONS.get(name, {}), **changed.get(name, {})} for name in {**SECTIONS, **changed}}
    return configured(folder, **sections)


@pytest.mark.parametrize(("seed", "conf"), [(0, CUT), (1, {}), pytest.param(2, CUT, marks=pytest.mark.slow)])
def test_features_when_spark_makes_them_then_the_same_bytes_accounts_and_notes(
    spark: Any, tmp_path: Path, seed: int, conf: dict[str, str]
) -> None:
    write_history(tmp_path, seed)
    config = settings(tmp_path, events={**SECTIONS["events"], "max_quarantined_share": 0.3})
    here = everything(LocalEngine(), config, seed)
    assert_same(everything(SparkEngine(SparkSettings(conf=conf)), config, seed), here)
    assert {feature.family for feature in here.features.features} == set(FAMILIES)


@pytest.mark.parametrize("use", [pytest.param([], marks=pytest.mark.slow), ["mail"]])
def test_traffic_when_rules_leave_events_out_then_the_same_ones(spark: Any, tmp_path: Path, use: list[str]) -> None:
    write_history(tmp_path, 3, hectic=True)
    rules = {"opens": ["mail"], "clicks": ["web"], "sends": ["form"], "open_within_seconds": 600, "links": 2}
    rules |= {"links_within_seconds": 300, "burst_events": 5, "burst_seconds": 900, "agent": "agent"}
    machines = {**rules, "agents": ["googlebot/", "kr"]}
    events = {**SECTIONS["events"], "max_quarantined_share": 0.3, "machines": machines, "use": use}
    config = settings(tmp_path, events=events)
    here = everything(LocalEngine(), config)
    assert_same(everything(SparkEngine(SparkSettings(conf=CUT)), config), here)
    assert len(here.tally.rules) == 4
    assert all(dropped for _, dropped, _ in here.tally.rules.values())


def test_partitions_when_keys_are_fewer_then_some_are_empty_and_nothing_is_lost(spark: Any, tmp_path: Path) -> None:
    write_history(tmp_path, 5, events=30)
    config = settings(tmp_path, events={**SECTIONS["events"], "max_quarantined_share": 1.0})
    conf = {**CUT, "spark.sql.shuffle.partitions": "13"}
    here, there = (everything(e, config).table for e in (LocalEngine(), SparkEngine(SparkSettings(conf=conf))))
    assert_equal(there, here)


@pytest.mark.parametrize("without", [pytest.param((), marks=pytest.mark.slow), ("web", "call")])
def test_signs_of_life_when_spark_looks_for_them_then_the_same_ones(
    spark: Any, tmp_path: Path, without: tuple[str, ...]
) -> None:
    write_history(tmp_path, 4)
    config = settings(tmp_path, events={**SECTIONS["events"], "max_quarantined_share": 1.0})
    day = START + 60 * DAY  # a moment of events: spans are open below and closed above
    spans = [(0, "lead 0", START, day), (0, "lead 0", day + DAY, day + 30 * DAY), (1, "lead 1", day - 9 * DAY, day)]
    spans += [(5, "lead 5", START, day + 90 * DAY), (4, "lead 4", day, day)]
    columns = zip(*spans, strict=True)
    asked = pa.table(dict(zip(("lead", "lead_id", "after", "upto"), map(list, columns), strict=True)))
    others = pa.table({"lead": [1, 7], "known": [day, START]})

    def told(engine: Engine, spans: pa.Table) -> pa.Table:
        until = day + 40 * DAY
        with (
            engine.open(config) as history,
            signs_of_life(history, spans, others, until=until, without=without) as batches,
        ):
            return pa.Table.from_batches(batches)

    here = told(LocalEngine(), asked)
    assert told(SparkEngine(SparkSettings(conf=CUT)), asked).equals(here)
    assert set(here["lead"].to_pylist()) == {0, 1, 5, 7}
    assert told(SparkEngine(), asked.slice(0, 0)).to_pylist() == [
        {"lead": 1, "known": day},
        {"lead": 7, "known": START},
    ]


@pytest.mark.parametrize("without", [pytest.param((), marks=pytest.mark.slow), ("web", "call")])
def test_touches_when_spark_sums_them_up_then_the_same_ones(
    spark: Any, tmp_path: Path, without: tuple[str, ...]
) -> None:
    write_history(tmp_path, 4)
    config = settings(tmp_path, events={**SECTIONS["events"], "max_quarantined_share": 1.0})
    moments = [START + days * DAY for days in (10, 60, 61, 150)]
    names = [f"lead {k}" for k in range(4)]
    seen = pa.table({"lead": [3, 2, 1, 0], "lead_id": names, "before": moments})

    def told(engine: Engine) -> dict[str, Any]:
        most = dict.fromkeys(TOUCH_KINDS, 2)
        with engine.open(config) as history:
            found = read_touches(history, seen, without=without, least=2, most=most)
        return {kind: {key: np.asarray(value).tolist() for key, value in vars(t).items()} for kind, t in found.items()}

    here = told(LocalEngine())
    assert told(SparkEngine(SparkSettings(conf=CUT))) == here
    assert {"event_type"} <= set(here)


def test_apply_when_rows_return_then_they_stand_in_the_order_of_the_marks(spark: Any, tmp_path: Path) -> None:
    write_history(tmp_path, 6)
    config = settings(tmp_path, events={**SECTIONS["events"], "max_quarantined_share": 1.0})
    engine = SparkEngine(SparkSettings(conf=CUT))
    with engine.open(config) as history:
        features = learn_feature_set(history, config, until=UNTIL, attributes=["grade", "size [n]"])
        marks = random_marks(history, 6)
        table = build_features(history, marks, features)
        tape = remote_tape(history)
        assert tape is not None
        numbers = [f.name for f in features.features if f.kind == "number"]
        schema = pa.schema([("lead_id", pa.string()), ("at", MOMENT), *((name, pa.float64()) for name in numbers)])
        schema = schema.append(pa.field("lead.grade", pa.string()))

        def selected(table: pa.Table) -> pa.Table:
            return table.select(schema.names).cast(schema)

        rows = pa.Table.from_batches(tape.apply(history, marks, features, selected, schema))
    assert_equal(rows.select(["lead_id", "at", *numbers]), table.select(["lead_id", "at", *numbers]))
    assert rows["lead.grade"].to_pylist() == table["lead.grade"].to_pylist()


@pytest.mark.parametrize(
    ("zone", "kind"),
    [
        ("Europe/Berlin", "naive"),
        (None, "int96"),
        *(pytest.param("Europe/Berlin", kind, marks=pytest.mark.slow) for kind in ("int96", "day")),
        pytest.param(None, "ms", marks=pytest.mark.slow),
    ],
)
def test_times_when_the_file_names_no_zone_then_they_are_read_as_here(
    spark: Any, tmp_path: Path, zone: str | None, kind: str
) -> None:
    write_history(tmp_path, 7, events=5)
    texts = ["2025-03-30T02:30:00", "2025-10-26T02:30:00", "1900-01-01", "9999-12-31", "2025-02-01T00:00:00.123"]
    kinds = {"day": pa.date32(), "ms": pa.timestamp("ms")}
    times = pa.array([datetime.fromisoformat(t) for t in texts], pa.timestamp("us"))
    columns = {"lead_id": ["lead 0"] * 5, "occurred_at": times.cast(kinds.get(kind, pa.timestamp("us")), safe=False)}
    events = pa.table({**columns, "event_type": list("abcde")})
    pq.write_table(events, tmp_path / "events.parquet", use_deprecated_int96_timestamps=kind == "int96")
    leads = {"timezone": zone} if zone else {}
    config = settings(tmp_path, leads=leads, events={**SECTIONS["events"], "max_quarantined_share": 1.0})
    moments = "SELECT event_type, epoch_us(occurred_at) FROM events"
    with LocalEngine().open(config) as here, SparkEngine().open(config) as there:
        assert there.accounts == here.accounts
        assert there.notes == here.notes
        kept = cast("Any", there.remote).good().select("event_type", "occurred_at").collect()
        assert sorted(map(tuple, kept)) == sorted(here.connection.execute(moments).fetchall())


def test_events_when_they_are_a_folder_or_a_table_then_the_same_features(spark: Any, tmp_path: Path) -> None:
    write_history(tmp_path, 8)
    whole = pq.read_table(tmp_path / "events.parquet")
    (tmp_path / "events").mkdir()
    for i in range(3):
        pq.write_table(whole.slice(i * 200, 200), tmp_path / "events" / f"{i}.parquet")
    loose = {**SECTIONS["events"], "max_quarantined_share": 1.0}
    here = everything(LocalEngine(), settings(tmp_path, events=loose))
    for name in ("events", "leads"):
        spark.read.parquet(f"file:{tmp_path / name}.parquet").createOrReplaceGlobalTempView(name)
    for changed in (
        {"events": {**loose, "path": "events"}},
        {"events": {**loose, "path": "spark:global_temp.events"}, "leads": {"path": "spark:global_temp.leads"}},
    ):
        there = everything(SparkEngine(), settings(tmp_path, **changed))
        assert_equal(there.table, here.table)
        named = [replace(account, file="") for account in there.history.accounts]
        assert named == [replace(account, file="") for account in here.history.accounts]


def test_events_when_too_many_are_faulty_then_refused_in_the_same_words(spark: Any, tmp_path: Path) -> None:
    write_history(tmp_path, 9)
    config = settings(tmp_path)
    with pytest.raises(DataRefused) as here:
        LocalEngine().open(config)
    with pytest.raises(DataRefused) as there:
        SparkEngine().open(config)
    assert str(there.value) == str(here.value)
    assert "no event_type" in str(here.value)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        ("csv", r"MQL-format events.parquet: this is not Parquet, and nothing else is read by --engine spark"),
        ("texts", r"column 'occurred_at': the times are texts.*use --engine local"),
        ("numbers", r"column 'occurred_at': the values are BIGINT, not times"),
        ("nanoseconds", r"column 'occurred_at': the times are nanoseconds, which Spark does not read"),
        (
            "column",
            r"MQL-no-column events.parquet: column 'event_type': there is no such column; nearest: 'event type'",
        ),
    ],
)
def test_events_when_spark_cannot_read_them_equally_then_refused(
    spark: Any, tmp_path: Path, write: str, message: str
) -> None:
    write_history(tmp_path, 10, events=5)
    path = tmp_path / "events.parquet"
    times = {
        "texts": pa.array(["2025-01-01"]),
        "numbers": pa.array([1]),
        "nanoseconds": pa.array([1], pa.timestamp("ns")),
    }
    when = times.get(write, pa.array([START], MOMENT))
    kind = "event type" if write == "column" else "event_type"
    pq.write_table(pa.table({"lead_id": ["lead 0"], "occurred_at": when, kind: ["web"]}), path)
    if write == "csv":
        path.write_text("lead_id,occurred_at,event_type\n")
    with pytest.raises(DataRefused, match=message):
        SparkEngine().open(settings(tmp_path))


def test_table_when_the_catalogue_lacks_it_then_refused(spark: Any, tmp_path: Path) -> None:
    write_history(tmp_path, 11, events=5)
    changed = {name: {**SECTIONS[name], "path": f"spark:nowhere.{name}"} for name in ("events", "leads")}
    with pytest.raises(DataRefused, match=r"MQL-no-table spark:nowhere.events: Spark finds no such table") as refusal:
        SparkEngine().open(settings(tmp_path, **changed))
    assert "spark:nowhere.leads" in str(refusal.value)


def test_executor_when_it_fails_then_an_engine_error_in_one_sentence(spark: Any, tmp_path: Path) -> None:
    write_history(tmp_path, 12, events=20)
    config = settings(tmp_path, events={**SECTIONS["events"], "max_quarantined_share": 1.0})
    with SparkEngine().open(config) as history:
        features = learn_feature_set(history, config, until=UNTIL, attributes=[])
        tape = remote_tape(history)
        assert tape is not None
        schema = pa.schema([("lead_id", pa.string())])

        def unlucky(table: pa.Table) -> pa.Table:
            message = "no luck"
            raise RuntimeError(message)

        with pytest.raises(EngineError, match=r"Spark failed while computing features and scores: no luck"):
            list(tape.apply(history, random_marks(history, 0), features, unlucky, schema))


def test_history_when_closed_then_nothing_is_left_of_the_work(spark: Any, tmp_path: Path) -> None:
    write_history(tmp_path, 13, events=5)
    config = settings(tmp_path, events={**SECTIONS["events"], "max_quarantined_share": 1.0})
    place = tmp_path / "between"
    with SparkEngine(SparkSettings(folder=str(place))).open(config):
        assert any(place.rglob("*.parquet"))
    assert list(place.iterdir()) == []


def test_setting_when_spark_runs_already_and_it_is_fixed_then_refused(spark: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--spark-conf spark.driver.memory: cannot be set"):
        SparkEngine(SparkSettings(conf={"spark.driver.memory": "2g"})).open(settings(tmp_path))
