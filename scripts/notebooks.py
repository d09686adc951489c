"""Run notebooks and write each as .ipynb with its outputs; the .py file (py:percent) is the source.

Without arguments, every ``notebooks/*.py`` is run in an empty folder of its own and its .ipynb written beside it.
``--out FOLDER`` writes elsewhere; ``--check`` runs nothing and fails where an .ipynb is missing, has no outputs or
shows an older source than its .py.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
SECONDS_PER_CELL = 600


def read_source(source: Path) -> NotebookNode:
    """Read a py:percent file as a notebook without outputs, with cell names that do not change from run to run."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        cell.metadata = {}
    return notebook


def execute(notebook: NotebookNode, *, folder: Path) -> NotebookNode:
    """Run all cells in ``folder`` and keep what they show, without times and without where it ran.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell raised; the message shows the cell and the traceback.
    """
    client = NotebookClient(notebook, timeout=SECONDS_PER_CELL, record_timing=False)
    done = client.execute(cwd=str(folder))
    for cell in done.cells:
        for output in cell.get("outputs", ()):
            if "text" in output:
                output.text = output.text.replace(str(folder), ".")
    return done


def problems(source: Path) -> Iterator[str]:
    """Say what is wrong with the .ipynb beside a source; nothing where it is up to date."""
    pair = source.with_suffix(".ipynb")
    if not pair.exists():
        yield f"{pair.name} is missing"
        return
    shown = nbformat.read(pair, as_version=4)
    code = [cell for cell in shown.cells if cell.cell_type == "code"]
    if [(c.cell_type, c.source) for c in shown.cells] != [(c.cell_type, c.source) for c in read_source(source).cells]:
        yield f"{pair.name} shows an older source than {source.name}"
    if any(cell.execution_count is None for cell in code):
        yield f"{pair.name} has cells that were not run"
    if any(output.output_type == "error" for cell in code for output in cell.outputs):
        yield f"{pair.name} shows an error"


def run(sources: list[Path], out: Path | None) -> int:
    """Execute notebooks and write them; return the exit code."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    for source in sources:
        with tempfile.TemporaryDirectory() as folder:
            try:
                done = execute(read_source(source), folder=Path(folder))
            except CellExecutionError as error:
                print(f"{source.name}: {error}", file=sys.stderr)
                return 1
        target = (out or source.parent) / f"{source.stem}.ipynb"
        nbformat.write(done, target)
        print(target)
    return 0


def check(sources: list[Path]) -> int:
    """Say which .ipynb files are not up to date; return the exit code."""
    found = [problem for source in sources for problem in problems(source)]
    for problem in found:
        print(f"{problem}. Fix: make notebooks", file=sys.stderr)
    return 1 if found else 0


def main() -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="*", type=Path, help="py:percent files (default: notebooks/*.py)")
    parser.add_argument("--out", type=Path, help="folder for the .ipynb files (default: beside the source)")
    parser.add_argument("--check", action="store_true", help="run nothing; fail where an .ipynb is not up to date")
    options = parser.parse_args()
    sources = options.sources or sorted((ROOT / "notebooks").glob("*.py"))
    return check(sources) if options.check else run(sources, options.out)


if __name__ == "__main__":
    sys.exit(main())
