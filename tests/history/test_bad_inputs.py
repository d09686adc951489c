"""Every bad input gets its class: refuse, set aside, flag, accept or skip."""

from __future__ import annotations

import gzip
import re
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from history.histories import EVENTS, LEADS, OUTCOMES, Content, account, configured, reading, write

from mqlml.errors import DataRefused, UsageError
from mqlml.history.reading import read_history

HEAD = "lead_id,created_at,source,size\n"
MANY = [f"L{i},2024-01-01T08:00:00Z,web,{i}\n" for i in range(200)]
GOOD = HEAD + "".join(MANY)
FORM = re.compile(r"MQL-[a-z-]+ [^:]+: .+\. Fix: .+\.")


def refused(folder: Path, files: dict[str, Content], match: str, **sections: Any) -> DataRefused:
    """Read files that must be refused; the message has the form of every refusal and nothing was changed."""
    write(folder, files)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(DataRefused, match=match) as caught:
        read_history(configured(folder, **sections))
    assert all(FORM.fullmatch(line) for line in str(caught.value).splitlines()), str(caught.value)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    return caught.value


def with_row(row: str | bytes, *, end: bytes = b"\n") -> bytes:
    """Good leads with one more row in the middle."""
    raw = row if isinstance(row, bytes) else row.encode()
    return (HEAD + "".join(MANY[:100])).encode() + raw + end + "".join(MANY[100:]).encode()


# files


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "zero bytes.*export it again"),
        (b"\n\r\n\n", "nothing but line ends"),
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "web page"),
        (b"\xef\xbb\xbf  <html>", "web page"),
        (b"PK\x03\x04 xl/workbook.xml", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0 old", "old Excel"),
        (b'[{"lead_id": 1}]', "JSON"),
        (b"PAR1 damaged", "Parquet file cannot be read"),
        (gzip.compress(GOOD.encode())[:-20], "archive is damaged"),
        (gzip.compress(b"0" * 20_000_000), "unpacks to more than"),
        (GOOD.encode("utf-16"), r'UTF-16.*line 1.*encoding = "utf-16"'),
        (GOOD.encode("utf-16-le"), r'encoding = "utf-16"'),
        (with_row("L,2024-01-01,Büro,1".encode("latin-1")), r'line 102, byte 15 .* Latin-1.*encoding = "latin-1"'),
        (
            with_row("L,2024-01-01,Büro,1\nM,2024-01-01,".encode() + "Büro,1".encode("latin-1")),
            "line 103, byte 15 .*mixes encodings",
        ),
        (GOOD.replace(",", ";").encode(), r"separated by ';'.*delimiter = \";\""),
        (GOOD.replace(",", "\t").encode(), r"separated by '\\t'"),
        (GOOD.replace("web,", "web,x,").encode(), "200 of 200 rows: header 4, rows 5"),
        (with_row('L,2024-01-01,"never closed,1'), "quote opened in line 102 is never closed"),
        (GOOD.encode() + b"L,2024-01", "cut off: its last line 202"),
        ("".join(MANY).encode(), "first row looks like data.*'L0', '2024-01-01T08:00:00Z'"),
        (GOOD.replace("source", "size").encode(), "positions 3, 4 share the name 'size'"),
        (GOOD.replace("source", " Size ").encode(), "positions 3, 4 share the name ' Size ', 'size'"),
        (GOOD.replace("source", "").encode(), "columns at positions 3 have no name"),
        (
            GOOD.replace("lead_id", "leadid").encode(),
            "column 'lead_id': there is no such column; nearest: 'leadid'.*leads. id",
        ),
    ],
)
def test_file_when_unusable_then_refused(tmp_path: Path, content: bytes, match: str) -> None:
    refused(tmp_path, {"leads.csv": content, "outcomes.csv": "lead_id,outcome\nL1,won\n"}, match)


