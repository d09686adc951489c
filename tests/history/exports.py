"""Folders of exports as CRM systems write them, made from the synthetic history."""

from __future__ import annotations

from pathlib import Path

import duckdb

# Ids as Salesforce gives them: three characters for the object, then a number, then three that check the rest.
_ID = "'{prefix}5f000' || lpad({number}::VARCHAR, 7, '0') || 'AAX'"


def one_csv(sample: Path, out: Path) -> None:
    """One CSV of leads with columns for the outcome."""
    out.mkdir()
    _connect(sample).execute(
        f"COPY (SELECT l.* EXCLUDE (lead_status), 'p' || n || '@example.org' AS email, o.outcome, o.decided_at "
        f"AS closed_at "
        f"FROM leads AS l LEFT JOIN last AS o USING (lead_id) ORDER BY n) TO '{out}/crm_export.csv'"
    )


def leads_and_activities(sample: Path, out: Path) -> None:
    """Leads and activities as a German spreadsheet writes them: semicolons, the day first, open leads with a stage."""
    out.mkdir()
    connection = _connect(sample)
    day = "%d.%m.%Y %H:%M"
    connection.execute(
        f"""COPY (SELECT lead_id AS "Lead ID", strftime(created_at, '{day}') AS "Created Date", industry AS "Industry",
        source AS "Source", CASE o.outcome WHEN 'won' THEN 'Closed Won' WHEN 'lost' THEN 'Closed Lost'
        ELSE 'Working' END AS "Stage", strftime(o.decided_at, '%d.%m.%Y') AS "Close Date" FROM leads
        LEFT JOIN last AS o USING (lead_id) ORDER BY n) TO '{out}/Leads.csv' (DELIMITER ';')"""
    )
    connection.execute(
        f"""COPY (SELECT lead_id AS "Lead ID", strftime(occurred_at, '{day}') AS "Activity Date", event_type AS "Type",
        channel AS "Channel", asset AS "Page" FROM '{sample}/events.parquet' ORDER BY occurred_at, lead_id)
        TO '{out}/Activities.csv' (DELIMITER ';')"""
    )


def salesforce_and_hubspot(sample: Path, out: Path) -> None:
    """Salesforce with merged leads, conversions and opportunities; HubSpot with contacts and engagements of its own."""
    out.mkdir()
    connection = _connect(sample)
    connection.execute(
        f"""CREATE TABLE crm AS SELECT l.*, o.outcome, o.decided_at, o.value, o.lost_reason, h.handed_at,
        {_id("00Q", "n")} AS lead, CASE WHEN h.handed_at IS NOT NULL THEN {_id("003", "n")} END AS contact,
        CASE WHEN h.handed_at IS NOT NULL THEN {_id("006", "n")} END AS opportunity, 9000000 + n AS vid
        FROM leads AS l LEFT JOIN last AS o USING (lead_id) LEFT JOIN (
        SELECT lead_id, min(handed_at) AS handed_at FROM '{sample}/handovers.parquet' GROUP BY ALL) AS h
        USING (lead_id)"""
    )
    connection.execute(
        f"CREATE TABLE deeds AS SELECT e.*, c.lead, c.contact, c.handed_at, c.vid, c.n FROM "
        f"'{sample}/events.parquet' AS e "
        "JOIN crm AS c USING (lead_id)"
    )
    for name, query in {**_salesforce(), **_hubspot()}.items():
        connection.execute(f"COPY ({query}) TO '{out}/{name}.csv'")


