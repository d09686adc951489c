"""``mqlml threshold``: from stored weeks to a policy in force, and every bad input with its exit code and way out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from decision.test_choosing import certifiable

from mqlml.cli import main
from mqlml.config import Policy as Settings
from mqlml.decision.basis import Basis
from mqlml.decision.choosing import set_policy
from mqlml.decision.value import Worth
from mqlml.errors import DataRefused, EngineError, UsageError
from mqlml.operation.bundle import read_bundle, write_bundle
from mqlml.operation.policies import REPLAY, active_policy, add_policy, encode_replay, policy_history
from mqlml.operation.registry import adopt_first

TOML = '[leads]\npath = "leads.csv"\n[outcomes]\n'


def folder_of(path: Path, *, kept: bool = True, certify: bool = True) -> Path:
    """Make a folder with settings and a bundle that holds a policy and, if kept, its replay."""
    replay = certifiable()
    worth = np.full(len(replay.p), 1_000.0)
    replay = replace(replay, more=MappingProxyType({"worth_learned": worth, "accepted": replay.won}))
    basis = Basis(replay, 0.2, 7, 30, "won", certifiable=certify, worths={"learned": Worth(None, None, 1_000.0)})
    policy = set_policy(Settings(capacity_per_week=3), replay, base_rate=0.2)
    parts = {"policy.json": json.dumps(policy.to_dict()).encode()}
    if kept:
        parts[REPLAY] = encode_replay(basis)
    bundle = write_bundle(parts, path / "models", as_of=None)
    adopt_first(path / "models", bundle.name)
    (path / "mqlml.toml").write_text(TOML)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(tmp_path)


def ask(folder: Path, *arguments: str) -> int:
    return main(["threshold", "--config", str(folder / "mqlml.toml"), *arguments])


def told(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert ask(folder, "--json", *arguments) == 0
    return json.loads(capsys.readouterr().out)


def test_threshold_when_nothing_is_asked_then_the_policy_in_force_is_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(folder) == 0
    out = capsys.readouterr().out
    assert "at most 3 new MQLs" in out
    assert "MQL from a chance of 40.0 %" in out
    assert "is in force" in out


def test_threshold_when_another_capacity_is_asked_then_nothing_changes_without_set(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(folder, capsys, "--capacity", "5")
    assert found["policy"]["threshold"] == pytest.approx(0.30)
    assert found["decision"]["mqls_per_week"]["median"] == 5
    assert found["policy_version"] != found["in_force"]
    assert not list((folder / "models").glob("*.policies"))


def test_threshold_when_set_then_it_is_in_force_and_the_history_names_who_and_why(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = told(folder, capsys, "--capacity", "5", "--set", "--author", "A. Lee", "--reason", "two new colleagues")
    assert first["set"]
    second = told(folder, capsys, "--floor", "0.2", "--set", "--author", "B. Oh", "--reason", "agreed on Monday")
    assert second["policy"]["settings"] == {"capacity_per_week": 5, "floor": 0.2}, "other rules stay"
    assert [v["author"] for v in second["versions"]] == ["mqlml train", "A. Lee", "B. Oh"]
    bundle = read_bundle(next((folder / "models").glob("undated-*[0-9a-f]")))
    assert active_policy(bundle).version == second["policy_version"] == second["in_force"]
    assert policy_history(bundle)[1].evidence["mqls"] == first["decision"]["mqls"]
    third = told(folder, capsys, "--without", "floor", "--capacity", "3")
    assert third["policy"]["settings"] == {"capacity_per_week": 3}


def test_threshold_when_certified_then_the_promise_and_its_leads_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(folder, "--precision", "0.5", "--without", "capacity_per_week") == 0
    out = capsys.readouterr().out
    assert "of whom at least 50 % win (certified at 90 %)" in out
    assert "Of 100 MQLs: " in out


def test_threshold_when_an_earlier_date_is_given_then_later_weeks_do_not_count(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, early = told(folder, capsys), told(folder, capsys, "--as-of", "1970-05-01")
    assert early["decision"]["weeks"] < whole["decision"]["weeks"]


BAD = [
    (["--capacity", "0"], 2, "0 is not in the range x>=1"),
    (["--cost", "-5", "--value", "10"], 2, "-5.0 is not in the range x>0"),
    (["--cost", "5", "--value", "-10"], 2, "what a win is worth is above 0, not -10"),
    (["--cost", "50", "--value", "10"], 2, "no lead could ever pay for itself; give a cost below 10"),
    (["--cost", "50"], 2, "'cost' and 'value' go together"),
    (["--cost", "5", "--value", "much"], 2, "--value much: neither a number nor 'learned' nor 'column'"),
    (["--cost", "5", "--value", "column"], 2, "trained without [policy] value_column. Hint: name one"),
    (["--cost", "90", "--value", "100"], 4, "highest was 50 %. Hint: with value 100 a cost of 50 or less can be met"),
    (["--cost", "900", "--value", "learned"], 4, "best chance times value was 500. Hint: a cost of 500 or less"),
    (["--precision", "1.5"], 2, "1.5 is not in the range 0<x<1"),
    (["--precision", "0.99"], 4, "cannot be certified at 90 %: of the "),
    (["--recall", "0.9"], 4, "Hint: ask for recall 0.6 or less, or allow 5 MQLs a week"),
    (["--floor", "0.8"], 4, "Hint: a floor of 0.5 or less can be met"),
    (["--without", "precision"], 2, "the policy in force has no such rule. Hint: it has: capacity_per_week"),
    (["--set"], 2, "Hint: give --author and --reason with --set"),
    (["--capacity", "4", "--author", "A"], 2, "--author and --reason belong to --set"),
    (["--set", "--author", "A", "--reason", "B"], 2, "is in force already; nothing was changed"),
    (["--capacity", "4", "--set", "--author", " ", "--reason", "B"], 2, "the author is empty"),
    (["--as-of", "yesterday"], 2, "'yesterday' is not a date"),
    (["--as-of", "1970-01-05"], 2, "no replayed week was known yet. Hint: the first was on 1970-01-31"),
    (["--model", "none"], 2, "there is no bundle 'none'"),
    (["--capacty", "3"], 2, "--capacty"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "words"), BAD, ids=[" ".join(a) for a, _, _ in BAD])
def test_threshold_when_the_input_is_bad_then_one_line_says_what_could_be(
    arguments: list[str], code: int, words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(folder, *arguments) == code
    found = capsys.readouterr()
    assert found.out == ""
    assert words in found.err
    assert len(found.err.strip().splitlines()) == 1
    assert not list((folder / "models").glob("*.policies/*"))


def test_threshold_when_the_model_learned_from_everything_then_it_cannot_certify(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(folder_of(tmp_path, certify=False), "--precision", "0.4") == 4
    assert "set [model] refit = false and train again" in capsys.readouterr().err


def test_threshold_when_the_bundle_keeps_no_replay_then_it_says_to_train_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(folder_of(tmp_path, kept=False), "--capacity", "4") == 4
    assert "Hint: train again" in capsys.readouterr().err


def test_train_when_precision_is_asked_of_a_model_fitted_on_everything_then_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mqlml.toml").write_text(TOML + "[policy]\nprecision = 0.2\n")
    assert main(["train", "--config", str(tmp_path / "mqlml.toml")]) == 2
    assert "add refit = false to [model], or remove precision" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("capacity_per_week = 0", "[policy] capacity_per_week: Input should be greater than or equal to 1"),
        ("cost = 30\nvalue = 20", "give a cost below 20, or a value above 30"),
        ('cost = 30\nvalue = "lots"', "'lots' is neither a number nor 'learned'"),
        ('cost = 30\nvalue = 90\nvalue_column = "size"', "keep one"),
        ("recall = 1.2", "[policy] recall"),
        ('unit = "team"', "[policy] unit"),
    ],
)
def test_settings_when_a_rule_is_wrong_then_exit_2_names_the_key(
    policy: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mqlml.toml").write_text(f"{TOML}[policy]\n{policy}\n")
    assert main(["train", "--config", str(tmp_path / "mqlml.toml")]) == 2
    assert words in capsys.readouterr().err


def test_policy_history_when_a_file_was_changed_by_hand_then_it_is_refused(folder: Path) -> None:
    bundle = read_bundle(next((folder / "models").glob("undated-*[0-9a-f]")))
    other = replace(active_policy(bundle), threshold=0.2)
    add_policy(bundle, other, author="A", reason="B")
    file = next((folder / "models").glob("*.policies/0001.json"))
    file.write_text(file.read_text().replace('"threshold": 0.2', '"threshold": 0.1'))
    with pytest.raises(DataRefused, match="was changed by hand"):
        active_policy(bundle)
    file.write_text("{}")
    with pytest.raises(DataRefused, match="does not hold exactly"):
        active_policy(bundle)


def test_add_policy_when_two_are_set_at_once_then_the_second_is_told_and_nothing_is_lost(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = read_bundle(next((folder / "models").glob("undated-*[0-9a-f]")))
    now = policy_history(bundle)
    add_policy(bundle, replace(now[0].policy, threshold=0.2), author="A", reason="B")
    # The second has read the history before the first wrote.
    monkeypatch.setattr("mqlml.operation.policies.policy_history", lambda _: now)
    with pytest.raises(EngineError, match="somebody else set a policy at the same moment"):
        add_policy(bundle, replace(now[0].policy, threshold=0.1), author="C", reason="D")
    monkeypatch.undo()
    assert [v.author for v in policy_history(bundle)] == ["mqlml train", "A"]
    assert not list((folder / "models").rglob("*.tmp"))


def test_add_policy_when_nobody_is_named_then_usage(folder: Path) -> None:
    bundle = read_bundle(next((folder / "models").glob("undated-*[0-9a-f]")))
    with pytest.raises(UsageError, match="the reason is empty"):
        add_policy(bundle, replace(active_policy(bundle), threshold=0.2), author="A", reason="")
