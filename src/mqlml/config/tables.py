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
    """Column that identifies a lead."""
    created_at: str = "created_at"
    """Column with the time of creation; an empty text: the history has no dates."""
    account_id: str = "account_id"
    """Column with the account, where there is one."""
    where: str | None = None
    """SQL condition on the leads' columns: only these leads are looked at."""
    timezone: str | None = None
    """Zone of times that name none, and of a date given to ``--as-of``; absent: UTC, with a note."""
    known_at_creation: Names = ()
    """Columns that never change after the lead was created."""
    state: Names = ()
    """Columns kept up to date: used only as ``[history]`` tells them."""
    exclude: Names = ()
    """Columns never used."""
    sensitive: Names = ()
    """Columns that are no features; the report shows how their groups fare."""
    budget: Names | None = None
    """Columns that tell whether a lead can pay; absent: recognised by name."""
    authority: Names | None = None
    """Columns that tell whether a lead can decide; absent: recognised by name."""
    order: str | None = None
    """Column to sort by in a history without dates."""
    missing: Names = ()
    """Texts that mean no value, such as ``n/a``."""

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
    """Like ``path`` of the other tables; absent: the outcomes are columns of the leads."""
    lead_id: str = "lead_id"
    """Column with the lead."""
    outcome: str = "outcome"
    """Column with the outcome."""
    decided_at: str = "decided_at"
    """Column with the time of the decision."""
    opened_at: str = "opened_at"
    """Column with the creation of the opportunity: sales has the lead from then on."""
    value: str = "value"
    """Column with what the win brought."""
    lost_reason: str = "lost_reason"
    """Column with the reason of a loss; told, never learned from."""
    pipeline: str = "pipeline"
    """Column with the pipeline."""
    opportunity_id: str = "opportunity_id"
    """Column that joins the contacts of one opportunity."""
    is_primary: str = "is_primary"
    """Column that marks its main contact."""
    won: Names = ("won",)
    """Outcomes that mean won."""
    lost: Names = ("lost",)
    """Outcomes that mean lost."""
    ignore: Names = ()
    """Outcomes that are neither, such as duplicates; these leads are left out."""
    credit: Literal["lead", "contacts", "account"] = "lead"
    """Whose win a won opportunity is: its lead's, all its contacts', or all leads' of the account."""


