"""Newsletters of the synthetic history: sent to everyone at once, opened by people and by machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mqlml.history.sample.deeds import SECOND, TYPES, Deeds, joined, plain
from mqlml.history.sample.people import DAYS

if TYPE_CHECKING:
    from mqlml.history.sample.journey import Journey
    from mqlml.history.sample.people import Flags, Floats, Ints, People

NEWSLETTER_EVERY = 14
NEWSLETTER_FIRST = 3 + 7.5 / 24
NEWSLETTERS = 17


def newsletters(rng: np.random.Generator, who: People, course: Journey, tracked: Flags) -> Deeds:
    """Fortnightly letters: people open within a day; scanners open and click within seconds of sending."""
    n = len(who)
    first = np.ceil((who.created - NEWSLETTER_FIRST) / NEWSLETTER_EVERY).clip(0, None)
    letter = (first[:, None] + np.arange(NEWSLETTERS)).astype(np.int64)
    sent = NEWSLETTER_FIRST + NEWSLETTER_EVERY * letter
    in_project = (sent > course.project[:, None]) & (sent < (course.project + course.project_days)[:, None])
    tired = 0.93 ** np.arange(NEWSLETTERS)
    opens = (0.11 * np.exp(0.4 * who.interest))[:, None] * tired * np.where(in_project, 1.8, 1.0)
    leaves = np.where(rng.random(n) < 0.05, rng.integers(0, NEWSLETTERS, n), NEWSLETTERS)[:, None]
    received = tracked[:, None] & (np.arange(NEWSLETTERS) <= leaves) & (sent < DAYS)
    opened = received & (rng.random(letter.shape) < opens.clip(0, 0.7))
    clicked = opened & (rng.random(letter.shape) < np.where(in_project, 0.35, 0.14))
    scanned = received & who.scanner[:, None] & (rng.random(letter.shape) < 0.85)
    scan_clicked = scanned & (rng.random(letter.shape) < 0.25)
    gone = received & (np.arange(NEWSLETTERS) == leaves)
    read = rng.exponential(0.35, letter.shape)
    machine = rng.uniform(1, 20, letter.shape) * SECOND
    cases = (
        (opened, read, "email_open"),
        (clicked, read + 20 * SECOND, "email_click"),
        (scanned, machine, "email_open"),
        (scan_clicked, machine + SECOND, "email_click"),
        (gone, read + 40 * SECOND, "unsubscribe"),
    )
    return joined([_letters(happened, sent + later, letter, name) for happened, later, name in cases])


def _letters(happened: Flags, at: Floats, letter: Ints, name: str) -> Deeds:
    bare = plain(np.nonzero(happened)[0], at[happened], TYPES.index(name))
    return Deeds(bare.lead, bare.at, bare.type, bare.asset, bare.value, letter[happened], bare.recorded)
