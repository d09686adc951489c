"""A champion changes in one step or not at all, every change is kept, and the way back is always known."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from datetime import UTC, datetime

import pytest

from mqlml.errors import DataRefused, EngineError, UsageError
from mqlml.operation.bundle import write_bundle
from mqlml.operation.promotion import put_in_use, roll_back, set_challenger
from mqlml.operation.registry import adopt_first, champion, champion_review, resolve
from mqlml.operation.standing import alone, read_standing

GATES = [{"name": "not worse", "passed": True, "sentence": "It is not."}]


def bundle(models, day):
    return write_bundle({"model.txt": b"tree\n"}, models, as_of=datetime(2026, 3, day, tzinfo=UTC)).name


@pytest.fixture
def models(tmp_path):
    """Three bundles; the first is in use."""
    folder = tmp_path / "models"
    adopt_first(folder, bundle(folder, 1))
    bundle(folder, 2)
    bundle(folder, 3)
    return folder


@pytest.fixture
def names(models):
    return sorted(p.name for p in models.iterdir() if p.is_dir())


def use(models, old, new, **more):
    return put_in_use(models, new, expected=old, review=f"review of {new[8:10]}", **more)


def test_put_in_use_when_done_then_who_when_and_why_are_kept(models, names):
    set_challenger(models, names[1])
    use(models, names[0], names[1], author="B. Roy", reason="quarterly", at="2026-07-01T06:00:00+00:00", gates=GATES)
    standing = read_standing(models)
    assert champion(models).name == names[1]
    assert champion_review(models) == "review of 02"
    assert standing.challenger is None
    (change,) = standing.history
    assert (change.number, change.kind, change.before, change.before_review) == (1, "promoted", names[0], "unreviewed")
    assert (change.author, change.reason, change.at) == ("B. Roy", "quarterly", "2026-07-01T06:00:00+00:00")
    assert list(change.gates) == GATES
    assert change.forced is False


def test_roll_back_when_repeated_then_each_goes_one_further_back(models, names):
    use(models, names[0], names[1])
    use(models, names[1], names[2])
    assert roll_back(models).model_version == names[1]
    assert champion_review(models) == "review of 02"
    assert roll_back(models).model_version == names[0]
    assert champion_review(models) == "unreviewed"
    with pytest.raises(UsageError, match="is the first bundle that was in use"):
        roll_back(models)
    assert [c.kind for c in read_standing(models).history] == ["promoted", "promoted", "rolled back", "rolled back"]


def test_roll_back_when_a_bundle_was_rolled_back_then_it_is_not_returned_to(models, names):
    use(models, names[0], names[1])
    roll_back(models)
    use(models, names[0], names[2])
    assert roll_back(models).model_version == names[0]


def test_roll_back_when_the_bundle_before_is_damaged_then_refused_and_nothing_changes(models, names):
    use(models, names[0], names[1])
    before = (models / "champion.json").read_bytes()
    (models / names[0] / "model.txt").write_bytes(b"tree!")
    with pytest.raises(DataRefused, match=r"model\.txt: SHA-256"):
        roll_back(models)
    assert (models / "champion.json").read_bytes() == before


def test_put_in_use_when_another_champion_came_in_between_then_refused(models, names):
    use(models, names[0], names[1])
    with pytest.raises(UsageError, match=f"'{names[1]}' came in use while .*nothing was changed"):
        use(models, names[0], names[2])
    assert champion(models).name == names[1]


def test_put_in_use_when_in_use_already_or_damaged_then_refused(models, names):
    with pytest.raises(UsageError, match="in use already"):
        use(models, names[0], names[0])
    (models / names[1] / "model.txt").unlink()
    with pytest.raises(DataRefused, match=r"model\.txt: is missing"):
        use(models, names[0], names[1])
    assert champion(models).name == names[0]


def test_set_challenger_when_it_is_the_champion_then_there_is_none(models, names):
    assert set_challenger(models, names[0]) is False
    with pytest.raises(UsageError, match=r"there is no challenger .*mqlml retrain"):
        resolve(models, "challenger")
    assert set_challenger(models, names[2]) is True
    assert resolve(models, "challenger").name == names[2]
    assert resolve(models, "champion").name == names[0]


def test_alone_when_another_process_changes_it_then_engine_error(models, names):
    with alone(models), pytest.raises(EngineError, match="another process is changing"):
        set_challenger(models, names[1])
    set_challenger(models, names[1])


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"challenger": "../x"}, "'../x' is not a model version"),
        ({"history": {}}, "its history is not a list"),
        ({"history": [{"number": 1}]}, "entry 1 of its history"),
        ({"more": 1}, "does not hold exactly"),
    ],
)
def test_read_standing_when_damaged_then_refused(models, changed, match):
    file = models / "champion.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    with pytest.raises(DataRefused, match=match):
        read_standing(models)


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from mqlml.operation.promotion import put_in_use, roll_back

    models, old, new = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    BACK, TIMES = sys.argv[4] == "back", int(sys.argv[5])

    def step():
        if BACK:
            roll_back(models, author="killed")
        else:
            put_in_use(models, new, expected=old, review="read", author="killed")

    def at(event, number):
        # Die when the event comes for the given time; events are what Python itself reports of files.
        seen = 0
        def hook(name, arguments):
            nonlocal seen
            if name == event or (name == "open" and event == "after"):
                seen += 1
                if seen == number:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)

    def fsync_dies(number):
        real, seen = os.fsync, 0
        def fsync(descriptor):
            nonlocal seen
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
            real(descriptor)
        os.fsync = fsync

    pointer = models / "champion.json"
    first = pointer.read_bytes()
    points = [("open", k) for k in range(1, 13)] + [("os.rename", 1), ("fsync", 1), ("fsync", 2), ("os.remove", 1)]
    kills = 0
    for event, number in (points * TIMES)[: int(sys.argv[6])]:
        pointer.write_bytes(first)
        child = os.fork()
        if not child:
            fsync_dies(number) if event == "fsync" else at(event, number)
            step()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        dead = os.WIFSIGNALED(status)
        kills += dead
        data = pointer.read_bytes()
        whole = data == first or (data.count(b'"killed"') == first.count(b'"killed"') + 1 and data.endswith(b"}\\n"))
        assert whole, (event, number, data)
        # The next command works, whatever lies around.
        if data == first:
            step()
        from mqlml.operation.standing import read_standing
        assert read_standing(models).model_version == (old if BACK else new), (event, number)
    print(kills)

    """
)


def kill(models, old, new, way, *, trials, times=1):
    """Promote or roll back in children that are killed; return how many were."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, models, old, new, way, str(times), str(trials)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("way", ["forth", "back"])
def test_promotion_when_killed_anywhere_then_old_or_new_and_the_next_command_completes(models, names, way):
    if way == "back":
        use(models, names[0], names[1])
    assert kill(models, names[0], names[1], way, trials=16) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("way", ["forth", "back"])
def test_promotion_when_killed_hundreds_of_times_then_never_half_changed(models, names, way):
    if way == "back":
        use(models, names[0], names[1])
    assert kill(models, names[0], names[1], way, trials=320, times=20) >= 200
