"""``[policy]``: whom to hand over, the rules beside the model, and the present rule."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    Strict,
    ValidationError,
    field_validator,
    model_validator,
)

from mqlml.config.base import Section
from mqlml.errors import UsageError

Operator = Literal[
    "=", "!=", "<", "<=", ">", ">=", "in", "not in", "contains", "is empty", "is not empty"
]  # fmt: skip


Comparable = str | int | float | bool


class Condition(Section):
    """One condition: either ``column`` with ``op`` and ``value``, or ``event`` with ``at_least`` and ``window_days``.

    ``contains`` ignores capitals; a missing value meets no condition but ``is empty``; an absent window means ever.
    """

    column: str | None = None
    """Column of the leads, or a field of ``[history]``."""
    op: Operator = "="
    """How column and ``value`` are compared."""
    value: Comparable | Annotated[tuple[Comparable, ...], Strict(False)] | None = None
    """What the column is compared with; a list for ``in`` and ``not in``."""
    event: str | None = None
    """Event type, instead of a column; ``any`` is every type."""
    at_least: Annotated[int, Field(ge=1)] = 1
    """Least number of such events."""
    window_days: Annotated[int, Field(ge=1)] | None = None
    """Days in which they count; absent: ever."""

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
    """Points for a lead that meets the condition; may be negative."""


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
    """What scores and reports call the rule."""
    when: Annotated[tuple[Condition, ...], Strict(False)] = ()
    """One condition, or a list of which all must hold."""
    stage: str | None = None
    """Stage of ``[stages]`` that a lead has entered, instead of ``when``."""
    then: Literal["never", "always", "sales-ready"]
    """What becomes of the lead: kept from sales, handed over, or left to sales without being an MQL."""

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

    Without any rule one fifth of the leads is handed over (``share``). The model is compared with how MQLs are chosen
    today: ``present_dates``, ``present_stage``, ``present_score`` or ``present`` say so, else the hand-overs
    (docs/present-rule.md). From ``stay_at`` to ``rules`` the settings are read at every scoring
    (docs/handing-over.md).
    """

    capacity_per_week: Annotated[int, Field(ge=1)] | None = None
    """Most MQLs of a usual week."""
    cost: Annotated[float, Field(gt=0)] | None = None
    """Cost of working an MQL; an MQL needs a chance of cost / value."""
    value: float | str | None = None
    """What a win is worth: a number, or ``learned`` from won leads by source."""
    value_column: Annotated[str, Field(min_length=1)] | None = None
    """Column of the leads with what a win of each is worth."""
    precision: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Win rate of MQLs to certify; needs ``[model] refit = false``."""
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.9
    """Confidence of that certificate."""
    recall: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the wins to keep."""
    floor: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Least chance of an MQL."""
    unit: Literal["lead", "account"] = "lead"
    """Whether leads or accounts are counted."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the leads to hand over, where no other rule is set."""
    stay_at: Annotated[float, Field(gt=0, le=1)] = 0.8
    """A lead on the list leaves it below this share of the threshold."""
    min_days: Annotated[int, Field(ge=0, le=365)] = 7
    """Days that a lead stays on the list at least."""
    retry_days: Annotated[int, Field(ge=0, le=3650)] = 90
    """Days before a lead that sales rejected is handed over again, unless it acts anew."""
    min_fit: Literal["A", "B", "C"] | None = None
    """Least fit grade of a new MQL."""
    per_account: Annotated[int, Field(ge=1)] | None = None
    """New MQLs of one account a week."""
    backlog_per_week: Annotated[int, Field(ge=0)] = 0
    """Waiting leads to release each week beside the capacity."""
    capacity_by: str | None = None
    """Column of the leads that ``capacities`` go by, such as a region."""
    capacities: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Most MQLs a week for each value of that column; ``other`` for the rest."""
    control_per_week: Annotated[int, Field(ge=0)] = 0
    """Leads below the line handed over on purpose each week."""
    salt: str = "mqlml"
    """Text that the draw of control leads is made with; another one draws others."""
    rules: Annotated[tuple[HardRule, ...], Strict(False)] = ()
    """``[[policy.rules]]``: what is decided beside the model; the first that holds counts."""
    present_dates: str | None = None
    """Column of the leads with the moment a lead became an MQL by the present rule."""
    present_stage: str | None = None
    """Stage of ``[stages]`` that means MQL by the present rule."""
    present_score: str | None = None
    """Field of ``[history]`` that holds the present score over time."""
    present: Annotated[tuple[PresentCondition, ...], Strict(False)] = ()
    """``[[policy.present]]``: the present rule as conditions with points."""
    present_from: float | None = None
    """Least present score, or points, of an MQL."""

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
