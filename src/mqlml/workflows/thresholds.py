"""A threshold chosen again from the stored replay, in seconds and without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mqlml import config as settings
from mqlml.decision.choosing import RULES
from mqlml.errors import UsageError
from mqlml.learning.snapshots import as_microseconds
from mqlml.operation.bundle import read_bundle
from mqlml.operation.policies import add_policy, policy_history, read_basis
from mqlml.operation.registry import resolve
from mqlml.review.decision import decision

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.decision.policy import Policy
    from mqlml.operation.policies import PolicyVersion

__all__ = ["threshold"]


def threshold(
    config: Config,
    rules: Mapping[str, Any],
    *,
    without: Sequence[str] = (),
    model: str | None = None,
    as_of: str | None = None,
    author: str | None = None,
    reason: str | None = None,
    put_in_force: bool = False,
) -> dict[str, Any]:
    """Choose the threshold of a bundle again, and put it in force where asked to.

    Parameters
    ----------
    config : Config
        Says where the bundles are.
    rules : mapping
        Keys of ``[policy]`` and their new values; the other rules of the policy in force stay.
    without : sequence of str
        Rules of the policy in force to drop.
    model : str, optional
        A bundle's path or version; by default the champion.
    as_of : str, optional
        Only weeks whose outcomes were known before this date count.
    author, reason : str, optional
        Needed to put it in force.
    put_in_force : bool

    Returns
    -------
    dict
        ``policy``, ``policy_version``, ``in_force`` (the version in force after this call), ``set`` (whether this one
        is), ``decision`` (the evidence), ``versions`` (all policies so far) and ``model_version``.

    Raises
    ------
    UsageError
        A rule cannot be read, contradicts another, or nobody is named for putting it in force.
    GateClosed
        The rules cannot be met; names what could be.
    """
    _check_who(author, reason, put_in_force=put_in_force)
    bundle = read_bundle(resolve(config.path(config.output.models), model))
    basis = read_basis(bundle)
    if as_of is not None:
        basis = basis.until(as_microseconds(config.moment(as_of)))
    now = policy_history(bundle)[-1].policy
    policy = now
    if rules or without or as_of is not None:
        asked = _asked(now, _with_column(rules, basis.value_column), without)
        policy = _kept(now, basis.policy(asked))
    found = decision(policy, basis)
    if put_in_force:
        evidence = {key: found[key] for key in ("mqls_per_week", "win_rate", "share_of_wins", "lift", "mqls", "wins")}
        add_policy(bundle, policy, author=author or "", reason=reason or "", as_of=as_of, evidence=evidence)
    versions = policy_history(bundle)
    return {
        "model_version": bundle.model_version,
        "policy_version": policy.version,
        "in_force": versions[-1].policy.version,
        "set": put_in_force,
        "as_of": as_of,
        "policy": policy.to_dict(),
        "decision": found,
        "versions": [_told(version) for version in versions],
    }


def _check_who(author: str | None, reason: str | None, *, put_in_force: bool) -> None:
    """Refuse a policy that nobody answers for, and an author of nothing."""
    if put_in_force and not (author and reason):
        raise UsageError("a policy is set by somebody for a reason.", hint="give --author and --reason with --set")
    if not put_in_force and (author or reason):
        raise UsageError("--author and --reason belong to --set.", hint="add --set to put this policy in force")


def _told(version: PolicyVersion) -> dict[str, Any]:
    return {
        "number": version.number,
        "policy_version": version.policy.version,
        "rule": version.policy.rule,
        "author": version.author,
        "reason": version.reason,
        "as_of": version.as_of,
        "threshold": version.policy.threshold,
    }


def _with_column(rules: Mapping[str, Any], column: str | None) -> Mapping[str, Any]:
    """Name the column that was declared at training, where its values are asked for."""
    if rules.get("value") != "column":
        return rules
    if column is None:
        hint = "name one in [policy] value_column and train again, or give a number or 'learned'"
        raise UsageError("--value column: this model was trained without [policy] value_column.", hint=hint)
    return {**{name: rule for name, rule in rules.items() if name != "value"}, "value_column": column}


def _asked(now: Policy, rules: Mapping[str, Any], without: Sequence[str]) -> settings.Policy:
    """The rules in force with some replaced and some dropped."""
    unknown = [name for name in without if name not in now.settings]
    if unknown:
        there = ", ".join(name for name in now.settings if name in RULES) or "none"
        raise UsageError(f"--without {unknown[0]}: the policy in force has no such rule.", hint=f"it has: {there}")
    kept = {name: value for name, value in now.settings.items() if name not in without}
    if set(rules) & {"value", "value_column"}:
        kept = {name: value for name, value in kept.items() if name not in {"value", "value_column"}}
    if set(rules) & set(RULES) - {"unit", "confidence", "share"}:
        kept.pop("share", None)
    return settings.Policy.of({**kept, **rules})


def _kept(now: Policy, chosen: Policy) -> Policy:
    """The chosen line in the policy in force: what else it says is not touched."""
    names = ("kind", "rule", "threshold", "hot", "nurture", "take", "assumption", "per_week", "unit", "cost", "worth",
             "certificate", "settings")  # fmt: skip
    return replace(now, **{name: getattr(chosen, name) for name in names})
