"""Features that add nothing are left out, where an unseen window says that nothing is lost by it (decision 025)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mqlml.learning.inner_tests import Losses
from mqlml.learning.resampling import Resampler

__all__ = ["Fewer", "judge_fewer", "leave_out", "smallest_sets"]

Floats = npt.NDArray[np.float64]

# Sets to try carry these shares of all that moves log-odds.
_SHARES = (0.80, 0.90, 0.95, 0.99)
# Where sets are compared a smaller one may lose this share of the log loss; it has the check before it.
_MAY_LOSE_SEARCHED = 0.001
# On the unseen window it must surely lose less than this share.
_MAY_LOSE = 0.005
_CONFIDENCE = 0.9


@dataclass(frozen=True)
class Fewer:
    """What a search for fewer features proposed and what became of it.

    Attributes
    ----------
    of : int
        Features there were.
    without : tuple of str
        Those the proposed set does without; empty where no smaller set did as well.
    searched : tuple of float
        Log loss with all features, and with the proposed ones, where sets were compared.
    before, after : float
        The same on the window that the search has not seen; equal where nothing was proposed.
    at_most : float
        Upper 90 % bound of ``after - before``, accounts redrawn; infinite where it cannot be told.
    """

    of: int
    without: tuple[str, ...] = ()
    searched: tuple[float, float] = (0.0, 0.0)
    before: float = 0.0
    after: float = 0.0
    at_most: float = 0.0

    @property
    def taken(self) -> bool:
        """Whether the training does without: only where surely next to nothing is lost."""
        return bool(self.without) and self.at_most <= _MAY_LOSE * self.before

    @property
    def left_out(self) -> tuple[str, ...]:
        """What the training does without."""
        return self.without if self.taken else ()

    @property
    def kept(self) -> int:
        """Features that the training uses."""
        return self.of - len(self.left_out)

    @property
    def sentence(self) -> str:
        """For the notes of a training."""
        if not self.without:
            return f"Fewer features: all {self.of:,} stay; no smaller set did as well where sets were compared."
        became = f"{self.kept:,} of {self.of:,} are kept" if self.taken else f"all {self.of:,} stay"
        lost = f"{100 * self.at_most / self.before:+.2f} %" if np.isfinite(self.at_most) else "an unknown amount"
        return (
            f"Fewer features: {became}; log loss is {self.before:.4f} with all and {self.after:.4f} with "
            f"{self.of - len(self.without):,} on the window kept for this check (at most {lost} with 90 % confidence; "
            f"{100 * _MAY_LOSE:.1f} % is allowed)."
        )

    def told(self) -> dict[str, Any]:
        """Lines of the report's recipe."""
        told: dict[str, Any] = {"features kept": f"{self.kept:,} of {self.of:,}"}
        if self.without:
            told["log loss with all, with those kept"] = f"{self.before:.4f}, {self.after:.4f}"
        return told

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the bundle."""
        tried = bool(self.without)
        return {
            "features": self.of,
            "kept": self.kept,
            "tried with": self.of - len(self.without),
            "log loss where searched": list(self.searched) if tried else None,
            "log loss before": self.before if tried else None,
            "log loss after": self.after if tried else None,
            "increase, upper 90 % bound": self.at_most if tried and np.isfinite(self.at_most) else None,
            "increase allowed, share": _MAY_LOSE,
            "taken": self.taken,
            "left out": list(self.left_out),
        }


def smallest_sets(carried: Mapping[str, float], stay: Collection[str]) -> list[frozenset[str]]:
    """The smallest sets of features that carry 80, 90, 95 and 99 % of what all add, smallest first.

    Parameters
    ----------
    carried : mapping of str to float
        How much each feature moves log-odds on average; of equals the earlier one goes first.
    stay : collection of str
        Features that are in every set, and count towards what it carries.

    Returns
    -------
    list of frozenset of str
        None twice, and never all features; empty where no feature moves anything.
    """
    names = sorted(carried, key=lambda name: (name not in stay, -carried[name]))
    so_far = np.cumsum([carried[name] for name in names])
    if not len(names) or so_far[-1] <= 0:
        return []
    least = sum(name in stay for name in names)
    counts = {max(least, int(np.searchsorted(so_far, share * so_far[-1] * (1 - 1e-9))) + 1) for share in _SHARES}
    return [frozenset(names[:count]) for count in sorted(counts) if count < len(names)]


def leave_out(
    names: Sequence[str],
    sets: Sequence[frozenset[str]],
    searched: Callable[[frozenset[str]], float],
    unseen: Callable[[frozenset[str]], Losses],
    *,
    whole: float,
    seed: int,
) -> Fewer:
    """Find the smallest set that does as well as all features, and check it on a window that had no say in that.

    Parameters
    ----------
    names : sequence of str
        All features.
    sets : sequence of frozenset of str
        To try, smallest first.
    searched, unseen : callable
        Mean log loss with some features on the tests to search on; log losses of the rows of the later one.
    whole : float
        Mean log loss with all features on the tests to search on.
    seed : int
        Draws the accounts.
    """
    for kept in sets:
        loses = searched(kept)
        if loses <= (1 + _MAY_LOSE_SEARCHED) * whole:
            without = tuple(name for name in names if name not in kept)
            return judge_fewer(names, without, (whole, loses), unseen(frozenset(names)), unseen(kept), seed=seed)
    return Fewer(len(names))


def judge_fewer(
    names: Sequence[str],
    without: tuple[str, ...],
    searched: tuple[float, float],
    before: Losses,
    after: Losses,
    *,
    seed: int,
) -> Fewer:
    """Say how much is lost at most on rows that the search has not seen, whole accounts redrawn.

    Parameters
    ----------
    names : sequence of str
        All features.
    without : tuple of str
        What the proposed set does without.
    searched : tuple of float
        Log loss with all features and with the proposed ones, where sets were compared.
    before, after : Losses
        With all features and with the proposed ones, on the same unseen rows.
    seed : int
        Draws the accounts.
    """
    gain = Resampler(before.group, seed=seed).means({"gain": before.loss - after.loss})["gain"]
    return Fewer(
        of=len(names),
        without=without,
        searched=searched,
        before=float(before.loss.mean()),
        after=float(after.loss.mean()),
        at_most=-gain.at_least(_CONFIDENCE),
    )
