"""Who is handed over now: a threshold applied with memory, places, rules and accounts."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.decision.control import draw
from mqlml.decision.memory import WAITS
from mqlml.learning.moments import DAY, NEVER, Flags, Integers

if TYPE_CHECKING:
    from mqlml import config
    from mqlml.decision.memory import Memory
    from mqlml.decision.policy import Policy
    from mqlml.decision.rules import Verdicts

__all__ = ["OTHER_TEAMS", "Candidates", "Selection", "applied_version", "select"]

Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.object_]

OTHER_TEAMS = "other"
_APPLIED = {
    "stay_at", "min_days", "retry_days", "min_fit", "per_account", "unit", "backlog_per_week", "capacity_by",
    "capacities", "control_per_week", "salt", "rules",
}  # fmt: skip


@dataclass(frozen=True)
class Candidates:
    """Leads that may be handed over; arrays of shape (n,), in any order.

    Attributes
    ----------
    lead_id : ndarray of object
    account : ndarray of int64
        Code of the account; a lead without one has a code of its own.
    p : ndarray of float64
        Chances, 0..1.
    began : ndarray of int64
        Begin of the lead's present episode in microseconds.
    verdicts : Verdicts
        What hard rules say.
    fit : ndarray of object, optional
        Fit grade, A to D.
    team : ndarray of object, optional
        Value of ``[policy] capacity_by``.
    worth : ndarray of float64, optional
        What a win of each would be worth, where the policy asks.
    """

    lead_id: Texts
    account: Integers
    p: Floats
    began: Integers
    verdicts: Verdicts
    fit: Texts | None = None
    team: Texts | None = None
    worth: Floats | None = None


@dataclass(frozen=True)
class Selection:
    """What was decided of each candidate; arrays of shape (n,), in the order of the candidates.

    Attributes
    ----------
    is_mql, control : ndarray of bool
    tier, change, rule, attached_to : ndarray of object
        As in the scores; ``rule`` (`WAITS` where a lead waits) and ``attached_to`` are None where there is none.
    since : ndarray of int64
        Microseconds since when a lead has been on the list, ``NEVER`` where it is not.
    counts : dict
        For the manifest.
    """

    is_mql: Flags
    control: Flags
    tier: Texts
    change: Texts
    rule: Texts
    attached_to: Texts
    since: Integers
    counts: dict[str, Any]


def select(
    candidates: Candidates, policy: Policy, settings: config.Policy, memory: Memory, *, as_of: int | None
) -> Selection:
    """Choose MQLs and control leads; the result does not depend on the order of the candidates.

    Places go to the best chance first, equal chances in the order of ``lead_id``.

    Parameters
    ----------
    candidates : Candidates
    policy : Policy
        Gives threshold, tiers and weekly capacity.
    settings : config.Policy
        How they are applied over time.
    memory : Memory
        Row for row as ``candidates``.
    as_of : int or None
        Microseconds; None in a history without dates.
    """
    c = candidates
    blocked, unfit = _held_back(c, settings, memory, as_of)
    always = c.verdicts.are("always") & ~blocked
    free = (c.verdicts.then == "") & ~blocked & ~memory.control
    above = np.ones(len(c.p), dtype=bool) if policy.threshold is None else policy.mqls(c.p, c.lead_id, c.worth)
    kept = _kept(c, policy, settings, memory, as_of) & (free | always)
    fast = always & ~kept
    wishes = above & free & ~unfit & ~kept
    places = _Places(c, policy, settings, memory)
    places.keep(np.flatnonzero(kept))
    kept &= ~places.attached_flags()
    places.give(np.flatnonzero(fast), limited=False)
    places.give(np.flatnonzero(wishes), limited=True)
    new = places.given
    mql = kept | new
    below = free & ~mql & (policy.threshold is not None) & ~(above & ~unfit)
    control = (memory.control & ~mql) | _drawn(c, settings, memory, below)
    since = np.where(mql, np.where(kept, memory.since, NEVER if as_of is None else as_of), NEVER)
    waits = wishes & ~new
    change = np.select([kept, new, memory.was & ~mql], ["stays", "new", "leaves"], "none")
    # Only leads that no rule decided may wait, so that nothing else is said of them.
    rule = np.where(waits, WAITS, c.verdicts.name)
    held = {
        "sales rejected them lately": above & blocked,
        f"fit below {settings.min_fit}": above & free & unfit & ~kept,
    }
    counts = _counts(c, memory, places, change, waits, held, control)
    tier = _tiers(c, policy, mql)
    return Selection(mql, control, tier, change.astype(object), rule, places.attached, since, counts)


def applied_version(policy: Policy, settings: config.Policy) -> str:
    """Twelve hex digits of the policy and of how it is applied; the policy's own where nothing was set."""
    data = settings.model_dump(include=_APPLIED, exclude_defaults=True, mode="json")
    if not data:
        return policy.version
    return hashlib.sha256(json.dumps([policy.version, data], sort_keys=True).encode()).hexdigest()[:12]


