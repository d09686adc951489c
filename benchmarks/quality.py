"""mqlml against AutoML and simpler ways: same rows, same features, same split forward in time, one run.

Run with ``MQLML_DATA=/path/to/data python benchmarks/quality.py [part of a task's name]``. Peers that are not installed
are left out and named; ``MQLML_PEERS`` (names, separated by commas) chooses. CatBoost and FLAML get the time that mqlml
took. Features are kept in the folder ``MQLML_QUALITY_CACHE``, if set.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from quality_peers import METHODS, Method
from quality_tasks import Task, tasks

from mqlml.learning.evaluation import calibration_line, log_loss, roc_auc

HEADER = (
    "| task | method | rows | log loss | AUC | slope | observed/expected | seconds |\n|---|---|--:|--:|--:|--:|--:|--:|"
)
# What is asked of mqlml on every task.
LOSS_RATIO, AREA_LACK, SLOPES = 1.005, 0.005, (0.8, 1.25)


def measured(task: Task, method: Method, budget: float) -> dict[str, float]:
    """Learn and predict on every split; figures over all predicted rows together."""
    started = time.perf_counter()
    chances = np.concatenate([method(task, split, budget / len(task.splits)) for split in task.splits])
    seconds = time.perf_counter() - started
    won = np.concatenate([task.rows.won[split.test] for split in task.splits])
    p = np.clip(chances, 1e-6, 1 - 1e-6)
    order = np.argsort(-p, kind="stable")
    won, p, ones = won[order], p[order], np.ones(len(p))
    slope = calibration_line(won, p, ones)[0] if np.ptp(p) > 1e-9 and len(np.unique(p)) > len(task.splits) else np.nan
    return {
        "rows": len(p),
        "log loss": log_loss(won, p, ones),
        "AUC": roc_auc(won, p, ones),
        "slope": slope,
        "o/e": won.sum() / p.sum(),
        "seconds": seconds,
    }


def judged(found: dict[str, dict[str, float]]) -> str:
    """Whether mqlml keeps what is asked of it against the best peer in each figure."""
    ours = found["mqlml"]
    peers = [figures for name, figures in found.items() if name not in ("mqlml", "base rate")]
    loss = ours["log loss"] / min(figures["log loss"] for figures in peers)
    area = ours["AUC"] - max(figures["AUC"] for figures in peers)
    checks = [
        (f"log loss {loss:.3f} of the best peer's", loss <= LOSS_RATIO),
        (f"AUC {area:+.3f}", area >= -AREA_LACK),
        (f"slope {ours['slope']:.2f}", SLOPES[0] <= ours["slope"] <= SLOPES[1]),
    ]
    return "; ".join(f"{text} ({'kept' if kept else 'MISSED'})" for text, kept in checks)


def compared(task: Task, wanted: set[str]) -> str:
    """Print one task's rows of the table; what they say of mqlml."""
    found: dict[str, dict[str, float]] = {}
    for name, method in METHODS.items():
        if wanted and name not in wanted and name not in ("mqlml", "base rate"):
            continue
        try:
            found[name] = f = measured(task, method, found["mqlml"]["seconds"] if found else 0.0)
        except ImportError as missing:
            print(f"{name} left out: {missing}", file=sys.stderr)
            continue
        print(
            f"| {task.name} | {name} | {f['rows']:,.0f} | {f['log loss']:.4f} | {f['AUC']:.3f} | {f['slope']:.2f} "
            f"| {f['o/e']:.2f} | {f['seconds']:.0f} |",
            flush=True,
        )
    return f"{task.name}: {judged(found)}" if len(found) > 2 else f"{task.name}: no peer"


def main() -> int:
    """Print the table, then what is kept and what is missed."""
    if "MQLML_DATA" not in os.environ:
        print("Nothing to measure: set MQLML_DATA to the folder of the public data sets (see data/README.md).")
        return 0
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    wanted = {name.strip() for name in os.environ.get("MQLML_PEERS", "").split(",") if name.strip()}
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(os.environ.get("MQLML_QUALITY_CACHE", scratch))
        cache.mkdir(parents=True, exist_ok=True)
        print(HEADER, flush=True)
        said = [compared(task, wanted) for task in tasks(Path(os.environ["MQLML_DATA"]), cache, only=only)]
    print("", *said, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