class Machines(Section):
    """``[events.machines]``: rules that leave out what mail scanners, crawlers and other machines did; 0 or [] is off.

    ``sends``, ``opens`` and ``clicks`` are event types, recognised by name where they are absent. ``agent`` is the
    column of the events with the user agent or client, and ``agents`` are parts of the names of machines.
    """

    sends: Names | None = None
    """Event types that are sent mails; absent: recognised by name."""
    opens: Names | None = None
    """Event types that are opened mails; absent: recognised by name."""
    clicks: Names | None = None
    """Event types that are clicked links; absent: recognised by name."""
    open_within_seconds: Annotated[int, Field(ge=0, le=3_600)] = 5
    """Opens so soon after a send do not count."""
    links: Annotated[int, Field(ge=0, le=100)] = 3
    """Clicks do not count from so many different links on; 0: off."""
    links_within_seconds: Annotated[int, Field(ge=0, le=86_400)] = 60
    """Seconds within which links are counted."""
    burst_events: Annotated[int, Field(ge=0)] = 100
    """Events do not count where the lead had so many others just before; 0: off."""
    burst_seconds: Annotated[int, Field(ge=0, le=86_400)] = 60
    """Seconds within which these are counted."""
    agent: str | None = None
    """Column of the events with the user agent or client."""
    agents: Names = AGENTS
    """Parts of the names of machines."""

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

    ``path`` may also be a folder of Parquet and CSV files, each of which is checked by itself.

    ``tracked`` names a column of the leads that says whether a lead's events can be seen at all.
    """

    lead_id: str = "lead_id"
    """Column with the lead."""
    occurred_at: str = "occurred_at"
    """Column with the time of the event."""
    event_type: str = "event_type"
    """Column with the type."""
    value: str = "value"
    """Column with a number, such as an amount."""
    channel: str = "channel"
    """Column with the channel."""
    asset: str = "asset"
    """Column with the page, file or mail."""
    campaign: str = "campaign"
    """Column with the campaign."""
    recorded_at: str = "recorded_at"
    """Column with the time the system knew of the event."""
    by_sales: Names = ()
    """Types made by sales: no features unless in ``use``."""
    use: Names = ()
    """Types to use although they are made by sales or are opened mails."""
    tracked: str | None = None
    """Column of the leads that says whether a lead's events can be seen at all."""
    machines: Machines = Machines()
    """``[events.machines]``, below."""
    max_unknown_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share of the events, 0 to 1, that may belong to unknown leads."""


class Changes(Source):
    """``[history]``: attribute values over time.

    ``collect`` is a folder: ``mqlml score`` and ``mqlml collect`` compare each extract of the leads with the one before
    and keep there what changed, which is read together with ``path``, or alone where there is none.
    """

    path: str = ""
    """Table of changes, as of every section; absent: only what is collected."""
    collect: Annotated[str, Field(min_length=1)] | None = None
    """Folder that keeps what changes from one extract of the leads to the next."""
    lead_id: str = "lead_id"
    """Column with the lead."""
    changed_at: str = "changed_at"
    """Column with the time of the change."""
    field: str = "field"
    """Column with the name of the changed column of the leads."""
    value: str = "value"
    """Column with the value from then on."""
    old_value: str = "old_value"
    """Column with the value before."""

    @model_validator(mode="after")
    def _there_is_a_table(self) -> Self:
        if not self.path and self.collect is None:
            raise ValueError("name a table with 'path', or a folder to collect changes in with 'collect'")
        return self


class Stages(Source):
    """``[stages]``: when a lead entered which stage; from the stages in ``taken`` on sales has the lead."""

    lead_id: str = "lead_id"
    """Column with the lead."""
    stage: str = "stage"
    """Column with the stage."""
    entered_at: str = "entered_at"
    """Column with the time it was entered."""
    pipeline: str = "pipeline"
    """Column with the pipeline."""
    taken: Names = ()
    """Stages from which on sales has the lead."""


class Handovers(Source):
    """``[handovers]``: when a lead went to sales and what sales said.

    ``touch_within_days`` is the time in which sales is to touch a lead, and ``region`` a column of the leads:
    ``mqlml monitor`` tells by both what became of hand-overs.
    """

    lead_id: str = "lead_id"
    """Column with the lead."""
    handed_at: str = "handed_at"
    """Column with the time of the hand-over."""
    by: str = "by"
    """Column that says by what: policy, control, rule, override or other."""
    recipient: str = "recipient"
    """Column with who got the lead."""
    accepted_at: str = "accepted_at"
    """Column with the time sales accepted it."""
    rejected_at: str = "rejected_at"
    """Column with the time sales rejected it."""
    reason: str = "reason"
    """Column with the reason of a rejection or override."""
    first_touch_at: str = "first_touch_at"
    """Column with the time sales first touched it."""
    policy_version: str = "policy_version"
    """Column with the policy that chose it."""
    touch_within_days: Annotated[float, Field(gt=0, le=365)] = 2.0
    """Days within which sales is to touch a lead."""
    region: str | None = None
    """Column of the leads by which ``mqlml monitor`` tells answers."""


class Links(Source):
    """``[links]``: merged and foreign ids and the lead they belong to."""

    other_id: str = "other_id"
    """Column with the merged or foreign id."""
    lead_id: str = "lead_id"
    """Column with the lead it belongs to."""
    valid_from: str = "valid_from"
    """Column with the time from which it does."""


class Spend(Source):
    """``[spend]``: what campaigns cost, one row a campaign and period; told in the report, never learned from.

    A period ends where the next one of any campaign begins. Campaigns are matched to the column ``campaign`` of the
    leads (or ``utm_campaign``), else to the first campaign among a lead's events.
    """

    campaign: str = "campaign"
    """Column with the campaign."""
    period_start: str = "period_start"
    """Column with the begin of the period."""
    cost: str = "cost"
    """Column with the cost."""


class Suppress(Source):
    """``[suppress]``: ids that are neither learned from nor scored."""

    lead_id: str = "lead_id"
    """Column with the lead."""
