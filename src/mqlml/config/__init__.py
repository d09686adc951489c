"""``mqlml.toml`` as frozen, typed settings; a key nobody knows is refused with the nearest valid one."""

from __future__ import annotations

from mqlml.config.base import Names, Reasons, Section, Source
from mqlml.config.learning import Audit, Family, Features, Label, ModelSettings, Snapshots
from mqlml.config.policy import Comparable, Condition, HardRule, Operator, Policy, PresentCondition
from mqlml.config.reading import Config
from mqlml.config.tables import (
    AGENTS,
    Changes,
    Events,
    Handovers,
    Leads,
    Links,
    Machines,
    Outcomes,
    Spend,
    Stages,
    Suppress,
)
from mqlml.config.using import CriteriaFile, Handoff, Output, Promotion, Review, Wording

__all__ = [
    "AGENTS",
    "Audit",
    "Changes",
    "Comparable",
    "Condition",
    "Config",
    "CriteriaFile",
    "Events",
    "Family",
    "Features",
    "Handoff",
    "Handovers",
    "HardRule",
    "Label",
    "Leads",
    "Links",
    "Machines",
    "ModelSettings",
    "Names",
    "Operator",
    "Outcomes",
    "Output",
    "Policy",
    "PresentCondition",
    "Promotion",
    "Reasons",
    "Review",
    "Section",
    "Snapshots",
    "Source",
    "Spend",
    "Stages",
    "Suppress",
    "Wording",
]
