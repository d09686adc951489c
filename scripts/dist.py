"""Make dist/: sdist, wheel (built from the sdist) and software bill of materials, and try the wheel in a clean place.

The clean environment holds what the wheel needs to run, from ``requirements.lock`` with its hashes, and no more.
``--no-try`` leaves it out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
ENTRY = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)


def main(options: list[str]) -> None:
    """Write dist/ anew."""
    shutil.rmtree(DIST, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        sdist, wheel = build(ROOT, DIST, work=Path(folder))
        locked = lock_entries((ROOT / "requirements.lock").read_text(encoding="utf-8"))
        needed = closure("mqlml", set(locked))
        version = wheel.name.split("-")[1]
        bill = DIST / f"mqlml-{version}.cdx.json"
        bill.write_text(json.dumps(bill_of_materials(version, locked, needed), indent=2) + "\n", encoding="utf-8")
        if "--no-try" not in options:
            try_out(wheel, [locked[name] for name in sorted(needed)], Path(folder))
    for path in (sdist, wheel, bill):
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size:,} bytes")


def build(root: Path, out: Path, *, work: Path) -> tuple[Path, Path]:
    """Build the sdist, and from it alone the wheel."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(out), cwd=root)
    [sdist] = out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(work / "source", filter="data")
    [source] = (work / "source").iterdir()
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out), cwd=source)
    [wheel] = out.glob("*.whl")
    return sdist, wheel


def lock_entries(text: str) -> dict[str, str]:
    """The entries of a lock by the name of their package: a pinned version and its hashes."""
    entries = [entry for entry in ENTRY.split(text) if re.match(r"[\w.-]+==", entry)]
    return {canonicalize_name(entry.split("==")[0]): entry for entry in entries}


def closure(name: str, known: set[str]) -> set[str]:
    """The packages of ``known`` that one needs to run, as the metadata of what is installed here say."""
    found: set[str] = set()
    waiting = [(name, frozenset[str]())]
    while waiting:
        current, extras = waiting.pop()
        for text in requires(current) or ():
            one = Requirement(text)
            wanted = one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras))
            key = canonicalize_name(one.name)
            if wanted and key in known and key not in found:
                found.add(key)
                waiting.append((key, frozenset(one.extras)))
    return found


def bill_of_materials(version: str, locked: dict[str, str], needed: set[str]) -> dict[str, object]:
    """A CycloneDX 1.6 document: what the wheel needs to run is required, the rest of the lock is excluded."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": f"pkg:pypi/mqlml@{version}",
                "name": "mqlml",
                "version": version,
                "purl": f"pkg:pypi/mqlml@{version}",
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [component(name, entry, required=name in needed) for name, entry in sorted(locked.items())],
    }


def component(name: str, entry: str, *, required: bool) -> dict[str, object]:
    """One locked package; the hashes are those of its files for all platforms."""
    version = re.match(r"[\w.-]+==([^\s;]+)", entry)[1]  # type: ignore[index]
    purl = f"pkg:pypi/{name}@{version}"
    hashes = re.findall(r"sha256:([0-9a-f]{64})", entry)
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "scope": "required" if required else "excluded",
        "properties": [{"name": "mqlml:sha256-of-a-file", "value": value} for value in hashes],
    }


def try_out(wheel: Path, entries: list[str], work: Path) -> None:
    """Install the wheel beside nothing but what it needs, and run it."""
    requirements = work / "requirements.txt"
    requirements.write_text("".join(entries), encoding="utf-8")
    run(sys.executable, "-m", "venv", str(work / "clean"))
    python = str(work / "clean/bin/python")
    quiet = ("--quiet", "--disable-pip-version-check")
    run(python, "-m", "pip", "install", *quiet, "--require-hashes", "--no-deps", "-r", str(requirements))
    run(python, "-m", "pip", "install", *quiet, "--no-index", "--no-deps", str(wheel))
    run(python, "-m", "pip", "check")
    mqlml = str(work / "clean/bin/mqlml")
    run(mqlml, "--version", cwd=work)
    run(mqlml, "sample", "--leads", "1000", "--out", "sample", cwd=work)
    run(mqlml, "doctor", "--config", "sample/mqlml.toml", cwd=work)


def run(*command: str, cwd: Path | None = None) -> None:
    """Run a command; its failure ends this one."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run(command, cwd=cwd, check=True, env=clean)


if __name__ == "__main__":
    main(sys.argv[1:])
