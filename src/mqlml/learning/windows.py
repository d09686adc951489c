"""One plan of who learns from what and who is tested on what, made before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from mqlml.learning.labels import Rows
from mqlml.learning.moments import Flags, Integers

__all__ = ["Part", "Plan", "Round", "group_folds", "plan_windows"]

# Below this many winning leads an origin has too little behind it to learn from, or too little before it to test.
_MIN_WINS_BEFORE, _MIN_WINS_AFTER = 40, 20
_SHARE_BEFORE_FIRST_ORIGIN = 0.3
_CROSS_FITTING_FOLDS = 4
_ACCOUNT_FOLDS = 4
MIN_TEST_WINS = 100

_PURPOSES = {
    "fit": "learned from before the first test",
    "calibrate": "tested forward; teaches the calibration of later tests",
    "certify": "tested forward; teaches later tests, since nothing is certified yet",
    "compare": "tested forward; teaches later tests, since nothing is compared yet",
    "test": "tested forward; the final figures",
    "cross-fit": "tested on accounts left out of the learning, not forward in time",
}


@dataclass(frozen=True)
class Round:
    """One test of the recipe: fit on some rows, predict others.

    Attributes
    ----------
    part : str
        Name of the part of the plan that is predicted.
    fit, test : ndarray of bool, shape (rows,)
        No row, lead or account is in both.
    origin : int or None
        Position on the time axis at which the fit could have been made; None when cross-fitted.
    """

    part: str
    fit: Flags
    test: Flags
    origin: int | None


@dataclass(frozen=True)
class Part:
    """A line of the printed plan: which rows, how many, for what."""

    part: str
    first: int
    last: int
    snapshots: int
    leads: int
    wins: int
    purpose: str


@dataclass(frozen=True)
class Plan:
    """How the recipe is judged.

    Every test window is predicted by models and calibrations made from what was known before it. The shipped model is
    fitted afterwards on all rows, and calibrated on the scores of all windows.

    An account is never learned from where it is tested. Where accounts live so long that this would leave too little to
    learn from, a window has several rounds, each testing a part of the accounts.

    Attributes
    ----------
    mode : {"forward", "cross-fitted", "static"}
        ``static`` is cross-fitting in a history without time.
    rounds : sequence of Round
        Forward rounds stand in time order.
    parts : sequence of Part
        What is printed.
    why : str
        Why it was not tested forward, as a clause; empty where it was.
    """

    mode: Literal["forward", "cross-fitted", "static"]
    rounds: Sequence[Round]
    parts: Sequence[Part]
    why: str = ""

    @property
    def sentence(self) -> str:
        """What the mode means for the reader."""
        if self.mode == "forward":
            apart = ""
            if len(self.rounds) > len({r.origin for r in self.rounds}):
                apart = (
                    " Accounts have leads before and after, so each window was predicted in "
                    f"{_ACCOUNT_FOLDS} parts, each by a model that had not seen its accounts."
                )
            return (
                "Tested forward in time: everything the model learned from, outcomes included, was known before "
                f"the first tested lead was looked at.{apart}"
            )
        return f"Not tested forward in time: {self.why}, so each account was predicted by a model that had not seen it."

    def tested(self) -> Flags:
        """Rows that some round predicts."""
        return np.logical_or.reduce([r.test for r in self.rounds])  # type: ignore[no-any-return]


def plan_windows(rows: Rows, *, origins: int, seed: int) -> Plan:
    """Plan rolling origins with a gap of one horizon, or cross-fitting where the history is too short for them.

    Parameters
    ----------
    rows : Rows
    origins : int
        Rolling origins wanted; fewer where the history does not hold them.
    seed : int
        Draws the folds of cross-fitting.
    """
    if rows.timing != "none":
        whole = np.zeros(len(rows), dtype=np.int64)
        apart = group_folds(rows.group, rows.won, folds=_ACCOUNT_FOLDS, seed=seed)
        for account_fold in (whole, apart):
            for count in range(origins, 0, -1):
                rounds = _forward_rounds(rows, count, account_fold)
                if rounds:
                    return Plan("forward", rounds, _parts(rows, rounds, learned=_learned_first(rounds)))
    folds = group_folds(rows.group, rows.won, folds=_CROSS_FITTING_FOLDS, seed=seed)
    rounds = [Round("cross-fit", folds != k, (folds == k) & rows.mature, None) for k in range(_CROSS_FITTING_FOLDS)]
    mode: Literal["static", "cross-fitted"] = "static" if rows.timing == "none" else "cross-fitted"
    return Plan(mode, rounds, _parts(rows, rounds, learned=None), why=_why_not_forward(rows))


def group_folds(group: Integers, won: npt.NDArray[np.float64], *, folds: int, seed: int) -> Integers:
    """Deal whole groups into folds, winning groups and others separately so that each fold has its share of wins.

    Returns
    -------
    ndarray of int64, shape (rows,)
        Fold of each row, 0 .. folds - 1.
    """
    wins = np.bincount(group, weights=won, minlength=int(group.max(initial=0)) + 1) > 0
    generator = np.random.default_rng(seed)
    fold = np.zeros(len(wins), dtype=np.int64)
    for kind in (wins, ~wins):
        members = np.flatnonzero(kind)
        fold[members] = generator.permutation(np.arange(len(members)) % folds)
    return fold[group]


def _forward_rounds(rows: Rows, count: int, account_fold: Integers) -> list[Round]:
    """Rounds at ``count`` origins, or none where one of them would learn from or test on too little.

    Accounts of one fold are tested together, by models that learned from the others.
    """
    first = _first_origin(rows)
    edges = np.linspace(first, int(rows.when[rows.mature].max()) + 1, count + 1).astype(np.int64)
    rounds: list[Round] = []
    for name, (origin, end) in zip(_names(count), pairwise(edges), strict=True):
        window = _window(rows, int(origin), int(end))
        learnable = rows.seen_from(int(origin))
        if rows.winning_leads(window) < _MIN_WINS_AFTER:
            return []
        for fold in np.unique(account_fold[window]):
            test = window & (account_fold == fold)
            fit = (learnable.weight > 0) & ~_accounts_of(rows, test)
            if learnable.winning_leads(fit) < _MIN_WINS_BEFORE:
                return []
            rounds.append(Round(name, fit, test, int(origin)))
    return rounds


def _window(rows: Rows, origin: int, end: int) -> Flags:
    return (rows.when >= origin) & (rows.when < end) & rows.mature


def _accounts_of(rows: Rows, flags: Flags) -> Flags:
    """All rows of the accounts that have a row among ``flags``."""
    among = np.zeros(int(rows.group.max()) + 1, dtype=bool)
    among[rows.group[flags]] = True
    return among[rows.group]


def _learned_first(rounds: Sequence[Round]) -> Flags:
    """Rows that the rounds of the first window learn from."""
    return np.logical_or.reduce([r.fit for r in rounds if r.origin == rounds[0].origin])  # type: ignore[no-any-return]


def _why_not_forward(rows: Rows) -> str:
    """Say what keeps a history from being tested forward in time."""
    if rows.timing == "none":
        return "the history has no dates"
    if rows.known.min() > rows.when.max():
        return "the history is shorter than two horizons and a test"
    origin = _first_origin(rows)
    window, learnable = _window(rows, origin, int(rows.when.max()) + 1), rows.seen_from(origin)
    before, after = learnable.winning_leads(learnable.weight > 0), rows.winning_leads(window)
    if before < _MIN_WINS_BEFORE or after < _MIN_WINS_AFTER:
        return (
            f"there are too few won leads ({before:,} before the first possible test and {after:,} after it; "
            f"{_MIN_WINS_BEFORE} and {_MIN_WINS_AFTER} are needed)"
        )
    left = learnable.winning_leads((learnable.weight > 0) & ~_accounts_of(rows, window))
    return (
        f"accounts have leads throughout the history, and without those tested {left:,} of {before:,} won leads are "
        f"left to learn from ({_MIN_WINS_BEFORE} are needed)"
    )


def _first_origin(rows: Rows) -> int:
    """The first moment at which a fixed share of all wins was known."""
    known = np.sort(rows.known[(rows.won > 0) & rows.mature])
    return int(known[int(len(known) * _SHARE_BEFORE_FIRST_ORIGIN)]) + 1


def _names(count: int) -> list[str]:
    last = ["calibrate", "certify", "compare", "test"][-count:] if count < 4 else ["certify", "compare", "test"]
    return ["calibrate"] * (count - len(last)) + last


def _parts(rows: Rows, rounds: Sequence[Round], *, learned: Flags | None) -> list[Part]:
    parts = [] if learned is None else [_part(rows, "fit", learned)]
    for name in dict.fromkeys(r.part for r in rounds):
        tested = np.logical_or.reduce([r.test for r in rounds if r.part == name])
        parts.append(_part(rows, name, tested))
    return parts


def _part(rows: Rows, name: str, flags: Flags) -> Part:
    when = rows.when[flags]
    leads = len(np.unique(rows.lead[flags]))
    wins = rows.winning_leads(flags)
    return Part(name, int(when.min()), int(when.max()), int(flags.sum()), leads, wins, _PURPOSES[name])
