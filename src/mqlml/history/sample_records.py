"""The tables of the synthetic history, in the words of the data contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mqlml.history import sample_events as ev
from mqlml.history.sample_people import (
    BUDGETS,
    COUNTRIES,
    DAYS,
    FUNCTIONS,
    INDUSTRIES,
    JOB_TITLES,
    ROLES,
    SOURCES,
    job_titles,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mqlml.history.sample_events import Deeds
    from mqlml.history.sample_journey import Journey
    from mqlml.history.sample_people import Flags, Floats, Ints, People

START = np.datetime64("2023-07-01", "us")
HISTORY_FROM = 60
"""Field history was switched on that many days after the start: older leads have changes but no first values."""
UTC = pa.timestamp("us", "UTC")
PIPELINE = "new business"
REJECTIONS = ("no budget", "wrong contact", "not reachable", "too early", "student or competitor")
LOSSES = ("no response", "no budget", "competitor", "no need", "timing")
OWNERS = ("Onboarding team A", "Onboarding team B", "Onboarding team C")
TEAMS = ("Sales North", "Sales South", "Sales West", "Inside Sales")
STATUSES = ("new", "nurturing", "working", "disqualified", "customer")
CAMPAIGNS = {
    "paid search": ("search-brand", "search-generic"),
    "webinar": ("webinar-series",),
    "event": ("spring-fair",),
}


@dataclass(frozen=True)
class Attributes:
    """Attributes that change: first and present title code, first and present size (-1 = unknown), when."""

    title_now: Ints
    promoted: Floats
    size_first: Ints
    size_now: Ints
    resized: Floats


def attributes(rng: np.random.Generator, who: People) -> Attributes:
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


def lead_ids(first: int, n: int) -> pa.Array:
    """Ids of the block that starts at ``first``; their order says nothing about time."""
    return pa.array([f"L{number:08d}" for number in range(first + 1, first + n + 1)])


def leads(
    rng: np.random.Generator, ids: pa.Array, first: int, who: People, more: Attributes, course: Journey
) -> pa.Table:
    """Table ``leads``: today's view of the CRM, one column of which leaks on purpose."""
    n = len(who)
    group = np.searchsorted(who.account, who.account)
    names = pa.array([f"A{number:08d}" for number in (first + 1 + group).tolist()])
    guessed = rng.random(n) < 0.5
    won = course.won < DAYS
    owned = (won & (rng.random(n) < 0.97)) | (rng.random(n) < 0.002)
    return pa.table(
        {
            "lead_id": ids,
            "account_id": _where(~who.free_mail, names),
            "created_at": _moments(who.created),
            "industry": _words(list(INDUSTRIES), who.industry, ~who.free_mail | guessed),
            "company_size": pa.array(more.size_now, pa.int32(), mask=more.size_now < 0),
            "country": _words(list(COUNTRIES), who.country),
            "job_title": job_titles(more.title_now),
            "source": _words(list(SOURCES), who.source),
            "campaign": _campaigns(rng, who),
            "free_mail": pa.array(who.free_mail),
            "budget_stated": _words(BUDGETS, who.budget),
            "buying_role": _words(ROLES, who.role),
            "lead_status": _words(STATUSES, _status_now(course)),
            "onboarding_owner": _words(OWNERS, rng.integers(0, len(OWNERS), n), owned),
        }
    )


def outcomes(rng: np.random.Generator, ids: pa.Array, who: People, course: Journey) -> pa.Table:
    """Table ``outcomes``: one row an episode; whoever is still open has none."""
    n = len(who)
    lead, at, kind = _happened((course.lost, course.won, course.duplicate))
    amount = np.round(rng.lognormal(np.log(4_000), 0.6, n) * np.maximum(who.size, 5) ** 0.3)
    no_answer = np.where(np.isfinite(course.accepted), rng.integers(1, len(LOSSES), n), 0)
    reason = np.where(np.isfinite(course.project), rng.integers(1, len(LOSSES), n), no_answer)
    return pa.table(
        {
            "lead_id": ids.take(pa.array(lead)),
            "outcome": _words(("lost", "won", "duplicate"), kind),
            "decided_at": _moments(at),
            "value": pa.array(amount[lead], mask=kind != 1),
            "lost_reason": _words(LOSSES, reason[lead], kind == 0),
            "pipeline": _words((PIPELINE,), np.zeros(len(lead), dtype=np.int64)),
        }
    )


def handovers(rng: np.random.Generator, ids: pa.Array, course: Journey) -> pa.Table:
    """Table ``handovers``: the team's present rule, people who overrule it, and what sales answered."""
    lead = np.flatnonzero(course.handed < DAYS)
    n = len(lead)
    handed, rejected = course.handed[lead], course.rejected[lead]
    touched = np.where(rng.random(n) < 0.85, handed + rng.exponential(1.0, n), np.inf)
    return pa.table(
        {
            "lead_id": ids.take(pa.array(lead)),
            "handed_at": _moments(handed),
            "by": _words(("rule", "other", "override"), rng.choice(3, n, p=(0.72, 0.18, 0.1))),
            "recipient": _words(TEAMS, rng.integers(0, len(TEAMS), n)),
            "accepted_at": _moments(course.accepted[lead]),
            "rejected_at": _moments(rejected),
            "reason": _words(REJECTIONS, rng.integers(0, len(REJECTIONS), n), rejected < DAYS),
            "first_touch_at": _moments(touched),
        }
    )


