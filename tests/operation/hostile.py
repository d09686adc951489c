"""Damaged and hostile bundles, each one change away from a good one."""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import os
import pickle
import random
import zipfile
import zlib

GOOD = {
    "model.txt": b"tree\nversion=v4\nnum_class=1\nleaf_value=0.125 -0.25\nend of trees\n",
    "model.json": json.dumps({"features": ["events.any.count_7d"], "levels": ["a", "b"]}).encode(),
    "policy.json": b'{"threshold": 0.25}',
    "golden.json": b'{"rows": [[1.0, 2.5]], "probability": [0.5]}',
    "manifest.json": b'{"as_of": "2026-03-01T00:00:00+00:00"}',
}


def rehash(folder):
    """Make SHA256SUMS fit the files again, as somebody who edits a bundle would."""
    names = sorted(f.name for f in folder.iterdir() if f.name != "SHA256SUMS" and f.is_file())
    lines = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    sums = "".join(lines).encode()
    (folder / "SHA256SUMS").write_bytes(sums)
    return folder.rename(folder.with_name(f"2026-03-01-{hashlib.sha256(sums).hexdigest()[:12]}"))


def edit(name, change):
    def mutate(folder):
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return mutate


def edit_lines(change):
    return edit("SHA256SUMS", lambda data: b"".join(change(data.splitlines(keepends=True))))


def flip(name, seed):
    def change(data):
        rng = random.Random(seed)
        at = rng.randrange(len(data))
        return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]

    return edit(name, change)


def plant(name, data, *, fitting=True):
    """Put a file into the bundle, by default with hashes and folder name to match."""

    def mutate(folder):
        (folder / name).write_bytes(data)
        return rehash(folder) if fitting else None

    return mutate


def swapped(folder):
    model, policy = (folder / "model.json").read_bytes(), (folder / "policy.json").read_bytes()
    (folder / "model.json").write_bytes(policy)
    (folder / "policy.json").write_bytes(model)


def linked(folder):
    (folder / "model.txt").rename(folder.parent / "elsewhere.txt")
    (folder / "model.txt").symlink_to(folder.parent / "elsewhere.txt")


def sums_linked(folder):
    (folder / "SHA256SUMS").rename(folder.parent / "sums")
    (folder / "SHA256SUMS").symlink_to(folder.parent / "sums")


def piped(folder):
    (folder / "model.txt").unlink()
    os.mkfifo(folder / "model.txt")


def replaced_by_folder(folder):
    (folder / "model.txt").unlink()
    (folder / "model.txt").mkdir()


def renamed(name):
    return lambda folder: folder.rename(folder.with_name(name))


def zipped():
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", "{}")
    return buffer.getvalue()


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch /tmp/mqlml-was-run",))


DIGEST = hashlib.sha256(b"").hexdigest().encode()
SUMS_LINES = {
    "sums line twice": lambda lines: [lines[0], *lines],
    "sums line twice with another hash": lambda lines: [DIGEST + lines[0][64:], *lines],
    "sums lines in another order": lambda lines: lines[::-1],
    "sums line missing": lambda lines: lines[1:],
    "sums empty": lambda _: [],
    "sums without last line end": lambda lines: [*lines[:-1], lines[-1].rstrip(b"\n")],
    "sums with CRLF": lambda lines: [line.replace(b"\n", b"\r\n") for line in lines],
    "sums with blank line": lambda lines: [*lines, b"\n"],
    "sums with comment": lambda lines: [b"# checked by me\n", *lines],
    "sums with upper case": lambda lines: [lines[0].upper(), *lines[1:]],
    "sums with one space": lambda lines: [lines[0].replace(b"  ", b" "), *lines[1:]],
    "sums with binary star": lambda lines: [lines[0].replace(b"  ", b" *"), *lines[1:]],
    "sums with short hash": lambda lines: [lines[0][8:], *lines[1:]],
    "sums with parent path": lambda lines: [*lines, DIGEST + b"  ../escape.json\n"],
    "sums with absolute path": lambda lines: [*lines, DIGEST + b"  /etc/hostname\n"],
    "sums with backslash path": lambda lines: [*lines, DIGEST + b"  ..\\escape.json\n"],
    "sums with encoded path": lambda lines: [*lines, DIGEST + b"  %2e%2e%2fescape\n"],
    "sums with hidden file": lambda lines: [DIGEST + b"  .hidden\n", *lines],
    "sums with itself": lambda lines: [DIGEST + b"  SHA256SUMS\n", *lines],
    "sums with NUL": lambda lines: [*lines, DIGEST + b"  a\0b\n"],
    "sums with UTF-8 name": lambda lines: [*lines, DIGEST + "  modèle\n".encode()],
    "sums with long name": lambda lines: [*lines, DIGEST + b"  " + b"z" * 65 + b"\n"],
    "sums with huge line": lambda lines: [*lines, b"a" * 5_000_000 + b"\n"],
    "sums with missing file": lambda lines: [*lines, DIGEST + b"  zz.json\n"],
    "sums with byte order mark": lambda lines: [b"\xef\xbb\xbf", *lines],
    "sums as UTF-16": lambda lines: [b"".join(lines).decode().encode("utf-16")],
    "sums with wrong digest": lambda lines: [DIGEST + lines[0][64:], *lines[1:]],
}

