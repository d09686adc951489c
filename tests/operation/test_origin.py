"""Where a training came from, without a path or a name."""

from __future__ import annotations

import hashlib
import shutil
import subprocess

import pytest

from mqlml.config import Config
from mqlml.operation.origin import fingerprints, git_state


def test_fingerprints_when_tables_are_files_folders_or_databases_then_files_and_folders_are_hashed(tmp_path):
    (tmp_path / "leads.csv").write_bytes(b"lead_id\n1\n")
    (tmp_path / "events").mkdir()
    for name in ("b", "a"):
        (tmp_path / "events" / name).write_bytes(name.encode())
    tables = {
        "leads": {"path": "leads.csv"},
        "outcomes": {"path": "postgresql://me:secret@host/db", "won": ["won"]},
        "events": {"path": "events"},
        "stages": {"path": "not-there.csv"},
    }
    found = fingerprints(Config.of(tables, root=tmp_path))
    lines = "".join(f"{hashlib.sha256(n.encode()).hexdigest()}  {n}\n" for n in ("a", "b"))
    assert found == {
        "leads": {"bytes": 10, "files": 1, "sha256": hashlib.sha256(b"lead_id\n1\n").hexdigest()},
        "events": {"bytes": 2, "files": 2, "sha256": hashlib.sha256(lines.encode()).hexdigest()},
    }


def test_fingerprints_when_outcomes_are_columns_and_changes_were_collected_then_only_these_files_are_hashed(tmp_path):
    (tmp_path / "leads.csv").write_bytes(b"lead_id\n1\n")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "changes.parquet").write_bytes(b"PAR1")
    tables = {"leads": {"path": "leads.csv"}, "outcomes": {}, "history": {"collect": "kept"}}
    found = fingerprints(Config.of(tables, root=tmp_path))
    assert {name: told["bytes"] for name, told in found.items()} == {"leads": 10, "collected": 4}


def test_git_state_when_there_is_no_work_tree_or_no_git_then_empty(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) == {}
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) == {}


@pytest.mark.skipif(shutil.which("git") is None, reason="no git on this machine")
def test_git_state_when_in_a_work_tree_then_commit_and_whether_files_changed(tmp_path):
    def git(*arguments):
        me = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *me, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init")
    (tmp_path / "mqlml.toml").write_text("a")
    git("add", "mqlml.toml")
    git("commit", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert git_state(tmp_path) == {"commit": commit, "changed": "no"}
    (tmp_path / "mqlml.toml").write_text("b")
    assert git_state(tmp_path) == {"commit": commit, "changed": "yes"}