def _salesforce() -> dict[str, str]:
    twin = _id("00Q", "(8000000 + n)")
    stamp = "strftime({at}, '%Y-%m-%dT%H:%M:%S.000Z')"
    who = "CASE WHEN handed_at IS NOT NULL THEN contact ELSE lead END"
    status = (
        "CASE WHEN contact IS NOT NULL THEN 'Qualified' WHEN outcome = 'lost' THEN 'Unqualified' ELSE 'Working' END"
    )
    lead = (
        "{id} AS Id, {deleted} AS IsDeleted, {master} AS MasterRecordId, 'Person ' || n AS Name, "
        f"'p' || n || '@example.org' AS Email, industry AS Industry, source AS LeadSource, country AS Country, "
        f"{status} AS Status, "
        f"{stamp.format(at='created_at')} AS CreatedDate, contact IS NOT NULL AS IsConverted, "
        "handed_at::DATE AS ConvertedDate, contact AS ConvertedContactId, "
        "CASE WHEN n % 2 = 0 THEN opportunity END AS ConvertedOpportunityId FROM crm"
    )
    return {
        "Lead": f"SELECT {lead.format(id='lead', deleted='false', master='NULL')} UNION ALL SELECT "
        f"{lead.format(id=twin, deleted='true', master='lead')} WHERE n % 20 = 0 ORDER BY 1",
        "LeadHistory": f"SELECT lead AS LeadId, 'Status' AS Field, 'Working' AS OldValue, {status} AS NewValue, "
        f"{stamp.format(at='coalesce(handed_at, decided_at)')} AS CreatedDate FROM crm "
        "WHERE handed_at IS NOT NULL OR outcome = 'lost' ORDER BY 1",
        "Opportunity": "SELECT opportunity AS Id, CASE WHEN outcome = 'won' THEN 'Closed Won' WHEN outcome = "
        "'lost' THEN "
        "'Closed Lost' ELSE 'Proposal' END AS StageName, coalesce(outcome = 'won', false) AS IsWon, "
        f"outcome IN ('won', 'lost') AS IsClosed, decided_at::DATE AS CloseDate, "
        f"{stamp.format(at='handed_at')} AS CreatedDate, "
        "value AS Amount, lost_reason AS Loss_Reason__c FROM crm WHERE opportunity IS NOT NULL ORDER BY 1",
        "OpportunityContactRole": "SELECT opportunity AS OpportunityId, contact AS ContactId, true AS "
        "IsPrimary FROM crm "
        "WHERE opportunity IS NOT NULL ORDER BY 1",
        # as a report writes it: the first 15 characters of an id
        "Task": f"SELECT left({who}, 15) AS WhoId, CASE event_type WHEN 'call' THEN 'Call' ELSE 'Task' END AS "
        "TaskSubtype, "
        f"true AS IsClosed, occurred_at::DATE AS ActivityDate, {stamp.format(at='recorded_at')} AS CreatedDate "
        f"FROM deeds "
        "WHERE event_type IN ('call', 'meeting') ORDER BY ALL",
    }


def _hubspot() -> dict[str, str]:
    merged = "CASE WHEN n % 10 = 0 THEN (7000000 + n)::VARCHAR END"
    return {
        "hubspot_contacts": 'SELECT vid AS "Record ID", strftime(created_at, \'%Y-%m-%d %H:%M\') AS "Create Date", '
        f'\'p\' || n || \'@example.org\' AS "Email", lead AS "Salesforce Lead ID", {merged} AS "Merged Contact IDs", '
        "'lead' AS \"Lifecycle Stage\" FROM crm ORDER BY n",
        "hubspot_engagements": "SELECT CASE WHEN n % 10 = 0 THEN 7000000 + n ELSE vid END AS contact_id, "
        "strftime(occurred_at, '%Y-%m-%dT%H:%M:%SZ') AS hs_timestamp, event_type AS type, channel, asset FROM deeds "
        "WHERE event_type NOT IN ('call', 'meeting') ORDER BY ALL",
    }


def _id(prefix: str, number: str) -> str:
    return _ID.format(prefix=prefix, number=number)


def _connect(sample: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        f"CREATE VIEW leads AS SELECT *, regexp_extract(lead_id, '[0-9]+')::INTEGER AS n FROM '{sample}/leads.parquet'"
    )
    connection.execute(
        "CREATE VIEW last AS SELECT lead_id, arg_max(outcome, decided_at) AS outcome, max(decided_at) AS decided_at, "
        f"arg_max(value, decided_at) AS value, arg_max(lost_reason, decided_at) AS lost_reason FROM "
        f"'{sample}/outcomes.parquet' "
        "WHERE outcome <> 'duplicate' GROUP BY ALL"
    )
    return connection


def into_postgres(sample: Path, url: str) -> None:
    """A sales database: prospects with their result, what they did, and tables that have nothing to do with leads."""
    import adbc_driver_postgresql.dbapi as driver

    connection = _connect(sample)
    tables = {
        "prospects": "SELECT lead_id AS prospect_id, created_at AS registered_at, account_id AS company_id, industry, "
        "source, country, 'p' || n || '@example.org' AS email, coalesce(outcome, 'open') AS result, decided_at AS "
        "closed_at, value AS deal_value FROM leads LEFT JOIN last USING (lead_id) ORDER BY n",
        "activities": "SELECT lead_id AS prospect_id, occurred_at AS activity_date, event_type AS activity, channel, "
        f"asset AS page FROM '{sample}/events.parquet' ORDER BY occurred_at, lead_id",
        "invoices": "SELECT n AS number, n * 1.5 AS total FROM leads ORDER BY n",
    }
    with driver.connect(url) as database:
        with database.cursor() as cursor:
            for name, query in tables.items():
                cursor.adbc_ingest(name, connection.sql(query).to_arrow_table(), mode="create")
        database.commit()
