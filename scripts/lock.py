"""Write requirements.lock and requirements-extras.lock: every version pinned, every file hashed, no address in them.

``requirements.lock`` holds the package with its ``dev`` extra; ``requirements-extras.lock`` holds what ``spark`` and
``postgres`` need beyond it. Versions already locked are kept unless ``--upgrade`` is given. Needs ``uv`` on the path.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
EXTRAS_LOCK = ROOT / "requirements-extras.lock"
HEADER = "# {what}, for CPython 3.11 to 3.13 on Linux and Apple silicon. Written by `make lock`.\n"
ENTRY = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)
MARKER = re.compile(r"^[\w.-]+==\S+( ; .*)(?= \\$)", re.MULTILINE)
UV = "uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes"
PLAIN = "--no-emit-index-url --no-annotate --no-header"


def compile_lock(target: Path, *, extras: list[str], options: list[str]) -> list[str]:
    """Resolve the package with some extras and return one entry (a pinned version and its hashes) per distribution."""
    named = [part for extra in extras for part in ("--extra", extra)]
    command = [*UV.split(), *PLAIN.split(), *named, *options, "--output-file", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    text = target.read_text()
    # The platforms that nearly every entry repeats are said once, in the header.
    [(everywhere, _)] = Counter(MARKER.findall(text)).most_common(1)
    return [entry for entry in ENTRY.split(text.replace(everywhere, "")) if entry.strip()]


def main(options: list[str]) -> None:
    """Write both files; ``options`` go to ``uv pip compile``."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder, "lock.txt")
        if LOCK.exists():
            work.write_text(LOCK.read_text() + (EXTRAS_LOCK.read_text() if EXTRAS_LOCK.exists() else ""))
        core = compile_lock(work, extras=["dev"], options=options)
        pins = Path(folder, "pins.txt")
        pins.write_text("".join(entry.split(" \\\n")[0] + "\n" for entry in core))
        extras = compile_lock(work, extras=["dev", "spark", "postgres"], options=[*options, "-c", str(pins)])
    LOCK.write_text(HEADER.format(what="mqlml with its dev extra") + "".join(core))
    beyond = [entry for entry in extras if entry not in core]
    EXTRAS_LOCK.write_text(HEADER.format(what="What the spark and postgres extras need beyond it") + "".join(beyond))


if __name__ == "__main__":
    main(sys.argv[1:])
