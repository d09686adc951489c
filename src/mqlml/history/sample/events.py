"""What synthetic leads do: visits, e-mails, webinars, forms, and what mail scanners and sales add to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mqlml.history.sample.deeds import BLOG_POSTS, NO_ASSET, PAGES, SECOND, TYPES, Deeds, joined, plain
from mqlml.history.sample.mail import newsletters
from mqlml.history.sample.people import DAYS, SOURCES, office_hours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mqlml.history.sample.journey import Journey
    from mqlml.history.sample.people import Flags, Floats, Ints, People

BACKGROUND_ACTIONS = (0.79, 0.07, 0.05, 0.075, 0.01, 0.005)
PROJECT_ACTIONS = (0.71, 0.09, 0.06, 0.065, 0.025, 0.05)
BROWSER_ACTIONS = (0.76, 0.16, 0.04, 0.03, 0.005, 0.005)
BACKGROUND_PAGES = (0.2, 0.18, 0.06, 0.06, 0.08, 0.02, 0.0, 0.0, 0.4)
PROJECT_PAGES = (0.17, 0.23, 0.14, 0.13, 0.12, 0.01, 0.0, 0.0, 0.2)
BROWSER_PAGES = (0.16, 0.14, 0.08, 0.04, 0.16, 0.08, 0.0, 0.0, 0.34)
CUSTOMER_PAGES = (0.02, 0.03, 0.0, 0.0, 0.2, 0.0, 0.5, 0.2, 0.05)

CHAT_FROM = 550
"""Day on which an event type appears that nobody did before."""


def draw_deeds(rng: np.random.Generator, who: People, course: Journey) -> Deeds:
    """Draw all events; none is later than the end of the history, those known only after it are left out."""
    tracked = _tracked(rng, who)
    parts = [
        _first_contact(rng, who, tracked),
        _sessions(rng, *_background(rng, who, tracked), BACKGROUND_ACTIONS, BACKGROUND_PAGES),
        _sessions(rng, *_project(rng, who, course, tracked), PROJECT_ACTIONS, PROJECT_PAGES),
        _sessions(rng, *_browsing(rng, who, tracked), BROWSER_ACTIONS, BROWSER_PAGES),
        _sessions(rng, *_customers(rng, course), (1.0, 0, 0, 0, 0, 0), CUSTOMER_PAGES),
        newsletters(rng, who, course, tracked),
        _by_sales(rng, course),
    ]
    every = joined(parts)
    recorded = _recorded(rng, every)
    keep = recorded < DAYS
    return Deeds(
        every.lead[keep],
        every.at[keep],
        every.type[keep],
        every.asset[keep],
        every.value[keep],
        every.letter[keep],
        recorded[keep],
    )


def _tracked(rng: np.random.Generator, who: People) -> Flags:
    """Most imported leads and many from fairs never left a trace: no cookie, no consent."""
    names = list(SOURCES)
    share = np.full(len(names), 0.04)
    share[names.index("list import")] = 0.85
    share[names.index("event")] = 0.4
    return rng.random(len(who)) >= share[who.source]


def _first_contact(rng: np.random.Generator, who: People, tracked: Flags) -> Deeds:
    """Form at the moment of creation, and anonymous visits before it."""
    inbound = np.flatnonzero(tracked)
    form = plain(inbound, who.created[inbound], TYPES.index("form_submit"))
    before = np.repeat(inbound, rng.poisson(0.9, len(inbound)))
    visit = plain(before, who.created[before] - rng.exponential(1.2, len(before)), TYPES.index("page_view"))
    seen = _pages(rng, len(before), BACKGROUND_PAGES)
    seconds = np.round(rng.lognormal(np.log(35), 0.9, len(before)))
    return joined([form, Deeds(visit.lead, visit.at, visit.type, seen, seconds, visit.letter, visit.recorded)])


def _background(rng: np.random.Generator, who: People, tracked: Flags) -> tuple[Ints, Floats]:
    """Interest that fades over some two months, with a thin tail of up to a year."""
    rate = np.exp(1.0 + 0.4 * who.interest + 0.6 * rng.normal(size=len(who))) * tracked
    lead = np.repeat(np.arange(len(who)), rng.poisson(rate))
    n = len(lead)
    later = np.where(rng.random(n) < 0.75, rng.exponential(50.0, n), rng.uniform(0, 365, n))
    return lead, _not_before(rng, who.created[lead], office_hours(rng, who.created[lead] + later))


def _project(rng: np.random.Generator, who: People, course: Journey, tracked: Flags) -> tuple[Ints, Floats]:
    """Activity of a buying project, densest at its start; a win ends it."""
    active = np.isfinite(course.project) & tracked
    lead = np.repeat(np.arange(len(who)), rng.poisson(np.where(active, 2.8 * np.exp(0.2 * who.interest), 0.0)))
    moment = course.project[lead] + course.project_days[lead] * rng.beta(1.0, 1.5, len(lead))
    moment = _not_before(rng, who.created[lead], office_hours(rng, moment))
    open_still = moment < course.won[lead]
    return lead[open_still], moment[open_still]


def _browsing(rng: np.random.Generator, who: People, tracked: Flags) -> tuple[Ints, Floats]:
    """Students, consultants and competitors read a lot within weeks and never buy because of it."""
    lead = np.repeat(np.arange(len(who)), rng.poisson(np.where(who.browser & tracked, 6.0, 0.0)))
    moment = who.created[lead] + rng.exponential(12.0, len(lead))
    return lead, _not_before(rng, who.created[lead], office_hours(rng, moment))


def _customers(rng: np.random.Generator, course: Journey) -> tuple[Ints, Floats]:
    """Use after the win: it would give the outcome away to anyone who looks past the as-of moment."""
    bought = course.won < DAYS
    lead = np.repeat(np.arange(len(bought)), rng.poisson(np.where(bought, 5.0, 0.0)))
    return lead, course.won[lead] + rng.exponential(60.0, len(lead))


def _sessions(
    rng: np.random.Generator, lead: Ints, start: Floats, actions: Sequence[float], pages: Sequence[float]
) -> Deeds:
    """Turn visits into events: some pages with the seconds spent on each, or one single action."""
    n = len(lead)
    action = rng.choice(len(actions), n, p=actions)
    action = np.where((action == TYPES.index("chat_started")) & (start < CHAT_FROM), 0, action)
    views = np.where(action == 0, 1 + rng.poisson(1.5, n), 1)
    visit = np.repeat(np.arange(n), views)
    seconds = np.round(rng.lognormal(np.log(40), 0.9, len(visit))).clip(1, 1_800)
    is_view = action[visit] == 0
    spent = np.cumsum(seconds) - seconds
    since = spent - np.repeat(spent[np.cumsum(views) - views], views)
    shown = Deeds(
        lead=lead[visit],
        at=start[visit] + since * SECOND,
        type=action[visit],
        asset=np.where(is_view, _pages(rng, len(visit), pages), NO_ASSET),
        value=np.where(is_view, seconds, np.nan),
        letter=np.full(len(visit), -1),
        recorded=np.empty(len(visit)),
    )
    return joined([shown, _attended(rng, lead, start, action == TYPES.index("webinar_registered"))])


def _attended(rng: np.random.Generator, lead: Ints, start: Floats, registered: Flags) -> Deeds:
    """Half of those who register come, a week or two later at ten o'clock, for up to an hour."""
    come = np.flatnonzero(registered & (rng.random(len(lead)) < 0.5))
    moment = np.floor(start[come]) + rng.integers(3, 15, len(come)) + 10 / 24 + rng.uniform(0, 300, len(come)) * SECOND
    seat = plain(lead[come], moment, TYPES.index("webinar_attended"))
    minutes = np.round(rng.beta(3, 1.5, len(come)) * 60)
    return Deeds(seat.lead, seat.at, seat.type, seat.asset, minutes * 60, seat.letter, seat.recorded)


