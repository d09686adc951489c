"""Forecasts on public data against what happened: train as of one day, score on later ones, open the outcomes.

Run with ``MQLML_DATA=/path/to/data python benchmarks/forward.py``; every step is a command of the command line.
The reference beside each figure is the training base rate as a constant chance for everybody.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mqlml.learning.evaluation import Resampler, brier, log_loss
from mqlml.learning.measures import measure

DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Case:
    """One public set: when to train, when to score, and which of the scored leads count."""

    name: str
    folder: str
    trained: str
    scored: tuple[str, ...]
    horizon_days: int
    only: str = ""


CASES = (
    Case("oulad", "oulad", "2014-02-01", ("2014-02-01", "2014-02-15", "2014-03-01", "2014-03-29"), 300, "2014B"),
    Case("online-retail", "online_retail_ii", "2011-06-01", ("2011-09-01",), 90),
)
HEADER = "| history | scored as of | leads | won | mean chance | AUC | Brier (constant) | log loss (constant) | slope |"


def mqlml(*arguments: object) -> Any:
    """Run a command and return its JSON result."""
    command = [sys.executable, "-m", "mqlml", "-q", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


def replay(case: Case, data: Path, work: Path) -> list[str]:
    """Train once and score each day; one table row a day."""
    settings = work / "mqlml.toml"
    mqlml("example", case.name, "--source", data / case.folder, "--out", work)
    trained = mqlml("train", "--config", settings, "--as-of", case.trained)
    base = trained["population"]["base_rate"]
    rows = []
    for day in case.scored:
        out = work / f"{day}.parquet"
        mqlml("score", "--config", settings, "--as-of", day, "--model", trained["bundle"], "--out", out)
        scores = pd.read_parquet(out)
        scores = scores[scores["lead_id"].str.contains(case.only)]
        rows.append(row(case, day, scores, pd.read_parquet(work / "outcomes.parquet"), base))
    return rows


def row(case: Case, day: str, scores: pd.DataFrame, outcomes: pd.DataFrame, base: float) -> str:
    """Compare chances with what happened within the horizon."""
    start = pd.Timestamp(day, tz="UTC")
    inside = (outcomes["decided_at"] >= start) & (outcomes["decided_at"] < start + case.horizon_days * DAY)
    winners = set(outcomes.loc[inside & (outcomes["outcome"] == "won"), "lead_id"])
    won = scores["lead_id"].isin(winners).to_numpy(dtype=float)
    p = scores["probability"].to_numpy()
    constant = np.full(len(p), base)
    ones = np.ones(len(p))
    drawn = measure(won, p, Resampler(np.arange(len(p)), seed=0), reference=constant)
    found = {name: draws.interval() for name, draws in drawn.items()}
    reference = {"brier": brier(won, constant, ones), "log_loss": log_loss(won, constant, ones)}
    auc, slope = found["auc"], found["slope"]
    return (
        f"| {case.name}, trained as of {case.trained} | {day} | {len(p):,} | {100 * won.mean():.1f} % "
        f"| {100 * p.mean():.1f} % | {auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}] "
        f"| {found['brier'].value:.3f} ({reference['brier']:.3f}) "
        f"| {found['log_loss'].value:.3f} ({reference['log_loss']:.3f}) "
        f"| {slope.value:.2f} [{slope.low:.2f}, {slope.high:.2f}] |"
    )


def in_order(data: Path, work: Path) -> list[str]:
    """Bank Marketing has an order but no dates: the newest window of the training's own forward test."""
    mqlml("example", "bank-marketing", "--source", data / "bank_marketing", "--out", work)
    done = mqlml("train", "--config", work / "mqlml.toml")
    lines = [f"bank-marketing, in order: verdict {done['verdict']['code']}. {done['verdict']['sentence']}"]
    lines += [f"  {part['part']:<10} {part['snapshots']:>7,} rows {part['wins']:>6,} won" for part in done["plan"]]
    lines += [f"  {k:<24} {_interval(v)}" for k, v in done["metrics"].items()]
    return lines


def _interval(found: dict[str, float | None]) -> str:
    around = "" if found["low"] is None else f" [{found['low']:.3f}, {found['high']:.3f}]"
    return f"{found['value']:.3f}{around}"


def main() -> int:
    """Print the tables of the README."""
    if "MQLML_DATA" not in os.environ:
        print("Nothing to measure: set MQLML_DATA to the folder of the public data sets (see data/README.md).")
        return 0
    data = Path(os.environ["MQLML_DATA"])
    print(HEADER, "|---|---|--:|--:|--:|--:|--:|--:|--:|", sep="\n")
    for case in CASES:
        with tempfile.TemporaryDirectory() as work:
            print(*replay(case, data, Path(work)), sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as work:
        print(*in_order(data, Path(work)), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
