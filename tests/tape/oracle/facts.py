"""Who: age, attributes and their changes, stages, and what colleagues of the account did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tape.oracle.counts import kinds, windows
from tape.oracle.words import Query, days_between, days_since_last, events, name, suffix, text, within

if TYPE_CHECKING:
    from mqlml.tape.features import Attribute, FeatureSet

_PERSON = "asked JOIN people USING (lead_id)"


def age(features: FeatureSet) -> Query:
    """Days since creation."""
    return Query({"time.age_days": days_between("any_value(created_at)", "any_value(moment)")}, _PERSON)


def attribute(features: FeatureSet) -> Query:
    """The value at creation, or the one that the field history shows for the moment."""
    return Query({f"lead.{a.name}": _value(a) for a in features.attributes}, _PERSON)


def _value(attribute: Attribute) -> str:
    today = f"any_value({name(attribute.name)})"
    if attribute.source == "creation":
        return today
    clean = "c.value" if attribute.kind == "category" else _finite("c.value")
    mine = f"FROM changes c WHERE c.lead_id = any_value(asked.lead_id) AND c.field = {text(attribute.name)}"
    before = f"{mine} AND c.changed_at < any_value(moment)"
    first = f"(SELECT c.old_value {mine} ORDER BY c.changed_at, c.value NULLS FIRST, c.old_value NULLS FIRST LIMIT 1)"
    return f"""CASE
        WHEN EXISTS (SELECT 1 {before})
            THEN (SELECT {clean} {before} ORDER BY c.changed_at DESC, {clean} DESC NULLS LAST LIMIT 1)
        WHEN NOT (SELECT any_value(has_old_value) FROM changes) THEN NULL
        WHEN EXISTS (SELECT 1 {mine}) THEN {first if attribute.kind == "category" else _finite(first)}
        ELSE {today} END"""


def _finite(value: str) -> str:
    return f"CASE WHEN isfinite(TRY_CAST({value} AS DOUBLE)) THEN TRY_CAST({value} AS DOUBLE) END"


def changes(features: FeatureSet) -> Query:
    """How often a field was changed after the lead was created, and when last."""
    columns = {}
    for a in features.attributes:
        if a.source == "history":
            mine = f"field = {text(a.name)}"
            columns[f"changes.{a.name}.count_ever"] = f"count(changed_at) FILTER ({mine})"
            last = f"(max(changed_at) FILTER ({mine}))"
            columns[f"changes.{a.name}.days_since_last"] = days_between(last, "any_value(moment)")
    join = "c.lead_id = asked.lead_id AND c.changed_at < asked.moment AND c.changed_at > people.created_at"
    return Query(columns, f"asked JOIN people USING (lead_id) LEFT JOIN changes c ON {join}")


def stage(features: FeatureSet) -> Query:
    """The stage entered last; of several at one moment the last by name."""
    join = "s.lead_id = asked.lead_id AND s.entered_at < asked.moment"
    return Query(
        {
            "stage.current": "(list(stage ORDER BY entered_at DESC, stage DESC) FILTER (entered_at IS NOT NULL))[1]",
            "stage.days_in": days_between("max(entered_at)", "any_value(moment)"),
            "stage.moves": "count(entered_at)",
        },
        f"asked LEFT JOIN stages s ON {join}",
    )


_COLLEAGUES = """
    SELECT asked.row, asked.moment, colleague.lead_id AS colleague, colleague.created_at
    FROM asked JOIN people me ON me.lead_id = asked.lead_id
    JOIN people colleague ON colleague.account_id = me.account_id AND colleague.lead_id <> me.lead_id
    WHERE colleague.created_at < asked.moment
"""
_DEEDS = f"""
    SELECT c.*, f.occurred_at, f.event_type FROM ({_COLLEAGUES}) c
    LEFT JOIN facts f ON f.lead_id = c.colleague AND f.occurred_at < c.moment
                     AND greatest(f.known_at, c.created_at) < c.moment
"""


def account(features: FeatureSet) -> Query:
    """Other leads of the account that existed by then, and what was known of them."""
    source = f"asked LEFT JOIN (SELECT * EXCLUDE (moment) FROM ({_DEEDS})) USING (row)"
    columns = {
        "account.any.colleagues": "count(DISTINCT colleague)",
        "account.any.days_since_first_colleague": days_between("min(created_at)", "any_value(moment)"),
    }
    if not features.named_types:
        return Query(columns, source)
    acted = "count(DISTINCT colleague) FILTER (occurred_at IS NOT NULL AND {})"
    columns |= {f"account.any.events_{suffix(w)}": events(w) for w in windows(features)}
    columns |= {f"account.any.active_{suffix(w)}": acted.format(within(w)) for w in windows(features)}
    columns["account.any.days_since_last"] = days_since_last()
    for word, where in kinds(features):
        for w in windows(features)[-2:]:
            columns[f"account.{word}.events_{suffix(w)}"] = events(w, where)
    return Query(columns, source)
