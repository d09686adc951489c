"""What the leak audit measures: how far the value of one column, taken alone, tells the outcome of a lead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from mqlml.learning.audit_values import Flags, Floats, Ints, Partition

PERIODS = 20
"""Equal parts of the history in which a value is compared with the other leads of the same time."""
MIN_LEVEL = 30
"""Closed leads that a value needs before it is judged at all."""
FAMILY_ERROR = 0.01
"""Chance that any of all the values of all the columns is found although it tells nothing."""
_MIN_CLASS = 10
_PRIOR = 10.0


@dataclass(frozen=True)
class Closed:
    """The closed leads, and how they are split to judge a column on leads it was not fitted on.

    ``rows`` (m,) into all leads; ``won`` (m,) 1 or 0; ``period`` (m,) 0 to 19, oldest first; ``account`` (m,) codes
    from 0; ``folds`` pairs of (m,) masks, fitted on and judged on; ``forward`` says that the judged are the newer ones.
    """

    rows: Ints
    won: Floats
    period: Ints
    account: Ints
    folds: tuple[tuple[Flags, Flags], ...]
    forward: bool

    @property
    def dated(self) -> bool:
        """Whether leads are compared with others of the same time."""
        return bool(self.period.any())

    @property
    def judged_on(self) -> str:
        """Words for the leads that figures hold for."""
        return "the newer half of the leads" if self.forward else "leads it was not fitted on"


@dataclass(frozen=True)
class Levels:
    """How the levels of a partition ended; arrays (levels,).

    ``n`` closed leads, ``wins`` of them, ``others`` win rate of the other leads of the same periods, ``odds`` lower
    confidence bound of the odds ratio against them (>= 1, in whichever direction the level points).
    """

    partition: Partition
    n: Ints
    wins: Ints
    others: Floats
    odds: Floats

    @property
    def exceptions(self) -> Floats:
        """Share of the level's leads that ended unlike most of them."""
        return np.asarray(np.minimum(self.wins, self.n - self.wins) / np.maximum(self.n, 1))


def split_closed(won: Floats, created: Ints | None, group: Ints, lead_order: Ints) -> Closed:
    """Take the closed leads, with periods by creation and folds forward in time (by account without dates)."""
    rows = np.flatnonzero(~np.isnan(won) & _known_fairly(won, created))
    result, account = won[rows], _account_codes(group[rows])
    if created is None:
        return Closed(rows, result, np.zeros(len(rows), np.int64), account, _account_folds(account), forward=False)
    rank = np.empty(len(rows), np.int64)
    rank[np.lexsort((lead_order[rows], created[rows]))] = np.arange(len(rows))
    period = rank * PERIODS // max(len(rows), 1)
    older = created[rows] <= np.median(created[rows]) if len(rows) else np.zeros(0, bool)
    newer = ~older & ~np.isin(account, account[older])
    newer = newer if judgeable(result[newer]) and newer.sum() * 4 >= len(rows) else ~older
    if judgeable(result[older]) and judgeable(result[newer]):
        return Closed(rows, result, period, account, ((older, newer),), forward=True)
    return Closed(rows, result, period, account, _account_folds(account), forward=False)


def _known_fairly(won: Floats, created: Ints | None) -> Flags:
    """Find leads (n,) of times when both outcomes could happen; where most are open, the known ones are a selection."""
    closed = ~np.isnan(won)
    if created is None or closed.all() or not judgeable(won[closed]):
        return np.ones(len(won), bool)
    edges = np.unique(np.quantile(created, np.linspace(0, 1, 51)[1:-1], method="inverted_cdf"))
    period = np.searchsorted(edges, created)
    mostly_closed = np.bincount(period[closed], minlength=51) * 2 > np.bincount(period, minlength=51)
    fair = closed & mostly_closed[period]
    if judgeable(won[fair]):
        fair &= created <= min(created[fair & (won == outcome)].max() for outcome in (0, 1))
    return fair if judgeable(won[fair]) and fair.sum() * 2 >= closed.sum() else np.ones(len(won), bool)


def _account_codes(group: Ints) -> Ints:
    alone = group < 0
    distinct = np.where(alone, -1 - np.arange(len(group)), group)
    return np.unique(distinct, return_inverse=True)[1].astype(np.int64)


