"""``mqlml.toml`` as frozen, typed settings; a key nobody knows is refused with the nearest valid one."""

from __future__ import annotations

import difflib
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    Strict,
    ValidationError,
    field_validator,
    model_validator,
)

from mqlml.errors import UsageError, masked

Names = Annotated[tuple[str, ...], Strict(False)]
# Parts of user agents of mail scanners, crawlers and scripts. Not "bot" alone: a maker of phones is named Cubot; nor
# the image proxies of mail providers, which fetch what a person opens.
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
Family = Literal[
    "attribute",
    "age",
    "count",
    "active_days",
    "assets",
    "recency",
    "first_touch",
    "intensity",
    "value",
    "type_intensity",
    "asset_counts",
    "channels",
    "journey",
    "sessions",
    "visits",
    "momentum",
    "silence",
    "tempo",
    "rhythm",
    "tracking",
    "pairs",
    "changes",
    "stage",
    "account",
]
"""A family of features, as ``mqlml.tape.families`` makes them."""
Reasons = dict[str, Annotated[str, Field(min_length=1)]]


class Section(BaseModel):
    """A table of ``mqlml.toml``: strict types, no unknown keys, never changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class Source(Section):
    """Where a table comes from and how its text is to be read.

    ``path`` is a Parquet, CSV or DuckDB file, or ``postgresql://user@host/database#table``; ``table`` names the table
    inside a database, or ``query`` selects what is read of PostgreSQL. A password in the address is kept apart:
    ``path`` shows ``***`` in its place.
    """

    path: str
    table: str | None = None
    query: str | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: Literal["utf-8", "utf-16", "latin-1"] = "utf-8"
    decimal: Literal[".", ","] = "."
    timestamp_format: str | None = None
    max_quarantined_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    _whole: tuple[str, str] = PrivateAttr(("", ""))

    @model_validator(mode="after")
    def _password_is_kept_apart(self) -> Self:
        shown = masked(self.path)
        self._whole = (shown, self.path)
        self.__dict__["path"] = shown  # settings are written to many places, and a private attribute to none
        return self

    @model_validator(mode="after")
    def _query_has_a_database(self) -> Self:
        if self.query is not None and not self.path.startswith(("postgresql://", "postgres://")):
            raise ValueError("'query' is for a 'path' that begins with postgresql://; name a 'table' of a DuckDB file")
        if self.query is not None and (self.table is not None or "#" in self.path):
            raise ValueError("'query' and a table are two ways to say what is read: keep one")
        return self

    @property
    def address(self) -> str:
        """``path`` with its password, for connecting alone."""
        shown, whole = self._whole
        return whole if self.path == shown else self.path


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
    """``[history]``: attribute values over time."""

    lead_id: str = "lead_id"
    changed_at: str = "changed_at"
    field: str = "field"
    value: str = "value"
    old_value: str = "old_value"


class Stages(Source):
    """``[stages]``: when a lead entered which stage."""

    lead_id: str = "lead_id"
    stage: str = "stage"
    entered_at: str = "entered_at"
    pipeline: str = "pipeline"


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


class Label(Section):
    """``[label]``: what a model learns to foresee: ``target`` within ``horizon_days`` of the snapshot.

    ``target`` is a win, or the first time a lead enters that stage of ``[stages]``. Without a horizon the final outcome
    of closed leads counts (``mode = "final"`` says so). ``mode = "ipcw"`` also learns from snapshots whose horizon is
    not over yet, as far as their outcome is known, and weighs them up for those of which it is not.
    """

    horizon_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    target: Annotated[str, Field(min_length=1)] = "won"
    mode: Literal["mature", "ipcw", "final"] = "mature"

    @model_validator(mode="after")
    def _mode_fits_horizon(self) -> Self:
        if self.mode == "ipcw" and self.horizon_days is None:
            raise ValueError("mode 'ipcw' weighs snapshots whose horizon is not over: set 'horizon_days' too")
        if self.mode == "final" and self.horizon_days is not None:
            raise ValueError("mode 'final' learns the final outcome: remove 'horizon_days' or 'mode'")
        return self


class Snapshots(Section):
    """``[snapshots]``: how often, how long and from which moment a lead is looked at."""

    every_days: Annotated[int, Field(ge=1, le=365)] = 7
    max_age_days: Annotated[int, Field(ge=1, le=3650)] = 180
    start: str | None = Field(default=None, alias="from")


class Features(Section):
    """``[features]``: which families of features, their windows and half-lives in days, and how many names they get.

    Absent ``families`` means all that have been found to help.
    """

    families: Annotated[tuple[Family, ...] | None, Strict(False)] = None

    windows_days: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Strict(False)] = (1, 7, 30, 90)
    half_lives_days: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Strict(False)] = (7, 30)
    max_event_types: Annotated[int, Field(ge=1, le=500)] = 40
    max_assets: Annotated[int, Field(ge=0, le=500)] = 20
    max_channels: Annotated[int, Field(ge=0, le=100)] = 10
    max_pairs: Annotated[int, Field(ge=0, le=100)] = 10
    pair_days: Annotated[int, Field(ge=1, le=3650)] = 7
    session_gap_minutes: Annotated[int, Field(ge=1, le=1440)] = 30


class ModelSettings(Section):
    """``[model]``: seed, bags, rolling origins, calibration and the size a training may have.

    ``refit = false`` ships the model that was fitted before the window ``certify``, so that a precision can be
    certified there; by default the shipped model is fitted once more on everything.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    refit: bool = True
    bags: Annotated[int, Field(ge=2, le=20)] = 5
    origins: Annotated[int, Field(ge=1, le=12)] = 4
    max_rows: Annotated[int, Field(ge=1_000)] = 200_000
    min_level_count: Annotated[int, Field(ge=1)] = 20
    threads: Annotated[int, Field(ge=1)] | None = None
    calibration: Literal["auto", "intercept", "affine", "beta", "isotonic"] = "auto"


