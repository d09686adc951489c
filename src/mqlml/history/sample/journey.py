"""What happens to each synthetic lead: buying project, hand-over to sales, decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqlml.history.sample.people import DAYS, office_hours

if TYPE_CHECKING:
    from mqlml.history.sample.people import Flags, Floats, People

NEVER = np.inf
PROJECT_BASE = -1.8
WIN_BASE = 0.45


@dataclass(frozen=True)
class Journey:
    """The course of each lead; moments in days since the start, ``inf`` where something never happens.

    A project is an active search for a product. It raises activity first and may end in a win later, so
    engagement comes before the win and never because of it.
    """

    project: Floats
    project_days: Floats
    handed: Floats
    accepted: Floats
    rejected: Floats
    won: Floats
    lost: Floats
    duplicate: Floats
    nurtured: Floats


def project_probability(fit: Floats, interest: Floats, day: Floats) -> Floats:
    """Chance (0..1) that a lead starts a buying project: fit and interest, falling slowly over the years."""
    return _logistic(PROJECT_BASE + 0.65 * fit + 0.7 * interest - 0.35 * day / DAYS)


def win_probability(fit: Floats, interest: Floats, day: Floats) -> Floats:
    """Chance (0..1) that a lead created on ``day`` is ever won: the known truth behind the sample."""
    return project_probability(fit, interest, day) * _logistic(WIN_BASE + 0.5 * fit)


def draw_journey(rng: np.random.Generator, who: People) -> Journey:
    """Draw the course of every lead."""
    n = len(who)
    has_project = rng.random(n) < project_probability(who.fit, who.interest, who.created)
    wins = has_project & (rng.random(n) < _logistic(WIN_BASE + 0.5 * who.fit))
    delay = np.where(rng.random(n) < 0.27, rng.uniform(0, 4, n), rng.exponential(42.0, n))
    project = np.where(has_project, who.created + delay, NEVER)
    length = rng.lognormal(np.log(26.0), 0.75, n).clip(3, 400)
    won = np.where(wins, _working(rng, who.created + delay + length), NEVER)
    handed = _handed(rng, who, project, won)
    accepted, rejected = _answers(rng, handed, has_project)
    lost = _lost(rng, who.created, project, accepted, rejected)
    recycled = wins & (won - who.created > 60) & (rng.random(n) < 0.2)
    between = who.created + (won - who.created) * rng.uniform(0.35, 0.7, n)
    lost = np.where(wins, np.where(recycled, between, NEVER), lost)
    lost = np.where(np.isfinite(lost), np.maximum(lost, np.where(np.isfinite(handed), handed + 1, 0)), NEVER)
    lost = np.where(wins & (lost > won - 5), NEVER, lost)
    double = ~has_project & ~np.isfinite(handed) & (rng.random(n) < 0.006)
    return Journey(
        project=project,
        project_days=length.clip(14, 75),
        handed=handed,
        accepted=accepted,
        rejected=rejected,
        won=won,
        lost=np.where(double, NEVER, lost),
        duplicate=np.where(double, who.created + rng.uniform(0.1, 5, n), NEVER),
        nurtured=np.where(rng.random(n) < 0.3, who.created + rng.uniform(10, 25, n), NEVER),
    )


def _handed(rng: np.random.Generator, who: People, project: Floats, won: Floats) -> Floats:
    """Sales takes a good part of the projects, after they showed themselves, and some who only look busy."""
    n = len(who)
    in_project = project + 4 + rng.lognormal(np.log(8.0), 0.7, n)
    looks_busy = who.created + 14 + rng.exponential(30.0, n)
    chance = np.where(who.browser, 0.22, 0.055)
    handed = np.where(
        np.isfinite(project),
        np.where(rng.random(n) < 0.76, in_project, NEVER),
        np.where(rng.random(n) < chance, looks_busy, NEVER),
    )
    handed = _working(rng, handed)
    return np.where(handed < won - 1, handed, NEVER)


def _answers(rng: np.random.Generator, handed: Floats, has_project: Flags) -> tuple[Floats, Floats]:
    """Sales answers within days; most of those without a project are rejected, some are never answered."""
    n = len(handed)
    draw = rng.random(n)
    answered = _working(rng, handed + rng.exponential(2.0, n)) + 1
    refuses = draw < np.where(has_project, 0.12, 0.5)
    silent = draw > 0.93
    accepted = np.where(refuses | silent, NEVER, answered)
    return accepted, np.where(refuses & ~silent, answered, NEVER)


def _lost(rng: np.random.Generator, created: Floats, project: Floats, accepted: Floats, rejected: Floats) -> Floats:
    """Close most rejected and lost deals, some of the leads nobody ever heard from again; the rest stays open."""
    n = len(created)
    cases = (
        (np.isfinite(rejected), 0.7, rejected + rng.exponential(9.0, n)),
        (np.isfinite(accepted), 0.9, accepted + rng.lognormal(np.log(50.0), 0.7, n)),
        (np.isfinite(project), 0.45, project + rng.lognormal(np.log(80.0), 0.6, n)),
        (np.ones(n, dtype=bool), 0.3, created + 70 + rng.exponential(80.0, n)),
    )
    closes = np.select([case for case, _, _ in cases], [np.full(n, share) for _, share, _ in cases])
    moment = np.select([case for case, _, _ in cases], [when for _, _, when in cases])
    return np.where(rng.random(n) < closes, _working(rng, moment), NEVER)


def _working(rng: np.random.Generator, moment: Floats) -> Floats:
    """Move to working hours; ``inf`` stays."""
    finite = np.isfinite(moment)
    return np.where(finite, office_hours(rng, np.where(finite, moment, 0.0)), NEVER)


def _logistic(log_odds: Floats) -> Floats:
    probability: Floats = 1.0 / (1.0 + np.exp(-log_odds))
    return probability
