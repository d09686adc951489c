"""What thresholds are chosen from: replayed weeks and what is known of them, as one table without anybody's id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mqlml.decision.certification import WINDOW
from mqlml.decision.choosing import set_policy
from mqlml.decision.replay import Replay
from mqlml.decision.value import Worth
from mqlml.errors import UsageError
from mqlml.learning.snapshots import DAY

if TYPE_CHECKING:
    from mqlml import config
    from mqlml.decision.policy import Policy

__all__ = ["MORE", "Basis"]

MORE = ("handed", "accepted", "opportunity", "value", "present", "worth_learned", "worth_column")
"""What may be known of a row besides: whether sales was handed the lead, accepted it and opened an opportunity within
the horizon (0 or 1), what its win brought, whether the present rule chose it, and what a win would be worth."""

_META = b"mqlml"
_WHOLE = ("lead", "group", "week", "part")


@dataclass(frozen=True)
class Basis:
    """A replay with what rules and evidence need to know of it.

    Attributes
    ----------
    replay : Replay
        Chances as they would have been given then, unmasked, by lead.
    base_rate : float
        Win rate of all snapshots, 0..1.
    every_days : int
        Grid of the snapshots.
    horizon_days : int or None
    target : str
        "won", or the stage to be foreseen.
    certifiable : bool
        Whether the shipped model never learned from the window "certify".
    worths : mapping of str to Worth
        ``learned`` and ``column``, as far as known.
    value_column : str or None
    seed : int
        For redrawn histories.
    as_of : str or None
        Beginning of what the training was not allowed to know.
    ruled : mapping
        Leads left out of the replay since a rule beside the model decided: ``leads``, ``by_rule`` and the rules
        ``not_judged``; empty where there are no rules.
    """

    replay: Replay
    base_rate: float
    every_days: int
    horizon_days: int | None
    target: str
    certifiable: bool
    worths: Mapping[str, Worth] = field(default_factory=lambda: MappingProxyType({}))
    value_column: str | None = None
    seed: int = 0
    as_of: str | None = None
    ruled: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def policy(self, settings: config.Policy) -> Policy:
        """Choose the threshold that keeps every rule of ``settings`` (see `mqlml.decision.choosing.set_policy`).

        Raises
        ------
        GateClosed
            The rules cannot be met; names what could be.
        """
        return set_policy(
            settings, self.replay, base_rate=self.base_rate, worths=self.worths, certifiable=self.certifiable
        )

    def until(self, moment: int) -> Basis:
        """Only the weeks whose outcomes were known at ``moment`` (microseconds).

        Raises
        ------
        UsageError
            No week is left, or the history has no dates; names the first moment at which one was known.
        """
        r = self.replay
        if r.first_moment is None:
            raise UsageError("--as-of needs past weeks, and this bundle's history has no dates.", hint="leave it out")
        # Only the week of a snapshot is kept; on a grid that is no number of weeks it may lie up to six days later.
        latest = 0 if self.every_days % 7 == 0 else 6
        known = r.first_moment + (r.week * 7 + latest + (self.horizon_days or 0)) * DAY
        if not (known <= moment).any():
            first = str(np.datetime64(int(known.min()), "us"))[:10]
            raise UsageError("at --as-of no replayed week was known yet.", hint=f"the first was on {first}")
        return replace(self, replay=r.where(known <= moment))

    def to_table(self) -> pa.Table:
        """The replay as plain columns; leads and accounts as numbers that mean nothing elsewhere."""
        r = self.replay
        part = np.zeros(len(r.p), dtype=np.int64) if r.part is None else r.part
        lead, group = (np.unique(codes, return_inverse=True)[1] for codes in (r.lead, r.group))
        whole = dict(zip(_WHOLE, (lead, group, r.week, part), strict=True))
        columns = {name: pa.array(values.astype(np.int32)) for name, values in whole.items()}
        columns |= {"p": pa.array(r.p), "won": pa.array(r.won.astype(np.int8))}
        columns |= {name: pa.array(r.more[name]) for name in MORE if name in r.more}
        return pa.table(columns).replace_schema_metadata({_META: json.dumps(self._meta(), sort_keys=True)})

    @classmethod
    def of_table(cls, table: pa.Table) -> Basis:
        """Inverse of :meth:`to_table`."""
        meta = json.loads((table.schema.metadata or {})[_META])
        column = {name: table[name].to_numpy() for name in table.column_names}
        lead, group, week, part = (column[name].astype(np.int64) for name in _WHOLE)
        replay = Replay(
            lead,
            group,
            week,
            column["p"],
            column["won"].astype(np.float64),
            np.array(meta.pop("start_week"), dtype=np.int64),
            meta.pop("sampled"),
            meta.pop("first_moment"),
            part,
            tuple(meta.pop("parts")),
            MappingProxyType({name: column[name].astype(np.float64) for name in MORE if name in column}),
        )
        worths = {name: Worth.from_dict(worth) for name, worth in meta.pop("worths").items()}
        return cls(replay, worths=worths, **meta)

    def _meta(self) -> dict[str, Any]:
        r = self.replay
        return {
            "start_week": r.start_week.tolist(),
            "sampled": r.sampled,
            "first_moment": r.first_moment,
            "parts": list(r.parts),
            "base_rate": self.base_rate,
            "every_days": self.every_days,
            "horizon_days": self.horizon_days,
            "target": self.target,
            "certifiable": self.certifiable and WINDOW in r.parts,
            "worths": {name: worth.to_dict() for name, worth in self.worths.items()},
            "value_column": self.value_column,
            "seed": self.seed,
            "as_of": self.as_of,
            **({"ruled": dict(self.ruled)} if self.ruled else {}),
        }
