"""What a folder of exports is taken for: recognition, dates, columns, outcomes and whose ids are whose."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import duckdb
import pytest

from mqlml.config import Config
from mqlml.errors import DataRefused
from mqlml.history import presets
from mqlml.history.discovery.columns import judge
from mqlml.history.discovery.draft import Draft
from mqlml.history.discovery.places import Place
from mqlml.history.discovery.profiles import ColumnProfile
from mqlml.history.discovery.proposing import Proposal, Wishes, propose_place
from mqlml.history.discovery.words import personal, sales_made, sensitive, sort_outcomes
from mqlml.history.presets import layouts

pytestmark = pytest.mark.long


def propose(folder: Path, files: dict[str, str], **wishes: object) -> Proposal:
    """Write files and propose settings for their folder."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return propose_place(Place.of(str(folder)), wishes=Wishes(**wishes), copies=folder)


def settings(proposal: Proposal, section: str) -> dict[str, object]:
    return proposal.draft.settings()[section]


def asked(proposal: Proposal) -> str:
    return "\n".join(f"{q.about}: {q.question} {q.seen}" for q in proposal.draft.questions)


LEADS = """lead_id,created_at,industry,outcome,decided_at
L1,2024-01-01T08:00:00Z,chemistry,won,2024-02-01T08:00:00Z
L2,2024-01-02T08:00:00Z,retail,lost,2024-02-02T08:00:00Z
L3,2024-01-03T08:00:00Z,retail,,
"""


# ------------------------------------------------------------------------------------------------------------- presets


def test_presets_when_loaded_then_name_public_sources_and_only_roles_they_define():
    for layout in layouts():
        assert layout.plain or all(source.startswith("https://") for source in layout.sources)
        assert set(layout.needs) <= set(layout.columns)


def test_presets_when_a_name_was_not_confirmed_then_it_says_so_of_a_name_that_it_uses():
    folder = Path(presets.__file__).parent
    for file in folder.glob("*.toml"):
        preset = tomllib.loads(file.read_text(encoding="utf-8"))
        used = json.dumps(preset["layouts"])
        assert [name for name in preset.get("unconfirmed", ()) if json.dumps(name) not in used] == []
        assert preset.get("unconfirmed") or file.stem == "plain"


# --------------------------------------------------------------------------------------------------------------- words


def test_outcomes_when_a_pipeline_has_stages_then_only_closed_ones_are_decided():
    found = sort_outcomes(["Closed Won", "Closed Lost", "Negotiation", "Duplicate"])
    assert (found.won, found.lost, found.open_, found.ignore) == (
        ("Closed Won",),
        ("Closed Lost",),
        ("Negotiation",),
        ("Duplicate",),
    )


def test_outcomes_when_only_yes_and_no_then_a_flag_that_leaves_no_open():
    found = sort_outcomes(["0", "1"])
    assert found.flag
    assert (found.won, found.lost) == (("1",), ("0",))


def test_outcomes_when_a_person_named_values_then_those_count():
    found = sort_outcomes(["Kunde!", "weg", "neu"], won=["Kunde!"], lost=["weg"])
    assert (found.won, found.lost, found.open_) == (("Kunde!",), ("weg",), ("neu",))


@pytest.mark.parametrize("name", ["E-Mail", "first_name", "Vorname", "Mobile Phone", "LinkedIn", "Bemerkung", "zip"])
def test_personal_when_a_name_is_about_a_person_or_free_text_then_found(name):
    assert personal(name) is not None


@pytest.mark.parametrize("name", ["industry", "phone_calls_planned_budget", "email_opt_in_source", "company_size"])
def test_personal_when_a_category_has_such_a_word_in_it_then_its_values_decide(name):
    profile = ColumnProfile(name, "VARCHAR", rows=100, filled=100, distinct=2, numbers=100)
    assert judge(profile).key is None


def test_sensitive_when_gender_or_age_then_found():
    assert sensitive("Gender")
    assert sensitive("lead_age")
    assert not sensitive("page")


def test_sales_made_when_a_lead_asks_for_it_then_not():
    assert sales_made(["Call", "Meeting", "demo request", "page_view"]) == ("Call", "Meeting")


