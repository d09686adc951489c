"""The methods that ``quality.py`` compares: each learns from a task's fit rows and predicts its test rows."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from quality_tasks import Split, Task
from scipy.special import expit

from mqlml.learning.recipe import Recipe
from mqlml.learning.training import train_model
from mqlml.learning.windows import plan_windows

Method = Callable[[Task, Split, float], np.ndarray]
# AutoML gets at least this long, where mqlml needs less.
LEAST_SECONDS = 5.0
_PROBED = 10
THREADS = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def mqlml(task: Task, split: Split, seconds: float) -> np.ndarray:
    """The product's own training, with its own windows inside the fit rows."""
    del seconds
    fit, rows = task.table.filter(split.fit), task.rows.where(split.fit)
    plan = plan_windows(rows, origins=4, seed=0)
    recipe = Recipe(seed=0, bags=5, threads=THREADS)
    trained = train_model(fit, rows, task.features, plan, recipe=recipe, min_leads=20)
    return trained.model.probability(task.table.filter(split.test))


def base_rate(task: Task, split: Split, seconds: float) -> np.ndarray:
    """The win rate of the fit rows for everybody."""
    del seconds
    return np.full(int(split.test.sum()), task.rows.won[split.fit].mean())


def lightgbm(task: Task, split: Split, seconds: float) -> np.ndarray:
    """LightGBM as it comes, with its own categories."""
    del seconds
    from lightgbm import LGBMClassifier

    fit, test, won = _frames(task, split)
    model = LGBMClassifier(n_jobs=THREADS, random_state=0, verbose=-1)
    return model.fit(fit, won).predict_proba(test)[:, 1]


def catboost(task: Task, split: Split, seconds: float) -> np.ndarray:
    """CatBoost with its own categories, and as many rounds (up to its usual 1,000) as fit in the time mqlml took.

    Its learning rate follows from the number of rounds, which a short run beforehand tells.
    """
    from catboost import CatBoostClassifier

    fit, test, won = _frames(task, split)
    categories = [c for c in fit.columns if isinstance(fit[c].dtype, pd.CategoricalDtype)]
    for frame in (fit, test):
        frame[categories] = frame[categories].astype(object).fillna("(none)")

    def model(rounds: int) -> CatBoostClassifier:
        found = CatBoostClassifier(
            iterations=rounds, thread_count=THREADS, random_seed=0, verbose=0, allow_writing_files=False,
            cat_features=categories,
        )  # fmt: skip
        return found.fit(fit, won)

    started = time.perf_counter()
    model(_PROBED)
    probed = time.perf_counter() - started
    rounds = int(_PROBED * (max(seconds, LEAST_SECONDS) - probed) / probed)
    return model(int(np.clip(rounds, _PROBED, 1_000))).predict_proba(test)[:, 1]


def flaml(task: Task, split: Split, seconds: float) -> np.ndarray:
    """FLAML's search by log loss in the time mqlml took."""
    from flaml.automl import AutoML

    fit, test, won = _frames(task, split)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoML()
        model.fit(
            fit, won.astype(int), task="classification", metric="log_loss", time_budget=max(seconds, LEAST_SECONDS),
            seed=0, n_jobs=THREADS, verbose=0,
        )  # fmt: skip
        return np.clip(model.predict_proba(test)[:, 1], 1e-6, 1 - 1e-6)


def logistic(task: Task, split: Split, seconds: float) -> np.ndarray:
    """scikit-learn's logistic regression as it comes, on standardised numbers and one column a level."""
    del seconds
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    fit, test, won = _frames(task, split)
    text = [c for c in fit.columns if isinstance(fit[c].dtype, pd.CategoricalDtype)]
    for frame in (fit, test):
        frame[text] = frame[text].astype(object).fillna("(none)")
    numbers = [c for c in fit.columns if c not in text]
    prepare = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", min_frequency=5), text),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(prepare, LogisticRegression(max_iter=2_000)).fit(fit, won)
    return np.clip(model.predict_proba(test)[:, 1], 1e-6, 1 - 1e-6)


def odoo(task: Task, split: Split, seconds: float) -> np.ndarray:
    """Naive Bayes as Odoo's predictive lead scoring does it, numbers in fifths of the fit rows."""
    del seconds
    fit, test, won = _frames(task, split)
    wins, losses = won.sum() + 0.1, (1 - won).sum() + 0.1
    total = np.full(len(test), np.log(wins / losses))
    for name in fit.columns:
        learned, asked = _fifths(fit[name], test[name])
        counts = pd.DataFrame({"v": learned, "w": won, "l": 1 - won}).dropna().groupby("v")[["w", "l"]].sum() + 0.1
        ratio = np.log((counts["w"] / counts["w"].sum()) / (counts["l"] / counts["l"].sum()))
        total += asked.map(ratio).fillna(0.0).to_numpy(dtype=float)
    return np.clip(expit(total), 1e-4, 1 - 1e-4)


def _fifths(fit: pd.Series, test: pd.Series) -> tuple[pd.Series, pd.Series]:
    if isinstance(fit.dtype, pd.CategoricalDtype):
        return fit.astype(object), test.astype(object)
    edges = np.unique(np.nanquantile(fit, [0.2, 0.4, 0.6, 0.8])) if fit.notna().any() else np.zeros(0)
    return tuple(pd.Series(np.where(x.isna(), np.nan, np.searchsorted(edges, x)), index=x.index) for x in (fit, test))


def _frames(task: Task, split: Split) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Fit and test rows as pandas: the same columns in the same order, with the categories of the fit rows."""
    names = [f.name for f in task.features.features]
    frame = task.table.select(names).to_pandas()
    frame.columns = [f"f{j}" for j in range(len(names))]
    for j, name in enumerate(names):
        if not pa.types.is_floating(task.table.schema.field(name).type):
            frame[f"f{j}"] = frame[f"f{j}"].astype("category")
    fit = frame[split.fit].copy()
    test = frame[split.test].copy()
    for column in fit.columns:
        if isinstance(fit[column].dtype, pd.CategoricalDtype):
            fit[column] = fit[column].cat.remove_unused_categories()
            test[column] = test[column].astype(object).astype(fit[column].dtype)
    return fit, test, task.rows.won[split.fit]


METHODS: Mapping[str, Method] = {
    "mqlml": mqlml,
    "base rate": base_rate,
    "LightGBM": lightgbm,
    "CatBoost": catboost,
    "FLAML": flaml,
    "logistic regression": logistic,
    "Odoo's naive Bayes": odoo,
}
