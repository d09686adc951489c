"""Leads that stand twice in the history: a test that meets the copy of a lead it learned from proves little."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mqlml.learning.audit_checks import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mqlml.learning.audit_statistics import Closed
    from mqlml.learning.audit_values import Column, Flags, Floats, Ints

Hashes = npt.NDArray[np.uint64]

__all__ = ["copies"]

# Coincidental twins expected for a lead, below which its twin is taken for a copy.
_EXPECTED = 0.01
_LEAST_SHARE, _FEWEST = 0.01, 10
_ASK_SHARE, _ASK_ALIKE = 0.05, 0.15
_DIGITS = 3
_PRIOR = 2.0
_LEADS_TO_RELATE, _LEADS_TO_JUDGE = 2_000, 20_000
_FEWEST_COLUMNS, _COLUMNS, _LEAST_TO_RELATE = 3, 40, 300


def copies(columns: Sequence[Column], closed: Closed) -> Iterator[Finding]:
    """Find newer leads that repeat an older one of another account in all columns, or all but one.

    Numbers count as equal to three digits. Twins are to be expected where a few columns have a few values each; only
    those are counted of which chance would give a lead at most one in a hundred times, given how often each value
    occurs together with that of the column it depends on most (a tree of Chow and Liu, 1968). Without dates, leads of
    either half of the accounts are compared with those of the other.

    Parameters
    ----------
    columns : sequence of Column
        Without record numbers, which would make copies differ.
    closed : Closed
        The judged leads, and how they are split.
    """
    if len(columns) < _FEWEST_COLUMNS or not len(closed.rows):
        return
    fit, judged = closed.folds[0]
    judged = _spaced(judged)
    twin = _twins([_codes(column)[closed.rows] for column in columns], closed.account, fit, judged)
    found = np.flatnonzero(twin >= 0)
    share = len(found) / max(int(judged.sum()), 1)
    if len(found) < _FEWEST or share < _LEAST_SHARE:
        return
    alike = float((closed.won[found] == closed.won[twin[found]]).mean())
    rate = float(closed.won[judged].mean())
    chance = rate**2 + (1 - rate) ** 2
    side = ("newer half of the leads", "an older one") if closed.forward else ("leads", "one of the other half")
    figure = (
        f"{len(found):,} of {int(judged.sum()):,} of the {side[0]} ({100 * share:.1f} %) repeat {side[1]} of another "
        f"account in all {len(columns)} columns but one at most; {100 * alike:.1f} % of them ended as it did, against "
        f"{100 * chance:.1f} % by chance"
    )
    asked = share >= _ASK_SHARE and alike - chance >= _ASK_ALIKE
    why = "a test that meets the copy of a lead it learned from promises too much"
    remedy = "merge such leads ([links]), or give them one account ([leads] account_id), which keeps them together"
    yield Finding("ask" if asked else "note", "near-duplicates", "lead_id", figure, why, remedy)


def _spaced(flags: Flags) -> Flags:
    """Keep so many evenly spaced leads that looking for their twins takes no time worth mentioning."""
    at = np.flatnonzero(flags)
    kept = np.zeros(len(flags), bool)
    kept[at[np.linspace(0, len(at) - 1, min(len(at), _LEADS_TO_JUDGE)).astype(np.int64)]] = True
    return kept


def _codes(column: Column) -> Ints:
    """Codes (n,) of values that count as equal; 0 is missing."""
    if not column.numeric:
        return column.main.codes
    values = np.nan_to_num(column.values)
    size = np.floor(np.log10(np.maximum(np.abs(values), 1e-300)))
    unit = 10.0 ** (size - _DIGITS + 1)
    near = np.where(values == 0, 0.0, np.rint(values / unit) * unit)
    codes = np.unique(near, return_inverse=True)[1] + 1
    return np.where(column.missing, 0, codes).astype(np.int64)


def _twins(codes: Sequence[Ints], account: Ints, fit: Flags, judged: Flags) -> Ints:
    """The lead of the ``fit`` side that each ``judged`` lead copies, -1 where there is none; shape (m,)."""
    keys = np.random.default_rng(0).integers(0, 2**63, len(codes), dtype=np.uint64)
    whole: Hashes = np.zeros(len(judged), dtype=np.uint64)
    for code, key in zip(codes, keys, strict=True):
        whole += _mixed(code, key)
    target = np.flatnonzero(judged)
    rate = _log_rates(codes, np.unique(whole, return_index=True)[1], target)
    total = rate.sum(axis=0)
    limit = np.log(_EXPECTED / max(int(fit.sum()), 1))
    twin = np.full(len(judged), -1)
    for left_out in range(-1, len(codes)):
        # Mixed again rather than kept: all columns of a million leads would not fit into memory.
        hashed: Hashes = whole if left_out < 0 else whole - _mixed(codes[left_out], keys[left_out])
        told = total if left_out < 0 else total - rate[left_out]
        sought = target[(told <= limit) & (twin[target] < 0)]
        twin[sought] = _older(hashed, account, fit, sought)
    return twin


def _mixed(codes: Ints, key: np.uint64) -> Hashes:
    """Mix codes with the key of their column (splitmix64), so that the sum over columns identifies a row."""
    z = codes.astype(np.uint64) + key
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return z ^ (z >> np.uint64(31))


def _older(hashed: Hashes, account: Ints, fit: Flags, target: Ints) -> Ints:
    """A ``fit`` lead of another account with the same hash for each target, -1 where there is none; (targets,)."""
    source = np.flatnonzero(fit)
    # Only hashes that occur on both sides are worth sorting.
    source = source[np.isin(hashed[source], hashed[target])]
    found = np.full(len(target), -1)
    if not len(source):
        return found
    source = source[np.argsort(hashed[source], kind="stable")]
    known = hashed[source]
    first = np.searchsorted(known, hashed[target])
    last = np.searchsorted(known, hashed[target], side="right") - 1
    for place in (first, last):
        candidate = source[np.minimum(place, len(source) - 1)]
        fits = (hashed[candidate] == hashed[target]) & (account[candidate] != account[target]) & (found < 0)
        found[fits] = candidate[fits]
    return found


def _log_rates(codes: Sequence[Ints], distinct: Ints, target: Ints) -> Floats:
    """Log of how likely each value is by chance, given the value of the column it depends on; (columns, targets).

    Counted among distinct rows, without the pair in question: a value that only this pair has is evidence, too.
    """
    rates = np.empty((len(codes), len(target)))
    parents = _parents(np.stack([code[distinct] for code in codes]))
    for j, (code, parent) in enumerate(zip(codes, parents, strict=True)):
        own = np.bincount(code[distinct], minlength=int(code.max()) + 1)[code[target]]
        rates[j] = (np.maximum(own - 2, 0) + 1.0) / len(distinct)
        if parent >= 0:
            given = codes[parent]
            n_given = np.bincount(given[distinct], minlength=int(given.max()) + 1)[given[target]]
            pair = code * (int(given.max()) + 1) + given
            pairs, count = np.unique(pair[distinct], return_counts=True)
            n_both = count[np.searchsorted(pairs, pair[target])]
            rates[j] = (np.maximum(n_both - 2, 0) + _PRIOR * rates[j]) / (np.maximum(n_given - 2, 0) + _PRIOR)
    return np.log(np.minimum(rates, 1.0))


def _parents(codes: Ints) -> Ints:
    """For each column the one it depends on in the tree of the strongest bonds, -1 for the root; shape (columns,).

    Columns of many values share information by chance, too: as much as each does with the other's shuffled rows.
    """
    # Pairs of columns grow with their square: fewer leads tell of more of them in the same time.
    enough = max(_LEADS_TO_RELATE * _COLUMNS // max(len(codes), _COLUMNS), _LEAST_TO_RELATE)
    at = np.linspace(0, codes.shape[1] - 1, min(codes.shape[1], enough)).astype(np.int64)
    sample = codes[:, at]
    shuffled = sample[:, np.random.default_rng(0).permutation(len(at))]
    columns = len(sample)
    bond = np.zeros((columns, columns))
    for i, j in combinations(range(columns), 2):
        bond[i, j] = bond[j, i] = _entropy(sample[i], shuffled[j]) - _entropy(sample[i], sample[j])
    parent = np.full(columns, -1)
    best, source = bond[0].copy(), np.zeros(columns, np.int64)
    outside = np.arange(columns) > 0
    while outside.any():
        j = int(np.argmax(np.where(outside, best, -np.inf)))
        parent[j], outside[j] = source[j], False
        closer = outside & (bond[j] > best)
        best[closer], source[closer] = bond[j][closer], j
    return parent


def _entropy(first: Ints, second: Ints) -> float:
    count = np.unique(first * (int(second.max(initial=0)) + 1) + second, return_counts=True)[1]
    share = count / len(first)
    return float(-(share * np.log(share)).sum())
