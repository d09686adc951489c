"""Past weeks walked again: resumable, blind to the future, and told in figures that add up."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from workflows.conftest import Run

from mqlml.cli import main
from mqlml.config import Config
from mqlml.workflows.backtesting import backtest

pytestmark = [pytest.mark.training, pytest.mark.slow]

AS_OF = "2026-06-30"
SMALL = """
control_per_week = 1
[model]
bags = 2
origins = 1
threads = 1
[features]
windows_days = [30]
half_lives_days = [30]
max_event_types = 4
families = ["age", "count", "recency"]
"""
WALK = ("--weeks", 3, "--retrain-every-weeks", 2, "--as-of", AS_OF)


class StopsAfter:
    """Progress that ends the run as a signal would, after some weeks."""

    def __init__(self, weeks: int) -> None:
        self.left = weeks

    def begin(self, text: str, total: int | None = None) -> None:
        """Nothing to tell."""

    def advance(self) -> None:
        """A week is done."""
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a small history and a walk of three weeks in ``walk``."""
    folder = tmp_path_factory.mktemp("walked")
    assert main(["-q", "sample", "--leads", "1500", "--out", str(folder)]) == 0
    settings = folder / "mqlml.toml"
    settings.write_text(settings.read_text() + SMALL)
    arguments = ["-q", "backtest", "--config", settings, "--out", folder / "walk", *WALK]
    assert main([str(a) for a in arguments]) == 0
    return folder


def state(folder: Path) -> dict[str, bytes]:
    """Every kept week, by name."""
    return {p.name: p.read_bytes() for p in sorted((folder / "state").glob("2*")) if p.is_file()}


def test_backtest_when_done_then_its_figures_add_up(walked: Path) -> None:
    told = json.loads((walked / "walk" / "backtest.json").read_text())
    lists = [pd.read_parquet(p) for p in sorted((walked / "walk" / "state").glob("*.parquet"))]
    weeks, total = told["weeks"], told["total"]
    assert [w["as_of"][:10] for w in weeks] == ["2026-03-18", "2026-03-25", "2026-04-01"]
    assert weeks[0]["model_version"] == weeks[1]["model_version"] != weeks[2]["model_version"]
    assert weeks[2]["model_version"].startswith("2026-04-01")
    for week, scores in zip(weeks, lists, strict=True):
        assert week["candidates"] == len(scores)
        assert week["handed_over"] == (scores.change == "new").sum() <= 2, "the sample's capacity"
        assert week["on_list"] == scores.is_mql.sum()
    assert total["handed_over"] == sum(w["handed_over"] for w in weeks)
    assert total["won"] == sum(w["won"] for w in weeks)
    assert total["caught"] + total["missed"] == total["won_leads"]
    assert sum(w["missed"] for w in weeks) == total["missed"]
    present = told["present"]
    assert present["handed_over"] == sum(w["present"]["handed_over"] for w in weeks) > 0
    assert present["equal_volume"]["handed_over"] == present["handed_over"]
    control = pd.concat(lists)[lambda t: t.control]
    assert told["control"]["handed_over"] == control.lead_id.nunique() <= 3
    assert not control.is_mql.any()
    outcomes = pd.read_parquet(walked / "outcomes.parquet")
    wins = outcomes[outcomes.outcome == "won"].set_index("lead_id").decided_at
    new = lists[0][lists[0].change == "new"]
    soon = [wins.get(lead, pd.Timestamp.max.tz_localize("UTC")) < at + pd.Timedelta(days=90)
            for lead, at in zip(new.lead_id, new.as_of, strict=True)]  # fmt: skip
    assert weeks[0]["won"] == sum(soon)
    page = (walked / "walk" / "backtest.md").read_text()
    assert "Week by week" in page
    with (walked / "walk" / "weeks.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 3


def test_backtest_when_it_was_stopped_then_the_next_run_goes_on_and_ends_the_same(walked: Path, tmp_path: Path) -> None:
    config = Config.load(walked / "mqlml.toml")
    with pytest.raises(KeyboardInterrupt):
        backtest(config, out=tmp_path, weeks=3, retrain_every_weeks=2, as_of=AS_OF, progress=StopsAfter(1))
    kept = state(tmp_path)
    assert 1 <= sum(name.endswith(".parquet") for name in kept) < 3
    assert not (tmp_path / "backtest.json").exists()
    backtest(config, out=tmp_path, weeks=3, retrain_every_weeks=2, as_of=AS_OF)
    assert state(tmp_path) == state(walked / "walk")
    for name in ("backtest.json", "backtest.md", "weeks.csv"):
        assert (tmp_path / name).read_bytes() == (walked / "walk" / name).read_bytes()


def test_backtest_when_the_future_changes_then_nothing_that_was_decided_before_does(
    walked: Path, tmp_path: Path, run: Run
) -> None:
    """At and after the second week everything is another: outcomes, events, hand-overs, changes, stages, new leads."""
    for name in ("leads", "outcomes", "events", "handovers", "history", "stages", "spend"):
        shutil.copy(walked / f"{name}.parquet", tmp_path)
    shutil.copy(walked / "mqlml.toml", tmp_path)
    moment = pd.Timestamp("2026-03-25", tz="UTC")
    for name, column in (("outcomes", "decided_at"), ("handovers", "handed_at"), ("history", "changed_at")):
        table = pd.read_parquet(tmp_path / f"{name}.parquet")
        future = table[column] >= moment
        assert future.any()
        table[~future].to_parquet(tmp_path / f"{name}.parquet")
    handovers = pd.read_parquet(tmp_path / "handovers.parquet")
    for column in ("accepted_at", "rejected_at", "first_touch_at"):
        handovers.loc[handovers[column] >= moment, column] = pd.NaT
    handovers.to_parquet(tmp_path / "handovers.parquet")
    events = pd.read_parquet(tmp_path / "events.parquet")
    events.loc[events.occurred_at >= moment, "event_type"] = "demo_request"
    events.to_parquet(tmp_path / "events.parquet")
    out = tmp_path / "walk"
    ran = run("backtest", "--config", tmp_path / "mqlml.toml", "--out", out, *WALK, "--json")
    assert ran.code == 0, ran.err
    before, after = state(walked / "walk"), state(out)
    for name in before:
        if name.startswith(("2026-03-18", "2026-03-25")):
            assert before[name] == after[name], name
    assert before["2026-04-01.parquet"] != after["2026-04-01.parquet"]


def test_backtest_when_the_folder_holds_another_walk_then_it_is_refused(walked: Path, run: Run) -> None:
    ran = run("backtest", "--config", walked / "mqlml.toml", "--out", walked / "walk", "--weeks", 5, "--as-of", AS_OF)
    assert ran.code == 2
    assert "--restart" in ran.err


def test_backtest_when_there_is_no_horizon_then_it_says_what_is_lacking(walked: Path, tmp_path: Path, run: Run) -> None:
    text = (walked / "mqlml.toml").read_text().replace('path = "', f'path = "{walked}/')
    settings = tmp_path / "mqlml.toml"
    settings.write_text(text.replace("horizon_days = 90", ""))
    ran = run("backtest", "--config", settings, "--out", tmp_path / "walk", "--as-of", AS_OF)
    assert ran.code == 2
    assert "[label] horizon_days" in ran.err
