"""Columns written after the decision: from their history, and from two extracts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from learning.worlds import t, world

from mqlml.history.edits import Edits, count_edits
from mqlml.learning.audit import Finding
from mqlml.learning.audit_changes import Extract, changed_between, edited_late

N = 900
MOMENT = 1_000


def compared(
    now: dict[str, object], before: dict[str, object], *, declared: frozenset[str] = frozenset()
) -> list[Finding]:
    """Compare 900 leads: a third closed before the first extract, a third in between, a third open."""
    third = np.repeat([0, 1, 2], N // 3)
    won = np.where(third == 2, np.nan, np.arange(N) % 2)
    decided = np.array([MOMENT - 1, MOMENT, 2**62])[third]
    tables = [pa.table({k: pa.array(v, from_pandas=True) for k, v in columns.items()}) for columns in (now, before)]
    backwards = np.arange(N)[::-1].astype(np.int64)
    extract = Extract(tables[1].take(pa.array(backwards)), backwards, MOMENT)
    return list(changed_between(tables[0], extract, won=won, decided=decided, declared=declared))


def texts(flags: np.ndarray, value: str) -> np.ndarray:
    return np.where(flags, value, "as it was").astype(object)


IN_BETWEEN = np.repeat([0, 1, 2], N // 3) == 1


def test_changed_between_when_a_column_is_written_at_closing_then_it_is_blocked() -> None:
    same = texts(np.zeros(N, bool), "")
    (finding,) = compared({"owner": texts(IN_BETWEEN & (np.arange(N) % 2 == 0), "closer")}, {"owner": same})
    assert (finding.level, finding.check, finding.column) == ("block", "changed-at-closing", "owner")
    expected = "differs between the extracts for 150 of 900 leads (16.7 %): 50.0 % of 300 that closed in between"
    assert finding.figure.startswith(expected)
    assert "0.0 % of 300 open ones" in finding.figure


def test_changed_between_when_all_leads_change_alike_then_a_person_is_asked() -> None:
    rng = np.random.default_rng(0)
    employees = rng.integers(10, 900, N).astype(float)
    refreshed = np.where(rng.random(N) < 0.2, employees + 1, employees)
    (finding,) = compared({"employees": refreshed}, {"employees": employees})
    assert (finding.level, finding.check) == ("ask", "changed-since")


@pytest.mark.parametrize(("changes", "levels"), [(0, []), (1, []), (9, ["ask"])])
def test_changed_between_when_declared_as_known_at_creation_then_even_few_changes_are_told(
    changes: int, levels: list[str]
) -> None:
    now = np.where(np.arange(N) % (N // max(changes, 1)) < (1 if changes else 0), 2.0, 1.0)
    found = compared({"source": now}, {"source": np.ones(N)}, declared=frozenset({"source"}))
    assert [f.level for f in found] == levels
    assert all(f.check == "changed-after-creation" for f in found)


def test_changed_between_when_values_are_equal_then_nothing_is_said() -> None:
    number = np.where(np.arange(N) % 3 == 0, np.nan, 0.1 + 0.2)
    close = np.where(np.arange(N) % 3 == 0, np.nan, 0.3)
    word = np.where(np.arange(N) % 5 == 0, None, "x").astype(object)
    assert compared({"n": number, "w": word, "new": word}, {"n": close, "w": word}) == []


def test_changed_between_when_values_appear_then_that_is_a_change() -> None:
    (finding,) = compared(
        {"phone": np.full(N, "given", object)}, {"phone": np.where(IN_BETWEEN, None, "given").astype(object)}
    )
    assert finding.level == "block"


def test_count_edits_when_changes_stand_around_the_decision_then_those_at_or_after_it_count() -> None:
    leads = [{"lead_id": name, "created_at": 1.0} for name in "abc"]
    with world(leads) as history:
        history.connection.execute(
            "CREATE TABLE changes AS SELECT lead_id, make_timestamp(us) AS changed_at, field FROM (VALUES "
            f"('a', {t(1)}, 'size'), ('a', {t(9)}, 'size'), ('b', {t(10)}, 'size'), ('b', {t(11)}, 'size'), "
            f"('c', {t(30)}, 'size'), ('c', {t(5)}, 'title')) AS v(lead_id, us, field)"
        )
        known = type(history)(**{**vars(history), "tables": frozenset({"changes"})})
        created = pa.array([t(1)] * 3, pa.int64())
        moments = pa.table(
            {"lead_id": list("abc"), "created": created, "decided": pa.array([t(10), t(10), None], pa.int64())}
        )
        found = count_edits(known, moments, until=int(t(20) or 0))
        assert found == (Edits("size", 2, 1), Edits("title", 1, 0))
        assert count_edits(history, moments, until=int(t(20) or 0)) == ()


def test_edited_late_when_read_as_of_each_moment_then_it_is_a_note_and_a_wrong_declaration_is_asked_about() -> None:
    edits = [Edits("size", 400, 90), Edits("title", 400, 90), Edits("gone", 400, 90), Edits("plan", 400, 0)]
    found = list(
        edited_late(edits, columns=["size", "title", "plan"], declared=frozenset({"title"}), leads=1_000, closed=500)
    )
    assert [(f.level, f.check, f.column) for f in found] == [
        ("note", "changed-after-closing", "size"),
        ("ask", "changed-after-creation", "title"),
    ]
    assert found[0].figure == "changed at or after the decision for 90 of 500 closed leads"
