"""What converts, by hand: eight leads whose every number can be counted on a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from history.histories import at, configured, reading
from scipy.stats import beta

from mqlml.learning.moments import as_microseconds
from mqlml.learning.resampling import Resampler, binomial_interval
from mqlml.learning.snapshots import population
from mqlml.review.converts import converts
from mqlml.review.converts.attribution import contributions, removal_effects
from mqlml.review.converts.paths import Steps
from mqlml.review.converts.rates import clustered_interval, rates, told_rows
from mqlml.tape.features import Attribute, FeatureSet

AS_OF = "2024-06-01"
LEADS = """lead_id,created_at,account_id,source,campaign,employees
L1,2024-01-01T00:00:00Z,A,web,spring,10
L2,2024-01-01T00:00:00Z,A,web,spring,20
L3,2024-01-01T00:00:00Z,,web,spring,30
L4,2024-01-01T00:00:00Z,,web,spring,
L5,2024-01-01T00:00:00Z,,fair,,
L6,2024-01-01T00:00:00Z,,fair,,50
L7,2024-01-01T00:00:00Z,,fair,,60
L8,2024-01-01T00:00:00Z,,mail from anna@example.org,,70
young,2024-05-20T00:00:00Z,,web,spring,80
"""
OUTCOMES = """lead_id,outcome,decided_at,lost_reason
L1,won,2024-01-20T00:00:00Z,
L2,won,2024-01-25T00:00:00Z,
L3,lost,2024-01-10T00:00:00Z,price
L5,won,2024-03-15T00:00:00Z,
L6,lost,2024-01-12T00:00:00Z,price
L7,lost,2024-01-12T00:00:00Z,anna said no
"""
HANDOVERS = "lead_id,handed_at\nL2,2024-01-10T00:00:00Z\n"
EVENTS = """lead_id,occurred_at,recorded_at,event_type,channel,asset,campaign
L1,2024-01-02T00:00:00Z,,visit,web,/pricing,
L1,2024-01-05T00:00:00Z,,form,web,,letter
L2,2024-01-03T00:00:00Z,,visit,mail,/home,letter
L3,2024-01-02T00:00:00Z,,form,,,
L5,2024-01-04T00:00:00Z,,visit,web,/pricing,
L7,2024-01-02T00:00:00Z,,call,phone,,
young,2024-05-21T00:00:00Z,,visit,web,/pricing,
"""
# At or after the decision, the hand-over, the horizon's end, the recording or as-of: none of it was known in time.
LATE = """L1,2024-01-20T00:00:00Z,,demo,web,/pricing,letter
L2,2024-01-10T00:00:00Z,,demo,web,/pricing,letter
L2,2024-01-09T00:00:00Z,2024-01-10T00:00:00Z,demo,web,/pricing,letter
L4,2024-01-31T00:00:00Z,,demo,web,/pricing,letter
L6,2024-01-05T00:00:00Z,2024-01-12T00:00:00Z,demo,web,/pricing,letter
L8,2024-06-01T00:00:00Z,,demo,web,/pricing,letter
"""
SPEND = """campaign,period_start,cost
spring,2024-01-01,100
spring,2024-02-01,50
ghost,2024-01-01,7
spring,2024-05-01,1000
spring,2024-06-01,9999
"""
FEATURES = FeatureSet(
    attributes=(
        Attribute("source", "category", "creation"),
        Attribute("campaign", "category", "creation"),
        Attribute("employees", "number", "creation"),
    ),
    dropped_types=("call",),
)
DATED = {
    "leads": {"timezone": "UTC"},
    "label": {"horizon_days": 30},
    "model": {"min_level_count": 2},
    "events": {"path": "events.csv"},
    "handovers": {"path": "handovers.csv"},
    "spend": {"path": "spend.csv"},
}


@contextmanager
def told(folder: Path, *, features: FeatureSet = FEATURES, as_of: str | None = AS_OF, **changed: Any) -> Iterator[Any]:
    """What converts in the history above, with other files or sections (None leaves one out)."""
    files = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES, "events.csv": EVENTS + LATE, "handovers.csv": HANDOVERS,
             "spend.csv": SPEND} | {f"{k}.csv": v for k, v in changed.items() if isinstance(v, str)}  # fmt: skip
    sections = {**DATED, **{k: v for k, v in changed.items() if isinstance(v, dict)}}
    sections = {k: v for k, v in sections.items() if changed.get(k, "") is not None}
    with reading(folder, files, **sections) as history:
        config = configured(folder, **sections)
        moment = None if as_of is None else as_microseconds(at(as_of))
        people = population(history, config, until=moment)
        yield converts(history, people, config, features, as_of=moment)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with told(tmp_path_factory.mktemp("converts")) as said:
        return json.loads(json.dumps(said))


def by_name(table: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {row["name"]: (row["leads"], row["wins"]) for row in table["rows"]}


def test_converts_when_counted_then_leads_with_a_whole_horizon_count_and_late_wins_do_not(
    found: dict[str, Any],
) -> None:
    assert (found["leads"], found["wins"], found["win_rate"]) == (8, 2, 0.25)


def test_converts_when_counted_by_what_was_touched_then_only_what_was_known_in_time_counts(
    found: dict[str, Any],
) -> None:
    assert by_name(found["offers"]) == {"visit": (3, 2), "form": (2, 1)}
    assert by_name(found["pages"]) == {"/pricing": (2, 1)}
    assert by_name(found["event_campaigns"]) == {"letter": (2, 2)}
    assert by_name(found["first_type"]) == {"visit": (3, 2), "no touch seen": (4, 0)}
    assert by_name(found["first_channel"]) == {"web": (2, 1), "no touch seen": (5, 0)}


def test_converts_when_counted_by_column_then_rare_values_are_never_named(found: dict[str, Any]) -> None:
    assert by_name(found["sources"]) == {"web": (4, 2), "fair": (3, 0)}
    assert by_name(found["campaigns"]) == {"spring": (4, 2), "not stated": (4, 0)}
    worth = {row["name"]: row for row in found["columns"]["rows"]}
    assert worth["employees"]["filled"] == 6 / 8
    assert (worth["employees"]["win_rate"], worth["employees"]["without"]["win_rate"]) == (2 / 6, 0.0)
    assert "anna" not in json.dumps(found)


def test_converts_when_wins_are_credited_then_as_counted_by_hand(found: dict[str, Any]) -> None:
    """Removing form leaves 3/4 x 1/3 = 1/4 of the 1/2 that won, removing visit 1/4 x 1/2 = 1/8 of it."""
    credit = {table["kind"]: table for table in found["contribution"]}
    rows = {row["name"]: row for row in credit["event_type"]["rows"]}
    assert credit["event_type"]["wins"] == 2
    assert [rows["visit"][key] for key in ("first", "last", "part")] == [1.0, 0.5, 1.0]
    assert [rows["form"][key] for key in ("first", "last", "part")] == [0.0, 0.5, 0.5]
    assert rows["visit"]["removal"] == pytest.approx(0.75 / 1.25)
    assert rows["form"]["removal"] == pytest.approx(0.5 / 1.25)


def test_converts_when_journeys_are_compared_then_as_counted_by_hand(found: dict[str, Any]) -> None:
    journeys = found["journeys"]
    assert (journeys["touches"]["won"]["median"], journeys["touches"]["other"]["median"]) == (1.5, 0.0)
    assert (journeys["days"]["won"]["median"], journeys["days"]["won"]["leads"]) == (20.0, 2)
    assert (journeys["days"]["other"]["median"], journeys["days"]["other"]["leads"]) == (39.5, 2)
    shares = {row["touches"]: (row["won"], row["other"], row["leads"]) for row in journeys["shares"]}
    assert shares["0"] == (0.0, pytest.approx(4 / 6), 4)
    assert (shares["1"], shares["2"]) == ((0.5, pytest.approx(2 / 6), 3), (0.5, 0.0, 1))
    assert {tuple(r["steps"]): (r["leads"], r["wins"]) for r in journeys["paths"]["rows"]} == {("visit",): (2, 1)}
    assert journeys["paths"]["rest"] == {"paths": 2, "leads": 2}


def test_converts_when_there_is_spend_then_mature_periods_divided_by_their_leads(found: dict[str, Any]) -> None:
    spend = found["spend"]
    # Periods begin on 1 January, 1 February and 1 May: February's ends on 1 May, May's would after as-of.
    assert (spend["from"], spend["to"], spend["young"]) == ("2024-01-01", "2024-05-01", 1000.0)
    (row,) = spend["rows"]
    assert [row[key] for key in ("campaign", "cost", "leads", "mqls", "wins")] == ["spring", 150.0, 4, 1, 2]
    assert (row["per_lead"], row["per_mql"], row["per_win"]["value"]) == (37.5, 150.0, 75.0)
    assert row["per_win"]["low"] < 75 < row["per_win"]["high"]
    assert spend["unknown"] == {"campaigns": 1, "cost": 7.0}
    assert spend["marked_by"] == "handed over to sales"


def test_converts_when_leads_were_lost_then_rare_reasons_are_only_counted(found: dict[str, Any]) -> None:
    lost = found["lost"]
    assert (lost["losses"], lost["stated"], lost["rest"]) == (3, 3, {"reasons": 1, "losses": 1})
    assert [(r["reason"], r["losses"], r["share"]) for r in lost["rows"]] == [("price", 2, pytest.approx(2 / 3))]


def test_converts_when_what_came_too_late_is_gone_then_nothing_changes(tmp_path: Path, found: dict[str, Any]) -> None:
    with told(tmp_path, events=EVENTS) as without:
        assert without == found


def test_converts_when_the_future_is_another_then_nothing_changes(tmp_path: Path, found: dict[str, Any]) -> None:
    later = {
        "outcomes": OUTCOMES + "L4,won,2024-06-01T00:00:00Z,\nyoung,lost,2024-06-02T00:00:00Z,price\n",
        "handovers": HANDOVERS + "L1,2024-06-01T00:00:00Z\n",
        "leads": LEADS + "new,2024-06-01T00:00:00Z,,fair,spring,9\n",
        "spend": SPEND + "fair,2024-07-01,5\n",
    }
    with told(tmp_path, **later) as same:
        assert same == found


def test_converts_when_rows_are_shuffled_then_the_same(tmp_path: Path, found: dict[str, Any]) -> None:
    def turned(text: str) -> str:
        head, *rows = text.splitlines()
        return "\n".join([head, *rows[::-1]]) + "\n"

    with told(tmp_path, leads=turned(LEADS), events=turned(EVENTS + LATE), outcomes=turned(OUTCOMES)) as same:
        assert same == found


def test_converts_when_tables_are_absent_then_their_parts_are(tmp_path: Path) -> None:
    with told(tmp_path, events=None, spend=None, handovers=None) as bare:
        assert not {"pages", "offers", "journeys", "contribution", "left_out"} & set(bare)
        assert bare["spend"] is None
        assert by_name(bare["sources"]) == {"web": (4, 2), "fair": (3, 0)}


def test_converts_when_nothing_has_a_date_then_closed_leads_count(tmp_path: Path) -> None:
    leads = "\n".join(",".join(line.split(",")[:1] + line.split(",")[2:]) for line in LEADS.splitlines())
    outcomes = "\n".join(",".join(line.split(",")[:2] + line.split(",")[3:]) for line in OUTCOMES.splitlines())
    undated = {"path": "leads.csv", "created_at": ""}
    sections = {"leads": undated, "model": {"min_level_count": 2}}
    with reading(tmp_path, {"leads.csv": leads, "outcomes.csv": outcomes}, **sections) as history:
        config = configured(tmp_path, **sections)
        said = converts(history, population(history, config, until=None), config, FEATURES, as_of=None)
    assert (said["leads"], said["wins"], said["horizon_days"]) == (6, 3, None)
    assert by_name(said["sources"]) == {"web": (3, 2), "fair": (3, 1)}


def test_converts_when_nobody_can_be_judged_then_says_so(tmp_path: Path) -> None:
    with told(tmp_path, as_of="2024-01-15") as none_yet:
        assert (none_yet["leads"], none_yet["win_rate"], none_yet["columns"]) == (0, None, None)


def test_converts_when_campaigns_are_on_events_alone_then_the_first_one_counts(tmp_path: Path) -> None:
    features = FeatureSet(attributes=FEATURES.attributes[:1], dropped_types=("call",))
    # L4 opened the letter while it was still open, if too late for the horizon.
    with told(tmp_path, features=features, spend="campaign,period_start,cost\nletter,2024-01-01,30\n") as said:
        (row,) = said["spend"]["rows"]
    assert [row[key] for key in ("campaign", "leads", "wins", "per_lead")] == ["letter", 3, 2, 10.0]


def test_clustered_interval_when_each_lead_is_an_account_then_clopper_and_pearson() -> None:
    row = rates(np.zeros(40, dtype=np.int64), np.r_[np.ones(10), np.zeros(30)], np.arange(40), codes=1)[0]
    assert (row["low"], row["high"]) == (beta.ppf(0.05, 10, 31), beta.ppf(0.95, 11, 30))


def test_clustered_interval_when_leads_of_an_account_end_alike_then_counts_accounts() -> None:
    """Four leads an account, all alike: worth a quarter of the leads, but for the usual (k - 1) / k."""
    group, won = np.repeat(np.arange(40), 4), np.repeat(np.r_[np.ones(10), np.zeros(30)], 4)
    row = rates(np.zeros(160, dtype=np.int64), won, group, codes=1)[0]
    assert (row["low"], row["high"]) == pytest.approx(binomial_interval(0.25 * 39, 39), abs=1e-9)
    drawn = Resampler(group, seed=0, draws=2_000).means({"won": won})["won"].interval()
    assert (row["low"], row["high"]) == pytest.approx((drawn.low, drawn.high), abs=0.025)


@pytest.mark.parametrize(("wins", "low", "high"), [(0, 0.0, beta.ppf(0.95, 1, 10)), (30, beta.ppf(0.05, 10, 1), 1.0)])
def test_clustered_interval_when_all_end_alike_then_accounts_count(wins: int, low: float, high: float) -> None:
    assert clustered_interval(wins, 30, (90.0, 3.0 * wins, wins * wins / 10), 10) == (low, high)


def test_rates_when_a_group_is_empty_then_nothing_is_claimed() -> None:
    first, second = rates(np.array([1]), np.ones(1), np.array([7]), codes=2)
    assert first == {"leads": 0, "wins": 0, "win_rate": None, "low": None, "high": None}
    assert second["leads"] == 1
    assert [r["name"] for r in told_rows(["none", "one"], [first, second], 0.01)] == ["one"]


def test_removal_effects_when_no_path_can_be_left_out_then_everything_is_lost() -> None:
    steps = Steps(("a", "b"), np.array([0, 1]), np.array([0, 0]), np.array([0, 0]))
    assert removal_effects(steps, np.array([1.0, 0.0])).tolist() == [1.0, 0.0]
    assert contributions(steps, np.zeros(2), most=5) is None
