"""The tables of the synthetic history, in the words of the data contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mqlml.history.sample.columns import happened, moments, where, words
from mqlml.history.sample.deeds import ASSETS, CHANNELS, TYPES
from mqlml.history.sample.fields import STATUSES, status_now
from mqlml.history.sample.mail import NEWSLETTER_EVERY
from mqlml.history.sample.people import BUDGETS, COUNTRIES, DAYS, INDUSTRIES, ROLES, SOURCES, job_titles

if TYPE_CHECKING:
    from mqlml.history.sample.deeds import Deeds
    from mqlml.history.sample.fields import Attributes
    from mqlml.history.sample.journey import Journey
    from mqlml.history.sample.people import People

PIPELINE = "new business"
REJECTIONS = ("no budget", "wrong contact", "not reachable", "too early", "student or competitor")
LOSSES = ("no response", "no budget", "competitor", "no need", "timing")
OWNERS = ("Onboarding team A", "Onboarding team B", "Onboarding team C")
TEAMS = ("Sales North", "Sales South", "Sales West", "Inside Sales")
CAMPAIGNS = {
    "paid search": ("search-brand", "search-generic"),
    "webinar": ("webinar-series",),
    "event": ("spring-fair",),
}


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
            "account_id": where(~who.free_mail, names),
            "created_at": moments(who.created),
            "industry": words(list(INDUSTRIES), who.industry, ~who.free_mail | guessed),
            "company_size": pa.array(more.size_now, pa.int32(), mask=more.size_now < 0),
            "country": words(list(COUNTRIES), who.country),
            "job_title": job_titles(more.title_now),
            "source": words(list(SOURCES), who.source),
            "campaign": _campaigns(rng, who),
            "free_mail": pa.array(who.free_mail),
            "budget_stated": words(BUDGETS, who.budget),
            "buying_role": words(ROLES, who.role),
            "lead_status": words(STATUSES, status_now(course)),
            "onboarding_owner": words(OWNERS, rng.integers(0, len(OWNERS), n), owned),
        }
    )


def outcomes(rng: np.random.Generator, ids: pa.Array, who: People, course: Journey) -> pa.Table:
    """Table ``outcomes``: one row an episode; whoever is still open has none."""
    n = len(who)
    lead, at, kind = happened((course.lost, course.won, course.duplicate))
    amount = np.round(rng.lognormal(np.log(4_000), 0.6, n) * np.maximum(who.size, 5) ** 0.3)
    no_answer = np.where(np.isfinite(course.accepted), rng.integers(1, len(LOSSES), n), 0)
    reason = np.where(np.isfinite(course.project), rng.integers(1, len(LOSSES), n), no_answer)
    return pa.table(
        {
            "lead_id": ids.take(pa.array(lead)),
            "outcome": words(("lost", "won", "duplicate"), kind),
            "decided_at": moments(at),
            "value": pa.array(amount[lead], mask=kind != 1),
            "lost_reason": words(LOSSES, reason[lead], kind == 0),
            "pipeline": words((PIPELINE,), np.zeros(len(lead), dtype=np.int64)),
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
            "handed_at": moments(handed),
            "by": words(("rule", "other", "override"), rng.choice(3, n, p=(0.72, 0.18, 0.1))),
            "recipient": words(TEAMS, rng.integers(0, len(TEAMS), n)),
            "accepted_at": moments(course.accepted[lead]),
            "rejected_at": moments(rejected),
            "reason": words(REJECTIONS, rng.integers(0, len(REJECTIONS), n), rejected < DAYS),
            "first_touch_at": moments(touched),
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
    lead, at, stage = happened((course.handed, opened, proposed))
    return pa.table(
        {
            "lead_id": ids.take(pa.array(lead)),
            "stage": words(("mql", "opportunity", "proposal"), stage),
            "entered_at": moments(at),
            "pipeline": words((PIPELINE,), np.zeros(len(lead), dtype=np.int64)),
        }
    )


def events(ids: pa.Array, done: Deeds) -> pa.Table:
    """Table ``events``."""
    letters = [f"newsletter-{number:03d}" for number in range(DAYS // NEWSLETTER_EVERY + 2)]
    return pa.table(
        {
            "lead_id": ids.take(pa.array(done.lead)),
            "occurred_at": moments(done.at),
            "recorded_at": moments(done.recorded),
            "event_type": words(TYPES, done.type),
            "channel": words(CHANNELS, done.type),
            "asset": words(ASSETS, done.asset, done.asset >= 0),
            "campaign": words(letters, done.letter, done.letter >= 0),
            "value": pa.array(done.value, mask=np.isnan(done.value)),
        }
    )


def _campaigns(rng: np.random.Generator, who: People) -> pa.Array:
    names = [name for campaigns in CAMPAIGNS.values() for name in campaigns]
    code = np.full(len(who), -1)
    for number, source in enumerate(SOURCES):
        if source in CAMPAIGNS:
            first = names.index(CAMPAIGNS[source][0])
            drawn = first + rng.integers(0, len(CAMPAIGNS[source]), len(who))
            code = np.where(who.source == number, drawn, code)
    return words(names, code, code >= 0)
