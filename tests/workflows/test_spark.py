"""Training and scoring with Spark: the bundle, the scores, the contributions and the manifest, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sparks import SPARK
from workflows.conftest import AS_OF, Run

pytestmark = [pytest.mark.engine, pytest.mark.training]


@pytest.mark.slow
def test_train_when_spark_makes_the_features_then_the_bundle_is_the_same(spark: Any, copy: Path, run: Run) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in (copy / "models").iterdir()}
    ran = run("train", "--config", copy / "mqlml.toml", "--as-of", AS_OF, "--json", *SPARK)
    assert ran.code == 0, ran.err
    champion = json.loads((copy / "models" / "champion.json").read_text())["model_version"]
    assert ran.json["model_version"] == champion
    assert {p.name for p in (copy / "models").iterdir()} == set(before)


def test_score_when_spark_does_it_then_every_file_is_the_same(spark: Any, copy: Path, run: Run) -> None:
    earlier = copy / "earlier.parquet"
    assert run("score", "--config", copy / "mqlml.toml", "--as-of", "2026-03-01", "--out", earlier).code == 0
    for name, options in (("here", []), ("there", SPARK)):
        files = ["--out", copy / f"{name}.parquet", "--contributions", copy / f"{name}-why.parquet"]
        asked = ["--as-of", AS_OF, "--previous", earlier, *files, *options]
        ran = run("score", "--config", copy / "mqlml.toml", *asked)
        assert ran.code == 0, ran.err
    for kind in (".parquet", "-why.parquet", ".parquet.manifest.json"):
        assert (copy / f"there{kind}").read_bytes() == (copy / f"here{kind}").read_bytes()
    assert set(pq.read_table(copy / "there.parquet")["change"].to_pylist()) >= {"none", "leaves"}


@pytest.mark.slow
def test_score_when_nobody_asks_why_then_reasons_are_empty_in_both(spark: Any, copy: Path, run: Run) -> None:
    for name, options in (("here", []), ("there", SPARK)):
        asked = ["--as-of", AS_OF, "--no-reasons", "--out", copy / f"{name}.csv", *options]
        assert run("score", "--config", copy / "mqlml.toml", *asked).code == 0
    assert (copy / "there.csv").read_bytes() == (copy / "here.csv").read_bytes()


def test_score_when_no_lead_is_a_candidate_then_an_empty_list(spark: Any, copy: Path, run: Run) -> None:
    ran = run("score", "--config", copy / "mqlml.toml", "--as-of", "2019-01-01", "--out", copy / "none.parquet", *SPARK)
    assert ran.code == 0, ran.err
    assert pq.read_table(copy / "none.parquet").num_rows == 0
