"""The sections of ``mqlml.toml`` about what is learned: label, snapshots, features, model, audit."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    Strict,
    model_validator,
)

from mqlml.config.base import Reasons, Section

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
    """``[model]``: seed, bags, rolling origins, calibration, the size a training may have, and whether it is tuned.

    ``refit = false`` ships the model that was fitted before the window ``certify``, so that a precision can be
    certified there; by default the shipped model is fitted once more on everything.

    ``tune`` is the number of settings of the trees to try before a training (0: none); ``tune_minutes`` ends the search
    early, which makes its result depend on the machine.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    refit: bool = True
    bags: Annotated[int, Field(ge=2, le=20)] = 5
    origins: Annotated[int, Field(ge=1, le=12)] = 4
    max_rows: Annotated[int, Field(ge=1_000)] = 200_000
    min_level_count: Annotated[int, Field(ge=1)] = 20
    threads: Annotated[int, Field(ge=1)] | None = None
    calibration: Literal["auto", "intercept", "affine", "beta", "isotonic"] = "auto"
    tune: Annotated[int, Field(ge=0, le=1_000)] = 0
    tune_minutes: Annotated[float, Field(gt=0)] | None = None


class Audit(Section):
    """``[audit]``: findings a person accepts, column name to reason."""

    waive: Reasons = Field(default_factory=dict)
