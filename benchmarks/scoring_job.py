"""The whole job: a million leads with twenty million events, from files to scores with reasons, in 2 GiB.

A model is trained on a small synthetic history; the leads to score are copies of a larger one, all of them open and
none too old, so that every lead is scored. The job runs in a process of its own; its time is split by stage and its
memory is the most that was resident. ``python benchmarks/scoring_job.py`` makes the data once; ``--leads 50000`` is
over sooner.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import duckdb

AS_OF = "2026-04-01"
SMALL_LEADS, PATTERN_LEADS = 4_000, 50_000
EVENTS_PER_LEAD = 20
FOLDER = Path(".cache/scoring_job")
SETTINGS = """
[leads]
path = "leads.parquet"
timezone = "UTC"
known_at_creation = ["industry", "country", "source", "campaign", "free_mail", "budget_stated", "buying_role"]
exclude = ["onboarding_owner", "job_title", "company_size", "lead_status"]
[outcomes]
path = "outcomes.parquet"
won = ["won"]
lost = ["lost"]
ignore = ["duplicate"]
[events]
path = "events.parquet"
by_sales = ["call", "meeting"]
[label]
horizon_days = 90
[snapshots]
max_age_days = {max_age_days}
[policy]
capacity_per_week = 120
"""
GIBIBYTE = 1 << 30


def small_model(folder: Path = FOLDER) -> Path:
    """Train on a small history, unless that was done; return the folder of its bundles."""
    from mqlml.config import Config
    from mqlml.history.sample import write_sample
    from mqlml.workflows.training import train

    settings = folder.resolve() / "small" / "mqlml.toml"
    if not (settings.parent / "models" / "champion.json").exists():
        write_sample(settings.parent, leads=SMALL_LEADS, seed=0)
        settings.write_text(SETTINGS.format(max_age_days=180))
        train(Config.load(settings), as_of=AS_OF)
    return settings.parent / "models"


def make(folder: Path, leads: int) -> None:
    """Write the files to score: copies of one history under new ids."""
    from mqlml.history.sample import write_sample

    small_model(folder)
    write_sample(folder / "pattern", leads=min(PATTERN_LEADS, leads), seed=1)
    out = folder / f"{leads}"
    out.mkdir(parents=True, exist_ok=True)
    copies = -(-leads // PATTERN_LEADS)
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        pattern, ids = f"'{folder}/pattern", "lead_id || '-' || n AS lead_id"
        connection.execute(
            f"COPY (SELECT * EXCLUDE (n) REPLACE ({ids}, account_id || '-' || n AS account_id) "
            f"FROM range({copies}) AS copy(n), {pattern}/leads.parquet' WHERE created_at < '{AS_OF}') "
            f"TO '{out}/leads.parquet'"
        )
        (found,) = connection.execute(f"SELECT count(*) FROM '{out}/leads.parquet'").fetchall()[0]
        (events,) = connection.execute(f"SELECT count(*) * {copies} FROM {pattern}/events.parquet'").fetchall()[0]
        again = int(1000 * max(found * EVENTS_PER_LEAD / events - 1, 0))  # of 1,000 events, again a minute later
        connection.execute(
            f"COPY (SELECT * EXCLUDE (n, k) REPLACE ({ids}, occurred_at + k * INTERVAL 1 MINUTE AS occurred_at) "
            f"FROM range({copies}) AS copy(n), range(2) AS twice(k), {pattern}/events.parquet' "
            f"WHERE k = 0 OR hash(lead_id, occurred_at, n) % 1000 < {again}) TO '{out}/events.parquet'"
        )
        connection.execute(
            f"COPY (SELECT * FROM '{folder}/pattern/outcomes.parquet' WHERE false) TO '{out}/outcomes.parquet'"
        )
    (out / "mqlml.toml").write_text(SETTINGS.format(max_age_days=3_650) + '[output]\nmodels = "../small/models"\n')


class Stages:
    """Seconds by stage; what a stage calls that is a stage itself is taken off it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner = [0.0]

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Measure a function or method from now on."""
        real: Callable[..., Any] = getattr(owner, name)

        @wraps(real)
        def measured(*arguments: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            start = time.perf_counter()
            try:
                return real(*arguments, **named)
            finally:
                took = time.perf_counter() - start
                self.seconds[stage] = self.seconds.get(stage, 0.0) + took - self._inner.pop()
                self._inner[-1] += took

        setattr(owner, name, measured)


def job(folder: Path, *, reasons: bool) -> None:
    """Score, in this process, and print what it took as JSON."""
    from mqlml.config import Config
    from mqlml.learning.model import Model
    from mqlml.operation.scoring import LeadScorer
    from mqlml.review.reasons import Explainer
    from mqlml.workflows import scoring

    stages = Stages()
    for owner, name, stage in (
        (scoring, "open_history", "counting"),
        (scoring, "build_features", "features"),
        (Model, "matrix", "matrix"),
        (Model, "probability", "chances"),
        (Explainer, "explain", "contributions"),
        (LeadScorer, "_reasons", "sentences"),
        (LeadScorer, "score", "rest of scoring"),
        (scoring, "score", "reading files, choosing, writing"),
    ):
        stages.watch(owner, name, stage)
    config = Config.load(folder / "mqlml.toml")
    start = time.perf_counter()
    done = scoring.score(config, as_of=AS_OF, out=folder / "scores.parquet", reasons=reasons)
    total = time.perf_counter() - start
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    told = {"stages": stages.seconds, "total": total, "bytes": most, "scored": done.manifest["scored"]}
    print(json.dumps({**told, "events": {t["table"]: t["rows_in"] for t in done.manifest["tables"]}["events"]}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leads", type=int, default=1_100_000, help="before those created too late are left out")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--no-reasons", action="store_true")
    parser.add_argument("--job", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = options.folder.resolve()
    if options.job:
        job(folder / f"{options.leads}", reasons=not options.no_reasons)
        return
    if not (folder / f"{options.leads}" / "mqlml.toml").exists():
        make(folder, options.leads)
    command = [sys.executable, __file__, "--job", "--leads", str(options.leads), "--folder", str(folder)]
    told = json.loads(subprocess.check_output([*command, *["--no-reasons"] * options.no_reasons], text=True))
    print(
        f"{told['scored']:,} leads scored from {told['events']:,} events in {told['total']:.0f} s, "
        f"at most {told['bytes'] / GIBIBYTE:.2f} GiB; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
    )
    print("| stage | seconds | share |")
    print("|---|---:|---:|")
    for stage, seconds in told["stages"].items():
        print(f"| {stage} | {seconds:.0f} | {100 * seconds / told['total']:.0f} % |")


if __name__ == "__main__":
    main()
