"""Who is a candidate when, and which snapshot is a win: every bound of the contract, to the microsecond."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from history.histories import at, configured, reading
from learning.worlds import configured as with_sections
from learning.worlds import fate, seen, world

from mqlml.config import Config
from mqlml.errors import DataRefused, UsageError
from mqlml.learning.labels import labelled_rows
from mqlml.learning.snapshots import DAY, NEVER, as_microseconds, candidates, grid, mark_table, population, thin

S = as_microseconds(at("2024-03-01"))


def fates(folder: Path, leads: str, outcomes: str, handovers: str = "", *, moment: int = S) -> dict[str, str]:
    """Fate of each lead at a moment."""
    files = {"leads.csv": leads, "outcomes.csv": outcomes}
    sections: dict[str, dict[str, object]] = {}
    if handovers:
        files["handovers.csv"] = handovers
        sections["handovers"] = {"path": "handovers.csv"}
    sections["snapshots"] = {"max_age_days": 100}
    with reading(folder, files, **sections) as history:
        people = population(history, configured(folder, **sections), until=moment)
        found = people.fates(moment)
        ids = people.lead_id.to_pylist()
    return {ids[i]: name for name, flags in found.items() for i in np.flatnonzero(flags)}


def test_fates_when_times_stand_at_the_bounds_then_only_facts_strictly_before_count(tmp_path: Path) -> None:
    leads = (
        "lead_id,created_at\n"
        "a-before,2024-02-29T23:59:59.999999Z\n"
        "b-equal,2024-03-01T00:00:00Z\n"
        "c-decided-at-s,2024-02-01T00:00:00Z\n"
        "d-decided-before,2024-02-01T00:00:00Z\n"
        "e-exactly-old,2023-11-22T00:00:00Z\n"
        "f-too-old,2023-11-21T23:59:59.999999Z\n"
    )
    outcomes = (
        "lead_id,outcome,decided_at\n"
        "c-decided-at-s,won,2024-03-01T00:00:00Z\n"
        "d-decided-before,lost,2024-02-29T23:59:59.999999Z\n"
    )
    assert fates(tmp_path, leads, outcomes) == {
        "a-before": "candidate",
        "b-equal": "not yet created",
        "c-decided-at-s": "candidate",
        "d-decided-before": "decided",
        "e-exactly-old": "candidate",
        "f-too-old": "dormant",
    }


def test_fates_when_sales_has_the_lead_then_it_is_taken_until_rejected(tmp_path: Path) -> None:
    leads = "lead_id,created_at\n" + "".join(f"{name},2024-02-01T00:00:00Z\n" for name in "abcd")
    handovers = (
        "lead_id,handed_at,rejected_at\n"
        "a,2024-02-10T00:00:00Z,\n"
        "b,2024-03-01T00:00:00Z,\n"
        "c,2024-02-10T00:00:00Z,2024-02-20T00:00:00Z\n"
    )
    found = fates(tmp_path, leads, "lead_id,outcome,decided_at\n", handovers)
    assert found == {"a": "taken by sales", "b": "candidate", "c": "candidate", "d": "candidate"}


def test_fates_when_a_lead_turned_out_to_be_none_then_only_later_moments_know_it(tmp_path: Path) -> None:
    leads = "lead_id,created_at\na,2024-02-01T00:00:00Z\nb,2024-02-01T00:00:00Z\n"
    outcomes = "lead_id,outcome,decided_at\na,test,2024-02-29T00:00:00Z\nb,test,2024-03-01T00:00:00Z\n"
    ignoring = {"outcomes": {"ignore": ["test"]}}
    with reading(tmp_path, {"leads.csv": leads, "outcomes.csv": outcomes}, **ignoring) as history:
        people = population(history, configured(tmp_path, **ignoring), until=S)
    found = people.fates(S)
    assert found["outcome ignored"].tolist() == [True, False]
    assert found["candidate"].tolist() == [False, True]
    assert people.present.tolist() == [False, True]


def test_grid_when_walked_then_it_ends_after_the_first_lead(tmp_path: Path) -> None:
    files = {
        "leads.csv": "lead_id,created_at\na,2024-02-10T12:00:00Z\n",
        "outcomes.csv": "lead_id,outcome,decided_at\n",
    }
    with reading(tmp_path, files) as history:
        people = population(history, configured(tmp_path), until=S)
    moments = list(grid(people, newest=S, every_days=7))
    assert moments == [S, S - 7 * DAY, S - 14 * DAY]
    lead, when = candidates(people, moments)
    assert lead.tolist() == [0, 0, 0]
    assert when.tolist() == sorted(moments)


def history_of(n: int, *, won_after_days: int = 20) -> dict[str, str]:
    """One lead a day; every third is won after some days, the others never decided."""
    days = [f"2023-{1 + i // 28:02d}-{1 + i % 28:02d}" for i in range(n)]
    leads = "".join(f"l{i:03d},{day}T06:00:00Z,acme{i // 2}\n" for i, day in enumerate(days))
    won = "".join(
        f"l{i:03d},won,{np.datetime64(day) + won_after_days}T06:00:00Z\n" for i, day in enumerate(days) if i % 3 == 0
    )
    return {
        "leads.csv": "lead_id,created_at,account_id\n" + leads,
        "outcomes.csv": f"lead_id,outcome,decided_at\n{won}",
    }


def labelled(folder: Path, horizon: int, as_of: int, **sections: object) -> tuple[Config, object]:
    with reading(folder, history_of(100), label={"horizon_days": horizon}, **sections) as history:
        config = configured(folder, label={"horizon_days": horizon}, **sections)
        return config, labelled_rows(population(history, config, until=as_of), config, as_of=as_of)


def test_labelled_rows_when_the_horizon_ends_at_the_win_then_the_bounds_are_half_open(tmp_path: Path) -> None:
    as_of = as_microseconds(at("2023-06-01"))
    _, rows = labelled(tmp_path, 10, as_of)
    decided = as_microseconds(at("2023-01-21T06:00:00"))
    mine = rows.lead == 0
    for moment, won in zip(rows.at[mine], rows.won[mine], strict=True):
        assert won == float(moment <= decided < moment + 10 * DAY)
    assert (rows.known <= as_of).all()
    assert rows.at[mine].max() <= decided


def test_labelled_rows_when_seen_earlier_then_nothing_later_is_known(tmp_path: Path) -> None:
    early = as_microseconds(at("2023-03-01"))
    _, rows = labelled(tmp_path, 10, early)
    assert (rows.at + 10 * DAY <= early).all()


def test_labelled_rows_when_leads_share_an_account_then_they_share_a_group(tmp_path: Path) -> None:
    _, rows = labelled(tmp_path, 10, as_microseconds(at("2023-06-01")))
    assert len({int(g) for g in rows.group[(rows.lead == 0) | (rows.lead == 1)]}) == 1


def test_labelled_rows_when_fewer_than_ten_were_won_then_it_is_refused_with_counts(tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match=r"MQL-few-outcomes.*0 were not|MQL-few-outcomes.*were won within 10 days"):
        labelled(tmp_path, 10, as_microseconds(at("2023-02-05")))


def test_labelled_rows_when_there_are_no_dates_then_one_row_a_closed_lead(tmp_path: Path) -> None:
    leads = "lead_id,size\n" + "".join(f"l{i:02d},{i}\n" for i in range(50))
    outcomes = "lead_id,outcome\n" + "".join(f"l{i:02d},{'won' if i < 15 else 'lost'}\n" for i in range(40))
    dated = {"leads": {"created_at": ""}}
    with reading(tmp_path, {"leads.csv": leads, "outcomes.csv": outcomes}, **dated) as history:
        config = configured(tmp_path, **dated)
        rows = labelled_rows(population(history, config, until=None), config, as_of=None)
    assert rows.timing == "none"
    assert len(rows) == 40
    assert rows.won.sum() == 15


def test_mark_table_when_there_are_no_dates_then_marks_have_no_time(tmp_path: Path) -> None:
    files = {"leads.csv": "lead_id\na\n", "outcomes.csv": "lead_id,outcome\na,won\n"}
    with reading(tmp_path, files, leads={"created_at": ""}) as history:
        people = population(history, configured(tmp_path, leads={"created_at": ""}), until=None)
    marks = mark_table(people, np.array([0]), np.array([NEVER]))
    assert marks.to_pylist() == [{"lead_id": "a", "at": None}]


def test_thin_when_rows_are_too_many_then_whole_groups_stay() -> None:
    group = np.repeat(np.arange(2_000), 5)
    kept, share = thin(group, max_rows=2_500, seed=0)
    assert share == 0.25
    assert 2_000 < kept.sum() < 3_000
    assert all(len(set(part)) == 1 for part in kept.reshape(2_000, 5))


TALKS = {
    "leads": [{"lead_id": name, "created_at": 0} for name in "abc"],
    "outcomes": [{"lead_id": "b", "outcome": "lost", "decided_at": 30}],
    "stages": [
        {"lead_id": "a", "stage": "opportunity", "entered_at": 20},
        {"lead_id": "b", "stage": "opportunity", "entered_at": 20},
        {"lead_id": "c", "stage": "qualified", "entered_at": 20},
    ],
}


def test_fates_when_a_lead_enters_a_stage_of_sales_then_it_is_taken_until_decided() -> None:
    with world(**TALKS) as history:
        people = seen(history, with_sections(stages={"taken": ["opportunity"]}), 60)
    assert fate(people, 20) == dict.fromkeys("abc", "candidate"), "an entry counts strictly after it happened"
    assert fate(people, 21) == {"a": "taken by sales", "b": "taken by sales", "c": "candidate"}
    assert fate(people, 31)["a"] == "taken by sales"
    assert fate(people, 31)["b"] == "decided"


def test_population_when_a_stage_of_sales_does_not_exist_then_the_nearest_is_named() -> None:
    words = r"no lead ever entered 'oportunity'.*'opportunity'"
    with world(**TALKS) as history, pytest.raises(UsageError, match=words):
        seen(history, with_sections(stages={"taken": ["oportunity"]}), 60)
