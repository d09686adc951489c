"""Histories that have less, or odder things, than one would wish: they still work, and every output says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from workflows.conftest import Run

pytestmark = pytest.mark.training

N = 900
HOSTILE = ("utm[source]", "'; DROP TABLE leads; --", "<script>alert(1)</script>", "数 値", 'a,b "c"')


def history(folder: Path, *, dates: bool = True, decided: bool = True, lost: bool = True, seed: int = 0) -> Path:
    """Write leads.csv whose columns have hostile names; the first of them tells something about the outcome."""
    generator = np.random.default_rng(seed)
    created = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.sort(generator.uniform(0, 500, N)), unit="D")
    source = generator.choice(["web", "fair", "=cmd()", "</script><b>"], N)
    size = generator.lognormal(3, 1, N)
    z = -1.5 + 1.5 * (source == "fair") + 0.4 * np.log(size) - 1.2
    won = generator.random(N) < 1 / (1 + np.exp(-z))
    closed = generator.random(N) < 0.9
    outcome = np.where(closed, np.where(won, "won", "lost" if lost else ""), "")
    after = created + pd.to_timedelta(generator.uniform(2, 40, N), unit="D")
    table = pd.DataFrame({"lead_id": [f"{i:05d}" for i in range(N)]})
    if dates:
        table["created_at"] = created.strftime("%Y-%m-%dT%H:%M:%SZ")
    table["outcome"] = outcome
    if decided:
        table["decided_at"] = np.where(outcome == "", "", after.strftime("%Y-%m-%dT%H:%M:%SZ"))
    values = (source, np.round(size, 3), np.full(N, "x"), generator.choice(["inf", "1.5", "nan", "2"], N), source[::-1])
    for name, value in zip(HOSTILE, values, strict=True):
        table[name] = value
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "leads.csv", index=False)
    settings = '[leads]\npath = "leads.csv"\n[outcomes]\n[model]\nbags = 2\norigins = 2\nthreads = 1\n'
    settings = settings if dates else settings.replace("[outcomes]", 'created_at = ""\n[outcomes]')
    (folder / "mqlml.toml").write_text(settings)
    return folder / "mqlml.toml"


def test_whole_way_when_names_and_values_are_hostile_then_they_stay_text_everywhere(tmp_path: Path, run: Run) -> None:
    settings = history(tmp_path)
    settings.write_text(settings.read_text() + "[label]\nhorizon_days = 45\n")
    trained = run("train", "--config", settings, "--json")
    assert trained.code == 0, trained.err
    page = Path(trained.json["report"]).read_text()
    assert page.count("<script") == 1, "the page's own"
    assert "<script>alert" not in page
    assert "utm[source]" in page
    scored = run("score", "--config", settings, "--out", tmp_path / "s.csv", "--json")
    assert scored.code == 0, scored.err
    scores = pd.read_csv(tmp_path / "s.csv", dtype={"lead_id": str})
    assert scores["lead_id"].str.len().eq(5).all(), "ids keep their leading zeros"
    assert not scores["reason_1"].str.match(r"^[=+\-@]").any()
    assert any("no [events] table" in note for note in scored.json["notes"] + trained.json["notes"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lost": False}, "won within 45 days"),
        ({"decided": False}, "only the final outcome"),
        ({"dates": False, "decided": False}, "no dates"),
    ],
)
def test_train_when_something_is_missing_then_it_works_and_says_so(
    tmp_path: Path, run: Run, changes: dict[str, bool], words: str
) -> None:
    settings = history(tmp_path, **changes)
    if changes.get("decided", True):
        settings.write_text(settings.read_text() + "[label]\nhorizon_days = 45\n")
    elif not changes.get("dates", True):
        text = pd.read_csv(tmp_path / "leads.csv", dtype=str, keep_default_na=False)
        text.to_csv(tmp_path / "leads.csv", index=False)
    ran = run("train", "--config", settings)
    assert ran.code == 0, ran.err
    assert words in ran.err
    out = run("score", "--config", settings, "--out", tmp_path / "s.parquet")
    assert out.code == 0, out.err
    p = pd.read_parquet(tmp_path / "s.parquet")["probability"]
    assert p.between(0, 1, inclusive="neither").all()


def test_train_when_only_winners_are_known_then_it_is_refused_with_counts(tmp_path: Path, run: Run) -> None:
    settings = history(tmp_path)
    leads = pd.read_csv(tmp_path / "leads.csv", dtype=str, keep_default_na=False)
    leads[leads["outcome"] == "won"].to_csv(tmp_path / "leads.csv", index=False)
    ran = run("train", "--config", settings)
    assert ran.code == 3
    assert "MQL-few-outcomes leads.csv" in ran.err
    assert "and 0 were not" in ran.err
    assert not (tmp_path / "models").exists()


def test_train_when_nothing_predicts_then_the_verdict_is_no_signal(tmp_path: Path, run: Run) -> None:
    settings = history(tmp_path)
    leads = pd.read_csv(tmp_path / "leads.csv", dtype=str, keep_default_na=False)
    shuffled = np.random.default_rng(1).permutation(N)
    for name in HOSTILE:
        leads[name] = leads[name].to_numpy()[shuffled]
        shuffled = np.random.default_rng(len(name)).permutation(N)
    leads.to_csv(tmp_path / "leads.csv", index=False)
    ran = run("train", "--config", settings, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["verdict"]["code"] == "no signal"
