"""Which event after which tells something that the two events do not tell alone: found from the data, with a test.

Every ordered pair of event types is a candidate. A logistic regression on how often and how long ago each type happened
stands for what is known without the order; a pair is kept where adding its count and its recency would raise the
log-odds of the right leads: the score test of Rao (1948), with the residuals summed by account, since the snapshots of
a lead and the leads of an account are not independent (White, 1982), under the false discovery rate of Benjamini and
Hochberg (1995).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.learning.snapshots import NEVER
from mqlml.tape.build import build_features
from mqlml.tape.features import FeatureSet, Pair

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.contract import History
    from mqlml.learning.labels import Rows

__all__ = ["choose_pairs", "pair_notes"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_MOST_ROWS = 20_000
_MOST_TYPES = 20
_LEAST_WINS = 40
_FALSE_DISCOVERIES = 0.05
_PENALTY = 1.0
_FADE_DAYS = 30
_STEPS, _SMALL_STEP = 50, 1e-8
_AT_A_TIME = 50


@dataclass(frozen=True)
class _Sample:
    """Whole leads whose labels were known in time: what they did, whether they won, and who belongs together."""

    table: pa.Table
    won: Floats
    lead: Integers
    group: Integers

    def column(self, name: str) -> Floats:
        return self.table[name].to_numpy()  # type: ignore[no-any-return]

    def often(self, name: str) -> Floats:
        """Twice as often is one step."""
        return np.log1p(self.column(name))

    def recent(self, name: str, days: float) -> Floats:
        """1 for just now, 0 for never."""
        return np.nan_to_num(np.exp(-self.column(name) / days))

    def leads_with(self, name: str) -> int:
        return len(np.unique(self.lead[self.column(name) > 0]))


def choose_pairs(
    history: History, features: FeatureSet, rows: Rows, config: Config, *, before: int | None, seed: int
) -> tuple[Pair, ...]:
    """Find the ordered pairs of event types that are worth features of their own.

    Parameters
    ----------
    history : History
    features : FeatureSet
        Names the event types; with the family ``pairs`` switched off there is nothing to find.
    rows : Rows
        Made from ``history``.
    config : Config
        ``[features]`` says within how many days (``pair_days``) and how many at most (``max_pairs``), ``[model]
        min_level_count`` how many leads must have done a pair, and how many not.
    before : int or None
        Microseconds: only rows whose label was known strictly before are looked at, so that no tested window has taught
        the choice. None, where no such moment exists: nothing is chosen.
    seed : int
        Draws the leads that are looked at where there are many.

    Returns
    -------
    tuple of Pair
        The one that tells most first, each telling something beyond those before it; empty where there is too little.
    """
    if before is None or config.features.max_pairs == 0 or "pairs" not in features.families:
        return ()
    candidates = _candidates(features, config.features.pair_days)
    sample = _sample(history, features, rows, candidates, before=before, seed=seed) if candidates else None
    if sample is None:
        return ()
    least = config.model.min_level_count
    told = [pair for pair in candidates if _is_split(sample, _name(pair, "count_ever"), least)]
    found = _discoveries(_chance(_statistics(sample, features, told, ())))
    return _each_adding(sample, features, [told[i] for i in found], most=config.features.max_pairs)


def pair_notes(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Name the pairs that were found, in a plain sentence."""
    named = ", ".join(f"'{pair.then}' at most {pair.within_days:,} days after '{pair.first}'" for pair in pairs)
    return (f"Found to tell more than the two events alone: {named}.",) if pairs else ()


def _candidates(features: FeatureSet, days: int) -> list[Pair]:
    return [Pair(first, then, days) for first, then in permutations(features.event_types[:_MOST_TYPES], 2)]


def _name(pair: Pair, measure: str) -> str:
    return f"pairs.{pair.first} > {pair.then}.within_{pair.within_days}d.{measure}"


def _sample(
    history: History, features: FeatureSet, rows: Rows, candidates: Sequence[Pair], *, before: int, seed: int
) -> _Sample | None:
    """Rows known in time, of whole leads; None where too few of them were won or lost."""
    known = rows.where((rows.known < before) & (rows.when < before) & (rows.at < NEVER))
    known = known.where(_drawn(history, known, seed))
    winners = known.winning_leads()
    if min(winners, len(np.unique(known.lead)) - winners) < _LEAST_WINS:
        return None
    asked = replace(
        features,
        attributes=(),
        families=("age", "count", "recency", "pairs"),
        windows_days=tuple(sorted({candidates[0].within_days, _FADE_DAYS})),
        pairs=tuple(candidates),
    )
    marks = pa.table(
        {
            "lead_id": history.leads["lead_id"].combine_chunks().take(pa.array(known.lead)),
            "at": pa.array(known.at, pa.int64()).cast(pa.timestamp("us", "UTC")),
        }
    )
    return _Sample(build_features(history, marks, asked), known.won, known.lead, known.group)


def _drawn(history: History, rows: Rows, seed: int) -> npt.NDArray[np.bool_]:
    """Rows of leads drawn by their ids alone, so that leads that come later change nothing about the earlier ones."""
    if len(rows) <= _MOST_ROWS:
        return np.ones(len(rows), dtype=bool)
    leads, place, many = np.unique(rows.lead, return_inverse=True, return_counts=True)
    ids = history.leads["lead_id"].combine_chunks().take(pa.array(leads)).to_pylist()
    drawn = [hashlib.blake2b(f"{seed}:{lead_id}".encode(), digest_size=8).digest() for lead_id in ids]
    order = np.argsort(np.array(drawn, dtype="S8"), kind="stable")
    stays = np.zeros(len(leads), dtype=bool)
    stays[order[np.cumsum(many[order]) <= _MOST_ROWS]] = True
    return stays[place]


