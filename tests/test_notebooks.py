"""Every notebook runs from its source, and the .ipynb beside it shows that source with its outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
SOURCE = """\
# %% [markdown]
# # A title

# %%
from pathlib import Path

print("written in", Path("here.txt").resolve().parent)
1 + 1
"""


def notebooks(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the harness as `make notebooks` does."""
    command = [sys.executable, str(ROOT / "scripts/notebooks.py"), *map(str, arguments)]
    paths = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": paths})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a small py:percent file."""
    path = tmp_path / "small.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def test_harness_when_run_twice_then_writes_the_same_outputs_and_no_path(source, tmp_path):
    written = []
    for _ in range(2):
        result = notebooks(source)
        assert result.returncode == 0, result.stderr
        written.append((tmp_path / "small.ipynb").read_text(encoding="utf-8"))
    assert written[0] == written[1]
    shown = nbformat.reads(written[0], as_version=4)
    assert shown.cells[1].outputs[0].text == "written in .\n"
    assert shown.cells[1].outputs[1].data["text/plain"] == "2"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.ipynb", "small.py"]
    assert notebooks("--check", source).returncode == 0


def test_harness_when_a_cell_fails_then_exits_1_and_writes_nothing(source, tmp_path):
    source.write_text(SOURCE + "\n# %%\nassert 1 + 1 == 3\n", encoding="utf-8")
    result = notebooks(source)
    assert result.returncode == 1
    assert "assert 1 + 1 == 3" in result.stderr
    assert not (tmp_path / "small.ipynb").exists()


def test_check_when_the_source_changed_then_says_so(source):
    assert "small.ipynb is missing" in notebooks("--check", source).stderr
    assert notebooks(source).returncode == 0
    source.write_text(SOURCE + "\n2 + 2\n", encoding="utf-8")
    result = notebooks("--check", source)
    assert result.returncode == 1
    assert "shows an older source" in result.stderr


@pytest.mark.training
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_when_run_then_passes_its_own_assertions_and_is_shown_as_it_is(notebook, tmp_path):
    result = notebooks("--out", tmp_path, notebook)
    assert result.returncode == 0, result.stderr
    assert "assert " in notebook.read_text(encoding="utf-8")
    assert notebooks("--check", notebook).returncode == 0, "run `make notebooks`"
