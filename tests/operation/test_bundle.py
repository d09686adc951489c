"""Bundles are whole, named after their content, and refused before parsing when anything is wrong."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from mqlml.errors import DataRefused, EngineError
from mqlml.operation import bundle as bundles
from mqlml.operation.bundle import is_model_version, moment_name, read_bundle, read_json, write_bundle

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def load_hostile():
    spec = importlib.util.spec_from_file_location("hostile", Path(__file__).with_name("hostile.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hostile = load_hostile()
GOOD = hostile.GOOD


def content(folder):
    return {f.name: f.read_bytes() for f in folder.iterdir()}


def test_write_bundle_when_read_back_then_parts_are_equal(tmp_path):
    path = write_bundle(GOOD, tmp_path / "models", as_of=MARCH)
    bundle = read_bundle(path)
    assert bundle.path == path.resolve()
    assert bundle.model_version == path.name
    assert dict(bundle.parts) == GOOD
    with pytest.raises(TypeError, match="does not support item assignment"):
        bundle.parts["model.txt"] = b""


def test_write_bundle_when_hashed_by_the_system_tool_then_sums_agree(tmp_path):
    path = write_bundle(GOOD, tmp_path, as_of=MARCH)
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=path, capture_output=True, check=True)
    assert done.stdout.count(b": OK") == len(GOOD)
    outer = subprocess.run(["sha256sum", "SHA256SUMS"], cwd=path, capture_output=True, check=True).stdout.decode()
    assert path.name == f"2026-03-01-{outer[:12]}"


def test_write_bundle_when_repeated_then_same_path_untouched(tmp_path):
    first = write_bundle(GOOD, tmp_path, as_of=MARCH)
    before = {f.name: f.stat().st_mtime_ns for f in first.iterdir()}
    second = write_bundle(dict(reversed(GOOD.items())), tmp_path, as_of=MARCH)
    assert second == first
    assert {f.name: f.stat().st_mtime_ns for f in first.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == [first.name]


def test_write_bundle_when_one_byte_differs_then_another_version(tmp_path):
    first = write_bundle(GOOD, tmp_path, as_of=MARCH)
    second = write_bundle({**GOOD, "policy.json": b'{"threshold": 0.26}'}, tmp_path, as_of=MARCH)
    third = write_bundle(
        {**{n: d for n, d in GOOD.items() if n != "model.txt"}, "m.txt": GOOD["model.txt"]}, tmp_path, as_of=MARCH
    )
    assert len({first, second, third}) == 3


def test_write_bundle_when_existing_one_is_damaged_then_refused_and_kept(tmp_path):
    path = write_bundle(GOOD, tmp_path, as_of=MARCH)
    (path / "policy.json").write_bytes(b"{}")
    with pytest.raises(DataRefused, match=r"policy\.json: SHA-256 is"):
        write_bundle(GOOD, tmp_path, as_of=MARCH)
    assert (path / "policy.json").read_bytes() == b"{}"


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        (None, "undated"),
        (MARCH, "2026-03-01"),
        (MARCH + timedelta(hours=9, minutes=30), "2026-03-01T093000Z"),
        (MARCH + timedelta(microseconds=1), "2026-03-01T000000.000001Z"),
        (datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=1))), "2026-03-01"),
    ],
)
def test_moment_name_when_given_then_is_utc_and_a_file_name(moment, name, tmp_path):
    assert moment_name(moment) == name
    path = write_bundle(GOOD, tmp_path, as_of=moment)
    assert path.name.startswith(f"{name}-")
    assert is_model_version(path.name)
    assert read_bundle(path).model_version == path.name


def test_moment_name_when_without_zone_then_value_error():
    with pytest.raises(ValueError, match="has no time zone"):
        moment_name(datetime(2026, 3, 1))


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "../up.json",
        "/etc/x",
        "a/b",
        "a\\b",
        "a b",
        "a\n",
        "ä.json",
        "x" * 65,
        "a\0b",
        "~x",
        "%2e",
    ],
)
def test_write_bundle_when_name_is_not_allowed_then_refused_and_nothing_written(name, tmp_path):
    with pytest.raises(DataRefused, match="the name is not allowed in a bundle"):
        write_bundle({**GOOD, name: b"{}"}, tmp_path / "models", as_of=MARCH)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        ({}, "0 parts"),
        ({"SHA256SUMS": b""}, "1 parts cannot be written"),
        ({"a.json": b"{}", "A.json": b"{}"}, "upper and lower case"),
        ({"model.bin": b"\x80\x04\x95"}, "is a pickle"),
        ({"model.json": b"PK\x03\x04"}, "is a zip archive"),
        ({"model.json": b"a\0b"}, "is binary data"),
        ({"code.py": b""}, "is a '.py' file"),
    ],
)
def test_write_bundle_when_parts_are_not_allowed_then_refused(parts, match, tmp_path):
    with pytest.raises(DataRefused, match=match):
        write_bundle(parts, tmp_path / "models", as_of=MARCH)
    assert list(tmp_path.iterdir()) == []


def test_write_bundle_when_tables_and_text_then_accepted(tmp_path):
    parts = {
        "a.parquet": b"PAR1\x00PAR1",
        "b.arrow": b"ARROW1\0\0",
        "c.md": "# Ü\n".encode(),
        "d.csv": b"channel\nweb\n",
    }
    assert dict(read_bundle(write_bundle(parts, tmp_path, as_of=None)).parts) == parts


def test_write_bundle_when_disk_fails_on_the_way_then_nothing_is_left(tmp_path, monkeypatch):
    written = Path.write_bytes

    def fail(self, data):
        if self.name == "policy.json":
            raise OSError(28, "No space left on device")
        return written(self, data)

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(EngineError, match="No space left"):
        write_bundle(GOOD, tmp_path / "models", as_of=MARCH)
    assert list((tmp_path / "models").iterdir()) == []


def test_write_bundle_when_another_run_was_faster_then_its_bundle_is_used(tmp_path, monkeypatch):
    first = write_bundle(GOOD, tmp_path, as_of=MARCH)
    exists = iter([False, True])
    monkeypatch.setattr(Path, "exists", lambda _: next(exists, True))
    assert write_bundle(GOOD, tmp_path, as_of=MARCH) == first
    assert [p.name for p in tmp_path.iterdir()] == [first.name]


@pytest.mark.parametrize("name", hostile.names())
def test_read_bundle_when_damaged_or_hostile_then_refused(name, tmp_path):
    folder = hostile.make(write_bundle, tmp_path, name)
    with pytest.raises(DataRefused, match=r"MQL-bundle .*Fix: ") as caught:
        read_bundle(folder)
    message = str(caught.value)
    assert "\x1b" not in message
    assert len(message) < 5_000
    assert not Path("/tmp/mqlml-was-run").exists()


def test_read_bundle_when_several_files_are_wrong_then_all_are_named_with_both_hashes(tmp_path):
    folder = write_bundle(GOOD, tmp_path, as_of=MARCH)
    sums = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    (folder / "policy.json").write_bytes(b"")
    (folder / "model.txt").write_bytes(GOOD["model.txt"].replace(b"\n", b"\r\n"))
    with pytest.raises(DataRefused) as caught:
        read_bundle(folder)
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert f"policy.json: SHA-256 is {empty}, expected {sums['policy.json']}." in str(caught.value)
    assert "its line ends were changed to CRLF" in str(caught.value)
    assert len(caught.value.problems) == 2


def test_read_bundle_when_a_file_is_too_large_then_refused_without_reading_it(tmp_path, monkeypatch):
    folder = write_bundle(GOOD, tmp_path, as_of=MARCH)
    monkeypatch.setattr(bundles, "MAX_PART_BYTES", 60)
    with pytest.raises(DataRefused, match=r"model\.txt: \d+ bytes, the limit is 60"):
        read_bundle(folder)


def test_read_bundle_when_reached_through_a_link_then_name_is_that_of_the_folder(tmp_path):
    folder = write_bundle(GOOD, tmp_path, as_of=MARCH)
    (tmp_path / "current").symlink_to(folder.name)
    assert read_bundle(tmp_path / "current").model_version == folder.name


def test_read_bundle_when_damaged_then_no_parser_has_seen_a_byte(tmp_path, monkeypatch):
    folder = hostile.make(write_bundle, tmp_path, "bit flipped in model.json (0)")
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("parsed before the hash was right"))
    with pytest.raises(DataRefused, match=r"model\.json: SHA-256"):
        read_bundle(folder)


CHILD = """
import json, pathlib, sys
from mqlml.errors import DataRefused, shown
from mqlml.operation.bundle import read_bundle, read_json
shown("warm \\x1b up the codec")
folders = [pathlib.Path(p) for p in json.load(sys.stdin)]
folder = None
events = []
def hook(event, arguments):
    if event in ("open", "os.scandir"):
        file = arguments[0]
        if isinstance(file, int) or pathlib.PurePath(file) == folder or pathlib.PurePath(file).parent == folder:
            return
    events.append((event, repr(arguments)[:200]))
