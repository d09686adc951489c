"""One plan of who learns from what and who is tested on what, made before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Literal

import numpy as np
import numpy.typing as npt

from mqlml.errors import GateClosed
from mqlml.learning.labels import Rows
from mqlml.learning.moments import Flags, Integers

__all__ = ["Part", "Plan", "Round", "group_folds", "plan_windows"]

# Below this many winning leads an origin has too little behind it to learn from, or too little before it to test.
_MIN_WINS_BEFORE, _MIN_WINS_AFTER = 40, 20
# The first origin comes where this share of the wins is known; earlier where nothing could be tested after that.
_SHARES_BEFORE_FIRST_ORIGIN = (0.3, 0.15, 0.05)
_CROSS_FITTING_FOLDS = 4
_ACCOUNT_FOLDS = 2
MIN_TEST_WINS = 100

# Windows that a model fitted before them has never learned from, where it ships as it is.
_FROZEN = ("certify", "compare", "test")
_PURPOSES_UNSEEN = {
    "certify": "tested forward by the model that ships; a win rate of MQLs can be certified here",
    "compare": "tested forward by the model that ships",
    "test": "tested forward by the model that ships; the final figures",
}
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
    fitted afterwards on all rows, and calibrated on the scores of all windows. Without ``refit`` it is the model that
    predicts the window "certify" and every later one, calibrated on earlier windows.

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
    refit : bool
        Whether the shipped model is fitted once more on everything.
    """

    mode: Literal["forward", "cross-fitted", "static"]
    rounds: Sequence[Round]
    parts: Sequence[Part]
    why: str = ""
    refit: bool = True

    @property
    def frozen(self) -> tuple[Round, ...]:
        """Rounds that are predicted by the shipped model itself; none where it is fitted once more."""
        return () if self.refit else tuple(r for r in self.rounds if r.part in _FROZEN)

    @property
    def sentence(self) -> str:
        """What the mode means for the reader."""
        if self.mode == "forward":
            apart = ""
            if len(self.rounds) > len({r.origin for r in self.rounds}):
                apart = (
                    " Each window was predicted in "
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


def plan_windows(rows: Rows, *, origins: int, seed: int, refit: bool = True) -> Plan:
    """Plan rolling origins with a gap of one horizon, or cross-fitting where the history is too short for them.

    Parameters
    ----------
    rows : Rows
    origins : int
        Rolling origins wanted; fewer where the history does not hold them.
    seed : int
        Draws the folds of cross-fitting.
    refit : bool
        Whether the shipped model is to be fitted on everything; if not, at least two forward tests are needed.

    Raises
    ------
    GateClosed
        Without ``refit``, where the history holds no two forward tests.
    """
    if rows.timing != "none":
        whole = np.zeros(len(rows), dtype=np.int64)
        apart = group_folds(rows.group, rows.won, folds=_ACCOUNT_FOLDS, seed=seed)
        # Without refit one model has to predict a window whole: parts of the accounts would each need their own.
        counts = range(origins, 0 if refit else 1, -1)
        for share, fold, count in product(_SHARES_BEFORE_FIRST_ORIGIN, (apart, whole) if refit else (whole,), counts):
            rounds = _forward_rounds(rows, count, fold, _first_origin(rows, share))
            if not refit:
                rounds = _freeze(rows, rounds)
            if rounds:
                parts = _parts(rows, rounds, learned=_learned_first(rounds), refit=refit)
                return Plan("forward", rounds, parts, refit=refit)
    if not refit:
        raise _no_window(rows, origins)
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


def _forward_rounds(rows: Rows, count: int, account_fold: Integers, first: int) -> list[Round]:
    """Rounds at ``count`` origins from ``first`` on, or none where one of them would learn from or test on too little.

    Accounts of one fold are tested together, by models that learned from the others.
    """
    edges = np.linspace(first, int(rows.when[rows.mature].max()) + 1, count + 1).astype(np.int64)
    rounds: list[Round] = []
    one = not account_fold.any()
    for name, (origin, end) in zip(_names(count), pairwise(edges), strict=True):
        window = _window(rows, int(origin), int(end))
        learnable = rows.seen_from(int(origin))
        if rows.winning_leads(window) < _MIN_WINS_AFTER:
            return []
        for fold in np.unique(account_fold[window]):
            test = window & (account_fold == fold)
            # The whole fold stays out of the fit: without those of its accounts alone that are still open, too many
            # of the leads left to learn from would be won ones.
            unseen = ~_accounts_of(rows, test) if one else account_fold != fold
            fit = (learnable.weight > 0) & unseen
            if learnable.winning_leads(fit) < _MIN_WINS_BEFORE:
                return []
            rounds.append(Round(name, fit, test, int(origin)))
    return rounds


def _freeze(rows: Rows, rounds: Sequence[Round]) -> list[Round]:
    """Let one model, fitted before the window "certify", predict it and all later ones.

    Accounts it has learned from are left out of the later windows. To leave those of later windows out of the fit
    instead would keep only leads that were soon decided, and with them too high a win rate.
    """
    if not rounds:
        return []
    names = ["certify", "test"] if len(rounds) == 2 else [r.part for r in rounds]
    named = [replace(r, part=name) for r, name in zip(rounds, names, strict=True)]
    first = next(r for r in named if r.part in _FROZEN)
    unseen = ~_accounts_of(rows, first.fit)
    found = [
        replace(r, fit=first.fit, test=r.test & unseen, origin=first.origin) if r.part in _FROZEN else r for r in named
    ]
    return found if all(rows.winning_leads(r.test) >= _MIN_WINS_AFTER for r in found) else []


def _no_window(rows: Rows, origins: int) -> GateClosed:
    why = "two forward tests, one to certify and one that is newer"
    have = f"{_why_not_forward(rows)}; the history holds {rows.winning_leads(rows.mature):,} won leads"
    hint = "add older history or shorten [label] horizon_days; or set refit = true and go without a certified precision"
    if origins < 2:
        have, hint = f"origins is {origins}", "set [model] origins = 4"
    needed = f"about {_MIN_WINS_BEFORE} before the first and {_MIN_WINS_AFTER} in each"
    return GateClosed(f"[model] refit = false needs {why} ({needed}); {have}.", hint=hint)


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
    origin = _first_origin(rows, _SHARES_BEFORE_FIRST_ORIGIN[-1])
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


def _first_origin(rows: Rows, share: float) -> int:
    """The first moment at which a share of all wins was known."""
    known = np.sort(rows.known[(rows.won > 0) & rows.mature])
    return int(known[int(len(known) * share)]) + 1


def _names(count: int) -> list[str]:
    last = ["calibrate", "certify", "compare", "test"][-count:] if count < 4 else ["certify", "compare", "test"]
    return ["calibrate"] * (count - len(last)) + last


def _parts(rows: Rows, rounds: Sequence[Round], *, learned: Flags | None, refit: bool = True) -> list[Part]:
    purposes = _PURPOSES if refit else {**_PURPOSES, **_PURPOSES_UNSEEN}
    parts = [] if learned is None else [_part(rows, "fit", learned, purposes["fit"])]
    for name in dict.fromkeys(r.part for r in rounds):
        tested = np.logical_or.reduce([r.test for r in rounds if r.part == name])
        parts.append(_part(rows, name, tested, purposes[name]))
    return parts


def _part(rows: Rows, name: str, flags: Flags, purpose: str) -> Part:
    when = rows.when[flags]
    leads = len(np.unique(rows.lead[flags]))
    wins = rows.winning_leads(flags)
    return Part(name, int(when.min()), int(when.max()), int(flags.sum()), leads, wins, purpose)