class Audit(Section):
    """``[audit]``: findings a person accepts, column name to reason."""

    waive: Reasons = {}


Operator = Literal[
    "=", "!=", "<", "<=", ">", ">=", "in", "not in", "contains", "is empty", "is not empty"
]  # fmt: skip
Comparable = str | int | float | bool


class Condition(Section):
    """One condition: either ``column`` with ``op`` and ``value``, or ``event`` with ``at_least`` and ``window_days``.

    ``contains`` ignores capitals; a missing value meets no condition but ``is empty``; an absent window means ever.
    """

    column: str | None = None
    op: Operator = "="
    value: Comparable | Annotated[tuple[Comparable, ...], Strict(False)] | None = None
    event: str | None = None
    at_least: Annotated[int, Field(ge=1)] = 1
    window_days: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        if (self.column is None) == (self.event is None):
            raise ValueError("a condition names either a 'column' or an 'event'")
        if self.event is not None and self.model_fields_set & {"op", "value"}:
            raise ValueError(f"'op' and 'value' belong to a column; for the event '{self.event}' use 'at_least'")
        if self.column is not None and self.model_fields_set & {"at_least", "window_days"}:
            raise ValueError(
                f"'at_least' and 'window_days' belong to an event; for '{self.column}' use 'op' and 'value'"
            )
        if self.column is not None:
            self._check_value()
        return self

    def _check_value(self) -> None:
        several = isinstance(self.value, tuple)
        if self.op.startswith("is "):
            fits, needs = self.value is None, "no 'value'"
        elif self.op.endswith("in"):
            fits, needs = several, "a list as 'value', such as ['DE', 'AT']"
        elif self.op[0] in "<>":
            fits, needs = (
                isinstance(self.value, int | float) and not isinstance(self.value, bool),
                "a number as 'value'",
            )
        else:
            fits, needs = self.value is not None and not several, "one 'value'"
        if not fits:
            raise ValueError(f"'{self.op}' needs {needs}")