def test_file_when_missing_then_nearest_names(tmp_path: Path) -> None:
    files: dict[str, Content] = {"leads_2024.csv": GOOD, "lead.csv": GOOD, "outcomes.csv": OUTCOMES}
    refused(tmp_path, files, r"leads\.csv: there is no such file; nearest: 'lead\.csv', 'leads_2024\.csv'")
    refused(tmp_path, files, "no folder 'nowhere' either", leads={"path": "nowhere/leads.csv"})
    refused(tmp_path, files, "a folder", leads={"path": "."})


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("https://crm.example/leads.csv", "is not a file"),
        ("s3://b/x", "is not a file"),
    ],
)
def test_path_when_an_address_then_usage_error(tmp_path: Path, path: str, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        read_history(configured(tmp_path, leads={"path": path}))


def test_path_when_the_driver_of_a_database_is_missing_then_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("adbc_driver_postgresql", "adbc_driver_postgresql.dbapi", "adbc_driver_manager"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=r"mqlml\[postgres\]"):
        read_history(configured(tmp_path, leads={"path": "postgresql://crm/leads"}))


def test_problems_when_in_several_files_then_all_in_one_pass(tmp_path: Path) -> None:
    events = EVENTS.replace("occurred_at", "when").replace("event_type", "kind")
    error = refused(
        tmp_path,
        {"leads.csv": GOOD.replace("created_at", "created"), "outcomes.csv": b"", "events.csv": events},
        "zero bytes",
        events={"path": "events.csv"},
        handovers={"path": "absent.csv"},
    )
    assert {(p.file, p.column) for p in error.problems} >= {
        ("leads.csv", "created_at"),
        ("outcomes.csv", None),
        ("absent.csv", None),
    }


def test_parquet_when_damaged_then_refused(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "good.parquet": pa.table(
                {"lead_id": [str(i) for i in range(9999)], "created_at": [datetime(2024, 1, 1)] * 9999}
            )
        },
    )
    good = (tmp_path / "good.parquet").read_bytes()
    files: dict[str, Content] = {"leads.parquet": good[:-100], "outcomes.csv": OUTCOMES}
    refused(tmp_path, files, "Parquet file cannot be read", leads={"path": "leads.parquet"})
    torn = good[:2000] + b"\xff" * 2000 + good[4000:]
    refused(tmp_path, files | {"leads.parquet": torn}, "damaged", leads={"path": "leads.parquet"})
    refused(tmp_path, files | {"leads.parquet": GOOD}, "does not begin like one", leads={"path": "leads.parquet"})


def test_parquet_when_names_repeat_then_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays(
        [pa.array(["a"]), pa.array([datetime(2024, 1, 1)]), pa.array([1]), pa.array([2])],
        names=["lead_id", "created_at", "x", "X"],
    )
    refused(
        tmp_path, {"leads.parquet": table, "outcomes.csv": OUTCOMES}, "positions 3, 4", leads={"path": "leads.parquet"}
    )


def test_parquet_when_it_unpacks_hugely_then_refused(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"x": pa.array(["0" * 1000] * 300_000)}),
        tmp_path / "leads.parquet",
        use_dictionary=False,
        compression="zstd",
    )
    refused(tmp_path, {"outcomes.csv": OUTCOMES}, "over 100 times its size", leads={"path": "leads.parquet"})


def test_file_when_header_only_then_accepted_without_leads(tmp_path: Path) -> None:
    files: dict[str, Content] = {
        "leads.csv": HEAD,
        "outcomes.csv": "lead_id,outcome\n",
        "events.csv": "lead_id,occurred_at,event_type\n",
    }
    with reading(tmp_path, files, events={"path": "events.csv"}) as history:
        assert history.leads.num_rows == history.outcomes.num_rows == history.attributes.num_rows == 0
        assert any("events.csv has no rows" in note for note in history.notes)
        assert any("no lead is left" in note for note in history.notes)