def _held_back(c: Candidates, settings: config.Policy, memory: Memory, as_of: int | None) -> tuple[Flags, Flags]:
    """Rejected lately without having acted since; and a fit grade too low to begin."""
    if as_of is None:
        blocked = np.zeros(len(c.p), dtype=bool)
    else:
        blocked = (memory.rejected_at < NEVER) & (as_of - memory.rejected_at < settings.retry_days * DAY)
        blocked &= ~memory.acted
    if settings.min_fit is None or c.fit is None:
        return blocked, np.zeros(len(c.p), dtype=bool)
    return blocked, np.asarray(c.fit.astype(str) > settings.min_fit, dtype=bool)


def _kept(c: Candidates, policy: Policy, settings: config.Policy, memory: Memory, as_of: int | None) -> Flags:
    """Leads that stay: sales is at it, the chance is not far below the line, or they have not been there long."""
    if policy.threshold is None:
        return memory.with_sales
    near = policy.mqls(c.p / settings.stay_at, c.lead_id, c.worth)
    fresh = np.zeros(len(c.p), dtype=bool)
    if as_of is not None:
        fresh = as_of - np.where(memory.was, memory.since, 0) < settings.min_days * DAY
    return memory.with_sales | (memory.was & (near | fresh | c.verdicts.are("always")))


class _Places:
    """Gives this week's places, the best chance first."""

    def __init__(self, c: Candidates, policy: Policy, settings: config.Policy, memory: Memory) -> None:
        self._c, self._settings, self._waited = c, settings, memory.waited
        # Accounts are counted where the settings say so, or the policy in force was chosen by them.
        self._by_account = "account" in (settings.unit, policy.unit)
        self.room = _room(policy, memory)
        weekly = None if policy.threshold is None or self.room is None else policy.per_week
        # Places taken beyond the capacity were places of the backlog.
        over = 0 if weekly is None else max(0, memory.used - weekly)
        self.backlog = 0 if weekly is None else max(0, settings.backlog_per_week - over)
        taken = memory.used_by_team
        self.by_team = {team: max(0, k - taken.get(team, 0)) for team, k in settings.capacities.items()}
        if OTHER_TEAMS in self.by_team:
            others = sum(n for team, n in taken.items() if team not in settings.capacities or team == OTHER_TEAMS)
            self.by_team[OTHER_TEAMS] = max(0, settings.capacities[OTHER_TEAMS] - others)
        self._account = {account: list(ids) for account, ids in memory.used_by_account.items()}
        self._contact = dict(memory.contacts)
        self.given = np.zeros(len(c.p), dtype=bool)
        self.attached = np.full(len(c.p), None, dtype=object)
        self.no_team: Counter[str] = Counter()

    def keep(self, rows: Integers) -> None:
        """Leads that stay take no new place; with ``unit = "account"`` only the best of an account stays."""
        for row in self._best_first(rows):
            lead, account = str(self._c.lead_id[row]), int(self._c.account[row])
            if self._by_account and self._contact.get(account, lead) != lead:
                self.attached[row] = self._contact[account]
            self._contact.setdefault(account, lead)

    def attached_flags(self) -> Flags:
        """Leads that go with another one of their account."""
        return np.asarray([other is not None for other in self.attached], dtype=bool)

    def give(self, rows: Integers, *, limited: bool) -> None:
        """Hand over the best; leads of a rule (``limited=False``) take a place too, but wait for none."""
        for row in self._best_first(rows):
            account, lead = int(self._c.account[row]), str(self._c.lead_id[row])
            if limited:
                with_whom = self._full(account)
                if with_whom is not None and with_whom != lead:
                    self.attached[row] = with_whom
                    continue
                if not self._take(row):
                    continue
            else:
                self._take_anyway(row)
            self.given[row] = True
            self._account.setdefault(account, []).append(lead)
            self._contact.setdefault(account, lead)

    def _best_first(self, rows: Integers) -> Integers:
        return rows[np.lexsort((self._c.lead_id[rows].astype(str), -self._c.p[rows]))]

    def _full(self, account: int) -> str | None:
        """The colleague with whom a further lead of the account goes, where it may not go alone."""
        if self._by_account:
            return self._contact.get(account)
        this_week, most = self._account.get(account, []), self._settings.per_account
        return this_week[0] if most is not None and len(this_week) >= most else None

    def _team(self, row: np.int64) -> str | None:
        if self._c.team is None or not self.by_team:
            return None
        own = str(self._c.team[row])
        return own if own in self.by_team else OTHER_TEAMS

    def _take_anyway(self, row: np.int64) -> None:
        team = self._team(row)
        if self.room is not None:
            self.room = max(0, self.room - 1)
        if team in self.by_team:
            self.by_team[team] = max(0, self.by_team[team] - 1)

    def _take(self, row: np.int64) -> bool:
        team = self._team(row)
        if team is not None and self.by_team.get(team, 0) <= 0:
            if team not in self.by_team and self._c.team is not None:
                self.no_team[str(self._c.team[row])] += 1
            return False
        if self.room is not None and self.room <= 0:
            if self.backlog <= 0 or not self._waited[row]:
                return False
            self.backlog -= 1
        elif self.room is not None:
            self.room -= 1
        if team is not None:
            self.by_team[team] -= 1
        return True