class PresentCondition(Condition):
    """``[[policy.present]]``: points that the present rule gives for one condition.

    Examples
    --------
    >>> PresentCondition(event="demo request", window_days=30).points
    1.0
    """

    points: float = 1.0


class HardRule(Section):
    """``[[policy.rules]]``: what is decided beside the model; of several rules that hold the first one counts.

    All conditions of ``when`` must hold, or the lead must have entered ``stage``. ``then = "never"`` keeps a lead from
    sales, ``"always"`` hands it over whatever its chance, ``"sales-ready"`` leaves it to sales without being an MQL.

    Examples
    --------
    >>> HardRule(name="competitor", when={"column": "industry", "value": "CRM"}, then="never").when[0].op
    '='
    """

    name: Annotated[str, Field(min_length=1, max_length=60)]
    when: Annotated[tuple[Condition, ...], Strict(False)] = ()
    stage: str | None = None
    then: Literal["never", "always", "sales-ready"]

    @field_validator("when", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, dict | Condition) else value

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if bool(self.when) == (self.stage is not None):
            raise ValueError(f"the rule '{self.name}' needs either 'when' or 'stage'")
        if self.name.strip().casefold() == "waits for a place":
            raise ValueError(f"a rule cannot be named '{self.name}': the scores say that of leads without a place")
        return self