def test_file_when_last_line_has_no_end_then_flagged(tmp_path: Path) -> None:
    with reading(tmp_path, {"leads.csv": LEADS[:-1], "outcomes.csv": OUTCOMES}) as history:
        assert any("cannot be verified" in note for note in history.notes)


def test_file_when_it_changes_meanwhile_then_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mqlml.history.reading as module

    write(tmp_path, {"leads.csv": LEADS, "outcomes.csv": OUTCOMES})
    whole = module.finish_leads

    def grow(*args: Any) -> Any:
        with (tmp_path / "leads.csv").open("a") as file:
            file.write("late,2024-01-01,,\n")
        return whole(*args)

    monkeypatch.setattr(module, "finish_leads", grow)
    with pytest.raises(DataRefused, match="changed while it was read"):
        read_history(configured(tmp_path))


@pytest.mark.parametrize(
    ("row", "reason", "raw"),
    [
        (b"short,2024-01-01", "2 cells where the header has 4", "short,2024-01-01"),
        (b"long,2024-01-01,web,1,extra", "5 cells where the header has 4", "long,2024-01-01,web,1,extra"),
        (b"nul\x00,2024-01-01,web,1", "NUL bytes", "nul\x00,2024-01-01,web,1"),
        (b"bad,2024-01-01,\xff\xfe,1", "bytes that are not UTF-8", "bad,2024-01-01,\\xff\\xfe,1"),
        (b"cut,2024-01-01,B\xc3,1", "bytes that are not UTF-8", "cut,2024-01-01,B\\xc3,1"),
        (b"half,2024-01-01,\xed\xa0\x80,1", "bytes that are not UTF-8", "half,2024-01-01,\\xed\\xa0\\x80,1"),
        (b'q,2024-01-01,"a"b,1', "quotes are not closed or doubled", 'q,2024-01-01,"a"b,1'),
        (b"big,2024-01-01," + b"x" * 1_200_000 + b",1", "longer than 1,000,000 characters", None),
        (b" ,2024-01-01,web,1", "no id", None),
        (b",2024-01-01,web,1", "no id", None),
        (b"d,2024-02-30,web,1", "does not exist", None),
        (b"d,31/01/2024,web,1", "does not exist or cannot be read", None),
        (b"d,,web,1", "no created_at", None),
        (b"d,9999-12-31,web,1", "no created_at", None),
    ],
)
def test_row_when_unusable_then_set_aside_with_line_and_text(
    tmp_path: Path, row: bytes, reason: str, raw: str | None
) -> None:
    with reading(tmp_path, {"leads.csv": with_row(row), "outcomes.csv": "lead_id,outcome\nL1,won\n"}) as history:
        assert history.leads.num_rows == 200
        assert account(history, "leads").rows_in == 201
        [found] = history.quarantine.to_pylist()
        assert (found["table"], found["file"], found["row"], found["line"]) == ("leads", "leads.csv", 101, 102)
        assert reason in found["reason"]
        assert raw is None or found["raw"] == raw
        assert any("1 of 201 rows set aside" in note for note in history.notes)


def test_rows_when_too_many_are_unusable_then_refused_with_their_numbers(tmp_path: Path) -> None:
    rows = "".join(MANY[:10]) + ",2024-01-01,web,1\n" * 7
    files: dict[str, Content] = {"leads.csv": HEAD + rows, "outcomes.csv": "lead_id,outcome\nL1,won\n"}
    refused(
        tmp_path,
        files,
        "column 'lead_id': 7 of 17 rows: no id. First rows: 11, 12, 13, 14, 15. Fix: fill it in, or raise .leads.",
    )
    with reading(tmp_path, files, leads={"max_quarantined_share": 0.5}) as history:
        assert account(history, "leads").quarantined == 7


