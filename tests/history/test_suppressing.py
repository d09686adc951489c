"""One more id gets onto the list; what stood there stays."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mqlml.config import Suppress
from mqlml.errors import UsageError
from mqlml.history.suppressing import suppress_lead

MARKED = b"\xef\xbb\xbfwhen;lead_id;why\r\n1;42;x\r\n"


@pytest.mark.parametrize(
    ("before", "after", "settings"),
    [
        (None, b"lead_id\n0042\n", {}),
        (b"", b"lead_id\n0042\n", {}),
        (b"lead_id\n1\n", b"lead_id\n1\n0042\n", {}),
        (b"lead_id\n1", b"lead_id\n1\n0042\n", {}),
        (MARKED, MARKED + b";0042;\r\n", {"delimiter": ";"}),
        (b"who\nJ\xfcrgen\n", b"who\nJ\xfcrgen\n0042\n", {"encoding": "latin-1", "lead_id": "who"}),
        ("lead_id\n1\n".encode("utf-16"), "lead_id\n1\n0042\n".encode("utf-16"), {"encoding": "utf-16"}),
    ],
)  # fmt: skip
def test_suppress_lead_when_the_list_is_csv_then_appended_once(before, after, settings, tmp_path):
    path = tmp_path / "list.csv"
    if before is not None:
        path.write_bytes(before)
    source = Suppress(path="list.csv", **settings)
    assert suppress_lead(path, source, "0042") is True
    assert path.read_bytes() == after
    assert suppress_lead(path, source, "0042") is False
    assert path.read_bytes() == after


def test_suppress_lead_when_the_list_is_parquet_then_other_columns_stay(tmp_path):
    path = tmp_path / "list.parquet"
    source = Suppress(path="list.parquet")
    pq.write_table(pa.table({"why": pa.array([1], pa.int32()), "lead_id": ["a"]}), path)
    assert suppress_lead(path, source, "b,c") is True
    assert suppress_lead(path, source, "b,c") is False
    assert pq.read_table(path).to_pylist() == [{"why": 1, "lead_id": "a"}, {"why": None, "lead_id": "b,c"}]


@pytest.mark.parametrize("content", [b"other\n1\n", b"PK\x03\x04 a workbook"])
def test_suppress_lead_when_the_list_cannot_take_it_then_usage_error_and_it_stays(content, tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"\[suppress\]"):
        suppress_lead(path, Suppress(path="list.csv"), "a")
    assert path.read_bytes() == content
