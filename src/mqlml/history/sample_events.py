"""What synthetic leads do: visits, e-mails, webinars, forms, and what mail scanners and sales add to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqlml.history.sample_people import DAYS, SOURCES, office_hours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mqlml.history.sample_journey import Journey
    from mqlml.history.sample_people import Flags, Floats, Ints, People

TYPES = (
    "page_view",
    "whitepaper_download",
    "form_submit",
    "webinar_registered",
    "chat_started",
    "demo_request",
    "webinar_attended",
    "email_open",
    "email_click",
    "unsubscribe",
    "call",
    "meeting",
)
CHANNELS = ("web", "web", "web", "webinar", "web", "web", "webinar", "email", "email", "email", "phone", "in person")
PAGES = ("/", "/product", "/pricing", "/case-studies", "/docs", "/careers", "/login", "/support")
BLOG_POSTS = 24
ASSETS = PAGES + tuple(f"/blog/post-{i:02}" for i in range(1, BLOG_POSTS + 1))
NO_ASSET = -1

BACKGROUND_ACTIONS = (0.79, 0.07, 0.05, 0.075, 0.01, 0.005)
PROJECT_ACTIONS = (0.71, 0.09, 0.06, 0.065, 0.025, 0.05)
BROWSER_ACTIONS = (0.76, 0.16, 0.04, 0.03, 0.005, 0.005)
BACKGROUND_PAGES = (0.2, 0.18, 0.06, 0.06, 0.08, 0.02, 0.0, 0.0, 0.4)
PROJECT_PAGES = (0.17, 0.23, 0.14, 0.13, 0.12, 0.01, 0.0, 0.0, 0.2)
BROWSER_PAGES = (0.16, 0.14, 0.08, 0.04, 0.16, 0.08, 0.0, 0.0, 0.34)
CUSTOMER_PAGES = (0.02, 0.03, 0.0, 0.0, 0.2, 0.0, 0.5, 0.2, 0.05)

CHAT_FROM = 550
"""Day on which an event type appears that nobody did before."""
NEWSLETTER_EVERY = 14
NEWSLETTER_FIRST = 3 + 7.5 / 24
NEWSLETTERS = 17
SECOND = 1 / 86_400


@dataclass(frozen=True)
class Deeds:
    """Events of one block; arrays of one entry an event, moments in days since the start of the history.

    ``letter`` numbers the newsletter an e-mail event belongs to, -1 without one; ``value`` is seconds, NaN without.
    """

    lead: Ints
    at: Floats
    type: Ints
    asset: Ints
    value: Floats
    letter: Ints
    recorded: Floats


def deeds(rng: np.random.Generator, who: People, course: Journey) -> Deeds:
    """Draw all events; none is later than the end of the history, those known only after it are left out."""
    tracked = _tracked(rng, who)
    parts = [
        _first_contact(rng, who, tracked),
        _sessions(rng, *_background(rng, who, tracked), BACKGROUND_ACTIONS, BACKGROUND_PAGES),
        _sessions(rng, *_project(rng, who, course, tracked), PROJECT_ACTIONS, PROJECT_PAGES),
        _sessions(rng, *_browsing(rng, who, tracked), BROWSER_ACTIONS, BROWSER_PAGES),
        _sessions(rng, *_customers(rng, course), (1.0, 0, 0, 0, 0, 0), CUSTOMER_PAGES),
        _newsletters(rng, who, course, tracked),
        _by_sales(rng, course),
    ]
    every = _joined(parts)
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
    form = _plain(inbound, who.created[inbound], TYPES.index("form_submit"))
    before = np.repeat(inbound, rng.poisson(0.9, len(inbound)))
    visit = _plain(before, who.created[before] - rng.exponential(1.2, len(before)), TYPES.index("page_view"))
    seen = _pages(rng, len(before), BACKGROUND_PAGES)
    seconds = np.round(rng.lognormal(np.log(35), 0.9, len(before)))
    return _joined([form, Deeds(visit.lead, visit.at, visit.type, seen, seconds, visit.letter, visit.recorded)])


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
    lead = np.repeat(np.arange(len(who)), rng.poisson(np.where(active, 3.6 * np.exp(0.2 * who.interest), 0.0)))
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
    return _joined([shown, _attended(rng, lead, start, action == TYPES.index("webinar_registered"))])


def _attended(rng: np.random.Generator, lead: Ints, start: Floats, registered: Flags) -> Deeds:
    """Half of those who register come, a week or two later at ten o'clock, for up to an hour."""
    come = np.flatnonzero(registered & (rng.random(len(lead)) < 0.5))
    moment = np.floor(start[come]) + rng.integers(3, 15, len(come)) + 10 / 24 + rng.uniform(0, 300, len(come)) * SECOND
    seat = _plain(lead[come], moment, TYPES.index("webinar_attended"))
    minutes = np.round(rng.beta(3, 1.5, len(come)) * 60)
    return Deeds(seat.lead, seat.at, seat.type, seat.asset, minutes * 60, seat.letter, seat.recorded)


def _newsletters(rng: np.random.Generator, who: People, course: Journey, tracked: Flags) -> Deeds:
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
    return _joined([_letters(happened, sent + later, letter, name) for happened, later, name in cases])


def _letters(happened: Flags, at: Floats, letter: Ints, name: str) -> Deeds:
    plain = _plain(np.nonzero(happened)[0], at[happened], TYPES.index(name))
    return Deeds(plain.lead, plain.at, plain.type, plain.asset, plain.value, letter[happened], plain.recorded)


def _by_sales(rng: np.random.Generator, course: Journey) -> Deeds:
    """Calls after a hand-over, meetings after sales accepted."""
    handed, accepted = np.isfinite(course.handed), np.isfinite(course.accepted)
    called = np.repeat(np.arange(len(handed)), rng.poisson(np.where(handed, 2.0, 0.0)))
    met = np.repeat(np.arange(len(handed)), rng.poisson(np.where(accepted, 1.2, 0.0)))
    calls = course.handed[called] + 0.02 + rng.exponential(8.0, len(called))
    meetings = course.accepted[met] + 0.5 + rng.exponential(15.0, len(met))
    return _joined([_plain(called, calls, TYPES.index("call")), _plain(met, meetings, TYPES.index("meeting"))])


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


def _plain(lead: Ints, at: Floats, kind: int) -> Deeds:
    n = len(lead)
    none = np.full(n, -1)
    return Deeds(lead, at, np.full(n, kind), none, np.full(n, np.nan), none, np.empty(n))


def _joined(parts: Sequence[Deeds]) -> Deeds:
    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return Deeds(*(column(name) for name in Deeds.__dataclass_fields__))