# columns


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (["unknown"] + ["1"] * 199, "column 'size': 1 of 200 rows: numbers, except 'unknown'.*missing"),
        (['"1,5"', "2"] * 100, r"such as '1,5'.*another decimal sign"),
        (['"1,234"', '"1,234,567.5"'] * 100, "thousands separators"),
    ],
)
def test_numbers_when_not_as_declared_then_refused(tmp_path: Path, values: list[str], match: str) -> None:
    leads = HEAD + "".join(f"L{i},2024-01-01,web,{value}\n" for i, value in enumerate(values))
    refused(tmp_path, {"leads.csv": leads, "outcomes.csv": "lead_id,outcome\nL1,won\n"}, match)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["unknown"] + ["1"] * 199, [None, 1.0]),
        (["nan", "-inf", "3"] + ["1"] * 197, [None, None, 3.0]),
        (["1e3", " 5 ", "-.5"] + ["1"] * 197, [1000.0, 5.0, -0.5]),
        (["0123", "5"] * 100, ["0123", "5"]),
        (["12345678901234567890", "5"] * 100, ["12345678901234567890", "5"]),
        (["1_000", "5"] * 100, ["1_000", "5"]),
        (["true", "false"] * 100, ["true", "false"]),
        (["NA", "null"] * 100, ["NA", "null"]),
        (["1", "A2"] * 100, ["1", "A2"]),
    ],
)
def test_values_when_they_may_be_numbers_then_nothing_is_guessed(
    tmp_path: Path, values: list[str], expected: list[Any]
) -> None:
    leads = HEAD + "".join(f"L{i:03},2024-01-01,web,{value}\n" for i, value in enumerate(values))
    with reading(
        tmp_path, {"leads.csv": leads, "outcomes.csv": "lead_id,outcome\nL001,won\n"}, leads={"missing": ["unknown"]}
    ) as history:
        assert history.attributes["size"].to_pylist()[: len(expected)] == expected


def test_columns_when_of_odd_types_then_left_out_with_a_note(tmp_path: Path) -> None:
    table = pa.table(
        {
            "lead_id": ["a", "b"],
            "created_at": [datetime(2024, 1, 1)] * 2,
            "born": pa.array([1, 2], pa.date32()),
            "tags": [["x"], []],
            "empty": pa.nulls(2, pa.string()),
            "ratio": [float("nan"), 2.0],
            "big": pa.array([10**18, None], pa.int64()),
            "on": [True, None],
            "blank": ["", "x"],
        }
    )
    with reading(
        tmp_path, {"leads.parquet": table, "outcomes.csv": "lead_id,outcome\na,won\n"}, leads={"path": "leads.parquet"}
    ) as history:
        assert history.attributes.to_pylist() == [
            {"ratio": None, "big": 1e18, "on": "true", "blank": None},
            {"ratio": 2.0, "big": None, "on": None, "blank": "x"},
        ]
        text = " ".join(history.notes)
        for words in (
            "left out: 'born'",
            "nor numbers: 'tags'",
            "'empty' has no value",
            "1 values of 'ratio' in leads.parquet are NaN",
        ):
            assert words in text


def test_lists_when_they_name_no_column_then_refused(tmp_path: Path) -> None:
    files: dict[str, Content] = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES}
    error = refused(
        tmp_path, files, r"nearest: 'source'.*\[leads\] sensitive", leads={"sensitive": ["sorce"], "exclude": ["gone"]}
    )
    assert len(error.problems) == 2
    refused(tmp_path, files, "column 'firm'.*account_id", leads={"account_id": "firm"})
    refused(tmp_path, files, "column 'begin'.*\\[snapshots\\] from", snapshots={"from": "begin"})


@pytest.mark.parametrize(
    ("column", "values", "match"),
    [
        ("value", ["x", "y"], "column 'value': the values are VARCHAR, numbers are needed"),
        ("asset", [["x"], ["y"]], "column 'asset': the values are VARCHAR.*, texts are needed"),
        ("occurred_at", [1.7e9, 1.8e9], "column 'occurred_at': the values are DOUBLE, not times"),
    ],
)
def test_types_when_wrong_then_refused(tmp_path: Path, column: str, values: list[Any], match: str) -> None:
    events = pa.table(
        {"lead_id": ["007", "1e5"], "occurred_at": [datetime(2024, 1, 2)] * 2, "event_type": ["v", "v"]}
        | {column: values}
    )
    files: dict[str, Content] = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.parquet": events}
    refused(tmp_path, files, match, events={"path": "events.parquet"})


