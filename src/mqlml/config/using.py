"""The sections of ``mqlml.toml`` about using a model: lists, criteria, review, promotion, wording, output."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    PrivateAttr,
    Strict,
    field_validator,
    model_validator,
)

from mqlml.config.base import Names, Section
from mqlml.errors import masked


class Handoff(Section):
    """``[handoff]``: lists for those who take the leads, one file for each value of the column ``recipient``.

    With ``folder`` each scoring writes them there, as ``mqlml score --handoff FOLDER`` does without it. ``consent`` and
    ``columns`` are columns of the leads that are carried along, whether the model may use them or not. ``preset`` names
    the columns as a CRM does; ``names`` gives single ones another name.
    """

    folder: Annotated[str, Field(min_length=1)] | None = None
    """Folder for the lists, written with every scoring; absent: only with ``--handoff``."""
    preset: Literal["mqlml", "salesforce", "hubspot", "dynamics365"] = "mqlml"
    """Whose names the columns have."""
    recipient: str | None = None
    """Column of the leads; one file for each of its values."""
    consent: str | None = None
    """Column of the leads that says who may be written to; carried along."""
    columns: Names = ()
    """Columns of the leads to carry along."""
    names: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    """Other names for single columns."""

    @property
    def carried(self) -> tuple[str, ...]:
        """Columns of the leads that the lists need, each once."""
        wanted = (self.recipient, self.consent, *self.columns)
        return tuple(dict.fromkeys(name for name in wanted if name is not None))


class CriteriaFile(Section):
    """``[criteria]``: what marketing and sales decided on the criteria, as the report lets them download it."""

    path: str = "criteria.toml"
    """File with the decisions on criteria; read where it is there."""


class Review(Section):
    """``[review]``: what marketing and sales agree on beside the model; it stands in the MQL definition of the report.

    ``owner`` answers for the definition and looks at it again ``review_every_days`` after the training's ``--as-of``;
    sales touches an MQL first within ``follow_up_days``, and rejects one for one of ``rejection_reasons``.
    """

    owner: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    """Who answers for the MQL definition."""
    review_every_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Days after the training's ``--as-of`` until it is looked at again."""
    follow_up_days: Annotated[float, Field(gt=0, le=365)] | None = None
    """Days within which sales first touches an MQL."""
    rejection_reasons: Names = ()
    """Reasons for which sales may reject one."""


class Promotion(Section):
    """``[promotion]``: what a challenger must show before it replaces the bundle in use (docs/retraining.md).

    Both are compared on the snapshots of the newest ``weeks`` whose outcomes are known. The challenger's log loss may
    be ``worse_by_at_most`` of the champion's (0.02 is 2 %), with 95 % confidence; its won leads for each one promised
    (``observed_over_expected``) and its calibration ``slope`` must not lie surely outside these bounds. With
    ``automatic = true`` ``mqlml retrain`` promotes a challenger that passes every gate.
    """

    weeks: Annotated[int, Field(ge=1, le=104)] = 13
    """Newest weeks with known outcomes that both models are compared on."""
    worse_by_at_most: Annotated[float, Field(ge=0, lt=1)] = 0.02
    """How much higher the challenger's log loss may be, as a share of the champion's."""
    observed_over_expected: Annotated[tuple[float, float], Strict(False)] = (0.8, 1.25)
    """Bounds of won leads for each one promised."""
    slope: Annotated[tuple[float, float], Strict(False)] = (0.7, 1.4)
    """Bounds of the calibration slope."""
    automatic: bool = False
    """Whether ``mqlml retrain`` promotes a challenger that passes every gate."""

    @field_validator("observed_over_expected", "slope")
    @classmethod
    def _bounds_hold_one(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= bounds[0] < 1 < bounds[1]:
            raise ValueError(f"bounds are a number from 0 to below 1 and one above 1, not {list(bounds)}")
        return bounds


class Wording(Section):
    """``[reasons]``: the file with the words that reasons, reports and cards use instead of keys."""

    vocabulary: str = "words.toml"
    """File with the words that reasons, reports and cards use; read where it is there."""


class Output(Section):
    """``[output]``: where bundles and the MLflow store live; ``name`` is that of experiment and model in MLflow.

    The first of ``scores`` is where ``mqlml score`` writes without ``--out``. ``mqlml forget`` looks at all of them,
    and at the folders ``backtests``. In the folder ``state`` it keeps the events that it has read, so that the next
    scoring reads only files that are new in the folder ``[events] path``.

    Examples
    --------
    >>> Output(name="leads-emea").models
    'models'
    """

    models: str = "models"
    """Folder of bundles, champion and the default MLflow store."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")] = "mqlml"
    """Name of experiment and registered model in MLflow."""
    scores: Names = ()
    """Files, folders or tables of scores: the first is written without ``--out``."""
    backtests: Names = ("backtest",)
    """Folders of backtests that ``mqlml forget`` searches."""
    state: Annotated[str, Field(min_length=1)] | None = None
    """Folder of events read before: a scoring reads only new files of the folder ``[events] path``; absent: all."""
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
