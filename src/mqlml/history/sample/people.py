"""The people of the synthetic history: accounts with buying groups, and how well each lead fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

DAYS = 1_095
"""Length of the history in days; moments inside the sample are days since its start, 0..1095."""
GROUP_SIZES = (0.46, 0.24, 0.14, 0.08, 0.05, 0.03)
"""Share of accounts with 1, 2, ... 6 leads."""

INDUSTRIES = {
    "software": 0.55,
    "financial services": 0.35,
    "manufacturing": 0.25,
    "logistics": 0.1,
    "healthcare": 0.0,
    "retail": -0.15,
    "consulting": -0.35,
    "public sector": -0.45,
    "hospitality": -0.55,
    "education": -0.65,
}
COUNTRIES = {"DE": 0.26, "US": 0.22, "GB": 0.14, "FR": 0.1, "NL": 0.08, "AT": 0.07, "CH": 0.07, "SE": 0.06}
SENIORITIES = {"C-level": 0.35, "VP": 0.45, "head": 0.6, "manager": 0.1, "specialist": -0.25, "intern": -1.2}
SENIORITY_SHARES = (0.08, 0.08, 0.17, 0.3, 0.3, 0.07)
FUNCTIONS = {"Operations": 0.3, "IT": 0.2, "Purchasing": 0.15, "Finance": 0.1, "Marketing": 0.0, "HR": -0.3}
CHIEFS = {
    "Operations": "Chief Operating Officer",
    "IT": "Chief Information Officer",
    "Purchasing": "Chief Procurement Officer",
    "Finance": "Chief Financial Officer",
    "Marketing": "Chief Marketing Officer",
    "HR": "Chief People Officer",
}
WORDING = {"VP": "VP {}", "head": "Head of {}", "manager": "{} Manager", "specialist": "{} Specialist"}
SOURCES = {
    "referral": 0.75,
    "partner": 0.5,
    "webinar": 0.1,
    "organic": 0.2,
    "paid search": -0.15,
    "event": -0.1,
    "list import": -0.9,
    "review site": 0.5,
}
ROLES = (None, "decision maker", "influencer", "user")
ROLE_EFFECTS = (0.0, 0.45, 0.1, -0.2)
BUDGETS = (None, "yes", "no")
BUDGET_EFFECTS = (0.0, 0.65, -0.3)
REVIEW_SITE_FROM = 550
"""Day on which a source appears that no lead had before."""

JOB_TITLES = tuple(
    CHIEFS[function] if level == "C-level" else WORDING.get(level, "{} Intern").format(function)
    for level in SENIORITIES
    for function in FUNCTIONS
)


@dataclass(frozen=True)
class People:
    """Leads of one block; arrays of one entry a lead, moments in days since the start of the history.

    ``fit`` and ``interest`` are the hidden truth (log-odds and standard deviations) and are never written.
    """

    account: Ints
    free_mail: Flags
    created: Floats
    industry: Ints
    size: Ints
    country: Ints
    title: Ints
    source: Ints
    budget: Ints
    role: Ints
    scanner: Flags
    fit: Floats
    interest: Floats
    browser: Flags

    def __len__(self) -> int:
        return len(self.created)


def draw_people(rng: np.random.Generator, n: int) -> People:
    """Draw ``n`` leads in buying groups; colleagues share industry, size, country and half of their interest."""
    account = _groups(rng, n)
    accounts = int(account[-1]) + 1
    first = np.r_[True, account[1:] != account[:-1]]
    alone = first & np.r_[account[1:] != account[:-1], True]
    start = creation_days(rng, accounts)[account]
    later = np.where(first, 0.0, rng.exponential(70.0, n))
    created = office_hours(rng, np.where(start + later < DAYS - 3, start + later, start * rng.random(n)))
    size = np.round(10 ** rng.normal(2.3, 0.8, accounts)).clip(2, 250_000).astype(np.int64)[account]
    level = rng.choice(len(SENIORITIES), n, p=SENIORITY_SHARES)
    function = rng.choice(len(FUNCTIONS), n, p=(0.24, 0.24, 0.1, 0.14, 0.2, 0.08))
    industry = rng.choice(len(INDUSTRIES), accounts, p=_falling(len(INDUSTRIES)))[account]
    source = _sources(rng, created)
    budget = rng.choice(len(BUDGETS), n, p=(0.62, 0.2, 0.18))
    role = _roles(rng, level)
    says = np.array(BUDGET_EFFECTS)[budget] + np.array(ROLE_EFFECTS)[role]
    does = _values(SENIORITIES)[level] + _values(FUNCTIONS)[function]
    comes_from = _values(INDUSTRIES)[industry] + _values(SOURCES)[source]
    return People(
        account=account,
        free_mail=alone & (rng.random(n) < 0.3),
        created=created,
        industry=industry,
        size=size,
        country=rng.choice(len(COUNTRIES), accounts, p=_values(COUNTRIES))[account],
        title=level * len(FUNCTIONS) + function,
        source=source,
        budget=budget,
        role=role,
        scanner=(rng.random(accounts) < 0.18 + 0.14 * start[first] / DAYS)[account],
        fit=says + does + comes_from + _size_effect(size, level),
        interest=0.6 * rng.normal(size=accounts)[account] + 0.8 * rng.normal(size=n),
        browser=rng.random(n) < 0.16,
    )


def creation_days(rng: np.random.Generator, n: int) -> Floats:
    """Draw whole days with growth, two busy seasons a year and quiet weekends."""
    day = np.arange(DAYS - 2)
    month_weights = np.array([1.0, 1.1, 1.25, 1.05, 1.0, 0.95, 0.75, 0.6, 1.2, 1.3, 1.15, 0.6])
    months = (np.datetime64("2023-07-01") + day).astype("datetime64[M]").astype(int) % 12
    weights = (1 + 0.5 * day / DAYS) * month_weights[months] * np.where(weekday(day) < 5, 1.0, 0.15)
    return rng.choice(day, n, p=weights / weights.sum()).astype(np.float64)


def weekday(day: npt.NDArray[np.number]) -> Ints:
    """Weekday of days since the start, Monday is 0; the history starts on a Saturday."""
    number: Ints = (np.floor(day).astype(np.int64) + 5) % 7
    return number


def office_hours(rng: np.random.Generator, moment: Floats) -> Floats:
    """Move most moments to a working day and all of them to a plausible hour of their day."""
    n = len(moment)
    into_week = np.where(rng.random(n) < 0.75, (7 - weekday(moment)) % 7 * (weekday(moment) >= 5), 0)
    hour = np.where(rng.random(n) < 0.88, rng.normal(12.5, 2.8, n), rng.uniform(0, 24, n)).clip(0, 23.99)
    return np.floor(moment) + into_week + hour / 24


def job_titles(title: Ints) -> pa.Array:
    """Spell out title codes."""
    return pa.array(JOB_TITLES).take(pa.array(title))


def _groups(rng: np.random.Generator, n: int) -> Ints:
    sizes = rng.choice(len(GROUP_SIZES), n, p=GROUP_SIZES) + 1
    account: Ints = np.repeat(np.arange(n), sizes)[:n]
    return account


def _sources(rng: np.random.Generator, created: Floats) -> Ints:
    """Draw sources: paid search grows at the cost of partners, and one source starts in the second year."""
    early = np.array([0.08, 0.16, 0.12, 0.24, 0.16, 0.12, 0.12, 0.0])
    late = np.array([0.07, 0.06, 0.14, 0.2, 0.3, 0.08, 0.09, 0.06])
    age = np.where(created < REVIEW_SITE_FROM, created / DAYS * 0.5, created / DAYS)[:, None]
    shares = np.cumsum((1 - age) * early + age * late, axis=1)
    code = (rng.random((len(created), 1)) * shares[:, -1:] > shares).sum(axis=1)
    return np.where((code == len(SOURCES) - 1) & (created < REVIEW_SITE_FROM), 3, code)


def _roles(rng: np.random.Generator, level: Ints) -> Ints:
    deciding = np.array([0.75, 0.65, 0.5, 0.2, 0.05, 0.0])[level]
    draw = rng.random(len(level))
    stated = np.where(draw < deciding, 1, np.where(draw < deciding + (1 - deciding) * 0.5, 2, 3))
    return np.where(rng.random(len(level)) < 0.45, 0, stated)


def _size_effect(size: Ints, level: Ints) -> Floats:
    """Mid-sized companies fit best; in small ones only a chief can buy."""
    magnitude = np.log10(size.astype(np.float64))
    small_chief = (size < 100) & (level == 0)
    effect: Floats = 0.4 - 0.55 * (magnitude - 2.7) ** 2 + 0.6 * small_chief
    return effect.clip(-1.5, None)


def _values(effects: dict[str, float]) -> Floats:
    return np.array(list(effects.values()))


def _falling(n: int) -> Floats:
    weights = 1.0 / np.arange(2, n + 2)
    share: Floats = weights / weights.sum()
    return share