def _room(policy: Policy, memory: Memory) -> int | None:
    """Places left this week; None where nobody set a number."""
    if policy.threshold is None:
        return policy.take
    return None if policy.per_week is None or memory.week is None else max(0, policy.per_week - memory.used)


def _drawn(c: Candidates, settings: config.Policy, memory: Memory, below: Flags) -> Flags:
    """Control leads of the week: of those whose episode began last week, so that each lead is drawn once."""
    drawn = np.zeros(len(c.p), dtype=bool)
    if memory.week is None or not settings.control_per_week:
        return drawn
    cohort = (c.began >= memory.week - 7 * DAY) & (c.began < memory.week)
    left = settings.control_per_week - memory.control_used
    drawn[draw(c.lead_id, below & cohort & ~memory.drawn & ~memory.was, left, salt=settings.salt)] = True
    return drawn


def _tiers(c: Candidates, policy: Policy, mql: Flags) -> Texts:
    """By chance; nobody warms up a lead that a rule keeps out, and sales calls one that is ready."""
    tiers = policy.tiers(c.p, mql).astype(object)
    tiers[c.verdicts.are("never")] = "cold"
    tiers[c.verdicts.are("sales-ready")] = "hot"
    return tiers


def _counts(
    c: Candidates,
    memory: Memory,
    places: _Places,
    change: npt.NDArray[Any],
    waits: Flags,
    held: dict[str, Flags],
    control: Flags,
) -> dict[str, Any]:
    words = ("new", "stays", "leaves")
    ruled = Counter(str(name) for name in c.verdicts.name if name is not None)
    return {
        **{word: int((change == word).sum()) for word in words},
        "waits": int(waits.sum()),
        "attached": int(places.attached_flags().sum()),
        "control": int(control.sum()),
        "rules": {name: ruled[name] for name in sorted(ruled)},
        "sales_ready": int(c.verdicts.are("sales-ready").sum()),
        "by_rule": int((places.given & c.verdicts.are("always")).sum()),
        "held_back": {why: int(flags.sum()) for why, flags in held.items() if flags.any()},
        "used_this_week": memory.used,
        "places_left": places.room,
        "without_team": dict(sorted(places.no_team.items())),
    }
