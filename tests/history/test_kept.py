"""Events kept from run to run: split by an arbitrary cut and read file by file, they are those of one whole reading."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from history.histories import configured
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mqlml.config import Config
from mqlml.errors import DataRefused, EngineError, UsageError
from mqlml.history.contract import History
from mqlml.history.kept import Kept, keeping
from mqlml.history.reading import read_history

pytestmark = pytest.mark.long

HOUR = 3_600_000_000
START = 1_735_689_600_000_000
LEADS = [f"lead {i}" for i in range(8)]
SECTIONS: dict[str, Any] = {
    "leads": {"path": "leads.parquet"},
    "outcomes": {"path": "outcomes.parquet"},
    "events": {"path": "events", "max_unknown_share": 1.0, "max_quarantined_share": 0.5, "by_sales": ["call"]},
    "links": {"path": "links.parquet"},
    "suppress": {"path": "suppress.csv"},
}


def write_leads(folder: Path, *, linked: bool = True) -> Config:
    """Eight leads, one of them to be left alone, one merged from another id."""
    moment = pa.timestamp("us", "UTC")
    created = pa.array([START + 24 * HOUR * i for i in range(len(LEADS))], moment)
    pq.write_table(pa.table({"lead_id": LEADS, "created_at": created}), folder / "leads.parquet")
    outcomes = {"lead_id": LEADS[:2], "outcome": ["won", "lost"], "decided_at": created[-2:]}
    pq.write_table(pa.table(outcomes), folder / "outcomes.parquet")
    links = {"other_id": ["old id"], "lead_id": ["lead 3"], "valid_from": pa.array([START + 90 * HOUR], moment)}
    pq.write_table(pa.table(links), folder / "links.parquet")
    (folder / "suppress.csv").write_text("lead_id\nlead 5\n")
    (folder / "events").mkdir(exist_ok=True)
    return configured(folder, **{name: keys for name, keys in SECTIONS.items() if linked or name != "links"})


def events(seed: int, n: int) -> pa.Table:
    """Late, repeated and disordered events, some of strangers or of leads left alone, some that cannot be used."""
    rng = np.random.default_rng(seed)
    leads = np.array([*LEADS, "old id", "stranger"], dtype=object)[rng.integers(0, len(LEADS) + 2, n)]
    time = START + rng.integers(0, 400, n) * (HOUR // 2)
    late = time + rng.choice([0, 0, 5 * HOUR, 60 * HOUR], n)
    drawn = rng.random((5, n))
    moment = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "lead_id": pa.array(np.where(drawn[0] < 0.05, None, leads), pa.string()),
            "occurred_at": pa.array(time, moment, mask=drawn[1] < 0.05),
            "recorded_at": pa.array(late, moment, mask=drawn[2] < 0.3),
            "event_type": rng.choice(["visit", "click", "call"], n),
            "value": np.where(drawn[3] < 0.1, np.inf, np.round(drawn[4], 1)),
            "asset": pa.array(rng.choice(["/a", "/b", None], n), pa.string()),
        }
    )


def told(history: History) -> dict[str, Any]:
    """Everything a history of events says, rows in order."""
    rows = history.connection.sql("FROM events ORDER BY ALL").fetchall() if "events" in history.tables else []
    counts = history.event_type_counts()
    places = history.quarantine.drop_columns(["raw"]).to_pylist()
    return {"rows": rows, "accounts": history.accounts, "notes": history.notes, "counts": counts, "places": places}


def read(config: Config, kept: Kept | None = None) -> dict[str, Any]:
    """Read a history and tell it; every row is accounted for."""
    with read_history(config, kept=kept) as history:
        for account in history.accounts:
            assert account.rows_in == account.used + account.quarantined + sum(account.skipped.values()), account
        return told(history)


def step(config: Config, state: Path) -> tuple[dict[str, Any], Kept]:
    """Read what is new."""
    with keeping(state) as kept:
        return read(config, kept), kept


def write_file(folder: Path, name: str, table: pa.Table) -> None:
    """Write a file of events: Parquet, or CSV with the same rows."""
    path = folder / "events" / name
    if path.suffix == ".parquet":
        pq.write_table(table, path)
        return
    rows = [",".join(table.column_names)]
    rows += [",".join(map(cell, row.values())) for row in table.to_pylist()]
    path.write_text("\n".join(rows) + "\n")


def cell(value: Any) -> str:
    """Write a value as it stands in a CSV file."""
    return "" if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)


def cut(table: pa.Table, seed: int, files: int) -> Iterator[tuple[str, pa.Table]]:
    """Split rows arbitrarily; files arrive in an order that is not that of their names."""
    rng = np.random.default_rng(seed)
    part = rng.integers(0, files, table.num_rows)
    for k in rng.permutation(files):
        yield f"{k:02d}.{'csv' if k % 3 == 2 else 'parquet'}", table.filter(pa.array(part == k))


def check_split(folder: Path, seed: int, rows: int, files: int, *, linked: bool) -> None:
    """Read file by file, and each time everything at once too."""
    config = write_leads(folder, linked=linked)
    for name, table in cut(events(seed, rows), seed, files):
        write_file(folder, name, table)
        try:
            whole = read(config)
        except DataRefused as refused:
            with pytest.raises(DataRefused, match=re.escape(str(refused))):
                step(config, folder / "state")
            continue
        found, kept = step(config, folder / "state")
        assert found == whole
        assert kept.rebuilt is None


@pytest.mark.parametrize(("seed", "rows", "files", "linked"), [(1, 60, 3, True), (2, 120, 3, False)])
def test_kept_events_when_split_arbitrarily_then_every_step_tells_what_one_whole_reading_does(
    tmp_path: Path, seed: int, rows: int, files: int, *, linked: bool
) -> None:
    check_split(tmp_path, seed, rows, files, linked=linked)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 150), files=st.integers(1, 6), linked=st.booleans())
def test_kept_events_when_split_in_40_ways_then_every_step_tells_what_one_whole_reading_does(
    tmp_path_factory: pytest.TempPathFactory, seed: int, rows: int, files: int, *, linked: bool
) -> None:
    check_split(tmp_path_factory.mktemp("kept"), seed, rows, files, linked=linked)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with two files of events that were read and kept, and a third one that is new."""
    folder = tmp_path_factory.mktemp("begun")
    config = write_leads(folder)
    for seed in (1, 2):
        write_file(folder, f"{seed}.parquet", events(seed, 60))
    step(config, folder / "state")
    write_file(folder, "3.csv", events(3, 20))
    return folder


