"""Hand-off lists of a scoring: who is on them, what they did last, and what their CRM knows of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.config import Handoff
from mqlml.history.carried import carried_columns
from mqlml.history.queries import event_types_at
from mqlml.learning.snapshots import DAY, mark_table
from mqlml.operation.bundle import moment_name
from mqlml.operation.handoff import COLUMNS, headers, write_handoff
from mqlml.operation.scoring import SCORES
from mqlml.tape.build import build_features

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mqlml.config import Config
    from mqlml.tape.features import FeatureSet
    from mqlml.workflows.opening import Opened

__all__ = ["Handing", "handing_over"]

_UTC = pa.timestamp("us", "UTC")


def handing_over(config: Config, folder: Path | None = None) -> tuple[Config, Path | None]:
    """Settle whether lists are written: settings without ``[handoff]`` where they are not, and the folder for them.

    Parameters
    ----------
    config : Config
    folder : Path, optional
        By default that of ``[handoff]``, if there is one.
    """
    settings = config.handoff
    lists = folder or (config.path(settings.folder) if settings and settings.folder else None)
    return config.model_copy(update={"handoff": None if lists is None else settings or Handoff()}), lists


@dataclass
class Handing:
    """Collects the leads of a scoring that a list has to name, and writes the lists.

    Attributes
    ----------
    settings : Handoff
    folder : Path
        Each moment gets a folder of its own in it.
    opened : Opened
    features : FeatureSet
        The model's: they say which events count as made by the lead.
    """

    settings: Handoff
    folder: Path
    opened: Opened
    features: FeatureSet
    _kept: list[pa.Table] = field(default_factory=list)

    def check(self) -> None:
        """Refuse names that do not fit before anything is scored."""
        headers(self.settings)

    def add(self, scores: pa.Table) -> None:
        """Keep those who are on the list, leave it, or are control leads."""
        listed = pc.or_(pc.not_equal(scores["change"], "none"), scores["control"])
        self._kept.append(scores.filter(listed))

    def write(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Publish the lists; returns their manifest and the ``folder``."""
        rows = pa.concat_tables(self._kept) if self._kept else SCORES.empty_table()
        at, what = self._last_events(rows)
        columns = {name: rows[name] for name in (*COLUMNS, "probability", "control") if name in rows.column_names}
        columns |= {"last_event": pa.array(what, pa.string()), "last_event_at": at}
        carried = carried_columns(self.opened.history, self.settings.carried, rows["lead_id"].combine_chunks())
        for name in self.settings.carried:
            columns[name] = carried[name]
        folder = self.folder / moment_name(self.opened.as_of)
        facts = {key: manifest[key] for key in ("as_of", "model_version", "policy_version", "review")}
        return {**write_handoff(pa.table(columns), folder, self.settings, facts=facts), "folder": folder}

    def _last_events(self, rows: pa.Table) -> tuple[pa.Array, list[str | None]]:
        """When a lead last did something itself, and what; what machines and sales did is left out as in features."""
        n, moment = rows.num_rows, self.opened.moment
        if not n or moment is None or not self.features.event_types:
            return pa.nulls(n, _UTC), [None] * n
        people = self.opened.people
        lead = pc.index_in(rows["lead_id"], value_set=people.lead_id).to_numpy().astype(np.int64)
        asked = replace(self.features, families=("recency",), attributes=(), pairs=(), tracked=None, left_out=())
        order = np.argsort(lead, kind="stable")
        marks = mark_table(people, lead[order], np.full(n, moment, dtype=np.int64))
        found = build_features(self.opened.history, marks, asked)
        days = np.empty(n)
        days[order] = found["events.any.days_since_last"].to_numpy()
        never = np.isnan(days)
        at = pa.array(moment - np.round(np.where(never, 0, days) * DAY).astype(np.int64), mask=never)
        what = event_types_at(self.opened.history, pa.table({"lead_id": rows["lead_id"].combine_chunks(), "at": at}))
        return at.cast(_UTC), what