MUTATIONS = {
    **{f"bit flipped in {n} ({i})": flip(n, i) for n in [*GOOD, "SHA256SUMS"] for i in range(4)},
    **{f"{name} cut in half": edit(name, lambda data: data[: len(data) // 2]) for name in GOOD},
    **{f"{name} emptied": edit(name, lambda _: b"") for name in GOOD},
    **{name: edit_lines(change) for name, change in SUMS_LINES.items()},
    "model with CRLF": edit("model.txt", lambda data: data.replace(b"\n", b"\r\n")),
    "model with line twice": edit("model.txt", lambda data: data.replace(b"leaf_value=", b"leaf_value=9\nleaf_value=")),
    "model with byte appended": edit("model.txt", lambda data: data + b"\n"),
    "model missing": lambda folder: (folder / "model.txt").unlink(),
    "sums missing": lambda folder: (folder / "SHA256SUMS").unlink(),
    "all files missing": lambda folder: [f.unlink() for f in folder.iterdir()] and None,
    "folder missing": lambda folder: folder.rename(folder.with_name("gone")) and None,
    "files swapped": swapped,
    "model is a link": linked,
    "sums is a link": sums_linked,
    "model is a pipe": piped,
    "model is a folder": replaced_by_folder,
    "extra file": plant("extra.json", b"{}", fitting=False),
    "extra hidden file": plant(".extra", b"", fitting=False),
    "extra module": plant("sitecustomize.py", b"raise SystemExit", fitting=False),
    "extra file with control characters": plant("a\nb\x1b[31m", b"", fitting=False),
    "extra file with invalid name": plant(os.fsdecode(b"\xff\xfe"), b"", fitting=False),
    "extra folder": lambda folder: (folder / "code").mkdir(),
    "300 extra files": lambda folder: [(folder / f"x{i}").touch() for i in range(300)] and None,
    "edited with hashes to match, old name": lambda folder: (
        rehash([plant("policy.json", b'{"threshold": 0.01}', fitting=False)(folder), folder][1]).rename(folder) and None
    ),
    "folder renamed": renamed("2026-03-01-000000000000"),
    "folder named latest": renamed("latest"),
    "pickle": plant("calibrator.pkl", pickle.dumps(Bomb())),
    **{f"pickle of protocol {p} as JSON": plant("calibrator.json", pickle.dumps(Bomb(), protocol=p)) for p in range(6)},
    **{f"pickled dict of protocol {p}": plant("c.json", pickle.dumps({"a": 1}, protocol=p)) for p in range(6)},
    "joblib with zlib as JSON": plant("calibrator.json", zlib.compress(pickle.dumps(Bomb()))),
    "pickle with gzip as text": plant("model.txt", gzip.compress(pickle.dumps(Bomb()))),
    "skops zip as JSON": plant("calibrator.json", zipped()),
    "Python module": plant("loader.py", b"import os\n"),
    "shared library": plant("model.so", b"\x7fELF\x02\x01\x01\x00"),
    "binary data as text": plant("model.txt", bytes(range(256))),
    "Latin-1 as JSON": plant("model.json", '{"a": "ä"}'.encode("latin-1")),
    "hidden file with hash": plant(".hidden", b"{}"),
    "long name with hash": plant("z" * 65, b"{}"),
    "space in name with hash": plant("my model.json", b"{}"),
}


@functools.cache
def names():
    return sorted(MUTATIONS)


def make(write_bundle, models, name):
    """Write the good bundle into ``models`` and damage it; return where it now is."""
    from datetime import UTC, datetime

    folder = write_bundle(GOOD, models, as_of=datetime(2026, 3, 1, tzinfo=UTC))
    return MUTATIONS[name](folder) or folder