# ------------------------------------------------------------------------------------------------------------- columns


@pytest.mark.parametrize(
    ("profile", "key"),
    [
        (ColumnProfile("x", "VARCHAR", 100, 100, 95, emails=90), "exclude"),
        (ColumnProfile("x", "VARCHAR", 100, 100, 95, phones=90), "exclude"),
        (ColumnProfile("x", "VARCHAR", 100, 100, 90, words=9.0, longest=90), "exclude"),
        (ColumnProfile("x", "VARCHAR", 100, 100, 99), "exclude"),
        (ColumnProfile("ProgramId", "VARCHAR", 100, 100, 30), "exclude"),
        (ColumnProfile("gender", "VARCHAR", 100, 100, 2), "sensitive"),
        (ColumnProfile("last_score", "VARCHAR", 100, 100, 50, numbers=100), "state"),
        (ColumnProfile("revenue band", "VARCHAR", 100, 100, 5), None),
        (ColumnProfile("employees", "VARCHAR", 100, 100, 99, numbers=100), None),
    ],
)
def test_judge_when_a_column_looks_like_this_then_it_goes_there(profile, key):
    assert judge(profile).key == key


# --------------------------------------------------------------------------------------------------------------- dates


def test_dates_when_another_column_tells_the_order_then_it_holds_for_all(tmp_path):
    text = "lead_id,created_at,decided_at,outcome\nA,03/04/2024,13/04/2024,won\nB,05/04/2024,20/05/2024,lost\n"
    proposal = propose(tmp_path, {"leads.csv": text})
    assert settings(proposal, "leads")["timestamp_format"] == "%d/%m/%Y"
    assert "as other dates of the file show" in proposal.draft.text("x")


def test_dates_when_nothing_tells_the_order_then_refused_until_a_person_says(tmp_path):
    text = "lead_id,created_at,outcome\nA,03/04/2024,won\nB,05/04/2024,lost\n"
    with pytest.raises(DataRefused, match=r"'created_at'.*day or the month first.*--date-order dmy"):
        propose(tmp_path, {"leads.csv": text})
    proposal = propose(tmp_path, {"leads.csv": text}, date_order="mdy")
    assert settings(proposal, "leads")["timestamp_format"] == "%m/%d/%Y"


def test_dates_when_a_column_is_written_in_two_ways_then_refused_with_both(tmp_path):
    rows = "".join(f"L{i},{i + 1:02}.03.2024,won\nM{i},{i + 13}/03/2024,lost\n" for i in range(9))
    with pytest.raises(DataRefused, match=r"written in several ways: of 18 values 9 as"):
        propose(tmp_path, {"leads.csv": f"lead_id,created_at,outcome\n{rows}"})


def test_dates_when_naive_then_the_zone_is_asked_for_unless_named(tmp_path):
    text = LEADS.replace("Z", "")
    assert "[leads] timezone" in asked(propose(tmp_path, {"leads.csv": text}))
    named = propose(tmp_path, {"leads.csv": text}, timezone="Europe/Berlin")
    assert settings(named, "leads")["timezone"] == "Europe/Berlin"
    assert "[leads] timezone" not in asked(named)


# --------------------------------------------------------------------------------------------------------- plain tables


def test_plain_when_a_csv_has_outcome_columns_then_they_are_read_in_place(tmp_path):
    proposal = propose(tmp_path, {"my export.csv": LEADS})
    assert settings(proposal, "leads")["id"] == "lead_id"
    told = {"outcome": "outcome", "decided_at": "decided_at", "won": ["won"], "lost": ["lost"]}
    assert settings(proposal, "outcomes") == told
    assert not proposal.tables


def test_plain_when_open_leads_have_a_word_then_outcomes_are_a_table_of_the_decided_ones(tmp_path):
    text = LEADS.replace("retail,,", "retail,in progress,")
    proposal = propose(tmp_path, {"leads.csv": text})
    assert proposal.tables["outcomes"].column("lead_id").to_pylist() == ["L1", "L2"]
    assert settings(proposal, "leads")["exclude"] == ["outcome", "decided_at"]
    assert "'in progress' (1)" in asked(proposal)


