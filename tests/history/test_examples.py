"""Public sets in the data contract; those that need the real files look for them in MQLML_DATA."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mqlml.config import Config
from mqlml.errors import DataRefused, UsageError
from mqlml.history.examples import EXAMPLES, write_example

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = os.environ.get("MQLML_DATA", "")
needs_data = pytest.mark.skipif(not DATA, reason="MQLML_DATA does not name the folder of the public data sets")
CONTRACT = {"oulad": "oulad", "online-retail": "online_retail_ii"}


def noon(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=UTC)


def midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def read(out: Path, table: str) -> pa.Table:
    return pq.read_table(out / f"{table}.parquet")


@pytest.fixture
def oulad_source(tmp_path: Path) -> Path:
    """Four enrolments by hand: passed, withdrawn, withdrawn before a missing registration, failed."""
    who = {"code_module": ["AAA"] * 4, "code_presentation": ["2013J"] * 4, "id_student": [7, 8, 9, 10]}
    text = {name: ["x"] * 4 for name in ("gender", "region", "highest_education", "imd_band", "age_band", "disability")}
    number = {name: [0] * 4 for name in ("num_of_prev_attempts", "studied_credits")}
    tables = {
        "studentInfo": {**who, **text, **number, "final_result": ["Distinction", "Withdrawn", "Withdrawn", "Fail"]},
        "studentRegistration": {
            **who,
            "date_registration": [-10, -5, None, 3],
            "date_unregistration": [None, 20, -4, 30],
        },
        "studentVle": {
            "code_module": ["AAA", "AAA"],
            "code_presentation": ["2013J", "2013J"],
            "id_student": [8, 7],
            "id_site": [2, 1],
            "date": [-1, 4],
            "sum_click": [3, 5],
        },
        "studentAssessment": {
            "id_assessment": [70, 70],
            "id_student": [7, 10],
            "date_submitted": [9, 8],
            "score": [80, None],
        },
        "assessments": {"id_assessment": [70], "code_module": ["AAA"], "code_presentation": ["2013J"]},
        "vle": {"id_site": [1, 2], "activity_type": ["quiz", "homepage"]},
        "courses": {"code_module": ["AAA"], "code_presentation": ["2013J"], "module_presentation_length": [100]},
    }
    folder = tmp_path / "downloads" / "oulad"
    folder.mkdir(parents=True)
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


def test_oulad_when_small_then_times_and_outcomes_as_by_hand(oulad_source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert write_example("oulad", source=oulad_source.parent, out=out) == {"leads": 4, "outcomes": 4, "events": 4}
    leads, outcomes = read(out, "leads"), read(out, "outcomes")
    assert leads["lead_id"].to_pylist() == ["AAA-2013J-7", "AAA-2013J-8", "AAA-2013J-9", "AAA-2013J-10"]
    assert leads["account_id"].to_pylist() == ["7", "8", "9", "10"]
    assert leads["created_at"].to_pylist() == [
        midnight(day) for day in ("2013-09-21", "2013-09-26", "2013-10-01", "2013-10-04")
    ]
    assert set(leads["starts_at"].to_pylist()) == {midnight("2013-10-01")}
    assert outcomes["outcome"].to_pylist() == ["won", "lost", "lost", "lost"]
    assert outcomes["decided_at"].to_pylist() == [
        midnight(day) for day in ("2014-01-09", "2013-10-21", "2013-10-02", "2014-01-09")
    ]


def test_oulad_when_small_then_events_in_the_order_of_the_files(oulad_source: Path, tmp_path: Path) -> None:
    write_example("oulad", source=oulad_source, out=tmp_path / "out")
    assert [tuple(row.values()) for row in read(tmp_path / "out", "events").to_pylist()] == [
        ("AAA-2013J-8", noon("2013-09-30"), "homepage", 3.0, "2"),
        ("AAA-2013J-7", noon("2013-10-05"), "quiz", 5.0, "1"),
        ("AAA-2013J-7", noon("2013-10-10"), "assessment_submitted", 80.0, "70"),
        ("AAA-2013J-10", noon("2013-10-09"), "assessment_submitted", None, "70"),
    ]


def test_oulad_when_csv_as_published_then_same_tables(oulad_source: Path, tmp_path: Path) -> None:
    published = tmp_path / "csv"
    published.mkdir()
    for file in oulad_source.iterdir():
        duckdb.read_parquet(str(file)).to_csv(str(published / f"{file.stem}.csv"))
    write_example("oulad", source=oulad_source, out=tmp_path / "a")
    write_example("oulad", source=published, out=tmp_path / "b")
    for table in ("leads", "events", "outcomes"):
        assert read(tmp_path / "a", table).equals(read(tmp_path / "b", table))


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_when_no_source_then_says_where_to_get_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not part of mqlml\. Hint: get it from https://.*--source"):
        write_example(name, source=None, out=tmp_path / "out")
    with pytest.raises(UsageError, match=r"does not hold the data set .*parquet \(or \.csv\)"):
        write_example(name, source=tmp_path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_example_when_name_is_misspelled_then_nearest_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'oulad'"):
        write_example("ulad", source=None, out=tmp_path)


def test_example_when_one_file_is_missing_then_named(oulad_source: Path, tmp_path: Path) -> None:
    (oulad_source / "vle.parquet").unlink()
    with pytest.raises(UsageError, match="lacks vle of the data set 'oulad'"):
        write_example("oulad", source=oulad_source, out=tmp_path / "out")


def test_example_when_files_are_wrong_then_all_problems_at_once(oulad_source: Path, tmp_path: Path) -> None:
    (oulad_source / "vle.parquet").write_text("<html>")
    pq.write_table(pa.table({"code_module": ["AAA"]}), oulad_source / "courses.parquet")
    with pytest.raises(
        DataRefused, match=r"(?s)(?=.*vle\.parquet: cannot be read)(?=.*'module_presentation_length': is missing)"
    ):
        write_example("oulad", source=oulad_source, out=tmp_path / "out")


def test_example_when_settings_were_edited_then_nothing_is_touched(oulad_source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mqlml.toml").write_text("# mine")
    with pytest.raises(UsageError, match="exists already and differs"):
        write_example("oulad", source=oulad_source, out=out)
    assert [file.name for file in out.iterdir()] == ["mqlml.toml"]


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Convert each real set once."""
    folder = tmp_path_factory.mktemp("examples")

    def convert(name: str) -> Path:
        if not (folder / name).exists():
            write_example(name, source=Path(DATA), out=folder / name)
        return folder / name

    return convert


