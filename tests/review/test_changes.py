from __future__ import annotations

import pytest

from mqlml.review.changes import changes, known_criteria

OLD = [
    {"criterion": "page_view", "importance": 0.5, "direction": "raises"},
    {"criterion": "country", "importance": 0.3, "direction": "mixed"},
    {"criterion": "age", "importance": 0.15, "direction": "lowers"},
    {"criterion": "fax", "importance": 0.05, "direction": "raises"},
]


def driver(name: str, importance: float, direction: str = "raises") -> dict[str, object]:
    return {"criterion": name, "importance": importance, "direction": direction}


@pytest.mark.parametrize(
    ("now", "change"),
    [
        (driver("page_view", 0.45), "same"),
        (driver("page_view", 0.33), "drifted"),
        (driver("page_view", 0.34), "same"),
        (driver("fax", 0.07), "same"),
        (driver("fax", 0.08), "drifted"),
        (driver("page_view", 0.5, "lowers"), "reversed"),
        (driver("page_view", 0.5, "mixed"), "same"),
        (driver("country", 0.3, "raises"), "same"),
        (driver("webinar", 0.01), "new"),
    ],
)
def test_changes_when_a_driver_is_compared_then_it_is_named(now: dict[str, object], change: str) -> None:
    assert changes([now], OLD)["criteria"][now["criterion"]]["change"] == change


def test_changes_when_another_measure_is_told_of_then_directions_are_not_compared() -> None:
    now, before = ({**driver("visit", 0.5, way), "measure": way} for way in ("lowers", "raises"))
    assert changes([now], [before])["criteria"]["visit"]["change"] == "same"


def test_changes_when_a_driver_was_there_then_its_rank_and_weight_are_told_and_the_others_are_gone() -> None:
    found = changes([driver("country", 0.9, "mixed")], OLD)
    assert found["criteria"]["country"] == {"change": "drifted", "rank": 2, "importance": 0.3, "direction": "mixed"}
    assert [row["criterion"] for row in found["gone"]] == ["page_view", "age", "fax"]


def test_known_when_the_champion_was_reviewed_then_all_but_new_and_reversed_ones_are() -> None:
    now = [driver("page_view", 0.5, "lowers"), driver("country", 0.3, "mixed"), driver("webinar", 0.2)]
    found = changes(now, OLD)
    # 0.5 + 0.3 + 0.15 carry 90 %, so "fax" was never asked for.
    assert known_criteria(OLD, found, (), marked_since=False) == {"country", "age"}
    assert known_criteria(OLD, found, ("page_view", "webinar"), marked_since=False) == {"country", "age", "webinar"}
    assert "page_view" in known_criteria(OLD, found, ("page_view",), marked_since=True)
    assert known_criteria([], found, (), marked_since=False) == frozenset()
