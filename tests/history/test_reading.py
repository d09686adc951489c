"""Clean histories from every kind of file, the mapping of columns, identities, and the accounts of rows."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from history.histories import EVENTS, LEADS, OUTCOMES, account, at, reading
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mqlml.config import Config
from mqlml.errors import DataRefused, UsageError
from mqlml.history.contract import HANDOVERS
from mqlml.history.reading import read_history


def test_csv_when_clean_then_ids_stay_text_and_numbers_are_numbers(tmp_path: Path) -> None:
    files = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.csv": EVENTS}
    with reading(tmp_path, files, outcomes={"lost": ["lost"]}, events={"path": "events.csv"}) as history:
        assert history.leads["lead_id"].to_pylist() == ["007", "1e5", "null"]
        assert history.leads["created_at"].to_pylist() == [
            at("2024-01-01T08:00"),
            at("2024-01-02T08:00"),
            at("2024-01-03T08:00"),
        ]
        assert history.leads["start_at"] == history.leads["created_at"]
        assert history.leads["account_id"].null_count == 3
        assert history.attributes["source"].to_pylist() == ["web", "NA", None]
        assert history.attributes["employees"].to_pylist() == [10.0, 20.0, None]
        assert history.outcomes["lead_id"].to_pylist() == ["007", "1e5"]
        assert history.outcomes["outcome"].to_pylist() == ["won", "lost"]
        assert account(history, "outcomes").skipped == {"open": 1}
        rows = history.connection.sql(
            "SELECT lead_id, occurred_at, event_type, value, channel FROM events ORDER BY 1"
        ).fetchall()
        assert rows == [
            ("007", datetime(2024, 1, 1, 9), "visit", 1.5, None),
            ("1e5", datetime(2024, 1, 2, 8), "visit", None, None),
        ]
        assert history.tables == {"events"}
        assert history.event_type_counts() == {"visit": 2}
        assert history.event_type_counts(at("2024-01-02T08:00")) == {"visit": 1}


def test_csv_when_clean_then_same_as_parquet(tmp_path: Path) -> None:
    leads = pa.table(
        {
            "lead_id": ["007", "1e5", "null"],
            "created_at": pa.array([datetime(2024, 1, d, 8) for d in (1, 2, 3)], pa.timestamp("us", "UTC")),
            "source": ["web", "NA", None],
            "employees": pa.array([10, 20, None], pa.int64()),
        }
    )
    with (
        reading(tmp_path, {"leads.csv": LEADS, "outcomes.csv": OUTCOMES}) as text,
        reading(tmp_path, {"leads.parquet": leads}, leads={"path": "leads.parquet"}) as parquet,
    ):
        assert text.leads.equals(parquet.leads)
        assert text.attributes.equals(parquet.attributes)
        assert text.outcomes.equals(parquet.outcomes)
        assert parquet.leads.schema.field("created_at").type == pa.timestamp("us", "UTC")
        assert parquet.attributes.schema.field("source").type == pa.dictionary(pa.int32(), pa.string())


def test_duckdb_file_when_table_is_named_then_read(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "crm.duckdb")) as connection:
        connection.execute("CREATE TABLE l AS SELECT 12 AS lead_id, TIMESTAMP '2024-01-01' AS created_at, 'x' AS a")
        connection.execute(
            "CREATE TABLE e AS SELECT 12 AS lead_id, TIMESTAMP '2024-01-02' AS occurred_at, 'v' AS event_type"
        )
        connection.execute("CREATE TABLE o AS SELECT '12' AS lead_id, true AS outcome, DATE '2024-02-01' AS decided_at")
    path = {"path": "crm.duckdb"}
    with reading(
        tmp_path,
        {},
        leads=path | {"table": "l"},
        outcomes=path | {"table": "o", "won": ["true"]},
        events=path | {"table": "e"},
    ) as history:
        assert history.leads["lead_id"].to_pylist() == ["12"]
        assert history.outcomes["outcome"].to_pylist() == ["won"]
        assert history.event_type_counts() == {"v": 1}


def test_gzip_when_named_csv_then_accepted(tmp_path: Path) -> None:
    with reading(tmp_path, {"leads.csv": gzip.compress(LEADS.encode()), "outcomes.csv": OUTCOMES}) as history:
        assert history.leads.num_rows == 3


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_encoding_when_declared_then_accepted(tmp_path: Path, encoding: str) -> None:
    text = LEADS.replace("web", "Büro")
    with reading(
        tmp_path, {"leads.csv": text.encode(encoding), "outcomes.csv": OUTCOMES}, leads={"encoding": encoding}
    ) as history:
        assert history.attributes["source"][0].as_py() == "Büro"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n", "\r\n", 2),
        lambda text: "\n\n" + text,
        lambda text: text + "\n\n",
        lambda text: text[:-1],
    ],
)
def test_csv_when_line_ends_or_marks_differ_then_same_rows(tmp_path: Path, change: Any) -> None:
    with reading(tmp_path, {"leads.csv": change(LEADS), "outcomes.csv": OUTCOMES}) as history:
        assert history.leads["lead_id"].to_pylist() == ["007", "1e5", "null"]
        assert history.attributes["employees"].to_pylist() == [10.0, 20.0, None]


def test_csv_when_delimiter_and_decimal_are_declared_then_accepted(tmp_path: Path) -> None:
    text = "lead_id;created_at;size\na;31.01.2024 10:00;1,5\nb;01.02.2024 10:00;-2\n"
    with reading(
        tmp_path,
        {"leads.csv": text, "outcomes.csv": "lead_id,outcome\na,won\n"},
        leads={"delimiter": ";", "decimal": ",", "timestamp_format": "%d.%m.%Y %H:%M", "timezone": "Europe/Berlin"},
    ) as history:
        assert history.attributes["size"].to_pylist() == [1.5, -2.0]
        assert history.leads["created_at"].to_pylist() == [at("2024-01-31T09:00"), at("2024-02-01T09:00")]
        assert any("no time of decision" in note for note in history.notes)


def test_csv_when_newline_is_quoted_then_one_value(tmp_path: Path) -> None:
    text = 'lead_id,created_at,note\na,2024-01-01,"two\nlines, ""quoted"""\nb,2024-01-02,x\n'
    with reading(tmp_path, {"leads.csv": text, "outcomes.csv": "lead_id,outcome\na,won\n"}) as history:
        assert history.attributes["note"].to_pylist() == ['two\nlines, "quoted"', "x"]


