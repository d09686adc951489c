"""What each family of features earns on public data, forward in time.

Run with ``MQLML_DATA=/path/to/data python benchmarks/families.py [NAME ...]``. For each history the recipe is judged
on the same rolling origins with attributes only, then with counts and recency, then with one further family at a time.
Differences are paired by row; 90 % intervals resample whole accounts and leads. A negative change of log loss is good.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.config import Config
from mqlml.history.examples import write_example
from mqlml.history.reading import read_history
from mqlml.learning.evaluation import Resampler, log_loss, roc_auc
from mqlml.learning.labels import Rows, labelled_rows
from mqlml.learning.pairs import choose_pairs
from mqlml.learning.recipe import Recipe
from mqlml.learning.snapshots import mark_table
from mqlml.learning.training import train_model
from mqlml.learning.windows import Plan, plan_windows
from mqlml.tape.build import build_features
from mqlml.tape.families import FAMILIES
from mqlml.tape.features import FeatureSet
from mqlml.tape.vocabulary import learn_feature_set
from mqlml.workflows.opening import open_history

Floats = npt.NDArray[np.float64]

BAGS = 3
MAX_ROWS = 40_000
ATTRIBUTES = ("attribute", "age", "tracking")
BASIC = ("attribute", "age", "count", "recency")
HISTORIES = {"oulad": ("oulad", "2015-06-01"), "online-retail": ("online_retail_ii", "2011-12-10")}  # folder, as of
HEADER = """\
| history | features | columns | AUC | log loss | change of AUC | change of log loss |
|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Prepared:
    """A history with every feature computed once."""

    table: pa.Table
    rows: Rows
    plan: Plan
    features: FeatureSet
    min_leads: int

    def chances(self, families: tuple[str, ...]) -> tuple[int, npt.NDArray[np.int64], Floats]:
        """Number of columns, the tested rows and their forward chances with these families only."""
        features = replace(self.features, families=families)
        recipe = Recipe(0, BAGS, os.cpu_count() or 1)
        tested = train_model(self.table, self.rows, features, self.plan, recipe=recipe, min_leads=self.min_leads).tested
        return len(features.features), tested.row, tested.p


def prepare(name: str, data: Path, work: Path) -> Prepared:
    """Read a public history and compute every feature of every family."""
    folder, as_of = HISTORIES[name]
    write_example(name, source=data / folder, out=work)
    config = Config.load(work / "mqlml.toml")
    config = config.model_copy(update={"model": config.model.model_copy(update={"max_rows": MAX_ROWS})})
    with read_history(config) as history:
        opened = open_history(history, config, as_of=as_of)
        rows = labelled_rows(opened.people, config, as_of=opened.moment)
        plan = plan_windows(rows, origins=config.model.origins, seed=0)
        features = learn_feature_set(history, config, until=opened.as_of, attributes=opened.attributes)
        features = replace(features, families=FAMILIES)
        origin = min(r.origin for r in plan.rounds if r.origin is not None)
        features = replace(features, pairs=choose_pairs(history, features, rows, config, before=origin, seed=0))
        table = build_features(history, mark_table(opened.people, rows.lead, rows.at), features)
    return Prepared(table, rows, plan, features, config.model.min_level_count)


def lines(name: str, prepared: Prepared) -> Iterator[str]:
    """One table row for each choice of families."""
    available = {feature.family for feature in prepared.features.features}
    columns, row, basic = prepared.chances(BASIC)
    won = prepared.rows.won[row]
    draws = Resampler(prepared.rows.group[row], seed=0)
    choices = [("attributes only", ATTRIBUTES), ("+ counts and recency", BASIC)]
    choices += [(f"+ {family}", (*BASIC, family)) for family in FAMILIES if family in available - {*BASIC}]
    choices += [("all families", FAMILIES)]
    for words, families in choices:
        columns, _, p = prepared.chances(families)
        ones = np.ones(len(won))
        auc = draws.interval(lambda w, p=p: _auc(won, p, w) - _auc(won, basic, w))
        loss = draws.interval(lambda w, p=p: log_loss(won, p, w) - log_loss(won, basic, w))
        level = f"{_auc(won, p, ones):.4f} | {log_loss(won, p, ones):.4f}"
        change = " | ".join(f"{i.value:+.4f} [{i.low:+.4f}, {i.high:+.4f}]" for i in (auc, loss))
        yield f"| {name} | {words} | {columns} | {level} | {change} |"


def _auc(won: Floats, p: Floats, weight: Floats) -> float:
    order = np.argsort(p, kind="stable")
    return roc_auc(won[order], p[order], weight[order])


def main() -> None:
    """Judge the families on every history named, or on all."""
    if "MQLML_DATA" not in os.environ:
        print("Nothing to measure: set MQLML_DATA to the folder of the public data sets (see data/README.md).")
        return
    data = Path(os.environ["MQLML_DATA"])
    print(HEADER)
    for name in sys.argv[1:] or list(HISTORIES):
        with tempfile.TemporaryDirectory() as work:
            for line in lines(name, prepare(name, data, Path(work))):
                print(line, flush=True)


if __name__ == "__main__":
    main()
