"""Code blocks of Markdown pages, and a shell to run them in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LANGUAGES = ("sh", "bash", "python")
# A block may be preceded by what keeps it from being run, or by the exit code that is as good as 0.
_BLOCK = re.compile(
    r"(?:^<!-- (?P<said>[^\n]*) -->\n\n?)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_FINE_TOO = re.compile(r"may end with (\d)")

SHIM = """#!{python}
import os, sys
from mqlml.cli import main

arguments = sys.argv[1:]
if "sample" in arguments and "--leads" in arguments:
    arguments[arguments.index("--leads") + 1] = "1000"
code = main(arguments)
if "sample" in arguments and code == 0 and os.environ.get("SMALL_MODEL"):
    with open(os.path.join(arguments[arguments.index("--out") + 1], "mqlml.toml"), "a") as file:
        file.write(os.environ["SMALL_MODEL"])
if code == 4 and os.environ.get("FINE_TOO") == "4":
    code = 0
sys.exit(code)
"""
SMALL_MODEL = "\n[model]\nbags = 2\norigins = 1\nthreads = 1\n\n[features]\nwindows_days = [7, 30]\n"


@dataclass(frozen=True)
class Block:
    """One piece of code of a page.

    ``not_run`` says why it cannot be run here; ``fine_too`` is an exit code that is as good as 0.
    """

    page: str
    line: int
    language: str
    text: str
    not_run: str = ""
    fine_too: str = ""


def blocks_of(page: Path) -> Iterator[Block]:
    """Every shell and Python block of a page, with what the comment before it says."""
    content = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(content):
        if found["language"] in LANGUAGES:
            said = found["said"] or ""
            fine = _FINE_TOO.search(said)
            yield Block(
                page=page.name,
                line=content.count("\n", 0, found.start("text")),
                language=found["language"],
                text=found["text"],
                not_run=said.removeprefix("not run: ") if said.startswith("not run: ") else "",
                fine_too=fine[1] if fine else "",
            )


class Shell:
    """A folder, and a PATH whose ``mqlml`` is this source tree, on 1,000 leads where a sample is written."""

    def __init__(self, folder: Path, *, root: Path, small: bool = False) -> None:
        self.folder = folder
        tools = folder / ".venv/bin"
        tools.mkdir(parents=True)
        shim = tools / "mqlml"
        shim.write_text(SHIM.format(python=sys.executable), encoding="utf-8")
        shim.chmod(0o755)
        paths = os.pathsep.join(filter(None, [str(root / "src"), os.environ.get("PYTHONPATH")]))
        self.environment = {
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": paths,
            **({"SMALL_MODEL": SMALL_MODEL} if small else {}),
        }

    def run(self, block: Block) -> str:
        """Run a block and the ones before it as a reader would: in one place, stopping at the first failure."""
        command = [sys.executable, "-"] if block.language == "python" else ["bash", "-eu", "-o", "pipefail"]
        where = self.folder / "here"
        start = where.read_text(encoding="utf-8").strip() if where.exists() else str(self.folder)
        tail = "" if block.language == "python" else f'\npwd > "{where}"\n'
        done = subprocess.run(
            command,
            input=block.text + tail,
            cwd=start,
            env={**self.environment, "FINE_TOO": block.fine_too},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block.page}, line {block.line}: {block.text}\n{done.stdout}\n{done.stderr}"
        return done.stdout