def _account_folds(account: Ints) -> tuple[tuple[Flags, Flags], ...]:
    accounts = int(account.max()) + 1 if len(account) else 0
    half = np.random.default_rng(0).permutation(accounts) % 2 == 0
    first = half[account] if accounts else np.zeros(0, bool)
    return (first, ~first), (~first, first)


def judgeable(won: Floats) -> bool:
    """Whether there are 10 of each outcome, the least that anything can be said from."""
    return bool(min(won.sum(), len(won) - won.sum()) >= _MIN_CLASS)


def level_counts(partition: Partition, closed: Closed) -> Ints:
    """(levels,) closed leads in each level."""
    return np.bincount(partition.codes[closed.rows], minlength=len(partition.labels))


def judge_levels(partition: Partition, closed: Closed, *, error: float) -> Levels:
    """Compare every level with the other leads of the same periods.

    The bound is exact (Clopper-Pearson) on the number of distinct accounts rather than of leads, as leads of one
    account end alike, and counts the other leads' rate at its cautious end.

    Parameters
    ----------
    error : float in (0, 1)
        Chance of error of one bound; divide it by the number of levels looked at.
    """
    size = len(partition.labels)
    codes = partition.codes[closed.rows]
    cells = codes * PERIODS + closed.period
    n_cell = np.bincount(cells, minlength=size * PERIODS).reshape(size, PERIODS)
    w_cell = np.bincount(cells, weights=closed.won, minlength=size * PERIODS).reshape(size, PERIODS)
    n, wins = n_cell.sum(axis=1), np.rint(w_cell.sum(axis=1)).astype(np.int64)
    others = _other_rate(n_cell, w_cell)
    n_free = _accounts_per_level(codes, closed.account, size)
    level_up = wins > others * n
    exceptions = np.where(level_up, n - wins, wins)
    unlike = exceptions * n_free / np.maximum(n, 1)
    highest = betaincinv(unlike + 1, np.maximum(n_free - unlike, 1e-9), 1 - error)
    expected = np.where(level_up, 1 - others, others)
    cautious = _wilson_low(expected, np.maximum(len(codes) - n, 1))
    odds = _odds(cautious) / _odds(highest)
    return Levels(partition, n, wins, others, np.where(n >= MIN_LEVEL, np.maximum(odds, 1.0), 1.0))


def _other_rate(n_cell: Ints | Floats, w_cell: Ints | Floats) -> Floats:
    rest_n, rest_w = n_cell.sum(axis=0) - n_cell, w_cell.sum(axis=0) - w_cell
    overall = rest_w.sum(axis=1, keepdims=True) / np.maximum(rest_n.sum(axis=1, keepdims=True), 1)
    per_period = (rest_w + _PRIOR * overall) / (rest_n + _PRIOR)
    return np.asarray((n_cell * per_period).sum(axis=1) / np.maximum(n_cell.sum(axis=1), 1))


