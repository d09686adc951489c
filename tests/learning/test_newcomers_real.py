"""Modules that were not there in training: no worse than giving everybody the training's win rate."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mqlml.config import Config
from mqlml.history.examples import write_example
from mqlml.history.reading import read_history
from mqlml.learning.labels import Rows
from mqlml.learning.recipe import Recipe
from mqlml.learning.snapshots import DAY, mark_table, population
from mqlml.learning.training import train_model
from mqlml.learning.windows import plan_windows
from mqlml.tape.build import build_features
from mqlml.tape.features import FeatureSet
from mqlml.tape.vocabulary import learn_feature_set

pytestmark = [pytest.mark.real_data, pytest.mark.slow]


@dataclass(frozen=True)
class Early:
    """Enrolments of 2013, four weeks after their presentation began."""

    rows: Rows
    table: pa.Table
    features: FeatureSet
    module: np.ndarray
    presentation: np.ndarray


@pytest.fixture(scope="module")
def early(public_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Early:
    folder = tmp_path_factory.mktemp("oulad")
    write_example("oulad", source=Path(os.environ["MQLML_DATA"], "oulad"), out=folder)
    config = Config.load(folder / "mqlml.toml")
    with read_history(config) as history:
        people = population(history, config, until=None)
        presentation = np.array([one.split("-")[1] for one in people.lead_id.to_pylist()])
        at = people.start // DAY * DAY + 28 * DAY
        early = (people.created < at) & (people.decided >= at) & np.char.startswith(presentation, "2013")
        lead = np.flatnonzero(early)
        names = [name for name in config.leads.known_at_creation if name in history.attributes.column_names]
        attributes = [name for name in names if name not in {*config.leads.exclude, *config.leads.sensitive}]
        features = learn_feature_set(history, config, until=None, attributes=attributes)
        table = build_features(history, mark_table(people, lead, at[lead]), features)
        when, known = at[lead], people.decided[lead]
        rows = Rows(lead, when, when, known, people.outcome[lead], people.group[lead], "horizon")
    module = np.array([one.split("-")[0] for one in people.lead_id.take(pa.array(lead)).to_pylist()])
    return Early(rows, table, features, module, presentation[lead])


def test_model_when_modules_are_new_then_its_brier_score_is_at_most_that_of_the_base_rate(early: Early) -> None:
    tested = early.presentation == "2013J"
    fit = ~tested & ~np.isin(early.rows.group, early.rows.group[tested])
    rows = early.rows.where(fit)
    plan = plan_windows(rows, origins=4, seed=0)
    recipe = Recipe(seed=0, bags=3, threads=2)
    trained = train_model(early.table.filter(fit), rows, early.features, plan, recipe=recipe, min_leads=20)
    new = tested & ~np.isin(early.module, early.module[fit])
    assert set(early.module[new]) == {"AAA", "EEE", "GGG"}
    p, won = trained.model.probability(early.table.filter(new)), early.rows.won[new]
    assert ((p - won) ** 2).mean() <= ((rows.won.mean() - won) ** 2).mean() + 1e-12
    known = tested & ~new
    p, won = trained.model.probability(early.table.filter(known)), early.rows.won[known]
    assert ((p - won) ** 2).mean() < 0.22, "known modules keep their signal"
