"""What is needed to make tables from exports: whose ids are whose, and times in UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mqlml.history.discovery.people import PEOPLE, canonical_sql, column_sql, leads_where, link_people
from mqlml.history.findings import Findings
from mqlml.history.session import Session, quoted
from mqlml.history.timestamps import read_times
from mqlml.history.zones import LocalTime

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.history.discovery.recognising import Part, Recognised

__all__ = ["KEYED", "LEAD", "LEADS", "Workshop"]

LEADS = "raw.found_leads"
"""Relation ``lead_id``, ``created_at`` (UTC): the leads as they stand in the file."""
LEAD = '"mqlml:lead"'
KEYED = f'(SELECT DISTINCT key AS "mqlml:key", lead_id AS {LEAD} FROM {PEOPLE})'
"""Relation to join with ``Workshop.lead_sql``; gives the column ``LEAD``."""

_LAST_MOMENT = "INTERVAL 1 DAY - INTERVAL 1 MICROSECOND"


@dataclass
class Workshop:
    """What is needed to make tables from the exports of a folder.

    Attributes
    ----------
    session : Session
    found : Recognised
    leads : Part
    zone : str
        Zone of times that name none.
    formats : mapping of (str, str) to str
        Date format by table and column.
    linked : dict of str to int
        Ids of people linked to leads, by how they were found.
    left_out : dict of str to int
        Rows that could not become part of a table, by why.
    """

    session: Session
    found: Recognised
    leads: Part
    zone: str = "UTC"
    formats: Mapping[tuple[str, str], str] = field(default_factory=dict)
    linked: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    def prepare(self, *, match_email: bool) -> None:
        """Find whose ids belong to which lead."""
        leads = self.leads
        created = self.utc(leads, leads.one("created_at"))
        self.linked = link_people(self.session, self.found, since=created, match_email=match_email)
        self.session.run(
            f"CREATE OR REPLACE TABLE {LEADS} AS SELECT {column_sql(leads, 'id')} AS lead_id, "
            f"min({created}) AS created_at FROM {self.lead_rows} GROUP BY ALL"
        )

    @property
    def lead_rows(self) -> str:
        """The rows of the leads that are leads of their own."""
        return f"{self.leads.table.raw.relation} WHERE ({leads_where(self.leads) or 'true'})"

    def utc(self, part: Part, column: str | None, *, whole_day: bool = False) -> str:
        """A column of times as SQL in UTC; null where it cannot be read.

        Parameters
        ----------
        part : Part
        column : str or None
            None gives null in every row.
        whole_day : bool
            A date without a time counts only when its day is over.
        """
        if column is None:
            return "NULL::TIMESTAMP"
        raw, profile = part.table.raw, part.table.columns[column]
        if profile.epochs and profile.epochs >= 0.98 * profile.filled:
            number = f"TRY_CAST({quoted(column)} AS DOUBLE)"
            return f"make_timestamp((CASE WHEN {number} > 1e11 THEN {number} * 1e3 ELSE {number} * 1e6 END)::BIGINT)"
        form = self.formats.get((part.table.name, column))
        source = part.table.source.model_copy(update={"timestamp_format": form, "max_quarantined_share": 1.0})
        reading = read_times(self.session, Findings(), raw, source=source, columns=[column]).get(column)
        if reading is None:
            return "NULL::TIMESTAMP"
        options = [] if reading.instant is None else [f"({reading.instant})"]
        if reading.local is not None:
            local = f"({reading.local})"
            local = f"({local} + {_LAST_MOMENT})" if whole_day and reading.days else local
            options.append(f"({LocalTime(self.zone).utc(local)})")
        return f"coalesce({', '.join(options)})"

    def first_utc(self, part: Part, columns: Sequence[str]) -> str:
        """The first of several columns of times that has a value; a date counts when its day is over."""
        times = [self.utc(part, name, whole_day=True) for name in columns]
        return f"coalesce({', '.join(times)})" if times else "NULL::TIMESTAMP"

    @property
    def short(self) -> bool:
        """Whether ids of a system may be shortened."""
        parts = (self.leads, *self.found.of("people"), *self.found.of("contacts"))
        return any(part.layout.short_ids for part in parts)

    def lead_sql(self, person: str) -> str:
        """Condition that joins ``KEYED`` to an id of a person."""
        return f'"mqlml:key" = {canonical_sql(f"trim({person})", short=self.short)}'

    def links(self) -> pa.Table | None:
        """Merged and foreign ids; None where there are none."""
        table = self.session.table(
            f"SELECT DISTINCT other AS other_id, lead_id FROM {PEOPLE} WHERE other <> lead_id ORDER BY ALL"
        )
        return table if table.num_rows else None

    def count(self, why: str, rows: int) -> None:
        """Remember how many rows were left out, and why."""
        if rows:
            self.left_out[why] = rows
