"""Spark on two threads of this machine: events a second of processor time, read and cleaned, then played to features.

Processor time (of Python here, of Java and of Spark's Python workers) hardly depends on what else the machine does; the
costs in docs/spark.md are estimated from it. Run: ``python benchmarks/spark.py``; needs the spark extra and Java 17.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mqlml.config import Config
from mqlml.tape.build import build_features
from mqlml.tape.spark import SparkEngine, SparkSettings
from mqlml.tape.vocabulary import learn_feature_set

DAY = 86_400_000_000
START = 1_735_689_600_000_000
MOMENT = pa.timestamp("us", "UTC")
TICKS = os.sysconf("SC_CLK_TCK")


def write_history(folder: Path, leads: int, events: int) -> Config:
    """Unsorted events of a year: 12 types, 300 assets, 4 channels, a fifth recorded late."""
    random = np.random.default_rng(0)
    ids = np.char.add("lead-", np.arange(leads).astype(str))
    created = START + random.integers(0, 180 * DAY, leads)
    accounts = pa.array(np.char.add("account-", random.integers(0, leads // 2, leads).astype(str)))
    pq.write_table(
        pa.table({"lead_id": ids, "account_id": accounts, "created_at": pa.array(created, MOMENT)}),
        folder / "leads.parquet",
    )
    outcome = {"lead_id": ids[:1], "outcome": ["won"], "decided_at": pa.array([START + 365 * DAY], MOMENT)}
    pq.write_table(pa.table(outcome), folder / "outcomes.parquet")
    with pq.ParquetWriter(folder / "events.parquet", rows(random, ids, 1).schema) as writer:
        for start in range(0, events, 1_000_000):
            writer.write_table(rows(random, ids, min(1_000_000, events - start)))
    sections = {name: {"path": f"{name}.parquet"} for name in ("leads", "outcomes", "events")}
    return Config.of({**sections, "leads": {"path": "leads.parquet", "timezone": "Europe/Berlin"}}, root=folder)


def rows(random: np.random.Generator, ids: np.ndarray, n: int) -> pa.Table:
    occurred = START + random.integers(0, 365 * DAY, n)
    types = np.array(
        ["page_view"] * 8 + ["email_click", "form", "webinar", "download"] + [f"type {i}" for i in range(7)]
    )
    return pa.table(
        {
            "lead_id": ids[np.minimum(random.geometric(3 / len(ids), n), len(ids)) - 1],
            "occurred_at": pa.array(occurred, MOMENT),
            "recorded_at": pa.array(occurred + DAY, MOMENT, mask=random.random(n) < 0.8),
            "event_type": types[random.integers(0, len(types), n)],
            "asset": np.char.add("/page/", random.geometric(0.02, n).astype(str)),
            "channel": np.array(["web", "mail", "ads", "social"])[random.integers(0, 4, n)],
        }
    )


def processor_seconds() -> float:
    """Processor time of this process and of every process below it, those that have ended included."""
    parents: dict[int, list[int]] = {}
    spent: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
        spent[int(path.parent.name)] = sum(map(int, fields[11:15])) / TICKS
    return sum(spent[pid] for pid in below(os.getpid(), parents))


def below(pid: int, children: dict[int, list[int]]) -> Iterator[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from below(child, children)


class Watch:
    """Prints a line of the table for each step."""

    def __init__(self) -> None:
        self.start, self.spent = time.perf_counter(), processor_seconds()
        print("| step | rows | seconds | processor seconds | rows per processor second |\n|---|---:|---:|---:|---:|")

    def line(self, step: str, rows: int) -> None:
        now, spent = time.perf_counter(), processor_seconds()
        used = spent - self.spent
        print(f"| {step} | {rows:,} | {now - self.start:.1f} | {used:.1f} | {rows / used:,.0f} |", flush=True)
        self.start, self.spent = time.perf_counter(), processor_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--leads", type=int, default=80_000)
    options = parser.parse_args()
    if importlib.util.find_spec("pyspark") is None:
        print("PySpark is not installed: nothing is measured.")
        return
    with tempfile.TemporaryDirectory() as folder:
        config = write_history(Path(folder), options.leads, options.events)
        settings = {"spark.driver.memory": "4g", "spark.sql.shuffle.partitions": "16"}
        engine = SparkEngine(SparkSettings("local[2]", settings, folder=folder))
        watch = Watch()
        with engine.open(config) as history:
            watch.line("start Spark, read and clean", options.events)
            features = learn_feature_set(history, config, until=None, attributes=[])
            watch.line("count types, assets, channels", options.events)
            ids = history.leads["lead_id"].combine_chunks()
            for moments in (1, 3):
                at = np.repeat(START + np.arange(200, 200 + 60 * moments, 60) * DAY, len(ids))
                marks = pa.table({"lead_id": pa.concat_arrays([ids] * moments), "at": pa.array(at, MOMENT)})
                table = build_features(history, marks, features)
                watch.line(f"features, {moments} a lead ({table.num_columns - 2} columns)", options.events)
            kept = sum(path.stat().st_size for path in Path(folder).glob("mqlml-*/events/*.parquet"))
        print(
            f"\nthe file has {(Path(folder) / 'events.parquet').stat().st_size / options.events:.0f} bytes an event, "
        )
        print(f"what Spark keeps meanwhile {kept / options.events:.0f}; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