sys.addaudithook(hook)
refused = accepted = 0
for folder in folders:
    try:
        bundle = read_bundle(folder)
        read_json(bundle.parts, "model.json")
        accepted += 1
    except DataRefused:
        refused += 1
print(json.dumps({"refused": refused, "accepted": accepted, "events": events}))
"""


def test_read_bundle_when_loading_hostile_bundles_then_runs_no_code(tmp_path):
    folders = [write_bundle(GOOD, tmp_path / "good", as_of=MARCH)]
    folders += [hostile.make(write_bundle, tmp_path / f"{i}", name) for i, name in enumerate(hostile.names())]
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps([str(f) for f in folders]).encode(),
        capture_output=True,
        check=True,
    )
    assert len(hostile.names()) >= 60
    assert json.loads(done.stdout) == {"refused": len(hostile.names()), "accepted": 1, "events": []}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b'{"a": NaN}', "NaN is not a finite number"),
        (b'{"a": [-Infinity]}', "-Infinity is not a finite number"),
        (b'{"a": 1e999}', "1e999 is not a finite number"),
        (b'{"a": 1, "a": 2}', "a key stands twice"),
        (b'[{"b": {"c": 1, "c": 1}}]', "a key stands twice"),
        (b"", "Expecting value"),
        (b'{"a": 1} x', "Extra data"),
        (b'\xef\xbb\xbf{"a": 1}', "BOM"),
        ('{"a": 1}'.encode("utf-16"), "utf-8"),
        (b"[" * 200_000, "recursion"),
        (b"9" * 5000, "digits"),
    ],
)
def test_read_json_when_not_strict_then_refused(text, what):
    with pytest.raises(DataRefused, match=f"MQL-json x.json: is not strict JSON: .*{what}"):
        read_json({"x.json": text}, "x.json")


def test_read_json_when_strict_then_parsed():
    assert read_json({"x": b'{"a": [1, 2.5, -0.0, null, true, "\\u00fc"]}'}, "x") == {"a": [1, 2.5, 0, None, True, "ü"]}


def test_read_json_when_missing_then_refused():
    with pytest.raises(DataRefused, match=r"policy\.json: is not in this bundle"):
        read_json({}, "policy.json")
