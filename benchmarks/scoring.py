"""Reasons for a batch of leads: rows a second of shap.TreeExplainer, LightGBM's pred_contrib and mqlml, in one run.

The same bagged model for all three, all threads for all three. The peers explain a subset, since their time grows with
the rows and with nothing else. Then scores without reasons, from a table of features, against LightGBM's own predict on
the matrix made of it, with a model of mqlml's own. Run: ``python benchmarks/scoring.py``; the whole job, from files on,
is ``benchmarks/scoring_job.py``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from statistics import median

import lightgbm as lgb
import numpy as np
import pyarrow as pa
import shap
from scoring_job import small_model

from mqlml.learning.recipe import Recipe
from mqlml.operation.bundle import read_bundle, read_json
from mqlml.operation.registry import resolve
from mqlml.operation.scoring import LeadScorer
from mqlml.review.treeshap import TreeEnsemble

COLUMNS, TRAINING_ROWS = 150, 10_000
THREADS = os.cpu_count() or 1
COLD = """
import time, numpy as np
from mqlml.review.treeshap import TreeEnsemble
text = open({path!r}).read()
start = time.perf_counter()
TreeEnsemble.parse([text], {columns}).contributions(np.zeros((1, {columns})))
print(time.perf_counter() - start, time.process_time())
"""


def leads(rows: int, random: np.random.Generator) -> np.ndarray:
    """Return flags, counts and scores in equal parts, all finite, as the encoder makes them."""
    third = COLUMNS // 3
    flags = (random.random((rows, third)) < 0.2).astype(float)
    counts = np.log1p(random.poisson(random.exponential(3, (rows, third))))
    return np.asfortranarray(np.hstack([flags, counts, random.normal(size=(rows, COLUMNS - 2 * third))]))


def train(bags: int, rounds: int) -> list[lgb.Booster]:
    """Return boosters with the product's own parameters, never stopped early."""
    random = np.random.default_rng(0)
    x = leads(TRAINING_ROWS, random)
    z = x @ (random.normal(size=COLUMNS) * (random.random(COLUMNS) < 0.3)) * 0.4 + x[:, 60] * x[:, 120]
    won = (z + random.logistic(size=len(z)) > np.quantile(z, 0.85)).astype(float)
    recipe = Recipe(seed=0, bags=bags, threads=THREADS)
    return [lgb.train(p, lgb.Dataset(x, won, params=p), rounds) for p in map(recipe.tree_parameters, range(bags))]


def timed(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def cold(text: str) -> str:
    """Time the first contributions of a process that has nothing compiled."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.txt")  # noqa: PTH118
        with open(path, "w", encoding="utf-8") as stream:  # noqa: PTH123
            stream.write(text)
        program = COLD.format(path=path, columns=COLUMNS)
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        wall, cpu = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True).split()
    return f"{float(wall):.1f} s (whole process: {float(cpu):.1f} s of processor time, imports included)"


def without_reasons(rows: int, repeats: int) -> None:
    """Compare scores without reasons with the time LightGBM takes to predict with the same bags."""
    bundle = read_bundle(resolve(small_model(), None))
    scorer = LeadScorer.of(bundle)
    golden, kinds = (
        read_json(bundle.parts, "golden.json")["rows"],
        {f.name: f.kind for f in scorer.model.features.features},
    )
    few = pa.table({n: pa.array(v, pa.float64() if kinds[n] == "number" else pa.string()) for n, v in golden.items()})
    table = few.take(np.arange(rows) % few.num_rows).append_column("lead_id", pa.array(np.arange(rows).astype(str)))
    matrix, boosters = scorer.model.matrix(table), scorer.model.blend.boosters
    works = {
        "LightGBM predict": lambda: np.mean([b.predict(matrix) for b in boosters], axis=0),
        "mqlml, chances": lambda: scorer.model.probability(table, matrix),
        "mqlml, features to scores": lambda: scorer.score(table, as_of=0, reasons=False),
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            seconds[name].append(timed(work)[0])
    peer = seconds["LightGBM predict"]
    trees = sum(b.num_trees() for b in boosters)
    print(f"\n{rows:,} rows, {len(boosters)} bags, {trees:,} trees, {matrix.shape[1]} columns\n")
    print("| without reasons | rows/s | times LightGBM's time | least and most |")
    print("|---|---:|---:|---:|")
    for name, took in seconds.items():
        ratios = [a / b for a, b in zip(took, peer, strict=True)]
        print(
            f"| {name} | {rows / median(took):,.0f} | {median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--peer-rows", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bags", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=400)
    options = parser.parse_args()
    boosters = train(options.bags, options.rounds)
    texts = [booster.model_to_string() for booster in boosters]
    x = leads(options.rows, np.random.default_rng(1))
    few = np.ascontiguousarray(x[: options.peer_rows])
    explainers = [shap.TreeExplainer(booster) for booster in boosters]
    reading, ensemble = timed(lambda: TreeEnsemble.parse(texts, COLUMNS))
    tables, _ = timed(lambda: ensemble.contributions(x[:1]))
    works = {
        "shap.TreeExplainer": (len(few), lambda: np.mean([e.shap_values(few) for e in explainers], axis=0)),
        "LightGBM pred_contrib": (
            len(few),
            lambda: np.mean([b.predict(few, pred_contrib=True)[:, :-1] for b in boosters], axis=0),
        ),
        "mqlml": (len(x), lambda: ensemble.contributions(x)[:, :-1]),
    }
    speeds: dict[str, list[float]] = {name: [] for name in works}
    results = {}
    for _ in range(options.repeats):
        for name, (rows, work) in works.items():
            seconds, results[name] = timed(work)
            speeds[name].append(rows / seconds)
    peer = "shap.TreeExplainer"
    print(f"{options.bags} bags, {sum(b.num_trees() for b in boosters):,} trees, {COLUMNS} columns, {THREADS} threads;")
    print(f"{len(x):,} rows (peers {len(few):,}), median of {options.repeats} runs; load {os.getloadavg()[0]:.1f}\n")
    print("| reasons | rows/s | times shap | least and most | largest difference |")
    print("|---|---:|---:|---:|---:|")
    for name, speed in speeds.items():
        ratios = [a / b for a, b in zip(speed, speeds[peer], strict=True)]
        difference = np.abs(results[name][: len(few)] - results[peer]).max()
        span = f"{min(ratios):.1f} to {max(ratios):.1f}"
        print(f"| {name} | {median(speed):,.0f} | {median(ratios):.1f} | {span} | {difference:.0e} |")
    print(
        f"\nreading the texts {reading:.2f} s, tables and first row {tables:.2f} s, nothing compiled {cold(texts[0])}"
    )
    without_reasons(options.rows, options.repeats)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