class Policy(Section):
    """``[policy]``: how chances become MQLs; rules combine, the strictest threshold holds.

    ``capacity_per_week`` is the most MQLs of a usual week. ``cost`` (of working an MQL) and ``value`` (of a win) ask
    for a chance of cost / value; ``value = "learned"`` takes the mean value of won leads of each source,
    ``value_column`` a column of the leads. ``precision`` is a win rate of MQLs that is certified with ``confidence``;
    it needs ``[model] refit = false``. ``recall`` is the share of wins to keep, ``floor`` the least chance of an MQL.
    ``unit`` says whether leads or accounts are counted. Without any rule one fifth of the leads is handed over
    (``share``).

    How MQLs are chosen today is what the model is compared with: ``present_dates`` (a column of the leads with the
    moment a lead became an MQL), ``present_stage`` (the stage that means MQL), ``present_score`` (a field of
    ``[history]`` that holds the score over time) or ``present`` (conditions with points); ``present_from`` is the
    least score or points of an MQL. With none of them the hand-overs are taken.

    How the threshold is applied over time (docs/handing-over.md) is read at every scoring: a lead on the list stays
    until its chance falls below ``stay_at`` times the threshold, and at least ``min_days``; a lead that sales rejected
    is not handed over again for ``retry_days`` unless it acts anew; ``min_fit`` is the least fit grade of a new MQL;
    ``per_account`` new MQLs of an account a week, or with ``unit = "account"`` one contact of it at a time;
    ``backlog_per_week`` of the leads that wait above the line are released beside the weekly capacity;
    ``capacities`` give each value of the column ``capacity_by`` its own; ``control_per_week`` leads below the line are
    handed over on purpose, drawn with ``salt``; ``rules`` are decided beside the model.
    """

    capacity_per_week: Annotated[int, Field(ge=1)] | None = None
    cost: Annotated[float, Field(gt=0)] | None = None
    value: float | str | None = None
    value_column: Annotated[str, Field(min_length=1)] | None = None
    precision: Annotated[float, Field(gt=0, lt=1)] | None = None
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.9
    recall: Annotated[float, Field(gt=0, lt=1)] | None = None
    floor: Annotated[float, Field(gt=0, lt=1)] | None = None
    unit: Literal["lead", "account"] = "lead"
    share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    stay_at: Annotated[float, Field(gt=0, le=1)] = 0.8
    min_days: Annotated[int, Field(ge=0, le=365)] = 7
    retry_days: Annotated[int, Field(ge=0, le=3650)] = 90
    min_fit: Literal["A", "B", "C"] | None = None
    per_account: Annotated[int, Field(ge=1)] | None = None
    backlog_per_week: Annotated[int, Field(ge=0)] = 0
    capacity_by: str | None = None
    capacities: dict[str, Annotated[int, Field(ge=0)]] = {}
    control_per_week: Annotated[int, Field(ge=0)] = 0
    salt: str = "mqlml"
    rules: Annotated[tuple[HardRule, ...], Strict(False)] = ()
    present_dates: str | None = None
    present_stage: str | None = None
    present_score: str | None = None
    present: Annotated[tuple[PresentCondition, ...], Strict(False)] = ()
    present_from: float | None = None

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Policy:
        """Check rules that were given one by one.

        Raises
        ------
        UsageError
            A value cannot be used, or two do not fit together.
        """
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            said = (
                ": ".join([*map(str, problem["loc"]), problem["msg"].removeprefix("Value error, ")])
                for problem in error.errors()
            )
            raise UsageError(f"these rules do not fit together: {'; '.join(said)}.") from None

    @model_validator(mode="after")
    def _one_present_rule(self) -> Self:
        named = [key for key in ("present_dates", "present_stage", "present_score", "present") if getattr(self, key)]
        if len(named) > 1:
            raise ValueError(f"{' and '.join(map(repr, named))} are ways to name the same present rule: keep one")
        if self.present_from is not None and named not in (["present_score"], ["present"]):
            raise ValueError("'present_from' is the least of 'present_score' or of the points of 'present'")
        return self

    @field_validator("value")
    @classmethod
    def _value_is_money(cls, value: float | str | None) -> float | str | None:
        if isinstance(value, str) and value != "learned":
            raise ValueError(f"{value!r} is neither a number nor 'learned'")
        if isinstance(value, float) and not 0 < value < float("inf"):
            raise ValueError(f"what a win is worth is above 0, not {value:g}")
        return value

    @model_validator(mode="after")
    def _capacities_have_a_column(self) -> Self:
        if (self.capacity_by is None) != (not self.capacities):
            raise ValueError(
                "'capacity_by' names a column and 'capacities' the number of each of its values: give both"
            )
        names = [rule.name for rule in self.rules]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two rules are named {twice[0]!r}: they are counted by name")
        return self

    @property
    def columns_beside(self) -> frozenset[str]:
        """Columns of the leads that rules and capacities look at, whether the model may use them or not."""
        named = {c.column for rule in self.rules for c in rule.when if c.column is not None}
        return frozenset(named if self.capacity_by is None else {*named, self.capacity_by})

    @model_validator(mode="after")
    def _cost_needs_value(self) -> Self:
        if self.value is not None and self.value_column is not None:
            raise ValueError("'value' and 'value_column' are two ways to say what a win is worth: keep one")
        if (self.cost is None) != (self.value is None and self.value_column is None):
            raise ValueError(
                "'cost' and 'value' go together: an MQL needs a chance of at least cost / value "
                "('value_column' may stand for 'value')"
            )
        if self.cost is not None and isinstance(self.value, float) and self.cost >= self.value:
            raise ValueError(
                f"cost {self.cost:g} is not below value {self.value:g}: no lead could ever pay for itself; "
                f"give a cost below {self.value:g}, or a value above {self.cost:g}"
            )
        return self


class Handoff(Section):
    """``[handoff]``: lists for those who take the leads, one file for each value of the column ``recipient``.

    With ``folder`` each scoring writes them there, as ``mqlml score --handoff FOLDER`` does without it. ``consent`` and
    ``columns`` are columns of the leads that are carried along, whether the model may use them or not. ``preset`` names
    the columns as a CRM does; ``names`` gives single ones another name.
    """

    folder: Annotated[str, Field(min_length=1)] | None = None
    preset: Literal["mqlml", "salesforce", "hubspot", "dynamics365"] = "mqlml"
    recipient: str | None = None
    consent: str | None = None
    columns: Names = ()
    names: dict[str, Annotated[str, Field(min_length=1)]] = {}

    @property
    def carried(self) -> tuple[str, ...]:
        """Columns of the leads that the lists need, each once."""
        wanted = (self.recipient, self.consent, *self.columns)
        return tuple(dict.fromkeys(name for name in wanted if name is not None))