@pytest.fixture
def folder(begun: Path, tmp_path: Path) -> Path:
    """Give a test its own copy; times of change and inodes are other ones, as after a move."""
    return Path(shutil.copytree(begun, tmp_path / "copy"))


def of(folder: Path, **sections: Any) -> Config:
    """Configure a copy."""
    return configured(folder, **{**SECTIONS, **sections})


def change_a_file(folder: Path) -> None:
    write_file(folder, "1.parquet", events(9, 60))


def remove_a_file(folder: Path) -> None:
    (folder / "events" / "1.parquet").unlink()


def damage_the_manifest(folder: Path) -> None:
    path = folder / "state" / "state.json"
    path.write_text(path.read_text().replace('"rows": 60', '"rows": 61', 1))


def damage_a_part(folder: Path) -> None:
    path = min((folder / "state").glob("*.parquet"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty_the_list(folder: Path) -> None:
    (folder / "suppress.csv").write_text("lead_id\nlead 6\n")


REASONS = {
    change_a_file: "1.parquet has changed",
    remove_a_file: "1.parquet is gone",
    damage_the_manifest: "state.json is damaged",
    damage_a_part: "000001.parquet is missing or damaged",
    empty_the_list: "a lead is no longer on the list [suppress]",
}


@pytest.mark.parametrize("change", REASONS, ids=lambda change: change.__name__)
def test_kept_events_when_they_cannot_be_used_then_it_says_why_and_reads_everything(folder: Path, change: Any) -> None:
    change(folder)
    found, kept = step(of(folder), folder / "state")
    assert kept.rebuilt == REASONS[change]
    assert (kept.files_read, kept.files_kept) == (len(list((folder / "events").iterdir())), 0)
    assert found == read(of(folder))


def test_kept_events_when_a_setting_of_events_changes_then_everything_is_read_anew(folder: Path) -> None:
    changed = of(
        folder,
        events={**SECTIONS["events"], "asset": "event_type"},
        leads={**SECTIONS["leads"], "timezone": "Europe/Berlin"},
    )
    found, kept = step(changed, folder / "state")
    assert kept.rebuilt == "[events], [leads] timezone differ from then"
    assert found == read(changed)


def test_kept_events_when_files_were_moved_then_only_the_new_one_is_read(folder: Path) -> None:
    found, kept = step(of(folder), folder / "state")
    assert (kept.rebuilt, kept.files_read, kept.files_kept) == (None, 1, 2)
    assert kept.bytes_read == (folder / "events" / "3.csv").stat().st_size
    assert found == read(of(folder))


def test_kept_events_when_a_new_file_is_refused_then_what_was_kept_stays(folder: Path) -> None:
    kept_before = {path.name: path.read_bytes() for path in (folder / "state").iterdir()}
    (folder / "events" / "3.csv").write_text("who,occurred_at,event_type\nlead 1,2025-01-02T10:00:00Z,visit\n")
    (folder / "events" / "4.xlsx").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(DataRefused, match=r"no-column events/3\.csv") as refused:
        step(of(folder), folder / "state")
    assert "MQL-format events/4.xlsx: the file is an Excel workbook" in str(refused.value)
    assert {path.name: path.read_bytes() for path in (folder / "state").iterdir()} == kept_before


def test_kept_events_when_writing_fails_at_any_point_then_the_next_run_tells_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read(of(folder))
    for target in ("mqlml.history.kept.write_text", "mqlml.history.eventfolder.sha256_of"):
        with monkeypatch.context() as patch:
            patch.setattr(target, _fail)
            with pytest.raises(EngineError, match="no room"):
                step(of(folder), folder / "state")
    found, kept = step(of(folder), folder / "state")
    assert (found, kept.rebuilt, kept.files_read) == (whole, None, 1)
    named = {part["name"] for part in content(folder)["parts"]} | {content(folder)["faulty"]["name"]}
    assert {path.name for path in (folder / "state").iterdir()} == {*named, "state.json", ".lock"}


RUNS = """
import os, sys
from pathlib import Path
from mqlml.config import Config
from mqlml.history.kept import keeping
from mqlml.history.reading import read_history

for line in sys.stdin:
    folder = Path(line.strip())
    child = os.fork()
    if child == 0:
        with keeping(folder / "state") as kept:
            read_history(Config.load(folder / "mqlml.toml"), kept=kept).close()
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.slow
def test_kept_events_when_killed_15_times_then_the_next_run_tells_the_same(begun: Path, tmp_path: Path) -> None:
    (begun / "mqlml.toml").write_text(
        "".join(
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
            for name, keys in SECTIONS.items()
        )
    )
    whole = read(of(begun))
    ended = []
    with subprocess.Popen([sys.executable, "-c", RUNS], stdin=-1, stdout=-1, text=True, bufsize=1) as runs:
        assert runs.stdin is not None
        assert runs.stdout is not None
        took = 0.0
        for number in range(-1, 15):
            folder = tmp_path / str(number)
            shutil.copytree(begun, folder)
            began = time.monotonic()
            runs.stdin.write(f"{folder}\n")
            child = int(runs.stdout.readline())
            if number >= 0:
                time.sleep(took * number / 15)
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            ended.append(int(runs.stdout.readline()))
            took = took or time.monotonic() - began
            found, kept = step(of(folder), folder / "state")
            assert (found, kept.rebuilt) == (whole, None)
            assert kept.files_read in (0, 1)
        runs.stdin.close()
    assert ended[0] == 0
    assert sum(code == -9 for code in ended) > 7


def _fail(*_: Any) -> Any:
    raise EngineError("no room")


def content(folder: Path) -> Any:
    """What the manifest says."""
    return json.loads((folder / "state" / "state.json").read_text())["content"]


def ids_kept(folder: Path) -> set[str]:
    """Every id among the rows that are kept."""
    return {v for p in (folder / "state").glob("*.parquet") for v in pq.read_table(p)["lead_id"].to_pylist() if v}


def test_erase_when_a_lead_is_forgotten_then_no_row_of_it_is_kept_and_everybody_is_told_as_before(folder: Path) -> None:
    assert "lead 2" in ids_kept(folder)
    assert "lead 5" not in ids_kept(folder)  # on the list from the beginning
    with keeping(folder / "state") as kept:
        assert kept.erase("lead 2") > 0
        assert kept.erase("lead 2") == 0
    with (folder / "suppress.csv").open("a") as file:
        file.write("lead 2\n")
    found, kept = step(of(folder), folder / "state")
    assert (kept.rebuilt, kept.files_read) == (None, 1)
    assert found == read(of(folder))
    assert not {"lead 2", "lead 5"} & ids_kept(folder)
    assert not any(b"lead 2" in path.read_bytes() for path in (folder / "state").iterdir())


def test_kept_events_when_somebody_comes_on_the_list_then_their_rows_go_though_nothing_is_new(folder: Path) -> None:
    step(of(folder), folder / "state")
    with (folder / "suppress.csv").open("a") as file:
        file.write("lead 1\n")
    found, kept = step(of(folder), folder / "state")
    assert (kept.rebuilt, kept.files_read) == (None, 0)
    assert found == read(of(folder))
    assert "lead 1" not in ids_kept(folder)


def test_kept_events_when_many_small_files_come_then_few_parts_remain(tmp_path: Path) -> None:
    config = write_leads(tmp_path, linked=False)
    write_file(tmp_path, "0.parquet", events(0, 160))
    most = 0
    for k in range(1, 5):
        step(config, tmp_path / "state")
        most = max(most, len(content(tmp_path)["parts"]))
        write_file(tmp_path, f"{k}.parquet", events(k, 20))
    found, _ = step(config, tmp_path / "state")
    assert most <= 3
    assert found == read(config)


def test_keeping_when_another_run_holds_the_folder_then_it_is_refused(tmp_path: Path) -> None:
    with keeping(tmp_path / "state"), pytest.raises(EngineError, match="another process is using the events"):  # noqa: SIM117
        with keeping(tmp_path / "state"):
            pass


def test_keeping_when_the_folder_holds_something_else_then_it_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds other files \('thesis\.txt'\)"), keeping(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_keeping_when_new_then_only_its_owner_may_look(tmp_path: Path) -> None:
    with keeping(tmp_path / "state"):
        assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_kept_events_when_events_are_one_file_then_it_says_what_to_do(folder: Path) -> None:
    config = of(folder, events={**SECTIONS["events"], "path": "events/1.parquet"})
    with pytest.raises(UsageError, match="is no folder, so what is new in it cannot be told"):
        step(config, folder / "state")


def test_kept_events_when_they_would_lie_among_the_events_then_it_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"lies in the folder \[events\] path"):
        step(of(folder), folder / "events" / "state")


def test_a_folder_of_events_when_it_holds_hidden_files_then_they_are_left_alone(folder: Path) -> None:
    whole = read(of(folder))
    (folder / "events" / ".4.parquet.tmp").write_bytes(b"half")
    (folder / "events" / "_SUCCESS").touch()
    assert read(of(folder)) == whole


def test_a_folder_of_events_when_empty_then_it_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "events")
    (folder / "events").mkdir()
    with pytest.raises(DataRefused, match="MQL-no-file events: the folder holds no file"):
        read(of(folder))


def test_a_folder_of_events_when_one_file_then_it_tells_what_the_file_alone_does(tmp_path: Path) -> None:
    config = write_leads(tmp_path)
    write_file(tmp_path, "1.parquet", events(4, 80))
    alone = config.model_copy(update={"events": config.events.model_copy(update={"path": "events/1.parquet"})})
    folder, file = read(config), read(alone)
    for name in ("rows", "counts"):
        assert folder[name] == file[name]
    here, there = (next(a for a in told["accounts"] if a.table == "events") for told in (folder, file))
    assert (here.used, here.quarantined, here.skipped) == (there.used, there.quarantined, there.skipped)
    assert [note.replace("events/1.parquet", "events") for note in folder["notes"]] == [
        note.replace("events/1.parquet", "events") for note in file["notes"]
    ]


def test_a_folder_of_events_when_rows_are_set_aside_then_their_content_can_be_looked_up(tmp_path: Path) -> None:
    config = write_leads(tmp_path)
    write_file(tmp_path, "1.parquet", events(4, 80))
    with read_history(config) as history:
        rows = history.quarantine.to_pylist()
    assert rows
    assert {row["file"] for row in rows} == {"events/1.parquet"}
    assert all("event_type" in json.loads(row["raw"]) for row in rows)