@pytest.mark.parametrize(
    "name",
    [
        "utm[source]",
        "'; DROP TABLE leads; --",
        'a"b',
        "x" * 300,
        "مصدر",
        "a b",
        "<script>",
        "select",
        "file_row_number",
        "id",
        "a0",
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_column_name_when_hostile_then_kept_as_it_is(tmp_path: Path, name: str, suffix: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    text = f"lead_id,created_at,{quoted}\na,2024-01-01,x\nb,2024-01-02,y\n"
    table = pa.table({"lead_id": ["a", "b"], "created_at": ["2024-01-01", "2024-01-02"], name: ["x", "y"]})
    files: dict[str, Any] = {
        f"leads.{suffix}": text if suffix == "csv" else table,
        "outcomes.csv": "lead_id,outcome\na,won\n",
    }
    with reading(tmp_path, files, leads={"path": f"leads.{suffix}", "where": f"{quoted} = 'x'"}) as history:
        assert history.attributes.column_names == [name]
        assert history.attributes[name].to_pylist() == ["x"]


def test_columns_when_mapped_then_found_and_no_attribute(tmp_path: Path) -> None:
    text = "Lead Nr,Angelegt,Firma,Beginn,Rang,lead_id\n1,2024-01-01,f,2024-03-01,5,x\n2,2024-01-02,,,6,y\n"
    with reading(
        tmp_path,
        {"leads.csv": text, "outcomes.csv": "nr,status,am\n1,Closed Won,2024-04-01\n2,dead,2024-04-02\n"},
        leads={"id": "Lead Nr", "created_at": "Angelegt", "account_id": "Firma", "order": "Rang"},
        outcomes={"lead_id": "nr", "outcome": "status", "decided_at": "am", "won": ["Closed Won"], "lost": ["dead"]},
        snapshots={"from": "Beginn"},
    ) as history:
        assert history.leads.to_pylist() == [
            {
                "lead_id": "1",
                "account_id": "f",
                "created_at": at("2024-01-01"),
                "start_at": at("2024-03-01"),
                "order": 5.0,
            },
            {
                "lead_id": "2",
                "account_id": None,
                "created_at": at("2024-01-02"),
                "start_at": at("2024-01-02"),
                "order": 6.0,
            },
        ]
        assert history.attributes.column_names == ["lead_id"]
        assert history.outcomes.select(["lead_id", "outcome"]).to_pylist() == [
            {"lead_id": "1", "outcome": "won"},
            {"lead_id": "2", "outcome": "lost"},
        ]


def test_outcomes_when_in_leads_then_labels_and_no_attributes(tmp_path: Path) -> None:
    text = (
        "lead_id,created_at,outcome,decided_at,value,a\n1,2024-01-01,won,2024-02-01,9.5,x\n"
        "2,2024-01-01,lost,2024-02-01,,y\n3,2024-01-01,n/a,n/a,,z\n4,2024-01-01,test,,,z\n"
    )
    with reading(
        tmp_path, {"leads.csv": text}, leads={"missing": ["n/a"]}, outcomes={"path": "", "ignore": ["test"]}
    ) as history:
        assert history.leads["lead_id"].to_pylist() == ["1", "2", "3"]
        assert history.attributes.column_names == ["a"]
        assert history.outcomes["value"].to_pylist() == [9.5, None]
        assert account(history, "leads").skipped == {"outcome ignored": 1}
        assert account(history, "outcomes").skipped == {"outcome ignored": 1, "open": 1}


def test_history_when_without_dates_then_times_are_null(tmp_path: Path) -> None:
    text = "lead_id,a,outcome\n1,x,won\n2,y,lost\n"
    with reading(tmp_path, {"leads.csv": text}, leads={"created_at": ""}, outcomes={"path": ""}) as history:
        assert history.leads["created_at"].null_count == 2
        assert not history.has_dates
        assert history.outcomes["outcome"].to_pylist() == ["won", "lost"]


def test_episodes_when_several_rows_a_lead_then_sorted_by_time(tmp_path: Path) -> None:
    outcomes = (
        "lead_id,outcome,decided_at\n007,won,2024-05-01\n007,won,2024-02-01\n007,lost,2024-03-01\n007,won,2024-05-01\n"
    )
    with reading(tmp_path, {"leads.csv": LEADS, "outcomes.csv": outcomes}) as history:
        assert history.outcomes["outcome"].to_pylist() == ["won", "lost", "won"]
        assert account(history, "outcomes").skipped == {"duplicate": 1}


def test_where_when_set_then_leads_and_their_facts_are_skipped(tmp_path: Path) -> None:
    files = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.csv": EVENTS}
    with reading(tmp_path, files, leads={"where": "employees > 15"}, events={"path": "events.csv"}) as history:
        assert history.leads["lead_id"].to_pylist() == ["1e5"]
        reason = "not selected by [leads] where"
        assert account(history, "leads").skipped == {reason: 2}
        assert account(history, "outcomes").skipped == {reason: 2}
        assert account(history, "events").skipped == {reason: 1}


@pytest.mark.parametrize(
    "where",
    ["nonsense(", "no_such_column = 1", "1; DROP TABLE x", "source > (SELECT content FROM read_text('/etc/passwd'))"],
)
def test_where_when_wrong_then_usage_error(tmp_path: Path, where: str) -> None:
    with (
        pytest.raises(UsageError, match=r"\[leads\] where"),
        reading(tmp_path, {"leads.csv": LEADS, "outcomes.csv": OUTCOMES}, leads={"where": where}),
    ):
        pass


def test_suppressed_when_listed_then_gone_everywhere(tmp_path: Path) -> None:
    files = {
        "leads.csv": LEADS,
        "outcomes.csv": OUTCOMES,
        "events.csv": EVENTS,
        "suppress.csv": "lead_id\nold-7\nnobody\n",
        "links.csv": "other_id,lead_id\nold-7,007\n",
    }
    with reading(
        tmp_path, files, events={"path": "events.csv"}, suppress={"path": "suppress.csv"}, links={"path": "links.csv"}
    ) as history:
        assert history.leads["lead_id"].to_pylist() == ["1e5", "null"]
        assert history.outcomes["lead_id"].to_pylist() == ["1e5"]
        assert history.connection.sql("SELECT DISTINCT lead_id FROM events").fetchall() == [("1e5",)]
        assert account(history, "events").skipped == {"suppressed": 1}
        assert account(history, "suppress").used == 2


def test_links_when_chained_and_dated_then_facts_follow(tmp_path: Path) -> None:
    facts = ["a,2024-02-01", "b,2024-02-01", "dated,2024-02-01", "dated,2024-04-01", "007,2024-02-01"]
    events = "lead_id,occurred_at,event_type\n" + "".join(f"{fact},v\n" for fact in facts)
    links = "other_id,lead_id,valid_from\na,b,\nb,007,\ndated,007,2024-03-01\n"
    files = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.csv": events, "links.csv": links}
    with reading(tmp_path, files, events={"path": "events.csv"}, links={"path": "links.csv"}) as history:
        rows = history.connection.sql("SELECT lead_id, count(*) FROM events GROUP BY 1 ORDER BY 1").fetchall()
        assert rows == [("007", 4), ("dated", 1)]
        assert account(history, "events").skipped == {"unknown lead": 1}
        assert "links" in history.tables


def test_tables_when_all_are_configured_then_relations_of_the_contract(tmp_path: Path) -> None:
    files = {
        "leads.csv": LEADS,
        "outcomes.csv": OUTCOMES,
        "history.csv": "lead_id,changed_at,field,value\n007,2024-01-05T00:00:00Z,title,CEO\n",
        "stages.csv": "lead_id,stage,entered_at\n007,demo,2024-01-06T00:00:00Z\n",
        "handovers.csv": "lead_id,handed_at,by\n1e5,2024-01-09T00:00:00Z,me\n007,2024-01-07T00:00:00Z,rule\n",
        "spend.csv": "campaign,period_start,cost\nspring,2024-01-01,100.5\n",
    }
    sections = {name: {"path": f"{name}.csv"} for name in ("history", "stages", "handovers", "spend")}
    with reading(tmp_path, files, **sections) as history:
        assert history.tables == {"changes", "stages", "spend"}
        changes = history.connection.sql("SELECT * FROM changes")
        assert any("no old value" in note for note in history.notes)
        assert changes.columns == ["lead_id", "changed_at", "field", "value", "old_value", "has_old_value"]
        assert changes.fetchall() == [("007", datetime(2024, 1, 5), "title", "CEO", None, False)]
        stages = history.connection.sql("SELECT * FROM stages")
        assert stages.columns == ["lead_id", "stage", "entered_at", "pipeline"]
        assert history.connection.sql("SELECT * FROM spend").fetchall() == [("spring", datetime(2024, 1, 1), 100.5)]
        assert history.handovers.schema == HANDOVERS
        assert history.handovers.select(["lead_id", "by"]).to_pylist() == [
            {"lead_id": "007", "by": "rule"},
            {"lead_id": "1e5", "by": "other"},
        ]


def test_spend_when_a_cost_is_below_zero_or_missing_then_set_aside_with_its_place(tmp_path: Path) -> None:
    spend = "campaign,period_start,cost\nspring,2024-01-01,10\nspring,2024-01-01,10\nfair,2024-01-01,-5\nfair,,7\n"
    files = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "spend.csv": spend}
    with reading(tmp_path, files, spend={"path": "spend.csv", "max_quarantined_share": 0.5}) as history:
        assert history.connection.sql("SELECT campaign, cost FROM spend").fetchall() == [("spring", 10.0)]
        assert account(history, "spend").quarantined == 2
        assert account(history, "spend").skipped == {"duplicate": 1}
        rows = history.quarantine.select(["line", "reason"]).to_pylist()
        assert {"line": 4, "reason": "the cost is below zero"} in rows
        assert any("spend.csv: 1 of 4 rows set aside (column 'cost')" in note for note in history.notes)
    with (
        pytest.raises(DataRefused, match="the cost is below zero"),
        reading(tmp_path, files, spend={"path": "spend.csv"}),
    ):
        pass


def test_rows_when_shuffled_then_same_history(tmp_path: Path) -> None:
    head, *rows = LEADS.splitlines()
    shuffled = "\n".join([head, *reversed(rows)]) + "\n"
    with (
        reading(tmp_path, {"leads.csv": LEADS, "outcomes.csv": OUTCOMES}) as one,
        reading(tmp_path, {"leads.csv": shuffled}) as other,
    ):
        assert one.leads.equals(other.leads)
        assert one.attributes.equals(other.attributes)


def test_columns_when_reordered_then_same_values(tmp_path: Path) -> None:
    rows = [line.split(",") for line in LEADS.splitlines()]
    reordered = "".join(",".join(reversed(row)) + "\n" for row in rows)
    with (
        reading(tmp_path, {"leads.csv": LEADS, "outcomes.csv": OUTCOMES}) as one,
        reading(tmp_path, {"leads.csv": reordered}) as other,
    ):
        assert one.leads.equals(other.leads)
        assert other.attributes.select(one.attributes.column_names).equals(one.attributes)


def test_kinds_when_given_then_codes_stay_text(tmp_path: Path) -> None:
    files = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES}
    with reading(tmp_path, files):
        pass
    config = Config.of({"leads": {"path": "leads.csv"}, "outcomes": {"path": "outcomes.csv"}}, root=tmp_path)
    with read_history(config, kinds={"employees": "category"}) as history:
        assert history.attributes["employees"].to_pylist() == ["10", "20", None]
    with pytest.raises(DataRefused, match="trained with numbers"):
        read_history(config, kinds={"source": "number"})


def test_connection_when_read_then_closed_to_other_files(tmp_path: Path) -> None:
    events = pa.table({"lead_id": ["007"], "occurred_at": [datetime(2024, 1, 1)], "event_type": ["v"]})
    files = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.parquet": events}
    with reading(tmp_path, files, events={"path": "events.parquet"}) as history:
        assert history.event_type_counts() == {"v": 1}
        with pytest.raises(duckdb.PermissionException, match="disabled"):
            history.connection.sql(f"SELECT * FROM read_csv('{tmp_path / 'leads.csv'}x')").fetchall()
        with pytest.raises(duckdb.PermissionException, match="disabled"):
            history.connection.execute(f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'")


def test_events_when_many_then_spilled_sort_works(tmp_path: Path) -> None:
    day = datetime(2024, 1, 1)
    events = pa.table(
        {
            "lead_id": ["007", "1e5"] * 100_000,
            "occurred_at": [day + timedelta(seconds=s) for s in range(200_000)],
            "event_type": ["v"] * 200_000,
        }
    )
    files = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.parquet": events}
    with reading(tmp_path, files, events={"path": "events.parquet"}) as history:
        reader = history.connection.sql("SELECT * FROM events ORDER BY lead_id, occurred_at").to_arrow_reader(10_000)
        assert sum(batch.num_rows for batch in reader) == 200_000
        assert history.connection.sql(
            "SELECT 1 FROM duckdb_views() WHERE schema_name = 'main' AND view_name = 'events'"
        ).fetchall()


_CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=4)
_ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "", " ", "é"]),
        st.sampled_from(["2024-01-01", "2024-01-01T10:00:00+05:30", "2024-02-30", "", "1900-01-01", "soon"]),
        _CELL,
    ),
    max_size=12,
)