class CriteriaFile(Section):
    """``[criteria]``: what marketing and sales decided on the criteria, as the report lets them download it."""

    path: str = "criteria.toml"


class Review(Section):
    """``[review]``: what marketing and sales agree on beside the model; it stands in the MQL definition of the report.

    ``owner`` answers for the definition and looks at it again ``review_every_days`` after the training's ``--as-of``;
    sales touches an MQL first within ``follow_up_days``, and rejects one for one of ``rejection_reasons``.
    """

    owner: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    review_every_days: Annotated[int, Field(ge=1, le=3650)] = 90
    follow_up_days: Annotated[float, Field(gt=0, le=365)] | None = None
    rejection_reasons: Names = ()


class Promotion(Section):
    """``[promotion]``: what a challenger must show before it replaces the bundle in use (docs/retraining.md).

    Both are compared on the snapshots of the newest ``weeks`` whose outcomes are known. The challenger's log loss may
    be ``worse_by_at_most`` of the champion's (0.02 is 2 %), with 95 % confidence; its won leads for each one promised
    (``observed_over_expected``) and its calibration ``slope`` must not lie surely outside these bounds. With
    ``automatic = true`` ``mqlml retrain`` promotes a challenger that passes every gate.
    """

    weeks: Annotated[int, Field(ge=1, le=104)] = 13
    worse_by_at_most: Annotated[float, Field(ge=0, lt=1)] = 0.02
    observed_over_expected: Annotated[tuple[float, float], Strict(False)] = (0.8, 1.25)
    slope: Annotated[tuple[float, float], Strict(False)] = (0.7, 1.4)
    automatic: bool = False

    @field_validator("observed_over_expected", "slope")
    @classmethod
    def _bounds_hold_one(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= bounds[0] < 1 < bounds[1]:
            raise ValueError(f"bounds are a number from 0 to below 1 and one above 1, not {list(bounds)}")
        return bounds


class Wording(Section):
    """``[reasons]``: the file with the words that reasons, reports and cards use instead of keys."""

    vocabulary: str = "words.toml"


class Output(Section):
    """``[output]``: where bundles and the MLflow store live; ``name`` is that of experiment and model in MLflow.

    The first of ``scores`` is where ``mqlml score`` writes without ``--out``. ``mqlml forget`` looks at all of them,
    and at the folders ``backtests``.

    Examples
    --------
    >>> Output(name="leads-emea").models
    'models'
    """

    models: str = "models"
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")] = "mqlml"
    scores: Names = ()
    backtests: Names = ("backtest",)
    _whole: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="after")
    def _passwords_are_kept_apart(self) -> Self:
        self._whole = self.scores
        self.__dict__["scores"] = tuple(masked(place) for place in self.scores)
        return self

    @property
    def places(self) -> tuple[str, ...]:
        """``scores`` with their passwords, for connecting alone."""
        return self._whole


