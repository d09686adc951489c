"""The package stays light to import, its lock complete, and its files free of what belongs to one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "src").rglob("*.py"))
LOCKS = ["requirements.lock", "requirements-extras.lock"]
LIGHT = ["errors", "config", "cli"]
HEAVY = (
    "altair duckdb jinja2 lightgbm matplotlib mlflow numba numpy pandas pyarrow pyspark scipy shap sklearn vl_convert"
)
# Written in parts, so that this file does not name what it looks for.
REGISTRIES = [f"{name}.org" for name in ("pypi", "pythonhosted", "npmjs", "deb.debian")]
OF_ONE_MACHINE = re.compile(r"(?<![\w.*-])/(?:work|farm|root|tmp/mq|home/\w+|Users/\w+)/")
OUTSIDE = "/".join(["..", "shared"])


def tracked() -> list[Path]:
    """Return the text files that git has or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git work tree")
    paths = [ROOT / name for name in listed.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:4096]]


@pytest.mark.parametrize("module", LIGHT)
def test_module_when_imported_then_loads_no_heavy_library(module):
    code = f"import sys, mqlml.{module}; print(*sorted(set({HEAVY.split()!r}) & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []


def test_files_of_the_repository_name_no_registry_and_no_path_of_one_machine():
    found = []
    for path in tracked():
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {name}" for name in REGISTRIES if name in text]
        found += [f"{path.relative_to(ROOT)}: {name}" for name in OF_ONE_MACHINE.findall(text)]
        if OUTSIDE in text and path != ROOT / ".ci/run":
            found.append(f"{path.relative_to(ROOT)}: {OUTSIDE}")
    assert found == []


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_when_read_then_every_requirement_is_pinned_and_hashed_and_none_has_an_address(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"^(?=[^\s#])", text, flags=re.MULTILINE)[1:] if entry.strip()]
    assert len(entries) >= 5
    loose = [e.splitlines()[0] for e in entries if not re.match(r"[\w.-]+==[\w.]+( ;.*)? \\\n    --hash=sha256:", e)]
    assert loose == []
    assert not re.search(r"://|^--|\bfile:", text, flags=re.MULTILINE)


def test_lock_when_a_dependency_is_declared_then_holds_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [project["dependencies"] + extras["dev"], extras["spark"] + extras["postgres"]]
    for lock, declared in zip(LOCKS, wanted, strict=True):
        locked = set(re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE))
        names = {re.split(r"[\[<>=~ ;]", requirement)[0].lower() for requirement in declared}
        assert names <= locked


def test_version_when_a_release_is_tagged_then_changelog_and_citation_name_the_latest():
    releases = re.findall(
        r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert releases
    assert f"version: {releases[0]}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_version_when_the_commit_has_no_tag_then_counts_on_and_an_sdist_keeps_its_own(tmp_path):
    code = "import sys, pathlib; sys.path.insert(0, 'scripts'); import version as v\n"
    code += "print(v.after_tag('v0.2.0-0-gabc'), v.after_tag('v0.2.0-5-gabc'), v.version(pathlib.Path(sys.argv[1])))"

    def said():
        command = [sys.executable, "-c", code, str(tmp_path)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()

    assert said() == ["0.2.0", "0.2.1.dev5", "0.1.0.dev0"]
    (tmp_path / "PKG-INFO").write_text("Metadata-Version: 2.4\nName: mqlml\nVersion: 3.2.1\n\nVersion: no\n")
    assert said()[2] == "3.2.1"


def test_wheel_when_built_then_holds_every_file_of_the_package(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling is not installed: requirements.lock has it")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    [wheel] = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    command = ["git", "ls-files", "--cached", "-z", "src/mqlml"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git work tree")
    wanted = {name.removeprefix("src/") for name in listed.split("\0") if name}
    kinds = {Path(name).suffix for name in wanted}
    assert {".toml", ".css", ".js", ".py"} <= kinds
    assert wanted - packed == set()
    assert not {name for name in packed if name.startswith(("tests", "scripts"))}


def test_bill_of_materials_when_made_then_names_every_locked_package_and_what_runs_needs():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import dist
    finally:
        sys.path.pop(0)
    locked = dist.lock_entries((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    bill = dist.bill_of_materials("1.0.0", locked, dist.closure("mqlml", set(locked)))
    scopes = {c["name"]: c["scope"] for c in bill["components"]}
    assert len(scopes) == len(locked) > 100
    assert {"duckdb", "lightgbm", "mlflow"} <= {name for name, scope in scopes.items() if scope == "required"}
    assert {"ruff", "pytest", "mypy"} <= {name for name, scope in scopes.items() if scope == "excluded"}
    assert all(c["properties"] and c["purl"] == f"pkg:pypi/{c['name']}@{c['version']}" for c in bill["components"])


def test_modules_say_what_they_are_and_postpone_annotations():
    missing = []
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        postponed = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
        if not ast.get_docstring(tree) or not (postponed or len(tree.body) == 1):
            missing.append(str(path.relative_to(ROOT)))
    assert missing == []


def test_only_the_command_line_prints_and_reads_the_clock_for_the_record():
    clocks = {"now", "utcnow", "today", "time", "time_ns"}
    found = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            command_line = path.is_relative_to(ROOT / "src/mqlml/cli")
            if called == "print" and not command_line:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} prints")
            owner, _, name = called.rpartition(".")
            # Who promoted what, and when, is kept, and lines of a log have a time; no result depends on either.
            if path.name in {"promoting.py", "log.py"} and command_line:
                continue
            if name in clocks and owner.split(".")[-1] in {"datetime", "date", "time", "Timestamp", "pd"}:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} reads the clock")
    assert found == []


def test_make_help_when_asked_then_names_every_target_of_the_makefile():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    [phony] = re.findall(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"make ([a-z-]+)", shown)) == set(phony.split())


@pytest.mark.long
def test_docs_when_built_strictly_then_have_no_broken_link(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "index.html").is_file()
