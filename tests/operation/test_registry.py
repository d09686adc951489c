"""The champion is one bundle that exists and is good; names people give are found or explained."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mqlml.errors import DataRefused, UsageError
from mqlml.operation.bundle import write_bundle
from mqlml.operation.registry import adopt_first, champion, champion_review, resolve, set_champion


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


def bundle(models, day):
    return write_bundle({"model.txt": b"tree\n"}, models, as_of=datetime(2026, 3, day, tzinfo=UTC))


def test_champion_when_nothing_was_trained_then_none(models):
    assert champion(models) is None
    assert champion_review(models) is None


def test_adopt_first_when_there_is_none_then_becomes_champion_unreviewed(models):
    first = bundle(models, 1)
    assert adopt_first(models, first.name) is True
    assert champion(models) == first
    assert champion_review(models) == "unreviewed"
    assert json.loads((models / "champion.json").read_text()) == {"model_version": first.name, "review": "unreviewed"}


def test_adopt_first_when_there_is_one_then_it_stays(models):
    first, second = bundle(models, 1), bundle(models, 2)
    adopt_first(models, first.name)
    assert adopt_first(models, second.name) is False
    assert champion(models) == first


def test_set_champion_when_called_then_pointer_moves_with_its_review(models):
    first, second = bundle(models, 1), bundle(models, 2)
    adopt_first(models, first.name)
    set_champion(models, second.name, review="reviewed by marketing and sales")
    assert champion(models) == second
    assert champion_review(models) == "reviewed by marketing and sales"
    assert {p.name for p in models.iterdir()} == {first.name, second.name, "champion.json"}


def test_set_champion_when_bundle_is_damaged_then_refused_and_pointer_stays(models):
    first, second = bundle(models, 1), bundle(models, 2)
    adopt_first(models, first.name)
    (second / "model.txt").write_bytes(b"tree!")
    with pytest.raises(DataRefused, match=r"model\.txt: SHA-256"):
        set_champion(models, second.name, review="unreviewed")
    assert champion(models) == first


@pytest.mark.parametrize("name", ["2026-03-09-000000000000", "../models", "", "latest"])
def test_set_champion_when_bundle_is_unknown_then_usage_error_lists_what_exists(models, name):
    first = bundle(models, 1)
    with pytest.raises(UsageError, match=f"there is no bundle .*{first.name}"):
        set_champion(models, name, review="unreviewed")
    assert champion(models) is None


def test_set_champion_when_review_is_empty_then_usage_error(models):
    with pytest.raises(UsageError, match="review of a champion is empty"):
        set_champion(models, bundle(models, 1).name, review=" ")


@pytest.mark.parametrize(
    ("pointer", "match"),
    [
        (b"", "is not strict JSON"),
        (b"[]", "does not hold exactly the texts"),
        (b'{"model_version": 1, "review": "x"}', "does not hold exactly the texts"),
        (b'{"model_version": "x"}', "does not hold exactly the texts"),
        (b'{"model_version": "../../etc", "review": "x"}', "'../../etc' is not a model version"),
        (b'{"model_version": "2026-01-01-000000000000", "review": "x"}', "which is not there"),
        (b'{"model_version": "a", "model_version": "b", "review": "x"}', "a key stands twice"),
    ],
)
def test_champion_when_pointer_is_damaged_then_refused(models, pointer, match):
    bundle(models, 1)
    (models / "champion.json").write_bytes(pointer)
    with pytest.raises(
        DataRefused, match=rf"MQL-champion .*champion\.json: .*{match}.* Fix: choose the champion again"
    ):
        champion(models)


def test_resolve_when_no_name_then_champion(models):
    first = bundle(models, 1)
    with pytest.raises(UsageError, match=f"there is no champion .*existing bundles: {first.name}"):
        resolve(models, None)
    adopt_first(models, first.name)
    assert resolve(models, None) == first


def test_resolve_when_nothing_was_trained_then_says_to_train(models):
    with pytest.raises(UsageError, match=r"no champion.*Hint: run 'mqlml train' first"):
        resolve(models, None)


def test_resolve_when_version_or_path_then_found(models, tmp_path, monkeypatch):
    first = bundle(models, 1)
    assert resolve(models, first.name) == first
    assert resolve(tmp_path / "other", first) == first
    monkeypatch.chdir(models)
    assert resolve(Path("elsewhere"), f"./{first.name}") == Path(first.name)


@pytest.mark.parametrize("name", ["", ".", "..", "champion.json", "no such", "2026-03-01\n", "\x1b[31m"])
def test_resolve_when_name_is_wrong_then_usage_error_exit_2(models, name):
    bundle(models, 1)
    with pytest.raises(UsageError, match="there is no bundle") as caught:
        resolve(models, name)
    assert caught.value.exit_code == 2
    assert "\x1b" not in str(caught.value)


def test_resolve_when_nearly_right_then_says_the_nearest(models):
    first = bundle(models, 1)
    with pytest.raises(UsageError, match=f"did you mean '{first.name}'"):
        resolve(models, first.name[:-2])


def test_resolve_when_many_bundles_then_lists_five_newest_first(models):
    names = [bundle(models, day).name for day in range(1, 8)]
    with pytest.raises(UsageError) as caught:
        resolve(models, "xyz")
    assert f"existing bundles: {', '.join(names[:1:-1])}, ..." in str(caught.value)
