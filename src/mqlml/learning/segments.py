"""One model for all segments, and for each an intercept that is shrunk to nothing where segments do not differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.learning.likelihood import NINETY, fit_level, information
from mqlml.learning.shrinkage import between_variance

if TYPE_CHECKING:
    from mqlml.learning.encoder import Encoder

__all__ = ["Offset", "SegmentTest", "Segments", "fit_segments", "segment_of"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Offset:
    """How far the outcomes of a segment's leads were from what the shared model promised, in log-odds.

    Attributes
    ----------
    found, low, high : float
        The difference and its 90 % interval.
    applied : float
        What is added to the calibrated log-odds of its leads: the difference, shrunk.
    """

    found: float
    low: float
    high: float
    applied: float


@dataclass(frozen=True)
class Segments:
    """What is added to the calibrated log-odds of each segment's leads.

    Attributes
    ----------
    feature : str or None
        Categorical feature that names the segment; None where segments are not told apart.
    offsets : mapping of str to Offset
        By level; levels without one, or never seen, get nothing.
    """

    feature: str | None = None
    offsets: Mapping[str, Offset] | None = None

    def of(self, segment: Texts) -> Floats:
        """Offset of each row, shape (rows,), from its segment as :func:`segment_of` gives it."""
        found = np.zeros(len(segment))
        for level, offset in (self.offsets or {}).items():
            found[segment == level] = offset.applied
        return found

    def columns(self, encoder: Encoder) -> dict[int, float]:
        """Places of the segments' columns in the design matrix and what is added where such a column is 1."""
        found = self.offsets or {}
        places = _places(self.feature, encoder)
        return {j: found[level].applied for j, level in places.items() if level in found}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the bundle."""
        return {"feature": self.feature, "offsets": {k: asdict(o) for k, o in (self.offsets or {}).items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Segments:
        """Inverse of :meth:`to_dict`."""
        return cls(data["feature"], {str(k): Offset(**o) for k, o in data["offsets"].items()})


@dataclass(frozen=True)
class SegmentTest:
    """Calibrated log-odds of rows that taught the model nothing, and what became of them.

    Attributes
    ----------
    log_odds, won : ndarray of float64, shape (n,)
    segment : ndarray of str, shape (n,)
    group : ndarray of int64, shape (n,)
        Account: all its rows count as one observation.
    """

    log_odds: Floats
    won: Floats
    segment: Texts
    group: Integers


def segment_of(feature: str | None, encoder: Encoder, matrix: Floats) -> Texts:
    """Segment of each row of the design matrix; empty where its level has no column of its own."""
    places = _places(feature, encoder)
    # One place more than levels: rows without one of them.
    names = np.array(["", *places.values()], dtype=np.str_)
    found = np.zeros(len(matrix), dtype=np.int64)
    for i, j in enumerate(places, start=1):
        found[matrix[:, j] > 0] = i
    return names[found]


def fit_segments(feature: str, tests: Sequence[SegmentTest]) -> Segments:
    """Fit an offset for each segment and shrink it by empirical Bayes.

    True offsets are taken as draws from one normal distribution around 0, whose variance is estimated from the spread
    of those found (DerSimonian and Laird, 1986, Controlled Clinical Trials 7:177): where segments differ by no more
    than chance, nothing is added to any.

    Parameters
    ----------
    feature : str
    tests : sequence of SegmentTest
        Each has a level of its own, so that what moved all segments alike is no one segment's.
    """
    z = np.concatenate([t.log_odds + fit_level(t.log_odds, t.won) for t in tests])
    won, segment, group = (np.concatenate([getattr(t, name) for t in tests]) for name in ("won", "segment", "group"))
    names = [str(name) for name in np.unique(segment) if name]
    if len(names) < 2:
        return Segments(feature, {})
    inside = [segment == name for name in names]
    found = np.array([fit_level(z[i], won[i]) for i in inside])
    variance = np.array([1 / information(z[i] + o, group[i]) for i, o in zip(inside, found, strict=True)])
    spread = between_variance(found, variance)
    applied = found * spread / (spread + variance)
    error = NINETY * np.sqrt(variance)
    figures = np.stack([found, found - error, found + error, applied], axis=1).tolist()
    return Segments(feature, {name: Offset(*line) for name, line in zip(names, figures, strict=True)})


def _places(feature: str | None, encoder: Encoder) -> dict[int, str]:
    """Columns that stand for one level of the feature, and the level."""
    return {
        j: c.level
        for j, c in enumerate(encoder.columns)
        if c.feature == feature and c.kind == "level" and c.view is None and c.level is not None
    }
