"""Open University Learning Analytics: enrolments as leads, clicks and submissions as events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mqlml.history.examples.public import UTC, PublicSet, query

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

SETTINGS = """\
# Open University Learning Analytics Dataset (OULAD) in mqlml's data contract.
# Source: Kuzilek, Hlosta, Zdrahal (2017), Scientific Data 4:170171, doi 10.1038/sdata.2017.171,
# https://analyse.kmi.open.ac.uk/open_dataset, CC BY 4.0. Changed: turned into leads, events and outcomes.
# A lead is one enrolment (module, presentation, person), its account is the person; won = passed.
# The source counts days from the start of a presentation, of which only the month is known: B is 1 February, J is
# 1 October. Clicks and submissions stand at noon of their day.
# Try: mqlml train --as-of 2014-02-01, then mqlml score --as-of 2014-03-01

[leads]
path = "leads.parquet"
timezone = "UTC"
known_at_creation = [              # asked at registration
    "code_module", "gender", "region", "highest_education", "imd_band", "age_band",
    "num_of_prev_attempts", "studied_credits", "disability",
]
sensitive = ["gender", "age_band", "disability"]   # off as features

[outcomes]
path = "outcomes.parquet"
won = ["won"]                      # Pass or Distinction, decided when the presentation ends
lost = ["lost"]                    # Fail (at the end), Withdrawn (on the day of unregistration)

[events]
path = "events.parquet"            # also holds 18,530 events after the decision: only the as-of rule keeps them out

[label]
horizon_days = 300                 # a win is decided only 234 to 268 days after the start of a presentation

[snapshots]
from = "starts_at"                 # first moment worth looking: earlier, nobody could be won within the horizon
every_days = 7
max_age_days = 400

[policy]
share = 0.2                        # everybody starts in the same week, so a weekly capacity would say little
"""

_START = """(CASE right({0}, 1) WHEN 'B' THEN make_date(left({0}, 4)::INT, 2, 1)
    ELSE make_date(left({0}, 4)::INT, 10, 1) END)"""
_KEYS = "code_module, code_presentation, id_student"
_LEAD_ID = "concat_ws('-', code_module, code_presentation, id_student)"

_ENROLMENTS = f"""
CREATE TEMP TABLE enrolments AS
WITH numbered AS (
    SELECT * REPLACE (code_module::VARCHAR AS code_module, code_presentation::VARCHAR AS code_presentation),
        row_number() OVER () AS number, {_START.format("code_presentation")} AS starts
    FROM studentInfo)
SELECT i.*, {_LEAD_ID} AS lead_id, starts + coalesce(date_registration, 0)::INT AS created,
    starts + date_unregistration::INT AS left_on, starts + module_presentation_length::INT AS ends
FROM numbered AS i
JOIN studentRegistration USING ({_KEYS})
JOIN courses USING (code_module, code_presentation)"""

_LEADS = """
SELECT lead_id, id_student::VARCHAR AS account_id, created::TIMESTAMP AS created_at, code_module, gender, region,
    highest_education, imd_band, age_band, num_of_prev_attempts::INT AS num_of_prev_attempts,
    studied_credits::INT AS studied_credits, disability, starts::TIMESTAMP AS starts_at
FROM enrolments ORDER BY number"""

_OUTCOMES = """
SELECT lead_id, CASE WHEN final_result IN ('Pass', 'Distinction') THEN 'won' ELSE 'lost' END AS outcome,
    CASE WHEN final_result <> 'Withdrawn' OR left_on IS NULL THEN ends
        WHEN left_on < created THEN created + 1 ELSE left_on END::TIMESTAMP AS decided_at
FROM enrolments ORDER BY number"""

_CLICKS = f"""
SELECT {_LEAD_ID} AS lead_id, ({_START.format("code_presentation::VARCHAR")} + date::INT)::TIMESTAMP
    + INTERVAL 12 HOUR AS occurred_at, id_site::INT AS asset, sum_click::DOUBLE AS value
FROM studentVle"""

_SUBMISSIONS = """
SELECT concat_ws('-', code_module, code_presentation, id_student) AS lead_id,
    ({start} + date_submitted::INT)::TIMESTAMP + INTERVAL 12 HOUR AS occurred_at,
    'assessment_submitted' AS event_type, score::DOUBLE AS value, id_assessment::VARCHAR AS asset
FROM (SELECT *, row_number() OVER () AS number FROM studentAssessment)
JOIN (SELECT id_assessment, code_module, code_presentation FROM assessments) USING (id_assessment)
ORDER BY number""".format(start=_START.format("code_presentation"))

_EVENTS = pa.schema(
    {"lead_id": pa.string(), "occurred_at": UTC, "event_type": pa.string(), "value": pa.float64(), "asset": pa.string()}
)


def _convert(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, pa.Table | pa.RecordBatchReader]]:
    connection.execute(_ENROLMENTS)
    yield "leads", query(connection, _LEADS)
    yield "outcomes", query(connection, _OUTCOMES)
    yield "events", pa.RecordBatchReader.from_batches(_EVENTS, _events(connection))


def _events(connection: duckdb.DuckDBPyConnection) -> Iterator[pa.RecordBatch]:
    """Stream the clicks in the order of the file, then the submissions; a join would not promise that order."""
    sites = connection.sql("SELECT id_site::INT AS id_site, activity_type FROM vle").to_arrow_table()
    ids, activities = sites["id_site"].combine_chunks(), sites["activity_type"].combine_chunks()
    for batch in connection.sql(_CLICKS).to_arrow_reader(200_000):
        site = batch.column("asset")
        activity = activities.take(pc.index_in(site, value_set=ids))
        moment, clicks = batch.column("occurred_at").cast(UTC), batch.column("value")
        columns = [batch.column("lead_id"), moment, activity, clicks, site.cast(pa.string())]
        yield pa.RecordBatch.from_arrays(columns, schema=_EVENTS)
    yield from query(connection, _SUBMISSIONS).cast(_EVENTS).to_batches()


SET = PublicSet(
    name="oulad",
    folder="oulad",
    files={
        "studentInfo": ("code_module", "code_presentation", "id_student", "final_result"),
        "studentRegistration": ("id_student", "date_registration", "date_unregistration"),
        "studentVle": ("code_module", "code_presentation", "id_student", "id_site", "date", "sum_click"),
        "studentAssessment": ("id_assessment", "id_student", "date_submitted", "score"),
        "assessments": ("id_assessment", "code_module", "code_presentation"),
        "vle": ("id_site", "activity_type"),
        "courses": ("code_module", "code_presentation", "module_presentation_length"),
    },
    url="https://analyse.kmi.open.ac.uk/open_dataset",
    licence="CC BY 4.0",
    settings=SETTINGS,
    convert=_convert,
)