def _is_split(sample: _Sample, name: str, least: int) -> bool:
    with_it = sample.leads_with(name)
    return least <= with_it <= len(np.unique(sample.lead)) - least


def _plain(sample: _Sample, features: FeatureSet) -> Floats:
    """What is known without the order, one column a number: how often and how recently the lead did what."""
    windows = [name.rpartition("_")[2] for name in sample.table.column_names if name.startswith("events.any.count_")]
    columns = [np.ones(len(sample.won))]
    if "time.age_days" in sample.table.column_names:
        columns.append(sample.often("time.age_days"))
    for name in ("any", *features.named_types):
        columns += [sample.often(f"events.{name}.count_{window}") for window in windows]
        columns += [sample.recent(f"events.{name}.days_since_last", days) for days in (_FADE_DAYS / 4, _FADE_DAYS)]
    return _scaled(np.stack(columns, axis=1))


def _told_by(sample: _Sample, pair: Pair) -> Floats:
    last = sample.recent(_name(pair, "days_since_last"), _FADE_DAYS)
    return np.stack([sample.often(_name(pair, "count_ever")), last], axis=1)


def _scaled(columns: Floats) -> Floats:
    spread = columns.std(axis=0)
    spread[spread == 0] = 1
    centred: Floats = (columns - columns.mean(axis=0)) / spread
    centred[:, 0] = 1
    return centred


def _statistics(sample: _Sample, features: FeatureSet, pairs: Sequence[Pair], given: Sequence[Pair]) -> Floats:
    """How far each pair is from telling nothing beyond the plain numbers and ``given``: two degrees of freedom."""
    if not pairs:
        return np.zeros(0)
    known = np.hstack([_plain(sample, features), *(_told_by(sample, pair) for pair in given)])
    chance = _fitted(known, sample.won)
    weight = chance * (1 - chance)
    order = np.argsort(sample.group, kind="stable")
    begins = np.flatnonzero(np.diff(sample.group[order], prepend=-1))
    values = []
    for start in range(0, len(pairs), _AT_A_TIME):
        told = np.hstack([_told_by(sample, pair) for pair in pairs[start : start + _AT_A_TIME]])
        # What the known numbers say of the new ones is taken out: what is left tells something of its own.
        own = told - known @ np.linalg.solve(_information(known, weight), known.T @ (weight[:, None] * told))
        scores = np.add.reduceat((own * (sample.won - chance)[:, None])[order], begins)
        values += [_statistic(scores[:, [j, j + 1]]) for j in range(0, scores.shape[1], 2)]
    return np.array(values)


def _statistic(scores: Floats) -> float:
    total = scores.sum(axis=0)
    return float(total @ np.linalg.pinv(scores.T @ scores, hermitian=True) @ total)


def _chance(statistics: Floats) -> Floats:
    """Chance of as much where there is nothing: the tail of chi-squared with two degrees of freedom."""
    tail: Floats = np.exp(-statistics / 2)
    return tail


def _fitted(columns: Floats, won: Floats) -> Floats:
    """Chances by a lightly penalised logistic regression (Newton's method); the first column is the constant."""
    beta = np.zeros(columns.shape[1])
    beta[0] = np.log(won.mean() / (1 - won.mean()))
    penalty = np.r_[0.0, np.full(len(beta) - 1, _PENALTY)]
    for _ in range(_STEPS):
        chance = _chances(columns @ beta)
        slope = columns.T @ (won - chance) - penalty * beta
        step = np.linalg.solve(_information(columns, chance * (1 - chance)), slope)
        # A penalised likelihood is concave: a step of bounded length cannot run away.
        beta += step / max(1.0, float(np.abs(step).max()))
        if float(np.abs(step).max()) < _SMALL_STEP:
            break
    return _chances(columns @ beta)


def _chances(logits: Floats) -> Floats:
    chances: Floats = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    return chances


def _information(columns: Floats, weight: Floats) -> Floats:
    penalty = np.full(columns.shape[1], _PENALTY)
    penalty[0] = 1e-9
    information: Floats = columns.T @ (weight[:, None] * columns) + np.diag(penalty)
    return information


def _discoveries(p: Floats) -> list[int]:
    """Places of the values that stand out under the false discovery rate, the smallest first."""
    order = np.argsort(p, kind="stable")
    passed = np.flatnonzero(p[order] <= _FALSE_DISCOVERIES * np.arange(1, len(p) + 1) / max(len(p), 1))
    return [int(i) for i in order[: passed[-1] + 1]] if passed.size else []


def _each_adding(sample: _Sample, features: FeatureSet, pairs: Sequence[Pair], *, most: int) -> tuple[Pair, ...]:
    """The best pair, then always the best given those chosen, while it tells more than chance would."""
    chosen: list[Pair] = []
    left = list(pairs)
    while left and len(chosen) < most:
        told = _statistics(sample, features, left, chosen)
        if chosen and _chance(told).min() > _FALSE_DISCOVERIES / len(left):
            break
        chosen.append(left.pop(int(told.argmax())))
    return tuple(chosen)
