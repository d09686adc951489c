"""The checks of the leak audit: each looks at one column and says what a person should know before it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import ndtri

from mqlml.errors import shown
from mqlml.history.discovery.words import is_late_name
from mqlml.learning.audit_statistics import Closed, Levels
from mqlml.learning.audit_values import Column, Flags, Floats, Partition

if TYPE_CHECKING:
    from collections.abc import Iterator

Level = Literal["block", "ask", "note"]

BLOCK_ODDS = 20.0
"""Odds ratio no honest attribute has: ten times the effect (about 2) that tells a good lead source from a bad one."""
BLOCK_EXCEPTIONS = 0.002
"""A value that decides the outcome may have this share of typing errors."""
ASK_ODDS = 8.0
"""Odds ratio of a value that a person should explain: above what any value of an honest column with AUC 0.7 reaches."""
ASK_ODDS_MISSING = 3.0
ASK_ODDS_RARE = 2.0
"""A field that (nearly) every lead has, or a zero among amounts, is empty for a reason; it should tell little."""
ASK_ODDS_NAMED = 2.0
"""A column whose name says that it is kept up to date needs less to be suspicious."""
RARE = 0.05
BLOCK_AUC, ASK_AUC, DECIDES_AUC = 0.95, 0.90, 0.99
STRONG_AUC, STRONG_LEAD = 0.72, 0.05
NAMED_AUC = 0.55
SURE = 3.0
"""Standard errors by which a figure must pass its limit."""

EXCLUDE = "exclude it ([leads] exclude), or read it as of each moment from the history table"
DECLARE = (
    "if it is known when the lead is created, say so ([leads] known_at_creation); if not, exclude it ([leads] exclude)"
)


STATE = f"{DECLARE} or name it in [leads] state"


@dataclass(frozen=True)
class Finding:
    """One thing the leak audit found.

    Parameters
    ----------
    level : {"block", "ask", "note"}
        "block" stops the training until the column is excluded or waived; "ask" keeps it in use until a person decides.
    check : str
        Stable code of the check, for example ``"winners-only"``.
    column : str
        The user's own column name.
    figure : str
        The evidence in plain numbers.
    why, remedy : str
        Why that matters, and what to do about it.
    waived : str or None
        The reason a person gave for using the column all the same.
    """

    level: Level
    check: str
    column: str
    figure: str
    why: str
    remedy: str
    waived: str | None = None


@dataclass(frozen=True)
class Evidence:
    """All that was measured about one column.

    ``levels`` by partition ("main", "filled", and for numbers "sign"); ``area`` the AUC of the column alone and
    ``error`` its standard error; ``others`` the AUC of all other columns together (None: not needed).
    """

    column: Column
    closed: Closed
    levels: dict[str, Levels]
    area: float
    error: float
    declared: bool
    others: float | None = None

    @property
    def late(self) -> bool:
        """Whether the name says that the value is kept up to date or written at the end."""
        return not self.declared and late_name(self.column)

    @property
    def odds(self) -> float:
        """The largest odds ratio that any level surely has."""
        return max(float(found.odds.max(initial=1.0)) for found in self.levels.values())

    @property
    def strength(self) -> float:
        """One order for all columns: log odds ratio of the best level, or the one that the AUC amounts to."""
        cautious = min(max(self.area - self.error, 0.5), 1 - 1e-9)
        return max(float(np.log(self.odds)), 1.81 * float(np.sqrt(2) * ndtri(cautious)))

    @property
    def auc_words(self) -> str:
        """The AUC of the column alone as a clause."""
        return f"AUC {self.area:.3f} alone on {self.closed.judged_on}"

    def finding(self, level: Level, check: str, figure: str, why: str, remedy: str) -> Finding:
        """Make a finding about this column."""
        return Finding(level, check, self.column.name, figure, why, remedy)


def late_name(column: Column) -> bool:
    """Whether a name says that the column is kept up to date (``status``, ``last_...``, ``..._changes``)."""
    return is_late_name(column.words)


def level_words(evidence: Evidence, levels: Levels, at: int) -> str:
    """Say "1 of 30 closed leads with 'x' were won, against 40.0 % of the others of the same time"."""
    label = levels.partition.labels[at]
    named = f"with a value {label}" if evidence.column.numeric else f"with '{shown(label)}'"
    named = label if at == 0 or levels.partition is evidence.column.filled else named
    verdict = f"{levels.wins[at]:,} of {levels.n[at]:,} closed leads {named} were won"
    same = " of the same time" if evidence.closed.dated else ""
    return f"{verdict}, against {100 * levels.others[at]:.1f} % of the others{same}"


def decisive_levels(levels: Levels) -> Flags:
    """(levels,) values after which the outcome is all but settled, beyond what any honest effect explains."""
    return (levels.odds >= BLOCK_ODDS) & (levels.exceptions <= BLOCK_EXCEPTIONS)


def decides(evidence: Evidence) -> Iterator[Finding]:
    """Find values that settle the outcome: the column is the outcome, or is written because of it."""
    for name in ("filled", "sign", "main"):
        levels = evidence.levels.get(name)
        settled = np.zeros(0, bool) if levels is None else decisive_levels(levels)
        if levels is None or not settled.any():
            continue
        best = int(np.argmax(np.where(settled, levels.n, -1)))
        covered = float(levels.n[settled].sum() / max(levels.n.sum(), 1))
        figure = f"{level_words(evidence, levels, best)}; {evidence.auc_words}"
        is_outcome = covered >= 0.5
        one_sided = "winners-only" if levels.wins[best] * 2 > levels.n[best] else "losers-only"
        check = "missingness" if name == "filled" else "decides-outcome" if is_outcome else one_sided
        why = "these values settle the outcome, so they are most likely written when or after the lead is decided"
        sure_leak = not evidence.declared or (is_outcome and evidence.area >= DECIDES_AUC)
        yield evidence.finding("block" if sure_leak else "ask", check, figure, why, EXCLUDE)


def missing_tells(evidence: Evidence) -> Iterator[Finding]:
    """Find values that are there, or not, because of the outcome; a zero among amounts counts as not there."""
    for name, levels, at in _placeholders(evidence):
        share = float(levels.n[at] / max(levels.n.sum(), 1))
        odds = float(np.max(levels.odds))
        limit = ASK_ODDS_RARE if share < RARE else ASK_ODDS_MISSING
        if odds < limit:
            continue
        rate = levels.wins / np.maximum(levels.n, 1)
        gap = float(np.ptp(_capture(levels)))
        worst = odds >= BLOCK_ODDS and gap >= 0.3 and name == "filled" and not evidence.declared
        figure = f"{level_words(evidence, levels, at)}; {100 * share:.1f} % of the closed leads are such"
        what = {"filled": "a missing value", "zero": "a zero, which may stand for 'not known' or 'not charged',"}[name]
        direction = "more" if rate[at] > levels.others[at] else "less"
        why = f"{what} tells the outcome ({direction} often won); it may be filled or cleared as leads are worked"
        yield evidence.finding("block" if worst else "ask", "missingness", figure, why, EXCLUDE if worst else DECLARE)


def _placeholders(evidence: Evidence) -> Iterator[tuple[str, Levels, int]]:
    filled = evidence.levels["filled"]
    if filled.n.min() > 0:
        yield "filled", filled, 0
    column, sign = evidence.column, evidence.levels.get("sign")
    if sign is None or column.distinct < 50 or sign.n[1] > BLOCK_EXCEPTIONS * sign.n.sum():
        return
    if not 0 < sign.n[2] <= RARE * sign.n.sum():
        return
    above = column.values[column.values > 0]
    # A zero that only ends a row of ever smaller amounts means what it says; one that stands apart does not.
    apart = int((column.values == 0).sum()) >= 3 * int((above <= 0.1 * np.median(above)).sum())
    if apart and np.any(above != np.rint(above)):
        yield "zero", _only(sign, 2), 2


def _only(levels: Levels, at: int) -> Levels:
    kept = np.where(np.arange(len(levels.odds)) == at, levels.odds, 1.0)
    return Levels(levels.partition, levels.n, levels.wins, levels.others, kept)


def _capture(levels: Levels) -> Floats:
    """Share of the wins minus share of the losses that each level holds."""
    losses = levels.n - levels.wins
    return np.asarray(levels.wins / max(levels.wins.sum(), 1) - losses / max(losses.sum(), 1))


def too_strong(evidence: Evidence) -> Iterator[Finding]:
    """Find a column that tells more than honest columns do, or more than all others together."""
    cautious = evidence.area - SURE * evidence.error
    why = "one field seldom tells so much; such a column is usually filled while or after the lead is decided"
    if evidence.area >= BLOCK_AUC and cautious >= ASK_AUC:
        fits = not evidence.declared or evidence.area >= DECIDES_AUC
        yield evidence.finding("block" if fits else "ask", "too-strong", evidence.auc_words, why, EXCLUDE)
    elif cautious >= ASK_AUC:
        yield evidence.finding("ask", "too-strong", evidence.auc_words, why, DECLARE)
    elif evidence.others is not None and cautious >= max(STRONG_AUC, evidence.others + STRONG_LEAD):
        figure = f"{evidence.auc_words}, against {evidence.others:.3f} for all other columns together"
        yield evidence.finding("ask", "too-strong", figure, f"it tells more than all others together; {why}", DECLARE)


def strong_value(evidence: Evidence) -> Iterator[Finding]:
    """Find values after which the outcome is nearly clear, and columns with a suspicious name that tell the outcome."""
    found, best = _telling_level(evidence)
    words = level_words(evidence, found, best)
    if found.odds[best] >= ASK_ODDS:
        why = "a value that nearly settles the outcome is written late or is a very good rule; only a person can tell"
        yield evidence.finding("ask", "strong-value", f"{words}; {evidence.auc_words}", why, DECLARE)
    named = evidence.area - SURE * evidence.error >= NAMED_AUC or found.odds[best] >= ASK_ODDS_NAMED
    if evidence.late and named:
        figure = f"{words}; {evidence.auc_words}" if found.odds[best] >= ASK_ODDS_NAMED else evidence.auc_words
        why = "its name says that it is kept up to date, so today's value may hold what happened after the decision"
        yield evidence.finding("ask", "state-column", figure, why, STATE)


def _telling_level(evidence: Evidence) -> tuple[Levels, int]:
    """Pick the level that shows best what was found: above 0 before single numbers where both pass the same limit."""
    for limit in (BLOCK_ODDS, ASK_ODDS, ASK_ODDS_NAMED, 1.0):
        for name in ("sign", "main"):
            levels = evidence.levels.get(name)
            if levels is None or levels.odds.max(initial=1.0) < limit:
                continue
            passing = levels.odds >= limit
            rarest = int(np.argmin(np.where(passing, levels.n, levels.n.sum() + 1)))
            return levels, rarest if name == "sign" else int(np.argmax(levels.odds))
    return evidence.levels["main"], 0


def differs(late: Evidence, early: Column, levels: Levels) -> Iterator[Finding]:
    """Find a column that was a copy of another one until somebody changed it, where the change tells the outcome."""
    odds = float(levels.odds[1:].max(initial=1.0))
    if odds < ASK_ODDS_MISSING:
        return
    settled = decisive_levels(levels)[1:].any() and not late.declared
    n, rate, other = levels.n, 100 * levels.wins / np.maximum(levels.n, 1), shown(early.name)
    figure = f"differs from '{other}' for {n[2]:,} closed leads, {rate[2]:.1f} % of them won; "
    figure += f"equal for {n[1]:,}, {rate[1]:.1f} % won"
    why = f"it repeats '{other}' until somebody changes it, and that change tells the outcome: it is set late"
    yield late.finding("block" if settled else "ask", "differs-from", figure, why, DECLARE)


def same_values(first: Column, second: Column) -> Partition | None:
    """Tell where two text columns that share their values and mostly agree differ; None for all other pairs."""
    if first.numeric or second.numeric or not all(4 <= c.distinct <= 300 for c in (first, second)):
        return None
    place = {label.casefold(): code for code, label in enumerate(first.main.labels) if code}
    mapped = np.array([0, *(place.get(label.casefold(), -1) for label in second.main.labels[1:])])
    shared = int((mapped > 0).sum())
    if shared * 2 < first.distinct + second.distinct - shared:
        return None
    a, b = first.main.codes, mapped[second.main.codes]
    both = (a > 0) & (b != 0)
    equal = float((a == b)[both].mean()) if both.any() else 0.0
    size = len(first.main.labels)
    shares = [np.bincount(np.maximum(codes[both], 0), minlength=size) / max(both.sum(), 1) for codes in (a, b)]
    chance = float(shares[0][1:] @ shares[1][1:])
    if equal < 0.5 or equal == 1.0 or (equal - chance) < 0.3 * (1 - chance):
        return None
    return Partition(np.where(both, np.where(a == b, 1, 2), 0), ("without both", "equal", "different"))
