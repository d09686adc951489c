"""The import rules hold, and each of them can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# A file, what is planted in it, and the import that has to be named as forbidden.
PLANTED = {
    "layers": [
        ("history/contract.py", "import mqlml.tape.features", "mqlml.history.contract -> mqlml.tape.features"),
        ("learning/labels.py", "def late() -> None:\n    import mqlml.operation.bundle", "mqlml.operation.bundle"),
        ("errors.py", "import mqlml.config", "mqlml.errors -> mqlml.config"),
        ("undeclared.py", "", "undeclared"),
    ],
    "duckdb": [
        ("tape/build.py", "import duckdb", "mqlml.tape.build -> duckdb"),
        ("operation/scoring.py", "def late() -> None:\n    import duckdb", "mqlml.operation.scoring -> duckdb"),
    ],
    "numba": [("tape/features.py", "import numba", "mqlml.tape.features -> numba")],
    "pyspark": [("tape/local.py", "import pyspark.sql", "mqlml.tape.local -> pyspark")],
    "postgres": [("history/files.py", "import psycopg", "mqlml.history.files -> psycopg")],
    "lightgbm": [("learning/evaluation.py", "import lightgbm", "mqlml.learning.evaluation -> lightgbm")],
    "sklearn": [("review/reasons.py", "from sklearn.utils import Bunch", "mqlml.review.reasons -> sklearn")],
    "shap": [("learning/propensity.py", "import shap", "mqlml.learning.propensity -> shap")],
    "report": [
        ("operation/tracking.py", "import altair", "mqlml.operation.tracking -> altair"),
        ("operation/bundle.py", "import jinja2", "mqlml.operation.bundle -> jinja2"),
        ("review/reasons.py", "import vl_convert", "mqlml.review.reasons -> vl_convert"),
    ],
    "mlflow": [
        ("operation/scoring.py", "import mlflow.pyfunc", "mqlml.operation.scoring -> mlflow"),
        ("operation/bundle.py", "def late() -> None:\n    import mlflow", "mqlml.operation.bundle -> mlflow"),
    ],
    "optuna": [("learning/propensity.py", "import optuna", "mqlml.learning.propensity -> optuna")],
    "terminal": [
        ("decision/policy.py", "import click", "mqlml.decision.policy -> click"),
        ("operation/sinks.py", "import rich.progress", "mqlml.operation.sinks -> rich"),
    ],
    "pydantic": [("history/contract.py", "import pydantic", "mqlml.history.contract -> pydantic")],
}


def lint_imports(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the package below ``folder / "src"`` with the configuration of ``folder``."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    return subprocess.run(
        [*command, "--no-cache", "--no-logo", *options],
        cwd=folder,
        env={"PYTHONPATH": str(folder / "src"), "PATH": "", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def violated(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a copy of the package in which every violation is planted."""
    folder = tmp_path_factory.mktemp("violated")
    shutil.copytree(root / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", folder)
    for file, code, _ in (violation for violations in PLANTED.values() for violation in violations):
        with (folder / "src/mqlml" / file).open("a", encoding="utf-8") as stream:
            stream.write(f"\n{code}\n")
    return folder


def test_imports_of_the_package_keep_every_contract(root):
    result = lint_imports(root)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("contract", PLANTED)
def test_contract_when_an_import_breaks_it_then_names_the_import(violated, contract):
    result = lint_imports(violated, "--contract", contract)
    assert result.returncode == 1
    missed = [forbidden for _, _, forbidden in PLANTED[contract] if forbidden not in result.stdout]
    assert not missed, f"not caught: {missed}\n{result.stdout}{result.stderr}"


def test_planted_imports_when_a_contract_is_added_then_cover_it(root):
    declared = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["id"] for contract in declared} == set(PLANTED)
