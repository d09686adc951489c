"""What is remembered is what was known strictly before the moment, to the microsecond."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from history.histories import at, configured, reading
from hypothesis import given, settings
from hypothesis import strategies as st
from learning.worlds import t, world

from mqlml.config import Config
from mqlml.decision.memory import WAITS, Listed, Memory, overrides, remember, week_start
from mqlml.learning.snapshots import DAY, NEVER, as_microseconds, population
from mqlml.tape.features import FeatureSet

AS_OF = as_microseconds(at("2024-03-06"))  # a Wednesday
MONDAY = as_microseconds(at("2024-03-04"))
IDS = "abcdefg"
LEADS = "lead_id,created_at,account_id\n" + "".join(
    f"{name},2024-02-01T00:00:00Z,{'acme' if name in 'ab' else name}\n" for name in IDS
)
HANDED = "lead_id,handed_at,by,rejected_at,reason\n"
VISITS = FeatureSet(event_types=("visit",))


def remembered(folder: Path, handovers: str, events: str = "", *, listed: Listed | None = None, **more: Any) -> Memory:
    """What is remembered of leads a to g."""
    files = {"leads.csv": LEADS, "handovers.csv": HANDED + handovers, "outcomes.csv": "lead_id,outcome\n"}
    sections: dict[str, dict[str, object]] = {"handovers": {"path": "handovers.csv"}}
    if events:
        files["events.csv"] = "lead_id,occurred_at,event_type\n" + events
        sections["events"] = {"path": "events.csv"}
    with reading(folder, files, **sections) as history:
        people = population(history, configured(folder, **sections), until=AS_OF)
        features = VISITS if events else None
        return remember(
            history, people, np.arange(7), as_of=AS_OF, week=MONDAY, features=features, listed=listed, **more
        )


def a_list(mql: str, *, at_moment: int, since: int | None = None, waits: str = "", control: str = "") -> Listed:
    ids = list(IDS)
    moments = pa.array([at_moment] * 7, pa.timestamp("us", "UTC"))
    entered = pa.array([(since or at_moment) if name in mql else None for name in ids], pa.timestamp("us", "UTC"))
    return Listed.of(
        pa.table(
            {
                "lead_id": ids,
                "as_of": moments,
                "is_mql": [name in mql for name in ids],
                "rule": [WAITS if name in waits else None for name in ids],
                "control": [name in control for name in ids],
                "mql_since": entered,
            }
        )
    )


def names(flags: np.ndarray) -> str:
    return "".join(IDS[i] for i in np.flatnonzero(flags))


def test_remember_when_answers_come_at_the_moment_or_later_then_they_are_not_known(tmp_path: Path) -> None:
    memory = remembered(
        tmp_path,
        "a,2024-02-10T00:00:00Z,policy,2024-03-05T23:59:59.999999Z,\n"
        "b,2024-02-10T00:00:00Z,policy,2024-03-06T00:00:00Z,\n"
        "c,2024-03-06T00:00:00Z,policy,2024-03-07T00:00:00Z,\n",
    )
    assert names(memory.rejected_at < NEVER) == "a"
    assert memory.used == 0


def test_remember_when_a_rejected_lead_acts_then_only_its_own_later_doing_counts(tmp_path: Path) -> None:
    memory = remembered(
        tmp_path,
        "".join(f"{name},2024-02-10T00:00:00Z,policy,2024-02-20T00:00:00Z,\n" for name in "abcd"),
        "a,2024-02-20T00:00:01Z,visit\nb,2024-02-19T00:00:00Z,visit\nc,2024-03-06T00:00:00Z,visit\n",
    )
    assert names(memory.rejected_at < NEVER) == "abcd"
    assert names(memory.acted) == "a"


def test_remember_when_leads_were_handed_over_since_monday_then_their_places_are_taken(tmp_path: Path) -> None:
    memory = remembered(
        tmp_path,
        "a,2024-03-04T00:00:00Z,policy,,\n"
        "b,2024-03-03T23:59:59Z,policy,,\n"
        "c,2024-03-05T00:00:00Z,override,,they asked\n"
        "d,2024-03-05T00:00:00Z,control,,\n",
        listed=a_list("ae", at_moment=MONDAY + DAY, control="f"),
        team=np.array(["EU", "EU", "US", "US", "EU", "", ""], dtype=object),
    )
    assert memory.used == 3, "a and c handed over, e on Tuesday's list; a counts once"
    assert memory.used_by_team == {"EU": 2, "US": 1}
    assert sorted(sum(memory.used_by_account.values(), ())) == ["a", "c", "e"]
    assert memory.control_used == 2
    assert names(memory.drawn) == "d"
    assert names(memory.control) == "f"
    assert memory.contacts[0] in {"a", "b"}


def test_remember_when_there_is_a_list_before_then_who_was_on_it_since_when(tmp_path: Path) -> None:
    memory = remembered(tmp_path, "", listed=a_list("bc", at_moment=MONDAY - DAY, since=MONDAY - 9 * DAY, waits="d"))
    assert names(memory.was) == "bc"
    assert memory.since[1] == MONDAY - 9 * DAY
    assert memory.since[0] == NEVER
    assert names(memory.waited) == "d"
    assert memory.used == 0
    assert not memory.with_sales.any()
    first = remembered(tmp_path, "")
    assert first.waited.all(), "on a first list everybody has waited"


def test_remember_when_past_weeks_are_walked_then_who_was_on_the_list_is_with_sales(tmp_path: Path) -> None:
    listed = a_list("bc", at_moment=MONDAY - 30 * DAY, control="e")
    memory = remembered(tmp_path, "", listed=listed, handed_at_once=True)
    assert names(memory.with_sales) == "bc"
    assert names(memory.control) == "e"


def test_then_when_a_lead_is_missing_from_the_later_list_then_its_hand_over_is_remembered(tmp_path: Path) -> None:
    first = a_list("ab", at_moment=MONDAY - 14 * DAY, control="c", waits="d")
    later = Listed.of(
        pa.table(
            {
                "lead_id": ["a", "e"],
                "as_of": pa.array([MONDAY - 7 * DAY] * 2, pa.timestamp("us", "UTC")),
                "is_mql": [False, True],
                "mql_since": pa.array([None, MONDAY - 7 * DAY], pa.timestamp("us", "UTC")),
            }
        )
    )
    both = first.then(later)
    assert both.lead_id.tolist() == ["a", "e", "b", "c"]
    assert both.mql.tolist() == [False, True, True, False]
    assert both.since[2] == MONDAY - 14 * DAY
    assert both.at == MONDAY - 7 * DAY
    memory = remembered(tmp_path, "", listed=both, handed_at_once=True)
    assert names(memory.with_sales) == "be"
    assert names(memory.control) == "c"


def test_overrides_when_people_overrule_the_list_then_they_are_counted_with_their_reasons(tmp_path: Path) -> None:
    handovers = (
        "a,2024-03-04T00:00:00Z,override,,they asked\nb,2024-03-05T00:00:00Z,override,,\n"
        "c,2024-03-05T00:00:00Z,policy,,x\nd,2024-03-06T00:00:00Z,override,,later\ne,2024-03-01T00:00:00Z,override,,\n"
    )
    files = {"leads.csv": LEADS, "handovers.csv": HANDED + handovers, "outcomes.csv": "lead_id,outcome\n"}
    with reading(tmp_path, files, handovers={"path": "handovers.csv"}) as history:
        found = overrides(history, since=MONDAY, as_of=AS_OF)
    assert found == {"they asked": 1, "no reason given": 1}


def test_week_start_when_the_zone_is_far_then_monday_is_its_own(tmp_path: Path) -> None:
    config = configured(tmp_path).model_copy(
        update={"leads": configured(tmp_path).leads.model_copy(update={"timezone": "America/New_York"})}
    )
    # Monday 03:00 in London is still Sunday in New York; clocks there moved on 10 March.
    assert week_start(datetime(2024, 3, 11, 3, tzinfo=UTC), config) == datetime(2024, 3, 4, 5, tzinfo=UTC)
    assert week_start(datetime(2024, 3, 11, 5, tzinfo=UTC), config) == datetime(2024, 3, 11, 4, tzinfo=UTC)


ANSWERS = st.tuples(
    st.integers(0, 5),  # lead
    st.integers(0, 60),  # handed over on this day
    st.sampled_from(["policy", "control", "override", None]),
    st.sampled_from([None, 0.5, 3.0, 20.0]),  # days until rejected
)


@pytest.mark.long
@settings(max_examples=40)
@given(st.lists(ANSWERS, max_size=12), st.lists(ANSWERS, max_size=6), st.integers(20, 60))
def test_remember_when_hand_overs_come_later_then_nothing_is_remembered_otherwise(
    some: list[Any], later: list[Any], day: int
) -> None:
    def told(rows: list[Any], *, whole: bool) -> list[dict[str, Any]]:
        made = []
        for lead, at_day, by, answer in rows:
            rejected = None if answer is None else at_day + answer
            rejected = rejected if whole or rejected is None or rejected < day else None
            made.append({"lead_id": f"l{lead}", "handed_at": at_day, "by": by, "rejected_at": rejected})
        return made

    known = [row for row in some if row[1] < day]
    future = [(lead, day + k, by, answer) for k, (lead, _, by, answer) in enumerate(later)]

    def memory(handovers: list[dict[str, Any]]) -> Memory:
        people = [{"lead_id": f"l{k}", "created_at": 0} for k in range(6)]
        with world(people, handovers=handovers) as history:
            who = population(history, history_config(), until=t(day))
            return remember(history, who, np.arange(6), as_of=t(day), week=(t(day) or 0) - 3 * DAY)

    first, second = memory(told(known, whole=False)), memory(told(known + future, whole=True))
    for name, value in vars(first).items():
        assert np.array_equal(value, getattr(second, name)), name


def history_config() -> Config:
    return Config.of({"leads": {"path": "leads.csv"}, "outcomes": {"path": "outcomes.csv"}})
