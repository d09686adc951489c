"""Features from files to a file: mqlml against DuckDB SQL, Polars and pandas, in one run.

Every engine runs in a process of its own, all in turn, several times; each reads the same Parquet files and writes one
Parquet file, and the files are compared. Seconds are the best of the runs, from after the imports to the finished
file; memory is the most that was resident. mqlml also checks its input, which nobody else does: "of which checking"
says how long that takes. ``python benchmarks/tape.py`` makes the data once; ``--events 1e5`` is over quickly,
``--growth`` adds a tenth of the events, ``--large`` is 100 million events and looks at memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tape_data
from tape_data import ASSETS, CHANNELS, PAIR_DAYS, PAIRS, TYPES
from tape_peers import COLUMNS, duckdb_basic, duckdb_sort, pandas_basic, polars_basic
from tape_sql import duckdb_full

NAMED_ASSETS = tuple(f"/page/{i}" for i in range(20))


def mqlml(folder: Path, out: Path, *, full: bool) -> float:
    """Write features; returns the seconds that checking the input took."""
    from mqlml.config import Config
    from mqlml.history.reading import read_history
    from mqlml.tape.streaming import write_features

    ignored = {} if full else {"value": "", "channel": "", "asset": ""}
    settings = {
        "leads": {"path": "leads.parquet"},
        "outcomes": {},
        "events": {"path": "events.parquet", **ignored},
    }
    start = time.perf_counter()
    with read_history(Config.of(settings, root=folder)) as history:
        checked = time.perf_counter() - start
        marks = pq.read_table(folder / "marks.parquet")
        marks = marks.set_column(0, "lead_id", marks["lead_id"].cast(pa.string()))
        write_features(history, marks, feature_set(full=full), out)
    return checked


def feature_set(*, full: bool) -> Any:
    from mqlml.tape.features import DEFAULT_FAMILIES, FeatureSet, Pair

    if not full:
        return FeatureSet(event_types=TYPES, families=("count", "recency"), half_lives_days=(), age=False)
    return FeatureSet(
        event_types=TYPES,
        families=DEFAULT_FAMILIES,
        valued_types=TYPES,
        assets=True,
        named_assets=NAMED_ASSETS,
        other_assets=len(NAMED_ASSETS) < ASSETS,
        channels=CHANNELS,
        pairs=tuple(Pair(first, then, PAIR_DAYS) for first, then in PAIRS),
        accounts=True,
    )


WORKS: dict[str, Callable[[Path, Path], float | None]] = {
    "sort": duckdb_sort,
    "sort all": lambda folder, out: duckdb_sort(folder, out, columns="*"),
    "duckdb": duckdb_basic,
    "polars": polars_basic,
    "pandas": pandas_basic,
    "mqlml": lambda folder, out: mqlml(folder, out, full=False),
    "duckdb full": lambda folder, out: duckdb_full(folder, out, NAMED_ASSETS),
    "mqlml full": lambda folder, out: mqlml(folder, out, full=True),
}
NAMES = {
    "sort": "DuckDB: read, sort, write the events",
    "sort all": "DuckDB: read, sort, write the events, all columns",
    "duckdb": "DuckDB SQL",
    "polars": "Polars",
    "pandas": "pandas",
    "mqlml": "mqlml",
    "duckdb full": "DuckDB SQL",
    "mqlml full": "mqlml",
}


_TRIAL = 10_000
_LIBRARIES = {
    "polars": ("polars",),
    "pandas": ("pandas",),
    # Arrow looks for pandas when it first takes a NumPy array.
    "mqlml": ("pandas", "mqlml.config", "mqlml.history.reading", "mqlml.tape.local", "mqlml.tape.streaming"),
}
TIMES = ("seconds", "checking", "processor")


@dataclass(frozen=True)
class Run:
    """What one process needed: seconds, of which for checking, processor seconds, peak memory in GiB."""

    seconds: float
    checking: float
    processor: float
    memory: float


def measured(name: str, folder: Path) -> Run:
    """Do one work in a process of its own."""
    out = folder / f"{name}.parquet"
    out.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--run", name, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    found = Run(**json.loads(done.stdout))
    print(f"{name}: {found.seconds:.2f} s, {found.processor:.2f} s of processor time", file=sys.stderr)
    return found


def best(runs: list[Run]) -> Run:
    """The least of every time, and the most memory: what others do on the machine only adds to a time."""
    return Run(*(min(getattr(r, part) for r in runs) for part in TIMES), max(r.memory for r in runs))


def run(name: str, folder: Path) -> None:
    """Do one work in this process and print what it needed."""
    for module in _LIBRARIES.get(name.split()[0], ("duckdb",)):
        __import__(module)
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    checking = WORKS[name](folder, folder / f"{name}.parquet")
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    memory = after.ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
    print(json.dumps({"seconds": seconds, "checking": checking or 0.0, "processor": processor, "memory": memory}))


def difference(folder: Path, name: str, other: str) -> tuple[int, float]:
    """How many columns two feature files share, and the largest relative difference in any of them."""
    ours, theirs = _ordered(folder / f"{name}.parquet"), _ordered(folder / f"{other}.parquet")
    if unknown := set(theirs.column_names) - set(ours.column_names):
        sys.exit(f"{other} has columns that {name} lacks: {sorted(unknown)}")
    columns = [c for c in theirs.column_names if c not in ("lead_id", "at")]
    if ours["lead_id"] != theirs["lead_id"] or ours["at"] != theirs["at"]:
        sys.exit(f"{name} and {other} have different rows")
    return len(columns), max(_difference(ours[c], theirs[c]) for c in columns)


def _ordered(path: Path) -> pa.Table:
    table = pq.read_table(path)
    table = table.set_column(0, "lead_id", table["lead_id"].cast(pa.string()))
    return table.sort_by([("lead_id", "ascending"), ("at", "ascending")]).combine_chunks()


def _difference(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> float:
    if not pa.types.is_floating(ours.type):
        return 0.0 if ours.cast(pa.string()) == theirs.cast(pa.string()) else np.inf
    a, b = (column.fill_null(np.nan).to_numpy() for column in (ours, theirs))
    gap = np.where(np.isnan(a) & np.isnan(b), 0.0, np.abs(a - b) / np.maximum(1, np.abs(b)))
    return float(np.inf if np.isnan(gap).any() else gap.max())


def table(runs: dict[str, list[Run]], names: list[str], base: str) -> None:
    """Print the best of the runs, and times relative to mqlml's."""
    print("| | seconds | of which checking | processor seconds | peak memory | times mqlml | in processor time |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    ours = best(runs[base])
    for name in names:
        run = best(runs[name])
        checked = f"{run.checking:.1f}" if run.checking else ""
        cells = (f"{run.seconds:.1f}", checked, f"{run.processor:.1f}", f"{run.memory:.1f} GiB")
        ratios = (f"{run.seconds / ours.seconds:.1f}", f"{run.processor / ours.processor:.1f}")
        print(f"| {NAMES[name]} | {' | '.join((*cells, *ratios))} |")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=float, default=11e6)
    parser.add_argument("--leads", type=int, help="default: one for 55 events")
    parser.add_argument("--text-ids", action="store_true", help="ids as texts, not whole numbers")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(WORKS), default=list(WORKS))
    parser.add_argument("--growth", action="store_true", help="also a tenth of the events")
    parser.add_argument("--large", action="store_true", help="100 million events, mqlml only, once")
    parser.add_argument("--folder", type=Path, default=Path("tape-benchmark"))
    parser.add_argument("--run", choices=list(WORKS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run, options.folder)
        return
    if options.large:
        options.events, options.only, options.repeats = 1e8, ["mqlml"], 1
    if "polars" in options.only and importlib.util.find_spec("polars") is None:
        print("Polars is not here, so it is left out: pip install polars", file=sys.stderr)
        options.only.remove("polars")
    measure(options)


def measure(options: argparse.Namespace) -> None:
    """Let all works run in turn, and tell what they needed."""
    events = int(options.events)
    folder, small = prepared(options, events), None
    ours = [name for name in options.only if name.startswith("mqlml")]
    if options.growth:
        small = prepared(options, events // 10)
    runs: dict[str, list[Run]] = {name: [] for name in options.only}
    tenth: dict[str, list[Run]] = {name: [] for name in ours}
    for name in ours:
        measured(name, prepared(options, _TRIAL))  # compiles, once and for all
    for _ in range(options.repeats):
        for name in options.only:
            runs[name].append(measured(name, folder))
        for name in ours if small else ():
            tenth[name].append(measured(name, small))
    report(options, folder, runs)
    for name in ours if small else ():
        whole, part = best(runs[name]), best(tenth[name])
        longer, harder = whole.seconds / part.seconds, whole.processor / part.processor
        times = f"{part.seconds:.2f} s, then {whole.seconds:.2f} s"
        print(f"{name}: 10 times the events take {longer:.1f} times as long ({times}), {harder:.1f} in processor time")


def prepared(options: argparse.Namespace, events: int) -> Path:
    leads = options.leads if options.leads and events > _TRIAL else max(events // 55, 1)
    folder = options.folder / f"{events}-{leads}-{'text' if options.text_ids else 'number'}"
    if not (folder / "marks.parquet").exists():
        shutil.rmtree(folder, ignore_errors=True)
        tape_data.make(folder, events=events, leads=leads, text_ids=options.text_ids)
    return folder


def report(options: argparse.Namespace, folder: Path, runs: dict[str, list[Run]]) -> None:
    rows = pq.read_metadata(folder / "marks.parquet").num_rows
    print(f"{int(options.events):,} events in no order, {rows:,} marks, {os.cpu_count()} processors;")
    print(f"best of {options.repeats} runs; load {os.getloadavg()[0]:.1f}\n")
    basic = [n for n in ("sort", "duckdb", "polars", "pandas", "mqlml") if n in runs]
    full = [n for n in ("sort all", "duckdb full", "mqlml full") if n in runs]
    for title, names, base in ((f"{len(COLUMNS)} features", basic, "mqlml"), ("all features", full, "mqlml full")):
        if base in names:
            print(f"**{title}**\n")
            table(runs, names, base)
            for other in (n for n in names if n != base and not n.startswith("sort")):
                columns, gap = difference(folder, base, other)
                print(f"{NAMES[other]}: {columns} columns as in mqlml, largest difference {gap:.0e}")
            print()


if __name__ == "__main__":
    main()
