"""Touches of leads before a moment of their own, summed up by hand."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from history.histories import LEADS, OUTCOMES, at, reading

from mqlml.history.touches import OTHERS, TOUCH_KINDS, read_spend_rows, read_touches
from mqlml.learning.moments import as_microseconds

EVENTS = """lead_id,occurred_at,recorded_at,event_type,asset
007,2024-01-02T00:00:00Z,,visit,/a
007,2024-01-03T00:00:00Z,,visit,/a
007,2024-01-05T00:00:00Z,,visit,/b
007,2024-01-04T00:00:00Z,2024-01-05T00:00:00Z,visit,/late
1e5,2024-01-02T00:00:00Z,,visit,/a
1e5,2024-01-03T00:00:00Z,,form,"/o'b"";--"
1e5,2024-01-04T00:00:00Z,,call,
null,2024-01-02T00:00:00Z,,visit,/c
"""
MOST = dict.fromkeys(TOUCH_KINDS, 10)
SEEN = pa.table(
    {
        "lead": [5, 2],
        "lead_id": ["007", "1e5"],
        "before": [as_microseconds(at("2024-01-05")), as_microseconds(at("2024-02-01"))],
    }
)


def test_read_touches_when_summed_up_then_only_what_was_known_strictly_before_counts(tmp_path: Path) -> None:
    files = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.csv": EVENTS}
    with reading(tmp_path, files, events={"path": "events.csv"}) as history:
        found = read_touches(history, SEEN, without=["call"], least=1, most=MOST)
    assert set(found) == {"event_type", "asset"}
    types = found["event_type"]
    assert types.names == ("visit", "form")
    assert list(zip(types.lead, types.code, types.times, strict=True)) == [(2, 0, 1), (2, 1, 1), (5, 0, 2)]
    day = as_microseconds(at("2024-01-02"))
    assert (types.first[2], types.last[2]) == (day, as_microseconds(at("2024-01-03")))
    assert found["asset"].names == ("/a", "/o'b\";--")


def test_read_touches_when_names_are_rare_or_many_then_they_are_folded(tmp_path: Path) -> None:
    files = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.csv": EVENTS}
    with reading(tmp_path, files, events={"path": "events.csv"}) as history:
        rare = read_touches(history, SEEN, without=[], least=2, most=MOST)["event_type"]
        many = read_touches(history, SEEN, without=[], least=1, most=MOST | {"event_type": 1})["event_type"]
        again = read_touches(history, SEEN, without=[], least=2, most=MOST)["event_type"]
    assert (rare.names, rare.others) == (("visit",), 2)
    assert list(zip(rare.lead, rare.code, rare.times, strict=True)) == [(2, OTHERS, 2), (2, 0, 1), (5, 0, 2)]
    assert (many.names, many.others) == (("visit",), 2)
    assert again.lead.tolist() == rare.lead.tolist()


@pytest.mark.parametrize("sections", [{}, {"events": {"path": "events.csv"}}])
def test_read_touches_when_there_is_nothing_then_nothing(tmp_path: Path, sections: dict[str, dict[str, str]]) -> None:
    files = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.csv": "lead_id,occurred_at,event_type\n"}
    with reading(tmp_path, files, **sections) as history:
        assert read_touches(history, SEEN, without=[], least=1, most=MOST) == {}
        assert read_touches(history, SEEN.slice(0, 0), without=[], least=1, most=MOST) == {}
        assert read_spend_rows(history) == []
