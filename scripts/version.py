"""The version of the package, from the tags of git; the build reads it here, and nothing else does.

==========================  ==========================================================
the commit                  its version
==========================  ==========================================================
has the tag ``v0.2.0``      ``0.2.0``
comes 5 commits after it    ``0.2.1.dev5``
has no tag before it        ``0.1.0.dev`` with the number of commits
is not in git (an sdist)    as ``PKG-INFO`` says, which stands in every sdist
is in a tree without both   ``0.1.0.dev0``
==========================  ==========================================================
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRST = "0.1.0"


def version(root: Path = ROOT) -> str:
    """Say the version of a source tree, without a network."""
    stated = root / "PKG-INFO"
    if stated.is_file():
        headers = stated.read_text(encoding="utf-8").split("\n\n")[0]
        [found] = re.findall(r"^Version: (\S+)$", headers, flags=re.MULTILINE)
        return str(found)
    if not (root / ".git").exists():
        return f"{FIRST}.dev0"
    described = _git(root, "describe", "--tags", "--long", "--match", "v[0-9]*")
    if described:
        return after_tag(described)
    return f"{FIRST}.dev{_git(root, 'rev-list', '--count', 'HEAD') or 0}"


def after_tag(described: str) -> str:
    """Turn what ``git describe --long`` says into a version.

    >>> after_tag("v0.2.0-0-gabc1234"), after_tag("v0.2.0-5-gabc1234"), after_tag("v1.0.0rc1-2-gabc1234")
    ('0.2.0', '0.2.1.dev5', '1.0.0rc2.dev2')
    """
    tag, commits, _ = described.rsplit("-", 2)
    base = tag.removeprefix("v")
    if commits == "0":
        return base
    before, last = re.fullmatch(r"(.*?)(\d+)", base).groups()  # type: ignore[union-attr]
    return f"{before}{int(last) + 1}.dev{commits}"


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:  # no git on this machine
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
