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
    """Days within which a win counts; absent: the final outcome of closed leads."""
    target: Annotated[str, Field(min_length=1)] = "won"
    """``won``, or a stage of ``[stages]``: the first time a lead enters it."""
    mode: Literal["mature", "ipcw", "final"] = "mature"
    """``mature``: snapshots whose horizon is over; ``ipcw``: younger ones too; ``final``: closed leads."""

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
    """Days between two looks at a lead while learning."""
    max_age_days: Annotated[int, Field(ge=1, le=3650)] = 180
    """An older episode is dormant: neither learned from nor scored until the lead acts again."""
    start: str | None = Field(default=None, alias="from")
    """Column of the leads with the first moment worth looking, instead of the creation."""


class Features(Section):
    """``[features]``: which families of features, their windows and half-lives in days, and how many names they get.

    Absent ``families`` means all that have been found to help.
    """

    families: Annotated[tuple[Family, ...] | None, Strict(False)] = None
    """Families of features to compute; absent: those that have been found to help."""

    windows_days: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Strict(False)] = (1, 7, 30, 90)
    """Lengths of the windows, in days."""
    half_lives_days: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Strict(False)] = (7, 30)
    """Half-lives of fading activity, in days."""
    max_event_types: Annotated[int, Field(ge=1, le=500)] = 40
    """Event types with features of their own; the others share some."""
    max_assets: Annotated[int, Field(ge=0, le=500)] = 20
    """Assets (pages, files) with features of their own."""
    max_channels: Annotated[int, Field(ge=0, le=100)] = 10
    """Channels with features of their own."""
    max_pairs: Annotated[int, Field(ge=0, le=100)] = 10
    """Ordered pairs of event types that may become features; 0: none."""
    pair_days: Annotated[int, Field(ge=1, le=3650)] = 7
    """Days within which the second event of a pair must follow."""
    session_gap_minutes: Annotated[int, Field(ge=1, le=1440)] = 30
    """A longer pause begins a new session."""


class ModelSettings(Section):
    """``[model]``: seed, bags, rolling origins, calibration, the size a training may have, fewer features, and tuning.

    ``refit = false`` ships the model that was fitted before the window ``certify``, so that a precision can be
    certified there; by default the shipped model is fitted once more on everything. ``segment`` names a column of the
    leads, such as a region or a product: one model serves all its values, and each of the 30 most frequent may have an
    intercept of its own, as far as tests showed that it needs one.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of everything that is drawn."""
    refit: bool = True
    """Whether the shipped model is fitted once more on everything; ``precision`` needs ``false``."""
    bags: Annotated[int, Field(ge=2, le=20)] = 5
    """Models that are averaged."""
    origins: Annotated[int, Field(ge=1, le=12)] = 4
    """Rolling origins at which the recipe is tested forward in time."""
    max_rows: Annotated[int, Field(ge=1_000)] = 200_000
    """Snapshots to learn from at most; more are thinned by whole leads or accounts."""
    min_level_count: Annotated[int, Field(ge=1)] = 20
    """Leads that must have a value of a column for it to be told apart."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Threads to learn with; absent: one for each processor."""
    calibration: Literal["auto", "intercept", "affine", "bent", "beta", "isotonic"] = "auto"
    """How scores become chances; ``auto`` chooses by forward log loss."""
    segment: Annotated[str, Field(min_length=1)] | None = None
    """Column of the leads whose values may have an intercept of their own; absent: none."""
    select: bool = False
    """Whether features are left out that add nothing where that can be told before a training."""
    tune: Annotated[int, Field(ge=0, le=1_000)] = 0
    """Settings of the trees to try before a training; 0: none."""
    tune_minutes: Annotated[float, Field(gt=0)] | None = None
    """Minutes after which no further setting is tried; the result then depends on the machine."""


class Audit(Section):
    """``[audit]``: findings a person accepts, column name to reason."""

    waive: Reasons = Field(default_factory=dict)
    """Findings of the leak audit that a person accepts: column to reason."""