# identities, events, labels


def test_leads_when_repeated_then_counted_once_or_refused(tmp_path: Path) -> None:
    files: dict[str, Content] = {"leads.csv": LEADS + LEADS.splitlines()[1] + "\n", "outcomes.csv": OUTCOMES}
    with reading(tmp_path, files) as history:
        assert account(history, "leads").skipped == {"duplicate": 1}
        assert history.leads.num_rows == 3
    files["leads.csv"] = LEADS + "007,2024-01-01T08:00:00Z,mail,10\n"
    refused(tmp_path, files, "2 of 4 rows: a lead has several rows that differ in 'source'. First rows: 1")


def test_ids_when_alike_then_kept_apart_and_flagged(tmp_path: Path) -> None:
    ids = ["Abc", "abc", "abc ", "e\u0301", "\u00e9", "z\u200bz"]
    leads = "lead_id,created_at\n" + "".join(f"{i},2024-01-01\n" for i in ids)
    with reading(tmp_path, {"leads.csv": leads, "outcomes.csv": "lead_id,outcome\nabc,won\n"}) as history:
        assert sorted(history.leads["lead_id"].to_pylist()) == sorted(ids)
        assert any("3 lead ids differ from another only by" in note for note in history.notes)
        assert any("2 lead ids hold spaces at an end or invisible" in note for note in history.notes)


def test_events_when_of_unknown_leads_then_skipped_up_to_a_share(tmp_path: Path) -> None:
    rows = "007,2024-01-05,visit\n" * 9
    files: dict[str, Content] = {
        "leads.csv": LEADS,
        "outcomes.csv": OUTCOMES,
        "events.csv": "lead_id,occurred_at,event_type\n" + rows + "who,2024-01-05,visit\n",
    }
    with reading(tmp_path, files, events={"path": "events.csv"}) as history:
        assert account(history, "events").skipped == {"unknown lead": 1}
        assert account(history, "events").used == 9
    refused(
        tmp_path,
        files,
        "1 of 10 rows: they belong to leads that are not in the leads file",
        events={"path": "events.csv", "max_unknown_share": 0.05},
    )
    files["events.csv"] = "lead_id,occurred_at,event_type\nwho,2024-01-05,visit\n"
    refused(tmp_path, files, "none of its lead ids occurs", events={"path": "events.csv", "max_unknown_share": 1.0})
    refused(tmp_path, {"outcomes.csv": "lead_id,outcome\nwho,won\n"}, "outcomes.csv.*none of its lead ids occurs")