def _by_sales(rng: np.random.Generator, course: Journey) -> Deeds:
    """Calls after a hand-over, meetings after sales accepted."""
    handed, accepted = np.isfinite(course.handed), np.isfinite(course.accepted)
    called = np.repeat(np.arange(len(handed)), rng.poisson(np.where(handed, 2.0, 0.0)))
    met = np.repeat(np.arange(len(handed)), rng.poisson(np.where(accepted, 1.2, 0.0)))
    calls = course.handed[called] + 0.02 + rng.exponential(8.0, len(called))
    meetings = course.accepted[met] + 0.5 + rng.exponential(15.0, len(met))
    return joined([plain(called, calls, TYPES.index("call")), plain(met, meetings, TYPES.index("meeting"))])


def _recorded(rng: np.random.Generator, every: Deeds) -> Floats:
    """Most events are known at once; attendance comes the next morning, sales and outages report late."""
    n = len(every.at)
    outage = np.where(rng.random(n) < 0.003, rng.exponential(2.0, n), 0.0)
    next_morning = np.floor(every.at) + 1 + 6 / 24
    by_sales = every.type >= TYPES.index("call")
    known = np.where(every.type == TYPES.index("webinar_attended"), next_morning, every.at + outage)
    return np.where(by_sales, every.at + rng.exponential(0.3, n), known)


def _not_before(rng: np.random.Generator, created: Floats, moment: Floats) -> Floats:
    """Keep what office hours moved before the creation just behind it."""
    return np.where(moment > created, moment, created + rng.uniform(60, 5_400, len(moment)) * SECOND)


def _pages(rng: np.random.Generator, n: int, shares: Sequence[float]) -> Ints:
    page = rng.choice(len(shares), n, p=shares)
    post = len(PAGES) + np.minimum(rng.geometric(0.12, n) - 1, BLOG_POSTS - 1)
    return np.where(page == len(PAGES), post, page)
