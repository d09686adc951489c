"""The tasks of ``quality.py``: public data as one feature table each, with rows to learn from and rows to predict.

Features come from mqlml's own tape and are the same for every method; tables are kept in a folder between runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mqlml.config import Config
from mqlml.history.contract import History
from mqlml.history.examples import write_example
from mqlml.history.reading import read_history
from mqlml.learning.labels import Rows, labelled_rows
from mqlml.learning.snapshots import DAY, NEVER, Population, as_microseconds, mark_table, population
from mqlml.learning.windows import group_folds
from mqlml.tape.build import build_features
from mqlml.tape.features import FeatureSet
from mqlml.tape.vocabulary import learn_feature_set

ROWS = ("lead", "at", "when", "known", "won", "group")


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows to predict; no lead or account is in both."""

    fit: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Task:
    """One table of features, its labels and the splits that every method is given."""

    name: str
    table: pa.Table
    rows: Rows
    features: FeatureSet
    splits: Sequence[Split]


def tasks(data: Path, cache: Path, *, only: str = "") -> Iterator[Task]:
    """Every task whose name contains ``only``, in the order of the table."""
    made = [(f"Online Retail II, day {day}", _retail(day)) for day in (1, 7, 30)]
    made += [
        ("Salvirt", _static("salvirt", "salvirt_b2b", repeats=2)),
        ("Bank Marketing in order", _bank(0.8, 1.0)),
        ("Bank Marketing in order, 60 to 80 %", _bank(0.6, 0.8)),
        ("Online Shoppers", _static("online-shoppers", "online_shoppers", repeats=1)),
    ]
    for day in (0, 14, 28, 56):
        made += [(f"OULAD A, day {day}", _oulad(day, ("2013B", "2013J"), "2014B"))]
        made += [(f"OULAD B, day {day}", _oulad(day, ("2013B",), "2013J"))]
    made += [("Hotel, booked from 2017", _hotel)]
    return (make(name, data, cache) for name, make in made if only.lower() in name.lower())


def _oulad(day: int, learned: Sequence[str], tested: str) -> Callable[[str, Path, Path], Task]:
    """One row an enrolment, ``day`` days after the presentation began; the outcome is the final one."""

    def make(name: str, data: Path, cache: Path) -> Task:
        def snapshots(people: Population, _: Config) -> Rows:
            at = people.start // DAY * DAY + day * DAY
            lead = np.flatnonzero((people.created < at) & (people.decided >= at) & ~np.isnan(people.outcome))
            return _rows(people, lead, at[lead], won=people.outcome[lead], known=people.decided[lead])

        table, rows, features, ids = _table(cache, f"oulad-{day}", "oulad", data / "oulad", snapshots)
        presentation = np.array([one.split("-")[1] for one in ids])
        return Task(name, table, rows, features, [_apart(rows, np.isin(presentation, learned), presentation == tested)])

    return make


def _retail(day: int) -> Callable[[str, Path, Path], Task]:
    """One row a customer, ``day`` days after the first order: another one within 90 days?"""

    def make(name: str, data: Path, cache: Path) -> Task:
        def snapshots(people: Population, config: Config) -> Rows:
            at = people.created + day * DAY
            lead = np.flatnonzero((people.decided >= at) & (at + 90 * DAY <= _moment(config, "2011-12-09")))
            won = (people.decisions.wins.first_from(lead, at[lead]) < at[lead] + 90 * DAY).astype(float)
            return _rows(people, lead, at[lead], won=won, known=at[lead] + 90 * DAY)

        folder = data / "online_retail_ii"
        table, rows, features, _ = _table(cache, f"retail-{day}", "online-retail", folder, snapshots)
        return Task(name, table, rows, features, [_since(rows, "2011-03-01")])

    return make


def _bank(origin: float, end: float) -> Callable[[str, Path, Path], Task]:
    def make(name: str, data: Path, cache: Path) -> Task:
        table, rows, features, _ = _table(cache, "bank", "bank-marketing", data / "bank_marketing", _as_trained)
        place = rows.when / len(rows)
        return Task(name, table, rows, features, [Split(place < origin, (place >= origin) & (place < end))])

    return make


