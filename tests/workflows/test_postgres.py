"""Leads from PostgreSQL, scores to PostgreSQL, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from postgres_server import ESCAPED, PASSWORD, Server
from workflows.conftest import AS_OF, Run

pytestmark = [pytest.mark.engine, pytest.mark.training]


def test_score_when_leads_and_scores_are_in_postgres_then_equal_to_files(
    copy: Path, run: Run, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    from mqlml.history.postgres import Address, Incoming, upsert

    config = copy / "mqlml.toml"
    assert run("score", "--config", config, "--as-of", AS_OF, "--out", copy / "scores.parquet").code == 0
    leads = pq.read_table(copy / "leads.parquet")
    upsert(Address.of(postgres.url), [Incoming("leads", leads.schema, ("lead_id",), leads.to_batches())])
    config.write_text(config.read_text().replace('"leads.parquet"', f'"{postgres.url}#leads"'))
    ran = run("score", "--config", config, "--as-of", AS_OF, "--out", f"{postgres.url}#scores", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["out"] == f"postgresql://mqlml:***@127.0.0.1:{postgres.port}/postgres#scores"
    with psycopg.connect(postgres.url) as connection:
        found = connection.execute("SELECT * FROM scores ORDER BY lead_id").fetchall()
        told = json.loads(connection.execute("SELECT manifest FROM scores_manifests").fetchall()[0][0])
    expected = pq.read_table(copy / "scores.parquet").sort_by("lead_id").to_pylist()
    assert found == [tuple(row.values()) for row in expected]
    assert told["rows_written"] == len(expected) == ran.json["scored"]
    for text in (ran.out, ran.err, json.dumps(told)):
        assert PASSWORD not in text
        assert ESCAPED not in text

    lead = expected[0]["lead_id"]
    (copy / "suppress.csv").write_text("lead_id\n")
    more = f'\n[suppress]\npath = "suppress.csv"\n[output]\nscores = ["{postgres.url}"]\n'
    config.write_text(config.read_text() + more)
    forgot = run("forget", lead, "--config", config, "--json")
    assert (forgot.code, forgot.json["erased"]) == (0, 1), forgot.err
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT count(*) FROM scores WHERE lead_id = %s", [lead]).fetchone() == (0,)
    assert ESCAPED not in forgot.out + forgot.err

    bare = postgres.url.replace(f":{ESCAPED}", "")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    again = run("score", "--config", config, "--as-of", AS_OF, "--out", f"{bare}?table=scores")
    assert again.code == 0, again.err
    monkeypatch.setenv("PGPASSWORD", "no-longer-right")
    refused = run("score", "--config", config, "--as-of", AS_OF, "--out", f"{bare}?table=scores")
    assert refused.code == 5
    assert "password authentication failed" in refused.err
    assert "no-longer-right" not in refused.err