def test_plain_when_only_winners_have_a_date_then_no_means_not_yet(tmp_path):
    text = "lead_id,created_at,converted,decided_at\nA,2024-01-01,1,2024-02-01\nB,2024-01-02,0,\nC,2024-01-03,0,\n"
    proposal = propose(tmp_path, {"leads.csv": text})
    assert settings(proposal, "outcomes")["lost"] == []
    assert proposal.tables["outcomes"].num_rows == 1


def test_plain_when_nothing_tells_the_outcome_then_refused_with_what_was_seen(tmp_path):
    text = "lead_id,created_at,industry\nA,2024-01-01,retail\nB,2024-01-02,retail\nC,2024-01-03,chemistry\n"
    with pytest.raises(
        DataRefused, match=r"'industry': 'retail' \(2\), 'chemistry' \(1\).*--outcome COLUMN"
    ) as refusal:
        propose(tmp_path, {"leads.csv": text})
    assert refusal.value.exit_code == 3


def test_plain_when_the_outcome_is_named_then_it_is_used(tmp_path):
    text = "lead_id,created_at,fate\nA,2024-01-01,aye\nB,2024-01-02,nay\n"
    proposal = propose(tmp_path, {"leads.csv": text}, outcome="fate", won=("aye",), lost=("nay",))
    assert settings(proposal, "outcomes")["won"] == ["aye"]


def test_plain_when_no_table_is_of_leads_then_refused_with_the_tables_seen(tmp_path):
    with pytest.raises(DataRefused, match=r"no table of leads was recognised; seen: prices\.csv.*--leads FILE"):
        propose(tmp_path, {"prices.csv": "product,price\nA,1\nA,2\n"})


def test_plain_when_semicolons_latin_and_decimal_commas_then_declared(tmp_path):
    text = LEADS.replace(",", ";").replace("industry", "Größe").replace("retail", "1,5").replace("chemistry", "2,5")
    (tmp_path / "leads.csv").write_bytes(text.encode("latin-1"))
    found = settings(propose(tmp_path, {}), "leads")
    assert (found["delimiter"], found["encoding"], found["decimal"]) == (";", "latin-1", ",")


def test_plain_when_tables_lie_in_a_duckdb_file_then_each_is_named(tmp_path):
    (tmp_path / "source.csv").write_text(LEADS)
    with duckdb.connect(str(tmp_path / "crm.duckdb")) as connection:
        connection.execute(f"CREATE TABLE leads AS FROM read_csv('{tmp_path}/source.csv')")
        connection.execute(
            "CREATE TABLE events AS SELECT 'L1' AS lead_id, TIMESTAMPTZ '2024-01-05' AS at, 'Call' AS type"
        )
    (tmp_path / "source.csv").unlink()
    proposal = propose(tmp_path, {})
    assert (settings(proposal, "leads")["path"], settings(proposal, "leads")["table"]) == ("crm.duckdb", "leads")
    assert settings(proposal, "events") == {
        "path": "crm.duckdb",
        "table": "events",
        "occurred_at": "at",
        "event_type": "type",
        "by_sales": ["Call"],
    }


def test_plain_when_a_table_is_not_recognised_then_asked_about(tmp_path):
    proposal = propose(tmp_path, {"leads.csv": LEADS, "prices.csv": "product,price\nA,1\nA,2\n"})
    assert "'prices.csv' is not recognised" in asked(proposal)


# ---------------------------------------------------------------------------------------------------------- Salesforce

