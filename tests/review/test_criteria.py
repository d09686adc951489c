"""Decisions on criteria: read, refused, written, and what is left to review."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqlml.errors import UsageError
from mqlml.review.criteria import Criteria, Mark, needs_review, read_criteria

FILE = """
model_version = "2026-06-30-aaaaaaaaaaaa"

[[criterion]]
name = "webinar"
decision = "must-increase"
by = "Ana"
on = 2026-11-22
note = "sales agrees"

[[criterion]]
name = "page_view"
decision = "cap"
cap = 10
by = "Ana"

[[criterion]]
name = "gender"
decision = "bar"
label = "Gender"
by = "Bo"
"""


def test_read_when_the_file_is_right_then_every_decision_is_there() -> None:
    found = read_criteria(FILE, where="criteria.toml")
    assert found.model_version == "2026-06-30-aaaaaaaaaaaa"
    assert found.barred == {"gender"}
    assert found.direction == {"webinar": 1}
    assert found.caps == {"page_view": 10}
    assert found.labels == {"gender": "Gender"}
    assert found.unknown({"webinar", "page_view"}) == ("gender",)
    assert found.of("webinar") == Mark("webinar", "must-increase", note="sales agrees", by="Ana", on="2026-11-22")
    assert [mark.sentence for mark in found.marks] == [
        "'webinar' more of it must never lower the chance, says Ana on 2026-11-22",
        "'page_view' more than 10 of it counts as 10, says Ana",
        "'gender' must not be used; called 'Gender', says Bo",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[criterion]]\nname = 'a'\ndecision = 'approve'", "'by' is missing; say who decided"),
        ("[[criterion]]\nname = 'a'\ndecision = 'aprove'\nby = 'A'", "did you mean 'approve'"),
        ("[[criterion]]\nname = 'a'\ndecision = 'cap'\nby = 'A'", "needs cap = a number"),
        ("[[criterion]]\nname = 'a'\ndecision = 'cap'\ncap = nan\nby = 'A'", "needs cap = a number"),
        ("[[criterion]]\nname = 'a'\ndecision = 'cap'\ncap = true\nby = 'A'", "needs cap = a number"),
        ("[[criterion]]\nname = 'a'\ndecision = 'bar'\ncap = 3\nby = 'A'", "the decision is not 'cap'"),
        ("[[criterion]]\nname = 'a'\ndecision = 'bar'\nby = 'A'\nnoet = 'x'", "did you mean 'note'"),
        ("[[criterion]]\nname = 'a'\ndecision = 'bar'\nby = 'A'\nnote = 3", "'note' is not text"),
        ("[[criterion]]\nname='a'\ndecision='bar'\nby='A'\n[[criterion]]\nname='a'\ndecision='bar'\nby='B'", "twice"),
        ("criterion = 3", "is not a list"),
        ("[[criteria]]\nname = 'a'", "unknown key 'criteria'"),
        ("[[criterion]\n", "cannot be read as TOML"),
    ],
)
def test_read_when_something_is_wrong_then_it_says_what(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_criteria(text, where="criteria.toml")


@given(
    st.lists(
        st.builds(
            Mark,
            name=st.text(min_size=1).filter(str.strip),
            decision=st.sampled_from(["approve", "bar", "must-increase", "must-decrease", "none"]),
            note=st.text(),
            by=st.text(min_size=1).filter(str.strip),
        ),
        unique_by=lambda mark: mark.name,
        max_size=4,
    )
)
def test_toml_when_written_and_read_then_nothing_is_lost(marks: list[Mark]) -> None:
    criteria = Criteria(tuple(marks), "v")
    assert read_criteria(criteria.to_toml(), where="criteria.toml") == criteria


def test_dict_when_written_and_read_then_nothing_is_lost() -> None:
    criteria = read_criteria(FILE, where="criteria.toml")
    assert Criteria.from_dict(criteria.to_dict()) == criteria


def test_needs_review_when_some_are_known_then_the_others_that_carry_the_weight_are_left() -> None:
    drivers = [
        {"criterion": name, "importance": share} for name, share in zip("abcd", (0.5, 0.3, 0.15, 0.05), strict=True)
    ]
    assert needs_review(drivers) == ("a", "b", "c")
    assert needs_review(drivers, known={"b"}) == ("a", "c")
    many = [{"criterion": str(i), "importance": 0.01} for i in range(100)]
    assert len(needs_review(many)) == 20
