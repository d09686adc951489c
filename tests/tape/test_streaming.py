"""Features written while they are made: the rows of the table, the same bytes whatever the limits, bounded memory."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from mqlml.tape import playing, streaming
from mqlml.tape.build import build_features
from mqlml.tape.features import DEFAULT_FAMILIES, Attribute, FeatureSet, Pair
from mqlml.tape.spool import Limits, Spool
from mqlml.tape.streaming import write_features

FEATURES = FeatureSet(
    event_types=("web", "mail"),
    families=DEFAULT_FAMILIES,
    valued_types=("web",),
    assets=True,
    named_assets=("1", "2"),
    other_assets=True,
    channels=("ads",),
    other_channels=True,
    pairs=(Pair("web", "mail", 7),),
    accounts=True,
    attributes=(Attribute("colour", "category", "creation"), Attribute("size", "number", "creation")),
)
LEADS = 30


def history(make: Any, order: slice = slice(None)) -> Any:
    rng = np.random.default_rng(3)
    people = [{"lead_id": f"l{i:02d}", "account_id": f"a{i // 7}" if i % 2 else None} for i in range(LEADS)]
    events = [
        {
            "lead_id": f"l{min(rng.geometric(0.08), LEADS) - 1:02d}",
            "occurred_at": int(make.start + rng.integers(100 * 24) * make.day // 24),
            "recorded_at": int(make.start + rng.integers(110 * 24) * make.day // 24) if rng.random() < 0.2 else None,
            "event_type": ["web", "mail", "call"][rng.integers(3)],
            "value": float(rng.integers(9)),
            "channel": ["ads", "organic", None][rng.integers(3)],
            "asset": str(rng.integers(5)),
        }
        for _ in range(1_500)
    ]
    colours = {"colour": [["red", "blue", None][i % 3] for i in range(LEADS)], "size": [float(i) for i in range(LEADS)]}
    return make.history(people, events=events[order], attributes=colours)


def marks(make: Any) -> pa.Table:
    days = [(f"l{i:02d}", make.start + day * make.day) for day in (95, 40, 7) for i in range(LEADS)]
    return make.marks(*days, ("l03", None), *days[:2], ("l00", None))


def test_rows_when_written_then_those_of_the_table_in_tape_order(make: Any, tmp_path: Path) -> None:
    whole = build_features(history(make), marks(make), FEATURES)
    assert write_features(history(make), marks(make), FEATURES, tmp_path / "f.parquet") == len(whole)
    written = pq.read_table(tmp_path / "f.parquet")
    assert written["lead_id"].to_pylist()[-2:] == ["l03", "l00"]
    assert written["at"].null_count == 2
    key = [("lead_id", "ascending"), ("at", "ascending")]
    assert repr(written.sort_by(key).to_pylist()) == repr(whole.sort_by(key).to_pylist())
    assert written.schema.types == whole.schema.types
    accounts = [lead if int(lead[1:]) % 2 == 0 else f"a{int(lead[1:]) // 7}" for lead in written["lead_id"].to_pylist()]
    places = pa.table({"alone": [a.startswith("l") for a in accounts], "key": accounts, "at": written["at"]})[:-2]
    assert places.equals(places.sort_by([(name, "ascending") for name in places.column_names]))


@pytest.mark.parametrize("name", ["f.parquet", "f.csv"])
def test_bytes_when_threads_batches_limits_and_row_order_differ_then_the_same(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(streaming, "_rows_per_group", lambda _: 32)
    write_features(history(make), marks(make), FEATURES, tmp_path / name, threads=1)
    expected = (tmp_path / name).read_bytes()
    monkeypatch.setattr(playing, "_TAPE_ROWS", 50)
    for threads, batch_rows, buckets in ((2, 7, 3), (3, 64, 1024)):
        limits = Limits(memory=10_000, chunk_rows=100, buckets=buckets, part_rows=200)
        monkeypatch.setattr(playing, "Spool", partial(Spool, limits))
        mixed = history(make, slice(None, None, -1))
        write_features(mixed, marks(make), FEATURES, tmp_path / name, threads=threads, batch_rows=batch_rows)
        assert (tmp_path / name).read_bytes() == expected


def test_categories_when_levels_differ_by_group_then_each_row_has_its_own(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_rows_per_group", lambda _: 2)
    write_features(history(make), marks(make), FEATURES, tmp_path / "f.parquet")
    written = pq.read_table(tmp_path / "f.parquet")
    expected = [["red", "blue", None][int(lead[1:]) % 3] for lead in written["lead_id"].to_pylist()]
    assert written["lead.colour"].to_pylist() == expected
    assert pq.ParquetFile(tmp_path / "f.parquet").metadata.row_group(0).num_rows == 2


def test_rows_when_no_feature_is_fed_by_the_tape_then_in_the_order_of_the_marks(make: Any, tmp_path: Path) -> None:
    features = FeatureSet(attributes=FEATURES.attributes, age=False)
    assert write_features(history(make), marks(make), features, tmp_path / "f.parquet") == len(marks(make))
    assert pq.read_table(tmp_path / "f.parquet")["lead_id"].equals(marks(make)["lead_id"])


def test_file_when_there_are_no_marks_then_all_columns_and_no_row(make: Any, tmp_path: Path) -> None:
    assert write_features(history(make), make.marks(), FEATURES, tmp_path / "f.parquet") == 0
    assert pq.read_table(tmp_path / "f.parquet").column_names[2:] == [f.name for f in FEATURES.features]


def test_file_when_making_fails_then_what_stood_there_stays(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f.parquet").write_text("before")
    monkeypatch.setattr(playing, "play", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        write_features(history(make), marks(make), FEATURES, tmp_path / "f.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["f.parquet"]
    assert (tmp_path / "f.parquet").read_text() == "before"
    assert history(make).connection.sql("SELECT 1").fetchall() == [(1,)]


HUGE = """
import resource, sys
from pathlib import Path
import duckdb, numpy as np, pyarrow as pa
from mqlml.tape.features import DEFAULT_FAMILIES, FeatureSet
from mqlml.tape.streaming import write_features
from tape.conftest import Maker
make = Maker()
history = make.history([{"lead_id": f"l{i}", "account_id": "a"} for i in range(20)], events=[])
make.connection.execute('DROP TABLE IF EXISTS events')
make.connection.execute(f'''
    CREATE OR REPLACE VIEW events AS
    SELECT 'l' || (hash(i) % 20) AS lead_id, make_timestamp({make.start} + (hash(i + 1) % 31536000)::BIGINT * 1000000)
           AS occurred_at, NULL::TIMESTAMP AS recorded_at, ['web', 'mail'][1 + (hash(i + 2) % 2)::BIGINT] AS event_type,
           (i % 7)::DOUBLE AS value, 'ads' AS channel, (hash(i + 3) % 1000)::VARCHAR AS asset, NULL AS campaign
    FROM range(5_000_000) t(i)
''')
marks = make.marks(*((f"l{i}", make.start + day * make.day) for i in range(20) for day in (100, 365)))
features = FeatureSet(event_types=("web", "mail"), families=DEFAULT_FAMILIES, valued_types=("web",), assets=True,
                      channels=("ads",), accounts=True)
print(write_features(history, marks, features, Path(sys.argv[1])))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.slow
def test_memory_when_one_account_has_5_million_events_then_two_gib_suffice(tmp_path: Path) -> None:
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests.parent / "src"), str(tests)])
    command = [sys.executable, "-c", HUGE, str(tmp_path / "f.parquet")]
    out = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True)
    # DuckDB may draw a progress bar before.
    rows, peak = map(int, out.stdout.split()[-2:])
    written = pq.read_table(tmp_path / "f.parquet")
    total = pc.add(written["events.any.count_ever"], written["account.any.events_ever"]).to_pylist()
    assert rows == 40
    assert set(total[-20:]) == {5_000_000}
    assert peak < 2 * 2**30
