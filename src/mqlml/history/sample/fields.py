"""Attributes that change over time, and the table that keeps their history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mqlml.history.sample.columns import happened, moments, words
from mqlml.history.sample.people import DAYS, FUNCTIONS, JOB_TITLES

if TYPE_CHECKING:
    from mqlml.history.sample.journey import Journey
    from mqlml.history.sample.people import Flags, Floats, Ints, People

HISTORY_FROM = 60
"""Field history was switched on that many days after the start: older leads have changes but no first values."""
STATUSES = ("new", "nurturing", "working", "disqualified", "customer")


@dataclass(frozen=True)
class Attributes:
    """Attributes that change: first and present title code, first and present size (-1 = unknown), when."""

    title_now: Ints
    promoted: Floats
    size_first: Ints
    size_now: Ints
    resized: Floats


def draw_attributes(rng: np.random.Generator, who: People) -> Attributes:
    """Draw promotions and enrichments; neither has anything to do with the outcome."""
    n = len(who)
    promoted = np.where(
        (rng.random(n) < 0.05) & (who.title >= len(FUNCTIONS)), who.created + 1 + rng.exponential(150.0, n), np.inf
    )
    unknown = who.free_mail | (rng.random(n) < 0.12)
    changes = rng.random(n) < np.where(unknown, 0.45, 0.06)
    resized = np.where(changes, who.created + 1 + rng.exponential(80.0, n), np.inf)
    grown = np.where(unknown, who.size, (who.size * rng.uniform(0.8, 1.5, n)).astype(np.int64))
    first = np.where(unknown, -1, who.size)
    return Attributes(
        title_now=np.where(promoted < DAYS, who.title - len(FUNCTIONS), who.title),
        promoted=promoted,
        size_first=first,
        size_now=np.where(resized < DAYS, grown, first),
        resized=resized,
    )


def changes(ids: pa.Array, who: People, more: Attributes, course: Journey) -> pa.Table:
    """Table ``history``: every value of the three changing fields, and the one before it."""
    lead, at, code, field = _field_values(who, more, course)
    order = np.lexsort((at, lead, field))
    lead, at, code, field = lead[order], at[order], code[order], field[order]
    follows = np.r_[False, (lead[1:] == lead[:-1]) & (field[1:] == field[:-1])]
    before = np.r_[0, code[:-1]]
    logged = follows | (who.created[lead] >= HISTORY_FROM)
    lead, at, code, field = lead[logged], at[logged], code[logged], field[logged]
    follows, before = follows[logged], before[logged]
    sizes = np.unique(np.r_[more.size_first, more.size_now, 0])
    spellings = pa.concat_arrays([pa.array(STATUSES), pa.array(JOB_TITLES), pa.array(sizes).cast(pa.string())])
    offset = np.array([0, len(STATUSES), len(STATUSES) + len(JOB_TITLES)])[field]

    def spelled(codes: Ints, known: Flags) -> pa.Array:
        place = np.where(field == 2, np.searchsorted(sizes, codes), codes) + offset
        return spellings.take(pa.array(place, mask=~known | ((field == 2) & (codes < 0))))

    return pa.table(
        {
            "lead_id": ids.take(pa.array(lead)),
            "changed_at": moments(at),
            "field": words(("lead_status", "job_title", "company_size"), field),
            "value": spelled(code, np.ones(len(lead), dtype=bool)),
            "old_value": spelled(before, follows),
        }
    )


def _field_values(who: People, more: Attributes, course: Journey) -> tuple[Ints, Floats, Ints, Ints]:
    """Collect (lead, moment, code, field) of all values; a lead without a first size has no first row of it."""
    lead, at, status = happened((who.created, *_status_moments(course)))
    n = len(who)
    everyone = np.arange(n)
    sized = np.flatnonzero(more.size_first >= 0)
    risen, resized = np.flatnonzero(more.promoted < DAYS), np.flatnonzero(more.resized < DAYS)
    titles = np.r_[who.title, more.title_now[risen]]
    sizes = np.r_[more.size_first[sized], more.size_now[resized]]
    return (
        np.r_[lead, everyone, risen, sized, resized],
        np.r_[at, who.created, more.promoted[risen], who.created[sized], more.resized[resized]],
        np.r_[status, titles, sizes],
        np.repeat([0, 1, 2], [len(lead), len(titles), len(sizes)]),
    )


def _status_moments(course: Journey) -> tuple[Floats, Floats, Floats, Floats]:
    """When a lead became nurturing, working, disqualified, customer."""
    quiet = course.nurtured < np.minimum(np.minimum(course.handed, course.won), course.lost)
    return np.where(quiet, course.nurtured, np.inf), course.handed, course.lost, course.won


def status_now(course: Journey) -> Ints:
    """Code of the latest status before the end of the history."""
    since = np.stack([np.zeros(len(course.won)), *_status_moments(course)])
    latest: Ints = np.where(since < DAYS, since, -1.0).argmax(axis=0)
    return latest