def test_events_when_before_creation_or_repeated_then_accepted(tmp_path: Path) -> None:
    events = EVENTS + "007,2023-12-01T00:00:00Z,visit,2\n" * 2
    with reading(
        tmp_path, {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.csv": events}, events={"path": "events.csv"}
    ) as history:
        assert history.event_type_counts() == {"visit": 4}
        assert any("2 rows lie before their lead was created" in note for note in history.notes)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_events_when_faulty_then_not_in_the_relation(tmp_path: Path, suffix: str) -> None:
    good = [("007", "2024-01-05T00:00:00Z", "visit", 1.0)] * 400
    bad = [
        ("007", "2024-01-05T00:00:00Z", None, 1.0),
        ("007", None, "visit", 1.0),
        (None, "2024-01-05T00:00:00Z", "visit", 1.0),
        ("007", "2024-01-05T00:00:00Z", "visit", float("inf")),
    ]
    rows = good + bad
    table = pa.table(
        dict(zip(("lead_id", "occurred_at", "event_type", "value"), map(list, zip(*rows, strict=True)), strict=True))
    )
    text = "lead_id,occurred_at,event_type,value\n" + "".join(
        ",".join("" if v is None else str(v) for v in row) + "\n" for row in rows
    )
    files: dict[str, Content] = {
        "leads.csv": LEADS,
        "outcomes.csv": OUTCOMES,
        f"events.{suffix}": text if suffix == "csv" else table,
    }
    with reading(tmp_path, files, events={"path": f"events.{suffix}"}) as history:
        assert history.event_type_counts() == {"visit": 401}
        assert account(history, "events").quarantined == 3
        assert [r["row"] for r in history.quarantine.to_pylist()] == [401, 402, 403]
        assert history.connection.sql("SELECT count(*) FROM events WHERE value IS NULL").fetchall() == [(1,)]
        assert any("1 values of 'value'" in note for note in history.notes)


def outcomes(*rows: str) -> dict[str, Content]:
    """300 won leads and further outcome rows of leads L0 to L199."""
    return {
        "leads.csv": GOOD,
        "outcomes.csv": "lead_id,outcome,decided_at\n"
        + "".join(f"L{i},won,2024-03-01\n" for i in range(150))
        + "".join(r + "\n" for r in rows),
    }


def test_outcomes_when_unknown_then_refused_with_the_label_map(tmp_path: Path) -> None:
    lists = r"\(won = \['won'\], lost = \['lost'\], ignore = \[\]\)"
    match = rf"2 of 152 rows: the outcomes 'Won', 'maybe' are in no list of \[outcomes\] {lists}"
    refused(tmp_path, outcomes("L150,Won,2024-03-01", "L151,maybe,"), match)


def test_outcomes_when_blank_then_open(tmp_path: Path) -> None:
    with reading(tmp_path, outcomes("L150,,", "L151, ,2024-03-01")) as history:
        assert account(history, "outcomes").skipped == {"open": 2}


def test_outcomes_when_won_without_date_or_before_creation_then_set_aside(tmp_path: Path) -> None:
    with reading(tmp_path, outcomes("L150,won,")) as history:
        assert [r["reason"] for r in history.quarantine.to_pylist()] == ["won, but without the time of the decision"]
    with reading(tmp_path, outcomes("L150,lost,2023-12-31", "L151,lost,2024-01-01", "L152,lost,")) as history:
        assert [r["reason"] for r in history.quarantine.to_pylist()] == ["decided before the lead was created"]
        assert history.outcomes.num_rows == 152
        assert any("1 lost leads have no time of decision" in note for note in history.notes)
    refused(tmp_path, outcomes("L150,won,", "L151,won,"), "2 of 152 rows: won, but without the time of the decision")
    many_lost = [f"L{i},lost,2024-03-01" for i in range(100, 200)] * 9
    files = outcomes(*many_lost)
    files["outcomes.csv"] = (
        str(files["outcomes.csv"]).replace("L0,won,2024-03-01", "L0,won,").replace("L1,won,2024-03-01", "L1,won,")
    )
    refused(tmp_path, files, r"without the time of the decision \(150 were won\)")


def test_outcomes_when_in_the_leads_but_absent_then_refused(tmp_path: Path) -> None:
    refused(tmp_path, {"leads.csv": LEADS}, "column 'outcome': there is no such column", outcomes={"path": ""})


def test_links_when_contradictory_or_circular_then_refused(tmp_path: Path) -> None:
    files: dict[str, Content] = {
        "leads.csv": LEADS,
        "outcomes.csv": OUTCOMES,
        "links.csv": "other_id,lead_id\na,007\na,1e5\n",
    }
    refused(tmp_path, files, "an id belongs to several leads", links={"path": "links.csv"})
    refused(
        tmp_path,
        files | {"links.csv": "other_id,lead_id\na,b\nb,a\n"},
        "merged in a circle",
        links={"path": "links.csv"},
    )