@pytest.mark.long
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    rows=_ROWS, broken=st.lists(st.sampled_from(["a", "a,b", "a,2024-01-01,x,y", 'a,"b"c,d', "", "\x00,,"]), max_size=3)
)
def test_rows_when_anything_is_in_them_then_used_plus_quarantined_plus_skipped(
    tmp_path: Path, rows: list[tuple[str, str, str]], broken: list[str]
) -> None:
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows] + broken
    share = {"max_quarantined_share": 1.0}
    files = {
        "leads.csv": LEADS,
        "outcomes.csv": OUTCOMES,
        "events.csv": "lead_id,occurred_at,event_type\n"
        + "007,2024-01-01,v\n" * 20
        + "".join(line + "\n" for line in lines),
    }
    with reading(tmp_path, files, events=share | {"path": "events.csv", "max_unknown_share": 1.0}) as history:
        events = account(history, "events")
        assert events.rows_in == 20 + len(rows) + sum(line != "" for line in broken)
        assert events.quarantined == history.quarantine.num_rows


def test_agents_when_a_column_is_named_then_events_carry_it(tmp_path: Path) -> None:
    files = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.csv": AGENT_EVENTS}
    machines = {"agent": "user agent"}
    with reading(tmp_path, files, events={"path": "events.csv", "machines": machines}) as history:
        rows = history.connection.execute("SELECT agent FROM events ORDER BY occurred_at").fetchall()
        assert rows == [("Googlebot/2.1",), (None,)]
    with reading(tmp_path, files, events={"path": "events.csv"}) as history:
        assert history.connection.execute("SELECT count(*) FROM events WHERE agent IS NULL").fetchall() == [(2,)]


def test_agents_when_the_named_column_is_missing_then_refused_with_the_key(tmp_path: Path) -> None:
    files = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.csv": AGENT_EVENTS}
    events = {"path": "events.csv", "machines": {"agent": "useragent"}}
    wanted = pytest.raises(DataRefused, match=r"(?s)'useragent'.*name the column in \[events.machines\] agent")
    with wanted, reading(tmp_path, files, events=events):
        pass


def test_notes_when_machines_name_a_type_that_no_event_has_then_say_so(tmp_path: Path) -> None:
    files = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.csv": AGENT_EVENTS}
    machines = {"sends": ["visit", "mail out"]}
    with reading(tmp_path, files, events={"path": "events.csv", "machines": machines}) as history:
        named = [note for note in history.notes if "events.machines" in note]
    assert named == ["events.csv: no event has the type 'mail out' that [events.machines] sends names."]


AGENT_EVENTS = (
    "lead_id,occurred_at,event_type,user agent\n"
    "007,2024-01-01T09:00:00Z,visit,Googlebot/2.1\n1e5,2024-01-02T10:00:00Z,visit,\n"
)
