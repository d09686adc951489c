"""One lead's story and card, and the vocabulary, through the command line."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from workflows.conftest import AS_OF, Run

from mqlml.config import Config
from mqlml.history.copies import copied, copy_id
from mqlml.history.reading import read_history
from mqlml.operation.registry import resolve
from mqlml.operation.scoring import LeadScorer
from mqlml.tape.build import build_features

pytestmark = pytest.mark.training

NOW = pd.Timestamp(AS_OF, tz="UTC")


def explained(run: Run, folder: Path, lead: str, *more: object, as_of: str = AS_OF) -> dict:
    ran = run("explain", lead, "--config", folder / "mqlml.toml", "--as-of", as_of, "--json", *more)
    assert ran.code == 0, ran.err
    return ran.json


@pytest.fixture(scope="module")
def busiest(trained: Path) -> str:
    """Return the lead with the most events in the weeks before, among those created lately."""
    read = {name: pd.read_parquet(trained / f"{name}.parquet") for name in ("events", "leads", "outcomes", "handovers")}
    events, leads = read["events"], read["leads"]
    lately = events[(events.occurred_at < NOW) & (events.occurred_at > NOW - pd.Timedelta(days=30))]
    young = set(leads[leads.created_at > NOW - pd.Timedelta(days=75)].lead_id)
    gone = set(read["outcomes"].lead_id) | set(read["handovers"].lead_id)
    found = lately[lately.lead_id.isin(young - gone)].lead_id.value_counts()
    return str(found.index[0])


def test_timeline_when_a_moment_is_looked_at_by_itself_then_it_has_the_same_chance(
    trained: Path, busiest: str, run: Run
) -> None:
    story = explained(run, trained, busiest)
    assert story["fate"] == "candidate"
    assert len(story["timeline"]) > 2
    step = story["timeline"][-2]
    after = datetime.fromisoformat(step["at"]) + timedelta(microseconds=1)
    then = explained(run, trained, busiest, as_of=after.isoformat())
    assert step["chance"] == pytest.approx(then["score"]["probability"], abs=1e-12)
    assert sum(t["contribution"] for t in story["themes"]) == pytest.approx(
        sum(c["contribution"] for c in story["criteria"])
    )


def test_copies_when_nothing_is_added_then_they_are_the_lead_and_one_event_is_one_event(
    trained: Path, busiest: str
) -> None:
    config = Config.load(trained / "mqlml.toml")
    features = LeadScorer.load(resolve(config.path(config.output.models), None)).model.features
    before = config.moment(AS_OF)
    page = {"event_type": "page_view", "asset": "/pricing", "channel": None, "value": None}
    with read_history(config) as history:
        alone = build_features(history, pa.table({"lead_id": [busiest], "at": [before]}), features).to_pylist()[0]
        with copied(history, busiest, before=before, more=[None, page]) as world:
            marks = pa.table({"lead_id": [copy_id(k, busiest) for k in (0, 1)], "at": [before] * 2})
            same, more = build_features(world, marks, features).to_pylist()
    named = [f.name for f in features.features]
    assert {n: str(same[n]) for n in named} == {n: str(alone[n]) for n in named}
    assert more["events.page_view.count_7d"] == same["events.page_view.count_7d"] + 1
    assert more["events.page_view.days_since_last"] == pytest.approx(0, abs=1e-9)


def test_card_when_written_then_it_is_closed_and_names_no_other_lead(
    trained: Path, busiest: str, tmp_path: Path, run: Run
) -> None:
    ran = run("explain", busiest, "--config", trained / "mqlml.toml", "--as-of", AS_OF, "--out", tmp_path / "card.html")
    assert ran.out.strip() == str(tmp_path / "card.html")
    page = (tmp_path / "card.html").read_text()
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    everybody = set(pd.read_parquet(trained / "leads.parquet").lead_id)
    assert {lead for lead in everybody if lead in page} == {busiest}
    assert "If nothing happens" in page


def test_explain_when_a_lead_is_decided_then_it_is_looked_at_just_before(trained: Path, run: Run) -> None:
    outcomes = pd.read_parquet(trained / "outcomes.parquet")
    outcomes = outcomes[(outcomes.decided_at < NOW) & (outcomes.outcome == "won")]
    lead, decided = outcomes.lead_id.iloc[0], outcomes.decided_at.iloc[0]
    story = explained(run, trained, lead)
    assert story["fate"] == "decided"
    assert story["what_if"] is None
    assert pd.Timestamp(story["score"]["as_of"]) <= decided
    assert all(pd.Timestamp(step["at"]) < decided for step in story["timeline"])
    text = run("explain", lead, "--config", trained / "mqlml.toml", "--as-of", AS_OF).out
    assert "Decided: " in text


def test_vocabulary_when_there_is_one_then_reasons_use_it_and_wrong_names_are_told(copy: Path, run: Run) -> None:
    (copy / "words.toml").write_text('[events]\npage_view = ["page looked at", "pages looked at"]\nnowhere = "x"\n')
    ran = run("score", "--config", copy / "mqlml.toml", "--as-of", AS_OF, "--out", copy / "s.parquet")
    assert ran.code == 0, ran.err
    assert "words for 'nowhere', which the model does not look at" in ran.err
    said = pd.concat([pd.read_parquet(copy / "s.parquet")[f"reason_{k}"] for k in (1, 2, 3)]).dropna()
    assert said.str.contains("pages? looked at").any()
    assert said.str.contains("of such leads won against").any()
    assert not said.str.contains("not supplied").any()
    (copy / "words.toml").write_text("[event]\n")
    assert run("score", "--config", copy / "mqlml.toml", "--out", copy / "t.parquet").code == 2
