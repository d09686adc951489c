"""Compiled code is kept where NUMBA_CACHE_DIR says; where nothing can be written the package works all the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mqlml

pytestmark = pytest.mark.long

CHILD = """
import numpy as np
import mqlml.review.treekernel
import mqlml.tape.kernel
from mqlml.tape.ordering import count_buckets
counts = np.zeros(2, np.int64)
count_buckets(np.array([0, 3, 3], np.int32), 4, counts)
print(mqlml.__file__, counts.tolist())
"""


def child(package: Path, **environment: str) -> str:
    hidden = {"NUMBA_CACHE_DIR", "XDG_CACHE_HOME"} - set(environment)
    inherited = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [sys.executable, "-W", "error", "-B", "-c", CHILD]
    done = subprocess.run(
        command,
        env={**inherited, **environment, "PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_functions_when_home_and_package_cannot_be_written_then_compiled_all_the_same(tmp_path: Path) -> None:
    package = tmp_path / "mqlml"
    shutil.copytree(Path(mqlml.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "tape" / "__pycache__").write_text("")  # no folder can be made here, not even by the superuser
    out = child(package, HOME=os.devnull, XDG_CACHE_HOME=f"{os.devnull}/cache")
    assert out.split(maxsplit=1) == [str(package / "__init__.py"), "[1, 2]\n"]


def test_functions_when_a_cache_folder_is_named_then_kept_there(tmp_path: Path) -> None:
    child(Path(mqlml.__file__).parent, NUMBA_CACHE_DIR=str(tmp_path))
    assert [path.name.split(".")[0] for path in tmp_path.rglob("*.nbi")] == ["ordering"]