@pytest.mark.real_data
@needs_data
@pytest.mark.parametrize("name", EXAMPLES)
def test_example_when_real_then_settings_load_and_name_columns_that_exist(
    name: str, converted: Callable[[str], Path]
) -> None:
    out = converted(name)
    config = Config.load(out / "mqlml.toml")
    there = set(read(out, "leads").column_names)
    declared = {*config.leads.known_at_creation, *config.leads.exclude, *config.leads.sensitive, *config.leads.state}
    assert declared <= there


@pytest.mark.real_data
@needs_data
@pytest.mark.parametrize(("name", "table"), [(n, t) for n in CONTRACT for t in ("leads", "outcomes", "events")])
def test_example_when_real_then_equals_the_given_contract_row_for_row(
    name: str, table: str, converted: Callable[[str], Path]
) -> None:
    expected = pq.ParquetFile(Path(DATA) / "events_contract" / CONTRACT[name] / f"{table}.parquet")
    mine = pq.ParquetFile(converted(name) / f"{table}.parquet")
    assert mine.metadata.num_rows == expected.metadata.num_rows
    added = set(mine.schema_arrow.names) - set(expected.schema_arrow.names)
    assert added == ({"starts_at"} if (name, table) == ("oulad", "leads") else set())
    for column in expected.schema_arrow.names:
        assert mine.read([column])[column].equals(expected.read([column])[column]), column


@pytest.mark.real_data
@needs_data
def test_bank_marketing_when_real_then_current_call_is_not_counted(converted: Callable[[str], Path]) -> None:
    out = converted("bank-marketing")
    leads = read(out, "leads")
    given = pq.read_table(Path(DATA) / "bank_marketing" / "bank-additional-full.parquet")
    assert "campaign" not in leads.column_names
    assert leads["contacts_before"].to_pylist() == [calls - 1 for calls in given["campaign"].to_pylist()]
    assert leads["row_order"].to_pylist() == list(range(41_188))
    assert leads["pdays"].null_count == 39_673
    assert Counter(leads["y"].to_pylist())["yes"] == 4_640


@pytest.mark.real_data
@needs_data
def test_hotel_when_real_then_created_before_decided(converted: Callable[[str], Path]) -> None:
    out = converted("hotel")
    rows = duckdb.sql(
        f"""SELECT count(*), avg((outcome = 'won')::INT), min(decided_at - created_at) > INTERVAL 0 SECOND
        FROM '{out}/leads.parquet' JOIN '{out}/outcomes.parquet' USING (lead_id)"""
    ).fetchall()
    assert rows == [(119_390, pytest.approx(0.6296, abs=5e-5), True)]


@pytest.mark.real_data
@needs_data
def test_salvirt_when_real_then_equal_inputs_share_a_group(converted: Callable[[str], Path]) -> None:
    out = converted("salvirt")
    leads = read(out, "leads").to_pandas()
    inputs = [c for c in leads if c not in ("lead_id", "equal_inputs", "Posit_statm", "Up_sale", "Client", "Status")]
    assert leads["equal_inputs"].nunique() == len(leads[inputs].drop_duplicates()) == 340
    assert (leads.groupby("equal_inputs")[inputs].nunique() == 1).all().all()


@pytest.mark.real_data
@needs_data
def test_crm_sales_when_real_then_dirty_keys_join_and_open_stays_open(converted: Callable[[str], Path]) -> None:
    out = converted("crm-sales")
    leads, outcomes = read(out, "leads"), read(out, "outcomes")
    assert (leads.num_rows, outcomes.num_rows) == (8_300, 6_711)
    assert leads["series"].null_count == leads["manager"].null_count == 0
    assert "technology" in leads["sector"].to_pylist()
    assert "technolgy" not in leads["sector"].to_pylist()
    assert "Philippines" in leads["office_location"].to_pylist()
    assert Counter(outcomes["outcome"].to_pylist()) == {"won": 4_238, "lost": 2_473}
    assert outcomes["value"].null_count == 2_473


@pytest.mark.real_data
@needs_data
def test_online_shoppers_when_real_then_codes_are_text_and_page_values_stay(converted: Callable[[str], Path]) -> None:
    out = converted("online-shoppers")
    leads, outcomes = read(out, "leads"), read(out, "outcomes")
    assert leads.schema.field("Browser").type == pa.string()
    assert leads.schema.field("PageValues").type == pa.float64()
    assert Counter(outcomes["outcome"].to_pylist()) == {"won": 1_908, "lost": 10_422}