SALESFORCE = {
    "Lead.csv": (
        "Id,IsDeleted,MasterRecordId,Email,Status,CreatedDate,IsConverted,ConvertedDate,ConvertedContactId,ConvertedOpportunityId\n"
        "00Q5f0000000001AAX,false,,a@x.org,Qualified,2024-01-01T08:00:00.000Z,true,2024-01-20,0035f0000000001AAX,0065f0000000001AAX\n"
        "00Q5f0000000002AAX,false,,b@x.org,Qualified,2024-01-02T08:00:00.000Z,true,2024-01-21,0035f0000000002AAX,\n"
        "00Q5f0000000003AAX,false,,c@x.org,Unqualified,2024-01-03T08:00:00.000Z,false,,,\n"
        "00Q5f0000000004AAX,false,,d@x.org,Unqualified,2024-01-04T08:00:00.000Z,false,,,\n"
        "00Q5f0000000009AAX,true,00Q5f0000000001AAX,a@x.org,Working,2023-12-01T08:00:00.000Z,false,,,\n"
    ),
    "Opportunity.csv": (
        "Id,StageName,IsWon,IsClosed,CloseDate,CreatedDate,Amount\n"
        "0065f0000000001AAX,Signed,true,true,2024-03-01,2024-01-20T08:00:00.000Z,900\n"
        "0065f0000000002AAX,Proposal,false,false,2024-09-01,2024-01-21T08:00:00.000Z,100\n"
        "0065f0000000003AAX,Signed,true,true,2022-03-01,2022-01-20T08:00:00.000Z,900\n"
    ),
    # the third deal was closed before its lead was there
    "OpportunityContactRole.csv": (
        "OpportunityId,ContactId,IsPrimary\n"
        "0065f0000000001AAX,0035f0000000001AAX,false\n"
        "0065f0000000001AAX,0035f0000000002AAX,true\n"
        "0065f0000000002AAX,0035f0000000002AAX,true\n"
        "0065f0000000003AAX,0035f0000000002AAX,true\n"
    ),
    "LeadHistory.csv": (
        "LeadId,Field,OldValue,NewValue,CreatedDate\n"
        "00Q5f0000000003AAX,Status,Working,Unqualified,2024-02-03T10:00:00.000Z\n"
        "00Q5f0000000001AAX,leadConverted,,,2024-01-20T09:30:00.000Z\n"
    ),
    "Task.csv": (
        "WhoId,TaskSubtype,IsClosed,ActivityDate,CreatedDate\n"
        "0035f0000000001,Call,true,2024-01-22,2024-01-22T08:00:00.000Z\n"
        "00Q5f0000000009AAX,Email,true,2023-12-05,2023-12-05T08:00:00.000Z\n"
        "00Q5f0000000003AAX,Call,false,2024-05-01,2024-02-01T08:00:00.000Z\n"
        "0035f0000000077AAX,Call,true,2024-01-22,2024-01-22T08:00:00.000Z\n"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def salesforce(tmp_path_factory: pytest.TempPathFactory) -> Proposal:
    return propose(tmp_path_factory.mktemp("salesforce"), SALESFORCE)


def rows(proposal: Proposal, section: str, *names: str) -> list[tuple[object, ...]]:
    table = proposal.tables[section].select(list(names))
    return [tuple(str(v) if hasattr(v, "tzinfo") else v for v in row.values()) for row in table.to_pylist()]


def test_salesforce_when_leads_are_merged_then_the_others_are_no_leads_and_their_ids_are_linked(salesforce):
    assert '"MasterRecordId" IS NULL' in settings(salesforce, "leads")["where"]
    assert rows(salesforce, "links", "other_id", "lead_id") == [
        ("0035f0000000001AAX", "00Q5f0000000001AAX"),
        ("0035f0000000002AAX", "00Q5f0000000002AAX"),
        ("00Q5f0000000009AAX", "00Q5f0000000001AAX"),
    ]


def test_salesforce_when_deals_tell_the_outcome_then_every_lead_of_them_has_a_row(salesforce):
    assert rows(salesforce, "outcomes", "lead_id", "outcome", "decided_at", "is_primary") == [
        ("00Q5f0000000001AAX", "won", "2024-03-01 00:00:00+00:00", True),
        ("00Q5f0000000002AAX", "won", "2024-03-01 00:00:00+00:00", True),
        ("00Q5f0000000002AAX", None, None, True),
        ("00Q5f0000000003AAX", "lost", "2024-02-03 10:00:00+00:00", None),
    ]
    assert "1 deals closed before their lead was created are left out" in asked(salesforce)
    assert "1 leads have a 'Status' that says lost, but nothing tells since when" in asked(salesforce)


def test_salesforce_when_activities_stand_under_contacts_and_short_ids_then_they_are_the_leads(salesforce):
    assert rows(salesforce, "events", "lead_id", "occurred_at", "event_type") == [
        ("00Q5f0000000001AAX", "2023-12-05 23:59:59.999999+00:00", "Email"),
        ("00Q5f0000000001AAX", "2024-01-22 23:59:59.999999+00:00", "Call"),
    ]
    assert "Left out: 1 activities of nobody among the leads." in salesforce.draft.heads["events"]
    assert settings(salesforce, "events")["by_sales"] == ["Call", "Email"]


def test_salesforce_when_the_history_has_the_hour_then_the_hand_over_is_then(salesforce):
    assert rows(salesforce, "handovers", "lead_id", "handed_at") == [
        ("00Q5f0000000001AAX", "2024-01-20 09:30:00+00:00"),
        ("00Q5f0000000002AAX", "2024-01-21 00:00:00+00:00"),
    ]


def test_salesforce_when_columns_hold_ids_persons_or_today_then_they_are_kept_away(salesforce):
    leads = settings(salesforce, "leads")
    assert set(leads["state"]) >= {"Status", "IsConverted"}
    assert set(leads["exclude"]) >= {"Email", "ConvertedContactId", "ConvertedOpportunityId", "MasterRecordId"}
    assert "a@x.org" not in salesforce.draft.text("x") + asked(salesforce)


def test_salesforce_when_no_stage_says_won_then_refused_with_the_stages(tmp_path):
    files = dict(SALESFORCE) | {
        "Opportunity.csv": "Id,StageName,CloseDate\n0065f0000000001AAX,Fertig,2024-03-01\n"
        "0065f0000000002AAX,Läuft,2024-09-01\n"
    }
    with pytest.raises(DataRefused, match=r"'Fertig' \(1\), 'Läuft' \(1\).*--won VALUE"):
        propose(tmp_path, files)
    named = propose(tmp_path, files, won=("Fertig",))
    assert "won" in named.tables["outcomes"]["outcome"].to_pylist()


# ------------------------------------------------------------------------------------------------------------- HubSpot

HUBSPOT = {
    "contacts.csv": (
        "Record ID,Create Date,Email,Lifecycle Stage,Merged Contact IDs,Became a Sales Qualified Lead "
        "Date,Became a Lead Date\n"
        "1,2024-01-01 08:00,a@x.org,customer,11;12,2024-01-10 08:00,2024-01-01 08:00\n"
        "2,2024-01-02 08:00,b@x.org,lead,,,2024-01-02 09:00\n"
    ),
    "deals.csv": (
        "Record ID,Deal Name,Deal Stage,Close Date,Create Date,Amount,Associated Contact IDs\n"
        "71,One,Closed Won,2024-03-01 10:00,2024-01-10 08:00,100,11;2\n"
        "72,Two,Appointment Scheduled,,2024-01-11 08:00,50,2\n"
    ),
    "engagements.csv": "contact_id,hs_timestamp,type\n12,2024-01-03T08:00:00Z,FORM\n2,2024-01-04T08:00:00Z,CALL\n",
}  # fmt: skip


def test_hubspot_when_a_deal_names_merged_contacts_then_the_win_is_that_of_the_one_that_remains(tmp_path):
    proposal = propose(tmp_path, HUBSPOT)
    assert rows(proposal, "outcomes", "lead_id", "outcome", "opportunity_id") == [
        ("1", "won", "71"),
        ("2", "won", "71"),
        ("2", None, "72"),
    ]
    assert rows(proposal, "links", "other_id", "lead_id") == [("11", "1"), ("12", "1")]
    assert rows(proposal, "events", "lead_id", "event_type") == [("1", "FORM"), ("2", "CALL")]
    assert rows(proposal, "stages", "lead_id", "stage") == [("1", "lead"), ("1", "salesqualifiedlead"), ("2", "lead")]
    assert settings(proposal, "events")["by_sales"] == ["CALL"]


def test_hubspot_when_there_are_no_deals_then_customers_are_the_wins(tmp_path):
    header = "Record ID,Create Date,Lifecycle Stage,Became a Customer Date"
    text = f"{header}\n1,2024-01-01,customer,2024-03-01\n2,2024-01-02,lead,\n"
    proposal = propose(tmp_path, {"contacts.csv": text})
    assert rows(proposal, "outcomes", "lead_id", "outcome") == [("1", "won")]
    assert settings(proposal, "outcomes")["lost"] == []


def test_two_systems_when_only_the_address_joins_them_then_only_on_request(tmp_path):
    files = SALESFORCE | {
        "hubspot_contacts.csv": "Record ID,Create Date,Email,Lifecycle Stage\n901,2024-01-01,B@x.org,lead\n",
        "engagements.csv": "contact_id,hs_timestamp,type\n901,2024-01-04T08:00:00Z,FORM\n",
    }
    without = propose(tmp_path, files)
    assert "FORM" not in without.tables["events"]["event_type"].to_pylist()
    assert "--match-email" in asked(without)
    matched = propose(tmp_path, files, match_email=True)
    assert ("00Q5f0000000002AAX", "FORM") in rows(matched, "events", "lead_id", "event_type")
    assert ("901", "00Q5f0000000002AAX") in rows(matched, "links", "other_id", "lead_id")


# ------------------------------------------------------------------------------------------------- Dynamics and Marketo


def test_dynamics_when_a_lead_was_qualified_then_its_opportunity_tells_the_outcome(tmp_path):
    files = {
        "leads.csv": "leadid,createdon,statecode,statuscode,qualifyingopportunityid,emailaddress1,industrycode\n"
        "l-1,2024-01-01T08:00:00Z,1,3,o-1,a@x.org,7\nl-2,2024-01-02T08:00:00Z,0,1,,b@x.org,7\n",
        "opportunities.csv": "opportunityid,createdon,statecode,actualclosedate,actualvalue,originatingleadid\n"
        "o-1,2024-01-05T08:00:00Z,1,2024-02-01,90,l-1\no-2,2024-01-06T08:00:00Z,2,2024-02-02,0,l-2\n",
        "activitypointer.csv": "regardingobjectid,activitytypecode,actualend,createdon\n"
        "l-2,phonecall,2024-01-03T08:00:00Z,2024-01-03T08:00:00Z\n",
    }
    proposal = propose(tmp_path, files)
    assert rows(proposal, "outcomes", "lead_id", "outcome") == [("l-1", "won"), ("l-2", "lost")]
    assert settings(proposal, "events")["by_sales"] == ["phonecall"]
    assert "emailaddress1" in settings(proposal, "leads")["exclude"]


def test_marketo_when_its_leads_stand_beside_those_of_salesforce_then_activities_are_theirs(tmp_path):
    files = SALESFORCE | {
        "marketo_leads.csv": "id,createdAt,sfdcLeadId,email\n501,2024-01-01T00:00:00Z,00Q5f0000000002AAX,b@x.org\n",
        "activities.csv": "marketoGUID,leadId,activityDate,activityTypeId,primaryAttributeValue\n"
        "g1,501,2024-01-05T00:00:00Z,1,home\ng2,501,2024-01-06T00:00:00Z,46,x\n",
    }
    proposal = propose(tmp_path, files)
    assert proposal.found.leads is not None
    assert proposal.found.leads.table.name == "Lead.csv"
    assert ("00Q5f0000000002AAX", "1") in rows(proposal, "events", "lead_id", "event_type")
    assert "46" in settings(proposal, "events")["by_sales"]


# --------------------------------------------------------------------------------------------------------------- draft


def test_draft_when_written_then_toml_says_the_same_with_any_name():
    draft = Draft()
    draft.set("leads", "path", 'Größe "x"\t\x7f.csv', "as it is")
    draft.add("leads", "exclude", "a\nb # c", "free text " * 30)
    draft.set("outcomes", "won", ["yes", "já"])
    draft.hint("leads", "account_id = 'x'", "perhaps")
    draft.ask("[leads]", "is that right?", "seen\nthis")
    text = draft.text("Title")
    assert tomllib.loads(text) == draft.settings()
    assert max(map(len, text.splitlines())) <= 330
    Config.of(draft.settings())


def test_proposal_when_written_then_the_settings_are_valid(salesforce):
    found = tomllib.loads(salesforce.draft.text("x"))
    assert found == salesforce.draft.settings()
    Config.of(found)
