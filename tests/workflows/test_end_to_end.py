"""The whole way through the command line: contracts that users and batch jobs rely on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from workflows.conftest import AS_OF, Run

from mqlml.operation.scoring import SCORES

pytestmark = pytest.mark.training

ASKED = """
[[policy.rules]]
name = "asked to be called"
then = "always"
when = {column = "industry", value = "software"}
"""
RULES = """
[[policy.rules]]
name = "not our market"
when = {column = "industry", value = "software"}
then = "never"
[[policy.rules]]
name = "asked to be called"
when = {event = "webinar_registered", window_days = 30}
then = "always"
"""


def scores(run: Run, folder: Path, out: str, *more: object, as_of: str = AS_OF) -> pd.DataFrame:
    ran = run("score", "--config", folder / "mqlml.toml", "--as-of", as_of, "--out", folder / out, *more)
    assert ran.code == 0, ran.err
    assert ran.out.strip() == str(folder / out)
    return pd.read_parquet(folder / out)


def test_train_when_it_is_the_first_then_the_bundle_is_champion_and_unreviewed(trained: Path) -> None:
    models = trained / "models"
    champion = json.loads((models / "champion.json").read_text())
    assert champion["review"] == "unreviewed"
    assert (models / champion["model_version"] / "SHA256SUMS").is_file()
    assert champion["model_version"].startswith(AS_OF)
    page = (models / f"{champion['model_version']}.report.html").read_text()
    assert "unreviewed" in page.lower()
    assert champion["model_version"] in page


def test_train_when_repeated_then_the_bundle_has_the_same_name_and_bytes(copy: Path, run: Run) -> None:
    before = {p.name for p in (copy / "models").iterdir()}
    ran = run("train", "--config", copy / "mqlml.toml", "--as-of", AS_OF, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["champion"] is True
    assert {p.name for p in (copy / "models").iterdir()} == before


@pytest.mark.slow
def test_train_when_files_hold_more_then_only_what_was_known_then_is_used(copy: Path, run: Run) -> None:
    """Everything from as_of on is cut from the files; the bundle stays the same."""
    moment = pd.Timestamp(AS_OF, tz="UTC")
    for name, column in (("events", "occurred_at"), ("outcomes", "decided_at"), ("handovers", "handed_at")):
        path = copy / f"{name}.parquet"
        table = pd.read_parquet(path)
        cut = table[table[column].isna() | (table[column] < moment)]
        assert len(cut) < len(table)
        cut.to_parquet(path)
    before = {p.name for p in (copy / "models").iterdir()}
    ran = run("train", "--config", copy / "mqlml.toml", "--as-of", AS_OF, "--json")
    assert ran.code == 0, ran.err
    model = copy / "models" / ran.json["model_version"] / "model.json"
    champion = json.loads((copy / "models" / "champion.json").read_text())["model_version"]
    assert model.read_bytes() == (copy / "models" / champion / "model.json").read_bytes()
    assert before <= {p.name for p in (copy / "models").iterdir()}


def test_score_when_run_twice_then_the_contract_holds_and_every_value_is_equal(copy: Path, run: Run) -> None:
    first = scores(run, copy, "a.parquet")
    assert pq.read_schema(copy / "a.parquet").names == SCORES.names
    assert len(first) > 100
    assert first.probability.between(0, 1, inclusive="neither").all()
    assert (first.score == (100 * first.probability).round()).all()
    assert not first.duplicated(["lead_id", "as_of", "model_version", "policy_version"]).any()
    assert (first.is_mql == first.tier.isin(["hot", "mql"])).all()
    assert first.percentile.between(0, 100).all()
    assert set(first.fit_grade) <= set("ABCD")
    assert set(first.engagement_grade) <= {1, 2, 3, 4}
    assert first.reason_1.notna().all()
    assert first.equals(scores(run, copy, "b.parquet"))


def test_score_when_counted_then_rows_in_are_scored_skipped_and_quarantined(copy: Path, run: Run) -> None:
    scores(run, copy, "a.parquet")
    m = json.loads((copy / "a.parquet.manifest.json").read_text())
    assert m["rows_in"] == m["scored"] + sum(m["skipped"].values()) + m["quarantined"]
    assert m["review"] == "unreviewed"
    assert m["scored"] == m["rows_written"] == sum(m["tiers"].values())


def test_score_when_the_future_changes_then_no_score_moves(copy: Path, run: Run) -> None:
    before = scores(run, copy, "a.parquet")
    moment = pd.Timestamp(AS_OF, tz="UTC")
    events = pd.read_parquet(copy / "events.parquet")
    future = events.occurred_at >= moment
    events.loc[future, "event_type"] = "demo_request"
    events = pd.concat([events[future], events[future], events[~future]]).sample(frac=1.0, random_state=0)
    events.to_parquet(copy / "events.parquet")
    after = scores(run, copy, "b.parquet")
    assert before.probability.equals(after.probability)


def test_score_when_rows_and_columns_are_shuffled_then_no_score_moves(copy: Path, run: Run) -> None:
    before = scores(run, copy, "a.parquet")
    for name in ("leads", "events", "outcomes", "history", "handovers"):
        table = pd.read_parquet(copy / f"{name}.parquet")
        table[table.columns[::-1]].sample(frac=1.0, random_state=1).to_parquet(copy / f"{name}.parquet")
    assert before.equals(scores(run, copy, "b.parquet"))


def test_contributions_when_summed_then_they_are_the_calibrated_log_odds(copy: Path, run: Run) -> None:
    table = scores(run, copy, "a.parquet", "--contributions", copy / "parts.parquet").set_index("lead_id")
    parts = pd.read_parquet(copy / "parts.parquet")
    total = parts.groupby("lead_id").contribution.sum().reindex(table.index)
    truth = np.log(table.probability / (1 - table.probability))
    assert np.abs(total - truth).max() < 1e-9
    assert {"base", "not supplied"} <= set(parts.criterion)


def test_score_when_reasons_are_not_wanted_then_chances_are_the_same(copy: Path, run: Run) -> None:
    full, bare = scores(run, copy, "a.parquet"), scores(run, copy, "b.parquet", "--no-reasons")
    assert full.probability.equals(bare.probability)
    assert bare.reason_1.isna().all()


def test_score_when_an_earlier_list_is_given_then_changes_are_named(copy: Path, run: Run) -> None:
    earlier = scores(run, copy, "a.parquet", as_of="2026-03-25")
    later = scores(run, copy, "b.parquet", "--previous", copy / "a.parquet")
    before = set(earlier[earlier.is_mql].lead_id)
    for row in later.itertuples():
        expected = {(1, 1): ["stays"], (1, 0): ["new"], (0, 1): ["leaves"], (0, 0): ["none"]}
        assert row.change in expected[int(row.is_mql), int(row.lead_id in before)]
    stays = later[later.change == "stays"]
    assert len(stays)
    assert (stays.mql_since == pd.Timestamp("2026-03-25", tz="UTC")).all()
    assert (later[later.change == "new"].mql_since == pd.Timestamp(AS_OF, tz="UTC")).all()
    assert later[~later.is_mql].mql_since.isna().all()
    same = run(
        "score", "--config", copy / "mqlml.toml", "--as-of", AS_OF, "--out", copy / "c.parquet",
        "--previous", copy / "b.parquet",
    )  # fmt: skip
    assert same.code == 2
    assert "not older than this run" in same.err


def test_score_when_sales_can_take_so_many_a_week_then_the_rest_wait_and_the_backlog_has_a_rate(
    copy: Path, run: Run
) -> None:
    settings, a_week = copy / "mqlml.toml", 20
    agreed = ("--capacity", a_week, "--set", "--author", "Ana", "--reason", "two more people")
    assert run("threshold", "--config", settings, *agreed).code == 0
    settings.write_text(settings.read_text() + ASKED)
    first = scores(run, copy, "a.parquet")
    waiting = first.rule == "waits for a place"
    assert first.is_mql.sum() >= a_week
    assert set(first[first.is_mql].rule) == {"asked to be called"}, "they do not wait, but take the places of the week"
    assert waiting.any()
    assert set(first[waiting].change) == {"none"}
    settings.write_text(settings.read_text().replace("[policy]", "[policy]\nbacklog_per_week = 5"))
    more = scores(run, copy, "b.parquet")
    assert more.is_mql.sum() == min(5, waiting.sum()) + first.is_mql.sum()
    assert set(first[first.is_mql].lead_id) < set(more[more.is_mql].lead_id)
    assert (more.policy_version != first.policy_version).all()


def test_score_when_rules_stand_beside_the_model_then_they_decide_and_are_counted(copy: Path, run: Run) -> None:
    settings = copy / "mqlml.toml"
    before = scores(run, copy, "a.parquet")
    settings.write_text(settings.read_text() + RULES)
    ran = run("score", "--config", settings, "--as-of", AS_OF, "--out", copy / "b.parquet", "--json")
    assert ran.code == 0, ran.err
    after = pd.read_parquet(copy / "b.parquet")
    assert before.probability.equals(after.probability), "a rule never changes a chance"
    leads = pd.read_parquet(copy / "leads.parquet").set_index("lead_id").loc[after.lead_id]
    out = (leads.industry == "software").to_numpy()
    never = after[after.rule == "not our market"]
    assert out.sum() == len(never) == ran.json["selection"]["rules"]["not our market"]
    assert not never.is_mql.any()
    assert set(never.tier) == {"cold"}
    asked = after[after.rule == "asked to be called"]
    assert len(asked)
    assert asked.is_mql.all()
    assert (asked.change == "new").all()
    settings.write_text(settings.read_text().replace('event = "webinar_registered"', 'event = "webinr_registered"'))
    wrong = run("score", "--config", settings, "--as-of", AS_OF, "--out", copy / "c.parquet")
    assert wrong.code == 3
    assert "[[policy.rules]] names the event 'webinr_registered'" in wrong.err


@pytest.mark.parametrize("out", ["scores.csv", "scores.duckdb", "partitions"])
def test_score_when_another_form_is_asked_for_then_it_is_written(copy: Path, run: Run, out: str) -> None:
    ran = run("score", "--config", copy / "mqlml.toml", "--as-of", AS_OF, "--out", copy / out, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["scored"] > 100
    assert (copy / out).exists()


def test_score_when_data_come_from_another_configuration_then_the_model_is_kept(copy: Path, run: Run) -> None:
    version = json.loads((copy / "models" / "champion.json").read_text())["model_version"]
    (copy / "other").mkdir()
    text = (copy / "mqlml.toml").read_text().replace('.parquet"', '.parquet"').replace('path = "', 'path = "../')
    (copy / "other" / "other.toml").write_text(text)
    ran = run(
        "score", "--config", copy / "other" / "other.toml", "--model", copy / "models" / version,
        "--as-of", AS_OF, "--out", copy / "o.parquet",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert pd.read_parquet(copy / "o.parquet").equals(scores(run, copy, "a.parquet"))


def test_score_when_a_column_was_renamed_then_it_is_refused_and_outputs_stay(copy: Path, run: Run) -> None:
    scores(run, copy, "a.parquet")
    before = (copy / "a.parquet").read_bytes()
    leads = pd.read_parquet(copy / "leads.parquet").rename(columns={"industry": "industries"})
    leads.to_parquet(copy / "leads.parquet")
    ran = run("score", "--config", copy / "mqlml.toml", "--as-of", AS_OF, "--out", copy / "a.parquet")
    assert ran.code == 3
    assert "column 'industry'" in ran.err
    assert "'industries'" in ran.err
    assert (copy / "a.parquet").read_bytes() == before


def test_train_when_the_leaking_column_is_let_in_then_the_audit_stops_it_until_waived(copy: Path, run: Run) -> None:
    settings = copy / "mqlml.toml"
    open_text = "\n".join(line for line in settings.read_text().splitlines() if '"onboarding_owner"' not in line)
    settings.write_text(open_text)
    ran = run("train", "--config", settings, "--as-of", AS_OF)
    assert ran.code == 3
    assert "MQL-leak leads.parquet: column 'onboarding_owner'" in ran.err
    assert run("check", "--config", settings, "--as-of", AS_OF).code == 3
    settings.write_text(open_text + '\n[audit.waive]\nonboarding_owner = "a test"\n')
    assert run("check", "--config", settings, "--as-of", AS_OF).code == 0


def test_explain_when_a_lead_is_named_then_its_story_sums_to_its_chance(copy: Path, run: Run) -> None:
    row = scores(run, copy, "a.parquet").sort_values("probability").iloc[-1]
    ran = run("explain", row.lead_id, "--config", copy / "mqlml.toml", "--as-of", AS_OF, "--json")
    assert ran.code == 0, ran.err
    story = ran.json
    z = story["base"] + sum(c["contribution"] for c in story["criteria"])
    assert 1 / (1 + np.exp(-z)) == pytest.approx(row.probability, abs=1e-9)
    assert story["fate"] == "candidate"
    text = run("explain", row.lead_id, "--config", copy / "mqlml.toml", "--as-of", AS_OF)
    assert f"Lead {row.lead_id}" in text.out
    assert run("explain", "nobody", "--config", copy / "mqlml.toml").code == 2


def test_report_when_drawn_again_then_it_equals_the_one_of_training(copy: Path, run: Run) -> None:
    version = json.loads((copy / "models" / "champion.json").read_text())["model_version"]
    ran = run("report", "--config", copy / "mqlml.toml", "--out", copy / "again.html")
    assert ran.code == 0, ran.err
    assert (copy / "again.html").read_text() == (copy / "models" / f"{version}.report.html").read_text()


def test_features_when_asked_then_a_table_says_what_each_means(copy: Path, run: Run) -> None:
    settings, out = copy / "mqlml.toml", copy / "features.md"
    printed, written = run("features", "--config", settings), run("features", "--config", settings, "--out", out)
    assert printed.code == written.code == 0, printed.err + written.err
    assert written.out.strip() == str(out)
    assert out.read_text() == printed.out
    version = json.loads((copy / "models" / "champion.json").read_text())["model_version"]
    told = json.loads((copy / "models" / version / "report.json").read_text())
    assert len(printed.out.splitlines()) == 2 + told["features"]
    meaning = "Days since the lead last did anything."
    assert f"| events.any.days_since_last | {meaning} | days | timing |" in printed.out.splitlines()
    assert run("features", "--config", settings, "--model", "nobody").code == 2


def test_train_when_recorded_in_mlflow_then_the_meaning_of_features_lies_beside_the_report(trained: Path) -> None:
    reports = list((trained / "models" / "mlartifacts").rglob("report.html"))
    assert reports
    for report in reports:
        assert "| events.any.days_since_last |" in report.with_name("features.md").read_text()


def test_check_when_the_history_is_sound_then_it_is_reviewed_in_words(trained: Path, run: Run) -> None:
    ran = run("check", "--config", trained / "mqlml.toml", "--as-of", AS_OF)
    assert ran.code == 0, ran.err
    for words in ("Window plan", "Leak audit", "base rate", "handovers"):
        assert words in ran.out


def test_score_when_leads_are_near_the_line_then_the_manifest_says_how_many_and_what_they_lack(
    copy: Path, run: Run
) -> None:
    table = scores(run, copy, "a.parquet")
    manifest = json.loads(next(copy.glob("a*manifest*")).read_text())
    found = manifest["nurture"]
    nurture = table[table.tier == "nurture"]
    assert found["leads"] == len(nurture)
    assert found["near_misses"] == (nurture.probability >= 0.8 * manifest["threshold"]).sum()
    assert sum(m["leads"] for m in found["missing"]) <= found["near_misses"]
    assert found["preceded"]["threshold"] == manifest["threshold"]
    scores(run, copy, "b.parquet", "--no-reasons")
    bare = json.loads(next(copy.glob("b*manifest*")).read_text())
    assert "nurture" not in bare
    assert any(note.startswith("Near misses are not told") for note in bare["notes"])
    page = next((copy / "models").glob("*.report.html")).read_text()
    assert "leads to nurture are near misses" in page


@pytest.mark.slow
def test_train_when_rules_decide_for_some_then_the_threshold_is_set_without_them(copy: Path, run: Run) -> None:
    settings = copy / "mqlml.toml"
    settings.write_text(settings.read_text() + RULES)
    before = set((copy / "models").iterdir())
    ran = run("train", "--config", settings, "--as-of", AS_OF)
    assert ran.code == 0, ran.err
    bundle = next(path for path in set((copy / "models").iterdir()) - before if path.is_dir())
    shown = run("threshold", "--config", settings, "--model", bundle, "--json")
    said = shown.json["decision"]["ruled"]
    assert "leads under rules, not counted here" in said
    assert "asked to be called" in said
    without = run("threshold", "--config", settings, "--json").json["decision"]
    assert without["ruled"] is None, "the first bundle was trained without rules"