class Config(Section):
    """All settings; every path is relative to the file they came from.

    Examples
    --------
    >>> Config.of({"leads": {"path": "leads.csv"}, "outcomes": {"won": ["won"]}}).label.horizon_days
    """

    leads: Leads
    outcomes: Outcomes
    events: Events | None = None
    history: Changes | None = None
    stages: Stages | None = None
    handovers: Handovers | None = None
    links: Links | None = None
    spend: Spend | None = None
    suppress: Suppress | None = None
    label: Label = Label()
    snapshots: Snapshots = Snapshots()
    features: Features = Features()
    model: ModelSettings = ModelSettings()
    audit: Audit = Audit()
    policy: Policy = Policy()
    handoff: Handoff | None = None
    criteria: CriteriaFile = CriteriaFile()
    review: Review = Review()
    promotion: Promotion = Promotion()
    reasons: Wording = Wording()
    output: Output = Output()
    root: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _certified_needs_unseen_leads(self) -> Self:
        if self.policy.precision is not None and self.model.refit:
            raise ValueError(
                "[policy] precision is certified on leads that the shipped model never learned from: "
                "add refit = false to [model], or remove precision"
            )
        return self

    @model_validator(mode="after")
    def _target_has_stages(self) -> Self:
        if self.label.target != "won" and self.stages is None:
            raise ValueError(f"[label] target = {self.label.target!r} is a stage: add the table [stages], or use 'won'")
        return self

    @classmethod
    def of(cls, settings: dict[str, Any], *, root: Path = Path(), name: str = "mqlml.toml") -> Config:
        """Check settings that were read from ``name`` and freeze them.

        Raises
        ------
        UsageError
            Names every wrong key with the nearest valid one.
        """
        if "root" in settings:
            raise UsageError(f"MQL-config {name}: unknown key 'root'.", hint="remove it")
        try:
            return cls.model_validate({**settings, "root": root})
        except ValidationError as error:
            lines = [f"MQL-config {name}: {_sentence(cls, problem)}" for problem in error.errors()]
            raise UsageError("\n".join(lines)) from None

    @classmethod
    def load(cls, path: str | Path) -> Config:
        """Read ``mqlml.toml``.

        Raises
        ------
        UsageError
            The file is missing, is not TOML, or holds a wrong key or value.
        """
        file = Path(path)
        try:
            settings = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError(
                f"MQL-config {file}: there is no such file.",
                hint="name one with --config, or make one from a folder of exports with 'mqlml init'",
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise UsageError(f"MQL-config {file}: cannot be read as TOML: {error}.") from None
        return cls.of(settings, root=file.resolve().parent, name=str(file))

    def path(self, relative: str) -> Path:
        """Resolve a path of the configuration against the folder of ``mqlml.toml``."""
        return self.root / relative

    @property
    def zone(self) -> ZoneInfo:
        """The zone of timestamps that name none."""
        return ZoneInfo(self.leads.timezone or "UTC")

    def moment(self, text: str) -> datetime:
        """Turn ``--as-of`` into a UTC moment; a bare date means midnight in ``[leads] timezone``.

        Raises
        ------
        UsageError
            The text is neither a date nor an ISO timestamp.
        """
        try:
            parsed = datetime.fromisoformat(text)
        except ValueError:
            raise UsageError(f"'{text}' is not a date or an ISO timestamp.", hint="write --as-of 2026-03-01") from None
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=self.zone)).astimezone(UTC)


def _sentence(model: type[BaseModel], problem: Any) -> str:
    """Say one pydantic problem as mqlml does: the key, what is wrong, the nearest valid key."""
    where, key = _key(problem["loc"])
    if problem["type"] != "extra_forbidden":
        return f"{where or 'the file'}: {problem['msg'].removeprefix('Value error, ')}."
    valid = _valid_keys(model, problem["loc"][:-1])
    nearest = difflib.get_close_matches(key, valid, n=1, cutoff=0.5)
    hint = f"did you mean '{nearest[0]}'?" if nearest else f"valid keys: {', '.join(valid)}."
    return f"unknown key '{where}'; {hint}"


def _key(location: tuple[int | str, ...]) -> tuple[str, str]:
    """The key as it stands in the file; entries of a list are counted from 1."""
    words = [f"entry {part + 1}" if isinstance(part, int) else part for part in location]
    if not words:
        return "", ""
    return (f"[{words[0]}] {'.'.join(words[1:])}" if len(words) > 1 else words[0]), words[-1]


def _valid_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    fields = model.model_fields
    for part in location:
        if isinstance(part, str):
            fields = _section_in(fields[part].annotation).model_fields
    return sorted(field.alias or name for name, field in fields.items() if name != "root")


def _section_in(annotation: Any) -> type[BaseModel]:
    """The section that an annotation such as ``tuple[Section, ...] | None`` speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_section_in(option) for option in get_args(annotation) if option not in (None, type(None), ...))
    return next(found)
