"""A training that leaves features out, and everything after it: scores, reasons, drift and pages do without them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sparks import SPARK
from workflows.conftest import AS_OF, Run

from mqlml.cli import main
from mqlml.learning.fewer_features import Fewer
from mqlml.operation.scoring import SCORES
from mqlml.review import story
from mqlml.tape.features import FeatureSet
from mqlml.workflows import leaving_out

pytestmark = [pytest.mark.training, pytest.mark.slow]

LATER = "2026-06-30"
# Neither bundle learned from it, so that nothing is fitted again.
ONE_WEEK = "[promotion]\nweeks = 1\n"
SETTINGS = """
[model]
bags = 2
origins = 2
threads = 1
select = true
[features]
windows_days = [7, 30]
"""
CRITERIA = """
[[criterion]]
name = "industry"
decision = "approve"
by = "Ana"
"""


@dataclass(frozen=True)
class Left:
    """A trained folder and what the training was told to leave out."""

    folder: Path
    features: FeatureSet
    found: Fewer

    @property
    def parts(self) -> dict[str, Any]:
        """The JSON files of the one bundle."""
        bundle = next(self.folder.glob(f"models/{AS_OF}-*/"))
        return {path.name: json.loads(path.read_text()) for path in bundle.glob("*.json")}

    @property
    def kept(self) -> list[str]:
        """Names of the features that the bundle computes."""
        return [f.name for f in FeatureSet.from_dict(self.parts["model.json"]["features"]).features]


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """Train on 1,500 leads, too few to search on, as if a search had found that a quarter of the features do."""
    folder = tmp_path_factory.mktemp("fewer")
    assert main(["-q", "sample", "--leads", "1500", "--out", str(folder)]) == 0
    settings = folder / "mqlml.toml"
    settings.write_text(settings.read_text() + SETTINGS)
    (folder / "criteria.toml").write_text(CRITERIA)
    kept: list[Left] = []

    def find(table: Any, rows: Any, features: FeatureSet, plan: Any, *, stay: frozenset[str], **_: Any) -> Fewer:
        names = [f.name for f in features.features]
        counts = "events.page_view.count"
        without = tuple(n for i, n in enumerate(names) if (i % 4 or n.startswith(counts)) and n not in stay)
        kept.append(Left(folder, features, Fewer(len(names), without, (0.3, 0.3), 0.3, 0.3001, 0.001)))
        return kept[0].found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaving_out, "find_fewer", find)
        assert main(["-q", "train", "--config", str(settings), "--as-of", AS_OF]) == 0
    return kept[0]


def scored(run: Run, settings: Path, out: Path) -> pd.DataFrame:
    ran = run("score", "--config", settings, "--as-of", AS_OF, "--out", out)
    assert ran.code == 0, ran.err
    return pd.read_parquet(out)


def test_train_when_features_are_left_out_then_bundle_and_report_do_without_and_say_so(left: Left) -> None:
    parts, found = left.parts, left.found
    assert found.taken
    assert len(found.without) > 50
    stored = FeatureSet.from_dict(parts["model.json"]["features"])
    assert [f.name for f in stored.features] == [f.name for f in left.features.features if f.name not in found.without]
    told = parts["training.json"]["fewer features"]
    assert tuple(told["left out"]) == stored.left_out == found.without
    used = {column["feature"] for column in parts["model.json"]["encoder"]}
    assert used
    assert not used & {*found.without}
    assert not {*parts["reference.json"]["features"]} & {*found.without}
    report = parts["report.json"]
    assert found.sentence in report["notes"]
    assert report["recipe"]["features kept"] == f"{found.kept} of {found.of}"
    assert report["features"] == found.kept
    criteria = {f.criterion for f in stored.features}
    assert {driver["criterion"] for driver in report["drivers"]} <= criteria
    # What people approved stays, and what the history tells is told of all columns.
    assert "lead.industry" in {f.name for f in stored.features}
    assert "lead.country" in found.without
    assert "country" in {column["name"] for column in report["converts"]["columns"]["rows"]}


def test_score_when_features_are_left_out_then_scores_are_whole_and_have_reasons(
    left: Left, run: Run, tmp_path: Path
) -> None:
    scores = scored(run, left.folder / "mqlml.toml", tmp_path / "scores.parquet")
    assert list(scores.columns) == SCORES.names
    assert len(scores) > 100
    assert scores["probability"].between(0, 1).all()
    assert scores["probability"].nunique() > 50
    assert scores["reason_1"].notna().all()
    assert (scores["quality"] != "").all()
    said = " ".join(scores[["reason_1", "reason_2", "reason_3"]].fillna("").to_numpy().ravel())
    assert "country" not in said
    row = scores.sort_values("probability").iloc[-1]
    ran = run("explain", row.lead_id, "--config", left.folder / "mqlml.toml", "--as-of", AS_OF, "--json")
    assert ran.code == 0, ran.err
    z = ran.json["base"] + sum(c["contribution"] for c in ran.json["criteria"])
    assert 1 / (1 + np.exp(-z)) == pytest.approx(row.probability, abs=1e-9)


def test_score_when_a_column_that_was_left_out_is_gone_then_scores_are_the_same(
    left: Left, run: Run, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(left.folder, tmp_path / "copy"))
    settings = folder / "mqlml.toml"
    before = scored(run, settings, tmp_path / "before.parquet")
    notes = json.loads((tmp_path / "before.parquet.manifest.json").read_text())["notes"]
    assert not any("does not know" in note for note in notes)
    file = folder / "leads.parquet"
    pd.read_parquet(file).drop(columns="country").to_parquet(file)
    ran = run("score", "--config", settings, "--as-of", AS_OF, "--out", tmp_path / "refused.parquet")
    assert ran.code == 3
    assert "correct the name in [leads] known_at_creation, or take it out of the list" in ran.err
    settings.write_text(settings.read_text().replace('"country", ', ""))
    pd.testing.assert_frame_equal(scored(run, settings, tmp_path / "after.parquet"), before)


def test_explain_when_what_a_lead_did_is_left_out_then_it_still_has_done_it(
    left: Left, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "_WORTH_SAYING", -1.0)
    monkeypatch.setattr(story, "_MOST_WAYS", 1_000)
    settings = left.folder / "mqlml.toml"
    events = pd.read_parquet(left.folder / "events.parquet")
    events = events[events["occurred_at"] < pd.Timestamp(AS_OF, tz="UTC")]
    viewed = events[events["event_type"] == "page_view"]["lead_id"].value_counts()
    lead = next(lead for lead in viewed.index if _is_open(run, settings, lead))
    ways = {way["signal"]: way["again"] for way in _explained(run, settings, lead)["what_if"]["events"]}
    mine = events[events["lead_id"] == lead]
    assert ways == {name: name in {*mine["event_type"], *mine["asset"]} for name in ways}
    # No count of page views is looked at.
    assert not any(f.startswith("events.page_view.count") for f in left.kept)
    assert ways["page_view"]


def _explained(run: Run, settings: Path, lead: str) -> Any:
    ran = run("explain", lead, "--config", settings, "--as-of", AS_OF, "--json")
    assert ran.code == 0, ran.err
    return ran.json


def _is_open(run: Run, settings: Path, lead: str) -> bool:
    return _explained(run, settings, lead)["what_if"] is not None


@pytest.mark.engine
def test_promote_when_features_are_left_out_then_compared_put_in_use_and_spark_scores_the_same(
    left: Left, run: Run, tmp_path: Path, spark: Any
) -> None:
    """The model in use looks at everything; the one without takes its place, and there is a way back."""
    folder = Path(shutil.copytree(left.folder, tmp_path / "copy"))
    settings, less = folder / "mqlml.toml", next(folder.glob(f"models/{AS_OF}-*/")).name
    settings.write_text(settings.read_text().replace("select = true", "select = false") + ONE_WEEK)
    assert run("train", "--config", settings, "--as-of", "2026-03-01").code == 0
    forced = ("--as-of", LATER, "--force", "--author", "Ana", "--reason", "a trial", "--json")
    ran = run("promote", "--config", settings, *forced)
    assert ran.code == 0, ran.err
    whole = ran.json["champion"]
    assert whole != less
    settings.write_text(settings.read_text().replace(ONE_WEEK, ""))
    ran = run("promote", less, "--config", settings, *forced)
    assert ran.code == 0, ran.err
    assert ran.json["champion"] == less
    sides = ran.json["comparison"]
    assert f"{left.found.kept} features" in ran.err
    assert [sides[side]["features"] for side in ("old", "new")] == [left.found.of, left.found.kept]
    # Both recipes are fitted again, each with its own features.
    assert sides["window"]["remade"] == ["old", "new"]
    assert sides["window"]["same_recipe"] is False
    for name, options in (("here", ()), ("there", SPARK)):
        files = ("--out", tmp_path / f"{name}.parquet", "--contributions", tmp_path / f"{name}-why.parquet")
        ran = run("score", "--config", settings, "--as-of", LATER, *files, *options)
        assert ran.code == 0, ran.err
    for kind in (".parquet", "-why.parquet", ".parquet.manifest.json"):
        assert (tmp_path / f"there{kind}").read_bytes() == (tmp_path / f"here{kind}").read_bytes()
    assert {*pd.read_parquet(tmp_path / "here.parquet")["model_version"]} == {less}
    ran = run("rollback", "--config", settings, "--author", "Ana", "--reason", "a trial", "--json")
    assert (ran.code, ran.json["change"]["model_version"]) == (0, whole)
