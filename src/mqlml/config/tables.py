"""The sections of ``mqlml.toml`` that name tables: where they are, what their columns are called."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from mqlml.config.base import Names, Section, Source

AGENTS = (
    "bot/",
    "bot-",
    "bot;",
    "googlebot",
    "bingbot",
    "bingpreview",
    "slurp",
    "crawler",
    "spider",
    "scanner",
    "barracuda",
    "mimecast",
    "proofpoint",
    "safelinks",
    "urldefense",
    "facebookexternalhit",
    "headlesschrome",
    "phantomjs",
    "python-requests",
    "curl/",
    "wget/",
)


class Leads(Source):
    """``[leads]``: who the leads are and what is known of their columns.

    ``created_at = ""`` says that the history has no dates; ``order`` may then name a column to sort by. ``sensitive``
    columns are no features; the report shows how their groups fare. ``budget`` and ``authority`` name the columns that
    tell whether a lead can pay and can decide; without them they are recognised by their names.
    """

    id: str = "lead_id"
    created_at: str = "created_at"
    account_id: str = "account_id"
    where: str | None = None
    timezone: str | None = None
    known_at_creation: Names = ()
    state: Names = ()
    exclude: Names = ()
    sensitive: Names = ()
    budget: Names | None = None
    authority: Names | None = None
    order: str | None = None
    missing: Names = ()

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, value: str | None) -> str | None:
        try:
            return value if value is None else ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError) as error:
            message = f"no time zone {value!r}; use a name such as 'Europe/Berlin' or 'UTC'"
            raise ValueError(message) from error


class Outcomes(Source):
    """``[outcomes]``: which leads were won or lost, and when; without ``path`` these are columns of ``[leads]``.

    Rows that share an ``opportunity_id`` name the contacts of one opportunity; ``credit`` says whose win it is.
    """

    path: str = ""
    lead_id: str = "lead_id"
    outcome: str = "outcome"
    decided_at: str = "decided_at"
    opened_at: str = "opened_at"
    value: str = "value"
    lost_reason: str = "lost_reason"
    pipeline: str = "pipeline"
    opportunity_id: str = "opportunity_id"
    is_primary: str = "is_primary"
    won: Names = ("won",)
    lost: Names = ("lost",)
    ignore: Names = ()
    credit: Literal["lead", "contacts", "account"] = "lead"


class Machines(Section):
    """``[events.machines]``: rules that leave out what mail scanners, crawlers and other machines did; 0 or [] is off.

    ``sends``, ``opens`` and ``clicks`` are event types, recognised by name where they are absent. ``agent`` is the
    column of the events with the user agent or client, and ``agents`` are parts of the names of machines.
    """

    sends: Names | None = None
    opens: Names | None = None
    clicks: Names | None = None
    open_within_seconds: Annotated[int, Field(ge=0, le=3_600)] = 5
    links: Annotated[int, Field(ge=0, le=100)] = 3
    links_within_seconds: Annotated[int, Field(ge=0, le=86_400)] = 60
    burst_events: Annotated[int, Field(ge=0)] = 100
    burst_seconds: Annotated[int, Field(ge=0, le=86_400)] = 60
    agent: str | None = None
    agents: Names = AGENTS

    @model_validator(mode="after")
    def _roles_differ(self) -> Self:
        named = [name for names in (self.sends, self.opens, self.clicks) for name in set(names or ())]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} can only be one of 'sends', 'opens' and 'clicks'")
        if self.links == 1:
            raise ValueError("'links' is the number of different links from which on none counts: at least 2, or 0")
        if "" in self.agents:
            raise ValueError("'agents' holds an empty text, which every agent contains")
        return self


class Events(Source):
    """``[events]``: what leads did; types named in ``by_sales`` are made by sales and off unless in ``use``.

    ``tracked`` names a column of the leads that says whether a lead's events can be seen at all.
    """

    lead_id: str = "lead_id"
    occurred_at: str = "occurred_at"
    event_type: str = "event_type"
    value: str = "value"
    channel: str = "channel"
    asset: str = "asset"
    campaign: str = "campaign"
    recorded_at: str = "recorded_at"
    by_sales: Names = ()
    use: Names = ()
    tracked: str | None = None
    machines: Machines = Machines()
    max_unknown_share: Annotated[float, Field(ge=0, le=1)] = 0.2


class Changes(Source):
    """``[history]``: attribute values over time.

    ``collect`` is a folder: ``mqlml score`` and ``mqlml collect`` compare each extract of the leads with the one before
    and keep there what changed, which is read together with ``path``, or alone where there is none.
    """

    path: str = ""
    collect: Annotated[str, Field(min_length=1)] | None = None
    lead_id: str = "lead_id"
    changed_at: str = "changed_at"
    field: str = "field"
    value: str = "value"
    old_value: str = "old_value"

    @model_validator(mode="after")
    def _there_is_a_table(self) -> Self:
        if not self.path and self.collect is None:
            raise ValueError("name a table with 'path', or a folder to collect changes in with 'collect'")
        return self


class Stages(Source):
    """``[stages]``: when a lead entered which stage; from the stages in ``taken`` on sales has the lead."""

    lead_id: str = "lead_id"
    stage: str = "stage"
    entered_at: str = "entered_at"
    pipeline: str = "pipeline"
    taken: Names = ()


class Handovers(Source):
    """``[handovers]``: when a lead went to sales and what sales said.

    ``touch_within_days`` is the time in which sales is to touch a lead, and ``region`` a column of the leads:
    ``mqlml monitor`` tells by both what became of hand-overs.
    """

    lead_id: str = "lead_id"
    handed_at: str = "handed_at"
    by: str = "by"
    recipient: str = "recipient"
    accepted_at: str = "accepted_at"
    rejected_at: str = "rejected_at"
    reason: str = "reason"
    first_touch_at: str = "first_touch_at"
    policy_version: str = "policy_version"
    touch_within_days: Annotated[float, Field(gt=0, le=365)] = 2.0
    region: str | None = None


class Links(Source):
    """``[links]``: merged and foreign ids and the lead they belong to."""

    other_id: str = "other_id"
    lead_id: str = "lead_id"
    valid_from: str = "valid_from"


class Spend(Source):
    """``[spend]``: what campaigns cost, one row a campaign and period; told in the report, never learned from.

    A period ends where the next one of any campaign begins. Campaigns are matched to the column ``campaign`` of the
    leads (or ``utm_campaign``), else to the first campaign among a lead's events.
    """

    campaign: str = "campaign"
    period_start: str = "period_start"
    cost: str = "cost"


class Suppress(Source):
    """``[suppress]``: ids that are neither learned from nor scored."""

    lead_id: str = "lead_id"
