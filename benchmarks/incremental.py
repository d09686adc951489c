"""A daily scoring that reads everything against one that reads only the new file: processor time and bytes, in one run.

The sample's events are cut by the day on which they were recorded: all but the last share are one file, the last share
is the new one. Both runs must give the same bytes. Seconds are processor time, so that other work on the machine does
not count. Run: ``python benchmarks/incremental.py``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from mqlml.config import Config
from mqlml.history.kept import keeping
from mqlml.history.reading import read_history
from mqlml.workflows.scoring import score

AS_OF = "2026-06-30"


def command(*arguments: object) -> str:
    """Run mqlml; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "mqlml", "-q", *map(str, arguments)], check=True, capture_output=True, text=True
    )
    return done.stdout.strip().splitlines()[-1]


def prepare(folder: Path, leads: int, share: float, suffix: str) -> tuple[Config, pa.Table]:
    """A history whose events are one old file; the new one is given back."""
    command("sample", "--leads", leads, "--out", folder)
    settings = folder / "mqlml.toml"
    settings.write_text(settings.read_text().replace('path = "events.parquet"', 'path = "events"'))
    events = pq.read_table(folder / "events.parquet")
    events = events.take(pc.sort_indices(events["recorded_at"]))
    old = round((1 - share) * events.num_rows)
    (folder / "events").mkdir()
    write(events.slice(0, old), folder / "events" / f"old{suffix}")
    return Config.load(settings), events.slice(old)


def write(table: pa.Table, path: Path) -> None:
    """Write a file of events as an export does."""
    if path.suffix == ".parquet":
        pq.write_table(table, path, compression="zstd")
    else:
        pa_csv.write_csv(table, path)


def reading(config: Config, state: Path | None) -> float:
    """Processor seconds from the files to a checked history."""
    start = time.process_time()
    if state is None:
        read_history(config).close()
    else:
        with keeping(state) as kept:
            read_history(config, kept=kept).close()
    return time.process_time() - start


def scoring(config: Config, model: str, out: Path, state: Path | None, *, reasons: bool) -> float:
    """Processor seconds from the files to scores."""
    start = time.process_time()
    score(config, out=out, as_of=AS_OF, model=model, state=state, reasons=reasons)
    return time.process_time() - start


def measure(folder: Path, leads: int, share: float, suffix: str, model: str | None) -> None:
    """Print one line a step, as a full and as an incremental run."""
    config, new = prepare(folder, leads, share, suffix)
    if model is None:
        command("sample", "--leads", 2_500, "--out", folder / "small")
        model = command("train", "--config", folder / "small" / "mqlml.toml", "--as-of", AS_OF)
    state = folder / "state"
    first = reading(config, state)
    write(new, folder / "events" / f"new{suffix}")
    scoring(config, model, folder / "warm.parquet", None, reasons=True)
    full = {"history read and checked": reading(config, None)}
    for name, reasons in (("scores without reasons", False), ("scores with reasons", True)):
        full[name] = scoring(config, model, folder / f"full{reasons}.parquet", None, reasons=reasons)
    kept = {path.name: path.read_bytes() for path in state.iterdir()}
    part: dict[str, float] = {}
    for name, run in (
        ("history read and checked", lambda: reading(config, state)),
        ("scores without reasons", lambda: scoring(config, model, folder / "newFalse.parquet", state, reasons=False)),
        ("scores with reasons", lambda: scoring(config, model, folder / "newTrue.parquet", state, reasons=True)),
    ):
        for path in state.iterdir():
            path.unlink()
        for file, content in kept.items():
            (state / file).write_bytes(content)
        part[name] = run()
    for reasons in (False, True):
        ours, whole = (folder / f"{kind}{reasons}.parquet" for kind in ("new", "full"))
        if ours.read_bytes() != whole.read_bytes():
            raise SystemExit("the scores differ")
    sizes = {name: (folder / "events" / f"{name}{suffix}").stat().st_size for name in ("old", "new")}
    held = sum(len(content) for file, content in kept.items() if file.endswith(".parquet"))
    print(f"{suffix[1:]}: {leads:,} leads, first run (reads and keeps all): {first:.1f} s to a checked history")
    whole_size = sum(sizes.values())
    print(f"  event files read: {whole_size / 1e6:.1f} MB full, {sizes['new'] / 1e6:.2f} MB new "
          f"({whole_size / sizes['new']:.0f}x less); kept rows read: {held / 1e6:.1f} MB")  # fmt: skip
    for name, seconds in full.items():
        print(f"  {name}: {seconds:.2f} s full, {part[name]:.2f} s incremental, {seconds / part[name]:.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leads", type=int, default=60_000, help="about 17 events each")
    parser.add_argument("--share", type=float, default=0.01, help="of the events in the new file")
    parser.add_argument("--model", help="a bundle trained on a sample; by default one is trained")
    parser.add_argument("--forms", nargs="+", default=["parquet", "csv"])
    given = parser.parse_args()
    for form in given.forms:
        with tempfile.TemporaryDirectory() as folder:
            measure(
                Path(folder), given.leads, given.share, f".{form}", given.model and str(Path(given.model).resolve())
            )


if __name__ == "__main__":
    main()
