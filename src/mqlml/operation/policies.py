"""Policies beside a bundle: a numbered file for each that was set, never changed afterwards; the last one is active."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mqlml.decision.basis import Basis
from mqlml.decision.policy import Policy
from mqlml.errors import DataRefused, EngineError, GateClosed, Problem, UsageError
from mqlml.operation.parts import read_json

if TYPE_CHECKING:
    from mqlml.operation.bundle import Bundle

__all__ = ["REPLAY", "PolicyVersion", "active_policy", "add_policy", "encode_replay", "policy_history", "read_basis"]

REPLAY = "replay.parquet"
"""Part of a bundle: past weeks as numbers, from which thresholds are chosen without training again."""

_FILE = re.compile(r"(\d{4})\.json")
_FIELDS = {"policy", "policy_version", "author", "reason", "as_of", "evidence"}
_FIX = "restore the folder from a copy, or remove this file: the policy before it is then active"


@dataclass(frozen=True)
class PolicyVersion:
    """A policy and how it came to be.

    Attributes
    ----------
    policy : Policy
    number : int
        0 for the policy of the training, then 1, 2, ...
    author, reason : str
    as_of : str or None
        What it was chosen by: only outcomes known before.
    evidence : mapping
        What it would have given in past weeks, for the record.
    """

    policy: Policy
    number: int
    author: str
    reason: str
    as_of: str | None
    evidence: Mapping[str, Any]


def encode_replay(basis: Basis) -> bytes:
    """Write the replay as it stands in a bundle."""
    sink = pa.BufferOutputStream()
    pq.write_table(basis.to_table(), sink, compression="zstd")
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def read_basis(bundle: Bundle) -> Basis:
    """Read the replay of a bundle.

    Raises
    ------
    GateClosed
        The bundle was written before replays were kept.
    """
    if REPLAY not in bundle.parts:
        raise GateClosed(
            f"the bundle '{bundle.model_version}' keeps no replay: its threshold cannot be chosen again.",
            hint="train again with this version of mqlml",
        )
    return Basis.of_table(pq.read_table(pa.BufferReader(bundle.parts[REPLAY])))


def active_policy(bundle: Bundle) -> Policy:
    """Tell the policy in force: the last one set beside the bundle, or else that of the training.

    Raises
    ------
    DataRefused
        A policy file is damaged.
    """
    return policy_history(bundle)[-1].policy


def policy_history(bundle: Bundle) -> list[PolicyVersion]:
    """List all policies of a bundle, the oldest first; the last is in force.

    Raises
    ------
    DataRefused
        A policy file is damaged.
    """
    trained = Policy.from_dict(read_json(bundle.parts, "policy.json"))
    first = PolicyVersion(trained, 0, "mqlml train", "the policy of the configuration at training", None, {})
    return [first, *(_read(path, number) for number, path in _files(bundle.path))]


def add_policy(
    bundle: Bundle,
    policy: Policy,
    *,
    author: str,
    reason: str,
    as_of: str | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> PolicyVersion:
    """Put a policy in force in one step; at every moment the old or the new one is, and none is ever overwritten.

    Parameters
    ----------
    bundle : Bundle
    policy : Policy
    author, reason : str
        Who wants it and why.
    as_of : str, optional
    evidence : mapping, optional

    Raises
    ------
    UsageError
        Author or reason is empty, or the policy is in force already.
    EngineError
        Writing failed, or somebody else set a policy at the same time; nothing has changed then.
    """
    for name, text in (("author", author), ("reason", reason)):
        if not text.strip():
            raise UsageError(f"a policy is set by somebody for a reason: the {name} is empty.", hint=f"give --{name}")
    history = policy_history(bundle)
    if history[-1].policy.version == policy.version:
        raise UsageError(f"this policy ({policy.version}) is in force already; nothing was changed.")
    version = PolicyVersion(policy, history[-1].number + 1, author.strip(), reason.strip(), as_of, dict(evidence or {}))
    content = {
        "policy_version": policy.version,
        "author": version.author,
        "reason": version.reason,
        "as_of": as_of,
        "policy": policy.to_dict(),
        "evidence": version.evidence,
    }
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    _create(_folder(bundle.path) / f"{version.number:04d}.json", text)
    return version


def _folder(bundle: Path) -> Path:
    return bundle.with_name(f"{bundle.name}.policies")


def _files(bundle: Path) -> list[tuple[int, Path]]:
    folder = _folder(bundle)
    if not folder.is_dir():
        return []
    found = [(_FILE.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted((int(match[1]), path) for match, path in found if match is not None)


def _read(path: Path, number: int) -> PolicyVersion:
    try:
        data = read_json({path.name: path.read_bytes()}, path.name)
        if not isinstance(data, dict) or set(data) != _FIELDS:
            raise _damaged(path, f"does not hold exactly {', '.join(sorted(_FIELDS))}")
        policy = Policy.from_dict(data["policy"])
    except OSError as error:
        raise _damaged(path, f"cannot be read: {error.strerror}") from error
    except (TypeError, AttributeError) as error:
        raise _damaged(path, "holds a policy that this version of mqlml does not know") from error
    if policy.version != data["policy_version"]:
        raise _damaged(path, "was changed by hand: its content does not fit its policy_version")
    return PolicyVersion(policy, number, data["author"], data["reason"], data["as_of"], data["evidence"])


def _create(path: Path, text: str) -> None:
    """Write a file that must not exist yet, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        raise EngineError(
            f"MQL-write {path}: somebody else set a policy at the same moment.", hint="look at it, then run again"
        ) from None
    except OSError as error:
        raise EngineError(f"MQL-write {path}: {error.strerror or error}.", hint="nothing has changed") from error
    finally:
        temporary.unlink(missing_ok=True)


def _damaged(path: Path, what: str) -> DataRefused:
    return DataRefused([Problem("policy", str(path), what, _FIX)])
