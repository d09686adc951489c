"""Scoring with kept events: the scores and the manifest of a full run, byte for byte, whatever arrives when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mqlml.show.keeping import kept_events

pytestmark = pytest.mark.training

AS_OF = "2026-04-01"


def cut_events(folder: Path, files: int) -> list[pa.Table]:
    """Split the sample's events arbitrarily, with some of them twice, and name a folder instead of the file."""
    events = pq.read_table(folder / "events.parquet")
    settings = folder / "mqlml.toml"
    text = settings.read_text().replace('path = "events.parquet"', 'path = "events"')
    settings.write_text(text + '[suppress]\npath = "suppress.csv"\n[output]\nstate = "state"\n')
    (folder / "suppress.csv").write_text("lead_id\n")
    (folder / "events").mkdir()
    part = np.random.default_rng(7).integers(0, files, events.num_rows)
    parts = [events.filter(pa.array(part == k)) for k in range(files)]
    return [pa.concat_tables([table, table.slice(0, 20)]) for table in parts]


def check_equal(folder: Path, name: str) -> None:
    """Scores and manifest of the incremental run are those of the full one."""
    for ending in ("", ".manifest.json"):
        assert (folder / f"full{name}{ending}").read_bytes() == (folder / f"new{name}{ending}").read_bytes()


def test_score_when_events_arrive_in_files_then_bytes_are_those_of_a_full_run(copy, run):
    old, new = cut_events(copy, 2)
    full = copy / "full.toml"
    full.write_text((copy / "mqlml.toml").read_text().replace('[output]\nstate = "state"\n', ""))
    command = ("score", "--config", copy / "mqlml.toml", "--as-of", AS_OF)
    pq.write_table(old, copy / "events" / "0.parquet")
    assert run(*command, "--out", copy / "first.csv", "--no-reasons").code == 0
    pq.write_table(new, copy / "events" / "1.parquet")
    done = run(*command, "--out", copy / "new.parquet", "--json")
    assert (done.json["state"]["files_read"], done.json["state"]["files_kept"]) == (1, 1)
    assert run("score", "--config", full, "--as-of", AS_OF, "--out", copy / "full.parquet").code == 0
    check_equal(copy, ".parquet")
    lead = pq.read_table(copy / "new.parquet")["lead_id"][0].as_py()
    forgotten = run("forget", lead, "--config", copy / "mqlml.toml", "--json")
    assert {p["place"]: p["rows"] for p in forgotten.json["looked"]}[str(copy / "state")] > 0
    done = run(*command, "--out", copy / "new.csv", "--no-reasons")
    assert "0 files of events read (0 bytes), 2 known already" in done.err
    assert run("score", "--config", full, "--as-of", AS_OF, "--out", copy / "full.csv", "--no-reasons").code == 0
    check_equal(copy, ".csv")
    assert lead not in (copy / "new.csv").read_text()


def test_kept_events_when_they_could_not_be_used_then_one_line_says_why() -> None:
    state = {"folder": "state", "rebuilt": "a.csv has changed", "files_read": 2, "bytes_read": 250_000}
    line = "Events kept in state could not be used, since a.csv has changed: all 2 files of events read (0.2 MB)."
    assert kept_events(state) == line


def test_score_when_state_is_asked_of_a_single_file_then_it_says_what_to_do(copy, run):
    state = copy / "state"
    done = run("score", "--config", copy / "mqlml.toml", "--as-of", AS_OF, "--out", copy / "s.csv", "--state", state)
    assert done.code == 2
    assert "[events] path: 'events.parquet' is no folder" in done.err


def test_score_when_state_is_asked_of_spark_then_it_says_what_to_do(copy, run):
    state, out = copy / "state", copy / "s.csv"
    done = run("score", "--config", copy / "mqlml.toml", "--out", out, "--state", state, "--engine", "spark")
    assert done.code == 2
    assert "--state keeps events for --engine local" in done.err