def stages(rng: np.random.Generator, ids: pa.Array, who: People, course: Journey) -> pa.Table:
    """Table ``stages``: opportunities open after sales accepted, or shortly before a win without a hand-over."""
    n = len(who)
    alone = np.isfinite(course.won) & ~np.isfinite(course.handed)
    direct = np.where(alone, course.won - np.minimum(rng.uniform(1, 8, n), (course.won - who.created) / 2), np.inf)
    serious = np.isfinite(course.accepted) & (np.isfinite(course.project) | (rng.random(n) < 0.3))
    opened = np.minimum(np.where(serious, course.accepted + rng.exponential(4.0, n), np.inf), direct)
    opened = np.where(opened < np.minimum(course.won, course.lost), opened, np.inf)
    proposed = np.where(rng.random(n) < 0.6, opened + rng.exponential(12.0, n), np.inf)
    proposed = np.where(proposed < np.minimum(course.won, course.lost), proposed, np.inf)
    lead, at, stage = _happened((course.handed, opened, proposed))
    return pa.table(
        {
            "lead_id": ids.take(pa.array(lead)),
            "stage": _words(("mql", "opportunity", "proposal"), stage),
            "entered_at": _moments(at),
            "pipeline": _words((PIPELINE,), np.zeros(len(lead), dtype=np.int64)),
        }
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
    words = pa.concat_arrays([pa.array(STATUSES), pa.array(JOB_TITLES), pa.array(sizes).cast(pa.string())])
    offset = np.array([0, len(STATUSES), len(STATUSES) + len(JOB_TITLES)])[field]

    def spelled(codes: Ints, known: Flags) -> pa.Array:
        place = np.where(field == 2, np.searchsorted(sizes, codes), codes) + offset
        return words.take(pa.array(place, mask=~known | ((field == 2) & (codes < 0))))

    return pa.table(
        {
            "lead_id": ids.take(pa.array(lead)),
            "changed_at": _moments(at),
            "field": _words(("lead_status", "job_title", "company_size"), field),
            "value": spelled(code, np.ones(len(lead), dtype=bool)),
            "old_value": spelled(before, follows),
        }
    )


def events(ids: pa.Array, done: Deeds) -> pa.Table:
    """Table ``events``."""
    letters = [f"newsletter-{number:03d}" for number in range(DAYS // ev.NEWSLETTER_EVERY + 2)]
    return pa.table(
        {
            "lead_id": ids.take(pa.array(done.lead)),
            "occurred_at": _moments(done.at),
            "recorded_at": _moments(done.recorded),
            "event_type": _words(ev.TYPES, done.type),
            "channel": _words(ev.CHANNELS, done.type),
            "asset": _words(ev.ASSETS, done.asset, done.asset >= 0),
            "campaign": _words(letters, done.letter, done.letter >= 0),
            "value": pa.array(done.value, mask=np.isnan(done.value)),
        }
    )


def _field_values(who: People, more: Attributes, course: Journey) -> tuple[Ints, Floats, Ints, Ints]:
    """Collect (lead, moment, code, field) of all values; a lead without a first size has no first row of it."""
    lead, at, status = _happened((who.created, *_status_moments(course)))
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


def _status_now(course: Journey) -> Ints:
    moments = np.stack([np.zeros(len(course.won)), *_status_moments(course)])
    latest: Ints = np.where(moments < DAYS, moments, -1.0).argmax(axis=0)
    return latest


def _campaigns(rng: np.random.Generator, who: People) -> pa.Array:
    names = [name for campaigns in CAMPAIGNS.values() for name in campaigns]
    code = np.full(len(who), -1)
    for number, source in enumerate(SOURCES):
        if source in CAMPAIGNS:
            first = names.index(CAMPAIGNS[source][0])
            drawn = first + rng.integers(0, len(CAMPAIGNS[source]), len(who))
            code = np.where(who.source == number, drawn, code)
    return _words(names, code, code >= 0)


def _happened(moments: Sequence[Floats]) -> tuple[Ints, Floats, Ints]:
    """List (lead, moment, kind) of everything that happens within the history."""
    stacked = np.stack(moments)
    kind, lead = np.nonzero(stacked < DAYS)
    return lead, stacked[kind, lead], kind


def _moments(days: Floats) -> pa.Array:
    """Turn days since the start into whole seconds in UTC; null at or after the end."""
    inside = days < DAYS
    seconds = np.floor(np.where(inside, days, 0.0) * 86_400).astype("timedelta64[s]")
    return pa.array(START + seconds, mask=~inside).cast(UTC)


def _words(names: Sequence[str | None], code: Ints, known: Flags | None = None) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(code, mask=None if known is None else ~known))


def _where(known: Flags, texts: pa.Array) -> pa.Array:
    return texts.take(pa.array(np.arange(len(texts)), mask=~known))