def _accounts_per_level(codes: Ints, account: Ints, size: int) -> Floats:
    accounts = int(account.max()) + 1 if len(account) else 1
    if accounts == len(account):
        return np.bincount(codes, minlength=size).astype(np.float64)
    pairs = np.unique(codes * accounts + account)
    return np.bincount(pairs // accounts, minlength=size).astype(np.float64)


def _wilson_low(rate: Floats, n: Ints, z: float = 2.6) -> Floats:
    spread = z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return np.asarray(np.clip((rate + z * z / (2 * n) - spread) / (1 + z * z / n), 1e-9, 1 - 1e-9))


def _odds(rate: Floats) -> Floats:
    clipped = np.clip(rate, 1e-9, 1 - 1e-9)
    return np.asarray(clipped / (1 - clipped))


def level_scores(partition: Partition, closed: Closed, fit: Flags) -> Floats:
    """(levels,) shrunken log-odds of winning learned on the ``fit`` leads; levels not seen there get the base rate."""
    codes, size = partition.codes[closed.rows][fit], len(partition.labels)
    base = float(np.clip(closed.won[fit].mean(), 1e-6, 1 - 1e-6)) if fit.any() else 0.5
    n = np.bincount(codes, minlength=size)
    wins = np.bincount(codes, weights=closed.won[fit], minlength=size)
    rate = (wins + _PRIOR * base) / (n + _PRIOR)
    return np.asarray(np.log(rate / (1 - rate)))


def auc(score: Floats, won: Floats) -> float:
    """Area under the ROC curve, ties counted half; 0.5 without both outcomes."""
    return _auc_of_counts(score, won, 1.0 - won)


def _auc_of_counts(score: Floats, wins_at: Floats | Ints, losses_at: Floats | Ints) -> float:
    _, place = np.unique(score, return_inverse=True)
    wins, losses = np.bincount(place, weights=wins_at), np.bincount(place, weights=losses_at)
    if wins.sum() == 0 or losses.sum() == 0:
        return 0.5
    below = np.cumsum(losses) - losses
    return float((wins * (below + losses / 2)).sum() / (wins.sum() * losses.sum()))


def auc_error(area: float, wins: float, losses: float) -> float:
    """Compute the standard error of an AUC (Hanley and McNeil 1982)."""
    if min(wins, losses) < 1:
        return 0.5
    q1, q2 = area / (2 - area), 2 * area * area / (1 + area)
    spread = area * (1 - area) + (wins - 1) * (q1 - area * area) + (losses - 1) * (q2 - area * area)
    return float(np.sqrt(max(spread, 0.0) / (wins * losses)))


def column_auc(partition: Partition, closed: Closed) -> tuple[float, float]:
    """AUC of a partition alone on leads it was not fitted on, and its standard error."""
    codes, size = partition.codes[closed.rows], len(partition.labels)
    areas, errors = [], []
    for fit, judge in closed.folds:
        wins = np.bincount(codes[judge], weights=closed.won[judge], minlength=size)
        losses = np.bincount(codes[judge], minlength=size) - wins
        area = _auc_of_counts(level_scores(partition, closed, fit), wins, losses)
        areas.append(area)
        errors.append(auc_error(area, float(wins.sum()), float(losses.sum())))
    return float(np.mean(areas)), float(np.mean(errors) / np.sqrt(len(errors)))


def together_auc(partitions: list[Partition], closed: Closed, *, most: int = 20_000) -> float:
    """AUC of all given partitions in one additive logistic score, on leads it was not fitted on.

    Parameters
    ----------
    most : int
        Leads of each part that are used, evenly spaced, to bound the time.
    """
    areas = []
    for fit, judge in closed.folds:
        tables = [level_scores(p, closed, fit) for p in partitions]
        fit_at, judge_at = _spaced(np.flatnonzero(fit), most), _spaced(np.flatnonzero(judge), most)
        if not tables:
            return 0.5
        inputs = [
            np.column_stack([t[p.codes[closed.rows[at]]] for t, p in zip(tables, partitions, strict=True)])
            for at in (fit_at, judge_at)
        ]
        weights = _logistic(inputs[0], closed.won[fit_at])
        areas.append(auc(inputs[1] @ weights, closed.won[judge_at]))
    return float(np.mean(areas))


def _spaced(rows: Ints, most: int) -> Ints:
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _logistic(inputs: Floats, won: Floats, *, ridge: float = 1.0, steps: int = 8) -> Floats:
    centred = np.column_stack([np.ones(len(inputs)), inputs - inputs.mean(axis=0)])
    penalty = ridge * np.eye(centred.shape[1])
    weights = np.zeros(centred.shape[1])
    for _ in range(steps):
        chance = 1 / (1 + np.exp(-np.clip(centred @ weights, -30, 30)))
        curve = np.maximum(chance * (1 - chance), 1e-4)
        slope = centred.T @ (won - chance) - ridge * weights
        weights = weights + np.linalg.solve((centred.T * curve) @ centred + penalty, slope)
    return np.asarray(weights[1:])


def alike(first: Partition, second: Partition, closed: Closed) -> bool:
    """Whether two columns carry the same signal (correlation of their level scores above 0.9)."""
    everyone = np.ones(len(closed.rows), bool)
    a, b = (level_scores(p, closed, everyone)[p.codes[closed.rows]] for p in (first, second))
    if a.std() == 0 or b.std() == 0:
        return False
    return bool(abs(np.corrcoef(a, b)[0, 1]) > 0.9)
