"""``mqlml.toml`` as a whole: read, checked, and every mistake said with its key and the nearest valid one."""

from __future__ import annotations

import difflib
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    model_validator,
)

from mqlml.config.base import Section
from mqlml.config.learning import Audit, Features, Label, ModelSettings, Snapshots
from mqlml.config.policy import Policy
from mqlml.config.tables import Changes, Events, Handovers, Leads, Links, Outcomes, Spend, Stages, Suppress
from mqlml.config.using import CriteriaFile, Handoff, Output, Promotion, Review, Wording
from mqlml.errors import UsageError


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
