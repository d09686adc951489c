"""Every shell and Python block of README and documentation runs, unless the page says why it cannot."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from documented import SMALL_MODEL, Block, Shell, blocks_of

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = ROOT / "docs/tutorial.md"
# What README shows to users of a clone: make targets are the whole build, benchmarks take minutes.
NOT_RUN_OF_README = ("make ", "MQLML_DATA=", ".venv/bin/python benchmarks/")
PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if page != TUTORIAL)


def runnable(page: Path) -> list[Block]:
    """The blocks of a page that can be run here."""
    return [block for block in blocks_of(page) if not block.not_run]


WITH_CODE = [page for page in PAGES if runnable(page)]


def test_blocks_when_read_then_carry_what_the_comment_before_them_says(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "Text\n\n```sh\none\n```\n\n<!-- not run: needs a cluster -->\n```sh\ntwo\n```\n\n"
        "<!-- may end with 4 -->\n\n```bash\nthree\n```\n\n```toml\na = 1\n```\n",
        encoding="utf-8",
    )
    found = [(b.line, b.text, b.not_run, b.fine_too) for b in blocks_of(page)]
    assert found == [(3, "one\n", "", ""), (8, "two\n", "needs a cluster", ""), (14, "three\n", "", "4")]


def test_shell_when_a_block_fails_then_names_page_and_line(tmp_path):
    shell = Shell(tmp_path, root=ROOT)
    shell.run(Block("page.md", 1, "sh", "mkdir inside\ncd inside\n"))
    assert shell.run(Block("page.md", 5, "sh", "pwd\n")).strip().endswith("inside")
    with pytest.raises(AssertionError, match=r"page.md, line 9: false"):
        shell.run(Block("page.md", 9, "sh", "false\n"))


@pytest.mark.training
def test_readme_when_its_blocks_run_then_there_are_scores_and_a_report(tmp_path):
    shell = Shell(tmp_path, root=ROOT, small=True)
    blocks = [b for b in blocks_of(ROOT / "README.md") if not b.text.startswith(NOT_RUN_OF_README)]
    assert len(blocks) == 1
    shell.run(blocks[0])
    scores = pd.read_csv(tmp_path / "sample/scores.csv")
    assert len(scores) > 100
    assert scores["lead_id"].is_unique
    assert len(list((tmp_path / "sample/models").glob("*.report.html"))) == 1


@pytest.mark.training
def test_tutorial_when_its_blocks_run_then_ends_with_a_signed_policy_and_a_definition(tmp_path):
    shell = Shell(tmp_path, root=ROOT, small=True)
    for block in runnable(TUTORIAL):
        shell.run(block)
    assert "MQL" in (tmp_path / "sample/mql.md").read_text(encoding="utf-8")
    assert len(list((tmp_path / "sample/models").glob("*.policies/0001.json"))) == 1
    assert len(pd.read_csv(tmp_path / "sample/scores.csv")) > 100


@pytest.fixture(scope="module")
def in_use(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the pages suppose it: a model in use, earlier scores and extracts, exports, answers of sales."""
    folder = tmp_path_factory.mktemp("in-use")
    (folder / "work").mkdir()
    shell = Shell(folder / "work", root=ROOT, small=True)
    prepare = """
        mqlml sample --leads 1000 --out .
        mkdir exports 2026-09
        cp leads.parquet outcomes.parquet events.parquet exports
        cp leads.parquet 2026-09/
        printf 'lead_id\\n' > suppress.csv
        printf '\\n[suppress]\\npath = "suppress.csv"\\n[output]\\nscores = ["scores.parquet"]\\n' >> mqlml.toml
        mqlml train --as-of 2025-12-31
        mqlml score --as-of 2025-12-31 --out scores
        mqlml score --as-of 2026-02-28 --out yesterday.parquet --contributions contributions.parquet
        cp yesterday.parquet scores.parquet
        mqlml score --as-of 2026-02-28 --out scores
    """
    shell.run(Block("the folder", 0, "sh", prepare))
    work = folder / "work"
    lead = pd.read_parquet(work / "handovers.parquet")["lead_id"].iloc[0]
    answers = pd.DataFrame({"lead_id": [lead], "handed_at": ["2026-03-02"], "accepted_at": ["2026-03-03"]})
    answers.to_csv(work / "answers.csv", index=False)
    assert SMALL_MODEL in (work / "mqlml.toml").read_text(encoding="utf-8")
    return work


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_page_when_its_blocks_run_then_none_fails(page, in_use, tmp_path):
    folder = tmp_path / "work"
    shutil.copytree(in_use, folder, ignore=shutil.ignore_patterns(".venv", "here"))
    shell = Shell(folder, root=ROOT)
    if page.stem == "index":  # shows the first steps in a folder of exports
        shell.run(Block("the folder", 0, "sh", "cd exports"))
    for block in runnable(page):
        shell.run(block)
