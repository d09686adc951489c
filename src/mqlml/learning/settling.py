"""How a fit is settled: the share of the trees, the calibration, and what time is expected to do to both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from mqlml.learning.calibration import Calibrator, fit_calibrator
from mqlml.learning.drift import Level, SlopeTest, follow_level, later_slope, time_windows
from mqlml.learning.propensity import best_weight
from mqlml.learning.segments import Segments, SegmentTest, fit_segments

if TYPE_CHECKING:
    from mqlml.learning.encoder import Encoder
    from mqlml.learning.labels import Rows
    from mqlml.learning.newcomers import Newcomer
    from mqlml.learning.propensity import Blend, Halves
    from mqlml.learning.recipe import Recipe
    from mqlml.learning.windows import Round

__all__ = ["Fitted", "Scored", "Settled", "known_at", "settle"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.str_]

# A forward test with fewer winning (or other) leads says nothing of a slope.
_LEADS_TO_TEST = 20


@dataclass(frozen=True)
class Fitted:
    """Both halves fitted on some rows, with the scores of these rows when they were held out.

    Attributes
    ----------
    row : ndarray of int64, shape (n,)
        Rows of the history that were learned from.
    encoder : Encoder
    blend : Blend
    held_out : Halves
        In the order of ``row``.
    newcomers : tuple of Newcomer
    few : Calibrator or None
        The calibration, where there are too few leads of one outcome to estimate it freely.
    shift : float
        Added to the calibrated log-odds: the rows learned from were won more or less often than leads are.
    open_features : tuple of str
        Categorical features whose "other" was learned from nothing but hidden levels.
    segment : ndarray of str, shape (n,), optional
        Segment of each row, where segments have levels of their own.
    """

    row: Integers
    encoder: Encoder
    blend: Blend
    held_out: Halves
    newcomers: tuple[Newcomer, ...]
    few: Calibrator | None
    shift: float = 0.0
    open_features: tuple[str, ...] = ()
    segment: Texts | None = None


@dataclass(frozen=True)
class Scored:
    """One round of the plan: a fit and what it says of the rows it is tested on.

    Attributes
    ----------
    round : Round
    row : ndarray of int64, shape (n,)
        Rows tested on.
    fitted : Fitted
    halves : Halves
        Raw scores of the tested rows.
    speaker : ndarray of int64, shape (n,)
        Index of the rule for newcomers that speaks for each row, -1 for the model itself.
    base : float
        Win rate of the rows learned from.
    familiar : ndarray of bool, shape (n,)
        Rows without a level that the fit has never seen, where it does not know how newcomers fare.
    segment : ndarray of str, shape (n,), optional
        Segment of each row, where segments have levels of their own.
    """

    round: Round
    row: Integers
    fitted: Fitted
    halves: Halves
    speaker: Integers
    base: float
    familiar: Flags
    segment: Texts | None = None

    def where(self, flags: Flags) -> Scored:
        """Only the tested rows for which ``flags`` is true."""
        return replace(
            self,
            row=self.row[flags],
            halves=self.halves.where(flags),
            speaker=self.speaker[flags],
            familiar=self.familiar[flags],
            segment=None if self.segment is None else self.segment[flags],
        )


@dataclass(frozen=True)
class Settled:
    """What is added to a fit before it may speak.

    Attributes
    ----------
    share : float
        Of the trees in the blend, 0..1.
    calibrator : Calibrator
        Drift included.
    level : Level
        The part of the calibrator's intercept that follows the newest win rate.
    slope_on_later_leads : float
        The part of its slope that forward tests taught.
    segments : Segments
        What is added to the calibrated log-odds of each segment's leads.
    """

    share: float
    calibrator: Calibrator
    level: Level
    slope_on_later_leads: float
    segments: Segments = field(default_factory=Segments)

    def probability(self, scored: Scored) -> Floats:
        """Chances of the rows of a round, strictly between 0 and 1."""
        log_odds = self.calibrator.log_odds(scored.halves.mixed(self.share))
        if scored.segment is not None:
            log_odds = log_odds + self.segments.of(scored.segment)
        for i, rule in enumerate(scored.fitted.newcomers):
            mine = scored.speaker == i
            log_odds[mine] = rule.moved(self.level.applied).log_odds(log_odds[mine])
        return np.clip(expit(log_odds), 1e-9, 1 - 1e-9)  # type: ignore[no-any-return]


def settle(
    rows: Rows, fitted: Fitted, teachers: Sequence[Scored], *, recipe: Recipe, share: float | None = None
) -> Settled:
    """Blend and calibrate a fit with what its held-out rows and earlier forward tests say.

    The line (or curve) comes from the fit's own held-out scores, which are many and of the same model; forward tests
    turn its slope as far as they agree; the level follows the newest rows as far as past changes lasted.

    Parameters
    ----------
    rows : Rows
    fitted : Fitted
    teachers : sequence of Scored
        Forward tests whose labels are known; cross-fitted rounds are no forward tests and teach nothing here.
    recipe : Recipe
    share : float, optional
        Of the trees, where it is not to be learned.
    """
    if fitted.few is not None:
        return Settled(0.0, fitted.few.moved(fitted.shift), Level(), 1.0)
    # What is said of newcomers follows a rule of its own, so that they teach nothing of everybody else.
    forward = [t for t in (t.where(t.familiar) for t in teachers if t.round.origin is not None) if _tells(rows, t)]
    if share is None:
        share = best_weight(fitted.held_out, [t.halves for t in forward]) if fitted.blend.trees else 0.0
    line = _calibrated(rows, fitted, share, recipe)
    tests = [_slope_test(rows, t, share, recipe) for t in forward]
    slope = later_slope(tests)
    scores, lead = fitted.held_out, rows.lead[fitted.row]
    turned = line.turned(slope, around=_log_odds_of(scores.won))
    segments = _segments(rows, fitted, turned.log_odds(scores.mixed(share)), forward, tests, recipe)
    if rows.timing == "none":
        return Settled(share, turned.moved(fitted.shift), Level(), slope, segments)
    level = follow_level(
        turned.log_odds(scores.mixed(share)),
        scores.won,
        when=rows.when[fitted.row],
        known=rows.known[fitted.row],
        lead=lead,
        weight=scores.weight,
    )
    return Settled(share, turned.moved(fitted.shift + level.applied), level, slope, segments)


def known_at(origin: int | None, rows: Rows, scored: Sequence[Scored]) -> list[Scored]:
    """Rounds cut down to the rows whose labels were known at ``origin``; none where there is no time."""
    found: list[Scored] = []
    if origin is None:
        return found
    for other in scored:
        known = (rows.known[other.row] <= origin) & (rows.when[other.row] < origin)
        if known.any():
            found.append(other.where(known))
    return found


def _calibrated(rows: Rows, fitted: Fitted, share: float, recipe: Recipe) -> Calibrator:
    """The calibration of a fit for leads of its own time."""
    scores = fitted.held_out
    return fit_calibrator(
        scores.mixed(share),
        scores.won,
        lead=rows.lead[fitted.row],
        method=recipe.calibration,
        window=None if rows.timing == "none" else time_windows(rows.when[fitted.row]),
        weight=scores.weight,
        seed=recipe.seed,
    )


def _slope_test(rows: Rows, test: Scored, share: float, recipe: Recipe) -> SlopeTest:
    simple = recipe if recipe.calibration == "intercept" else replace(recipe, calibration="affine")
    line = _calibrated(rows, test.fitted, share, simple)
    return SlopeTest(line.log_odds(test.halves.mixed(share)), test.halves.won, rows.lead[test.row])


def _segments(
    rows: Rows,
    fitted: Fitted,
    held_out: Floats,
    forward: Sequence[Scored],
    tests: Sequence[SlopeTest],
    recipe: Recipe,
) -> Segments:
    """Levels of segments on forward tests, or on held-out rows where there are none."""
    if recipe.segment is None:
        return Segments()
    found = [
        SegmentTest(test.log_odds, test.won, scored.segment, rows.group[scored.row])
        for scored, test in zip(forward, tests, strict=True)
        if scored.segment is not None
    ]
    if not found and fitted.segment is not None:
        found = [SegmentTest(held_out, fitted.held_out.won, fitted.segment, rows.group[fitted.row])]
    return fit_segments(recipe.segment, found) if found else Segments()


def _tells(rows: Rows, test: Scored) -> bool:
    lead, won = rows.lead[test.row], test.halves.won > 0
    return min(len(np.unique(lead[won])), len(np.unique(lead[~won]))) >= _LEADS_TO_TEST


def _log_odds_of(won: Floats) -> float:
    return float(logit(np.clip(won.mean(), 1e-6, 1 - 1e-6)))