def _hotel(name: str, data: Path, cache: Path) -> Task:
    """Arrivals to 2016 teach, bookings made from 2017 on are predicted.

    A cancelled booking is decided before a kept one; "known" is the day of arrival for both, or the outcome would
    choose the rows.
    """
    table, rows, features, _ = _table(cache, "hotel", "hotel", data / "hotel_bookings", _as_trained)
    arrival = rows.when + (table["lead.lead_time"].to_numpy() * DAY).astype(np.int64)
    rows = replace(rows, known=arrival)
    return Task(name, table, rows, features, [_since(rows, "2017-01-01")])


def _static(example: str, folder: str, *, repeats: int) -> Callable[[str, Path, Path], Task]:
    """No time: five folds, rows with equal inputs in one."""

    def make(name: str, data: Path, cache: Path) -> Task:
        table, rows, features, _ = _table(cache, example, example, data / folder, _as_trained)
        folds = [group_folds(rows.group, rows.won, folds=5, seed=100 + seed) for seed in range(repeats)]
        return Task(name, table, rows, features, [Split(fold != k, fold == k) for fold in folds for k in range(5)])

    return make


def _as_trained(people: Population, config: Config) -> Rows:
    return labelled_rows(people, config, as_of=None)


def _rows(people: Population, lead: np.ndarray, at: np.ndarray, *, won: np.ndarray, known: np.ndarray) -> Rows:
    return Rows(lead, at, at, known, won, people.group[lead], "horizon")


def _apart(rows: Rows, fit: np.ndarray, test: np.ndarray) -> Split:
    """Drop from the learning whoever is tested too."""
    return Split(fit & ~np.isin(rows.group, rows.group[test]), test)


def _since(rows: Rows, origin: str, end: str | None = None) -> Split:
    first = int(np.datetime64(origin, "us").astype(np.int64))
    last = NEVER if end is None else int(np.datetime64(end, "us").astype(np.int64))
    return _apart(rows, (rows.when < first) & (rows.known <= first), (rows.when >= first) & (rows.when < last))


def _moment(config: Config, day: str) -> int:
    return as_microseconds(config.moment(day))


def _table(
    cache: Path, name: str, example: str, source: Path, snapshots: Callable[[Population, Config], Rows]
) -> tuple[pa.Table, Rows, FeatureSet, list[str]]:
    """Features and labels of some snapshots, from the cache or computed."""
    file = cache / f"{name}.parquet"
    if not file.exists():
        _compute(file, example, source, snapshots)
    stored = pq.read_table(file)
    told = json.loads(stored.schema.metadata[b"mqlml"])
    columns = {key: stored[f"row.{key}"].to_numpy() for key in ROWS}
    table = stored.drop_columns([f"row.{key}" for key in ROWS])
    ids = table["lead_id"].to_pylist()
    return table, Rows(**columns, timing=told["timing"]), FeatureSet.from_dict(told["features"]), ids


def _compute(file: Path, example: str, source: Path, snapshots: Callable[[Population, Config], Rows]) -> None:
    folder = file.parent / example
    if not (folder / "mqlml.toml").exists():
        write_example(example, source=source, out=folder)
    config = Config.load(folder / "mqlml.toml")
    with read_history(config) as history:
        people = population(history, config, until=None)
        rows = snapshots(people, config)
        features = learn_feature_set(history, config, until=None, attributes=_attributes(history, config))
        table = build_features(history, mark_table(people, rows.lead, rows.at), features)
    for key in ROWS:
        table = table.append_column(f"row.{key}", pa.array(getattr(rows, key)))
    told = json.dumps({"timing": rows.timing, "features": features.to_dict()})
    pq.write_table(table.replace_schema_metadata({"mqlml": told}), file, compression="zstd")


def _attributes(history: History, config: Config) -> list[str]:
    hidden = {*config.leads.exclude, *config.leads.sensitive}
    return [n for n in config.leads.known_at_creation if n in history.attributes.column_names and n not in hidden]
