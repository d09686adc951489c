"""Labels: what follows a snapshot decides, losses or not; young snapshots weigh; hopeless cohorts are left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from learning.worlds import CROWD, ZERO, configured, labels, seen, t, with_crowd, world

from mqlml.learning.labels import Rows, labelled_rows
from mqlml.learning.moments import DAY

# Looked at every ten days back from as-of; a win counts for twenty.
EVERY_TEN: dict[str, Any] = {
    "label": {"horizon_days": 20},
    "snapshots": {"max_age_days": 100, "every_days": 10},
}


def a(outcome: str, day: float, **more: Any) -> dict[str, Any]:
    return {"lead_id": "a", "outcome": outcome, "decided_at": day, **more}


def labels_of_a(outcomes: list[dict[str, Any]], config: Any = None, day: float = 120.0, **tables: Any) -> Any:
    """Labels of a lead created on day 0, by day; a win of another lead on day 115 shows that wins are recorded."""
    rows = with_crowd(
        [{"lead_id": name, "created_at": 0.0} for name in "ab"],
        [*outcomes, {"lead_id": "b", "outcome": "won", "decided_at": 115.0}],
    )
    with world(**rows, **tables) as history:
        return labels(history, config or configured(**EVERY_TEN), day)[1].get("a", {})


def test_labelled_rows_when_a_lead_stays_open_then_every_mature_snapshot_is_negative() -> None:
    assert labels_of_a([]) == dict.fromkeys(range(20, 101, 10), 0.0)


def test_labelled_rows_when_a_lead_is_lost_then_snapshots_up_to_then_are_negative_and_none_follow() -> None:
    assert labels_of_a([a("lost", 60)]) == dict.fromkeys((20, 30, 40, 50, 60), 0.0)


def test_labelled_rows_when_a_win_follows_a_loss_within_the_horizon_then_it_counts() -> None:
    found = labels_of_a([a("lost", 50), a("won", 65)])
    assert found == {20: 0, 30: 0, 40: 0, 50: 1}, "45 < win on day 65 of the snapshot on day 50"


def test_labelled_rows_when_sales_takes_a_lead_then_its_later_win_still_counts() -> None:
    handed = [{"lead_id": "a", "handed_at": 45.0}]
    assert labels_of_a([a("won", 55)], handovers=handed) == {20: 0, 30: 0, 40: 1}
    assert labels_of_a([a("won", 55, opened_at=45)]) == {20: 0, 30: 0, 40: 1}


def test_labelled_rows_when_a_lead_comes_back_then_each_episode_looks_at_its_own_wins() -> None:
    outcomes = [a("won", 30), a("lost", 50, opened_at=40), a("won", 85)]
    assert labels_of_a(outcomes, events=[{"lead_id": "a", "occurred_at": 55.0}]) == {20: 1, 30: 1, 60: 0, 70: 1, 80: 1}


def test_labelled_rows_when_no_loss_is_ever_recorded_then_the_rows_are_the_same() -> None:
    bare = configured(**EVERY_TEN, outcomes={"lost": []})
    assert labels_of_a([a("won", 65)], bare) == labels_of_a([a("won", 65)])


def test_labelled_rows_when_dates_are_final_then_a_label_is_known_at_the_last_decision() -> None:
    tables = with_crowd(
        [{"lead_id": "a", "created_at": 0.0}],
        [
            *({"lead_id": f"z{i:02d}", "outcome": "lost", "decided_at": 40.0} for i in range(1, CROWD, 2)),
            a("lost", 10),
            a("won", 70),
        ],
    )
    for label in ({}, {"mode": "final"}):
        with world(**tables) as history:
            config = configured(label=label)
            rows = labelled_rows(seen(history, config, 120.0), config, as_of=t(120))
        assert rows.timing == "final"
        assert rows.won[0] == 1.0
        assert rows.known[0] == t(70)


# ------------------------------------------------------------------------------------------------------ young snapshots

YOUNG = {**EVERY_TEN, "label": {"horizon_days": 20, "mode": "ipcw"}}


def young_rows(day: float = 60.0) -> tuple[Rows, Any]:
    """24 leads of day 0, 12 of them won on day 30; then eight of day 45, two won on day 55, one lost on day 57."""
    late = [{"lead_id": f"y{i}", "created_at": 45.0} for i in range(8)]
    tables = with_crowd(
        late,
        [
            {"lead_id": "y0", "outcome": "won", "decided_at": 55.0},
            {"lead_id": "y1", "outcome": "won", "decided_at": 55.0},
            {"lead_id": "y2", "outcome": "lost", "decided_at": 57.0},
        ],
    )
    tables["leads"].sort(key=lambda lead: lead["lead_id"])
    with world(**tables) as history:
        config = configured(**YOUNG)
        people = seen(history, config, day)
        return labelled_rows(people, config, as_of=t(day)), people


def test_ipcw_when_the_horizon_is_not_over_then_known_outcomes_are_learned_from_and_weigh_as_worked_by_hand() -> None:
    rows, people = young_rows()
    ids = people.lead_id.to_pylist()
    day = (rows.at - ZERO) // DAY
    young = {(ids[i], int(d)): w for i, d, w in zip(rows.lead, day, rows.weight, strict=True) if d > 40}
    # Candidate snapshots (days 20 to 50; earlier ones end before the first outcome is recorded):
    #   20 and 30, 24 leads each: 12 won after 10 and after 0 days; 12 watched to the end of the horizon
    #   40: 12 leads, watched for 20 days: to the end of the horizon exactly
    #   50: 12 old leads watched for 10 days; 8 new ones: 2 won after 5 days, 1 lost after 7, 5 watched for 10 days
    # Left before their end: 17 after 10 days. At risk then: all but those that ended by day 10, wins on day 10 first:
    #   80 - 12 (won at once) - 2 - 1 - 12 (won after 10) = 53; 36 of them stay.
    assert young == {("y0", 50): 1.0, ("y1", 50): 1.0, ("y2", 50): 1.0}
    to_the_end = rows.mature & (rows.won == 0)
    assert rows.weight[to_the_end] == pytest.approx(53 / 36)
    assert rows.weight[rows.won > 0] == pytest.approx(1.0)
    assert rows.weight.sum() == pytest.approx(80)
    assert rows.mature.sum() == len(rows) - 3
    assert rows.notes[-1].startswith(f"3 of {len(rows)} snapshots are younger than the horizon")


def test_ipcw_when_seen_from_an_earlier_moment_then_labels_and_weights_are_of_then() -> None:
    rows, _ = young_rows()
    assert rows.young is not None
    then = rows.seen_from(t(41))
    # On day 41 snapshots of days 20 (24 leads), 30 (24) and 40 (12) exist: 12 won on day 30, nobody else decided.
    # Watched: 20 days, 11 days, 1 day. After 1 day 12 leave of 60 - 12 at risk; after 11 days 12 of 24.
    day = (rows.at - ZERO) // DAY
    assert (then.weight[day > 30] == 0).all()
    assert then.weight[(day == 20) & (then.won == 0)] == pytest.approx(1 / ((1 - 12 / 48) * (1 - 12 / 24)))
    assert then.weight[(day == 20) & (then.won > 0)] == pytest.approx(1 / (1 - 12 / 48))
    assert then.weight[(day == 30) & (then.won > 0)] == pytest.approx(1.0)
    assert then.weight[(day == 30) & (then.won == 0)].tolist() == [0.0] * 12
    assert then.weight.sum() == pytest.approx(60)


def test_ipcw_when_every_snapshot_is_mature_then_weights_are_one() -> None:
    rows, _ = young_rows()
    plain = rows.seen_from(None)
    assert plain is rows
    mature = Rows(rows.lead, rows.at, rows.when, rows.known, rows.won, rows.group, "horizon")
    assert mature.weight.tolist() == [1.0] * len(rows)
    assert mature.base_rate == pytest.approx(rows.won.mean())
    assert mature.seen_from(t(55)).weight.tolist() == (mature.known <= t(55)).astype(float).tolist()


# ---------------------------------------------------------------------------------------------------- hopeless cohorts


def crowd(first: float, *, n: int, every: float = 1.0, outcome_after: float | None = 20.0, share: int = 2) -> Any:
    """Leads created one after the other; each ``share``-th is won, the others lost, so many days later."""
    ids = [f"{first:04.0f}-{i:03d}" for i in range(n)]
    leads = [{"lead_id": name, "created_at": first + every * i} for i, name in enumerate(ids)]
    outcomes = [
        {
            "lead_id": name,
            "outcome": "won" if i % share == share - 1 else "lost",
            "decided_at": first + every * i + (outcome_after or 0),
        }
        for i, name in enumerate(ids)
    ]
    return leads, outcomes if outcome_after else []


def rows_of(parts: list[Any], day: float) -> tuple[Rows, np.ndarray[Any, np.dtype[np.int64]]]:
    leads = [lead for part in parts for lead in part[0]]
    outcomes = [row for part in parts for row in part[1]]
    with world(leads, outcomes=outcomes) as history:
        config = configured(**EVERY_TEN)
        rows = labelled_rows(seen(history, config, day), config, as_of=t(day))
    return rows, (rows.at - ZERO) // DAY


def test_cohorts_when_outcomes_are_recorded_from_a_day_on_then_earlier_snapshots_are_left_out() -> None:
    rows, day = rows_of([crowd(0, n=100, outcome_after=None), crowd(150, n=100)], 300.0)
    assert day.min() == 160, "the first outcome is of day 170; the horizon of day 150 ends there and holds none"
    assert rows.notes[0] == "900 snapshots are left out: no outcome is recorded before 2024-06-19."


def test_cohorts_when_outcomes_end_early_then_later_snapshots_are_left_out_and_the_gap_is_told() -> None:
    rows, day = rows_of([crowd(0, n=100), crowd(110, n=90, outcome_after=None)], 300.0)
    assert day.max() == 110, "the last outcome is of day 119"
    assert any("no outcome is recorded after 2024-04-29" in note for note in rows.notes)
    assert any("181 days before as-of, longer than ever" in note for note in rows.notes)


def test_cohorts_when_wins_alone_are_missing_then_enough_of_them_must_have_been_expected() -> None:
    never_won = 10_000
    many, _ = rows_of([crowd(0, n=100, share=never_won), crowd(120, n=100)], 300.0)
    assert any("no win is recorded before" in note for note in many.notes)
    few, _ = rows_of([crowd(90, n=8, share=never_won), crowd(120, n=100)], 300.0)
    assert not any("no win" in note for note in few.notes)


def test_cohorts_when_a_month_of_leads_has_no_outcome_at_all_then_it_is_left_out() -> None:
    imported = [{**lead, "lead_id": f"i{lead['lead_id']}"} for lead in crowd(60, n=28)[0]]
    rows, _ = rows_of([crowd(0, n=180), (imported, [])], 205.0)
    assert not rows.notes, "other leads of the month have outcomes"
    before = [lead for lead in crowd(0, n=180)[0] if not 60 <= lead["created_at"] < 91]
    outcomes = [r for r in crowd(0, n=180)[1] if r["lead_id"] in {lead["lead_id"] for lead in before}]
    rows, _ = rows_of([(before, outcomes), (imported, [])], 205.0)
    assert len(rows.notes) == 1
    assert "no lead created in 2024-03 has any outcome" in rows.notes[0]
