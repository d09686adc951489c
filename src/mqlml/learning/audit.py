"""The leak audit: which columns know the outcome of a lead before a forecast could, judged before every training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from mqlml.learning import audit_statistics as stat
from mqlml.learning.audit_checks import (
    EXCLUDE,
    STRONG_AUC,
    SURE,
    Evidence,
    Finding,
    Level,
    decides,
    differs,
    filled_after,
    late_name,
    missing_tells,
    open_leads,
    same_values,
    strong_value,
    too_strong,
)
from mqlml.learning.audit_copies import copies
from mqlml.learning.audit_shift import shifts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from mqlml.learning.audit_statistics import Closed, Column, Floats, Ints, Partition

__all__ = ["AuditInput", "Finding", "audit_columns", "in_order", "usable_columns"]

_NOT_USED = frozenset({"constant", "unique-text", "date-text", "record-number"})
_NOTHING = "nothing to do; it is not used"
_ORDER = {"block": 0, "ask": 1, "note": 2}
_SINCE_1990 = 631_152_000_000_000
_MICROSECONDS_A_DAY = 86_400_000_000
_DELAY_TELLS = 0.15
_ID_WORDS = frozenset({"id", "ids", "uuid", "guid", "key", "number", "nr", "no", "index", "row"})


@dataclass(frozen=True)
class AuditInput:
    """What the leak audit looks at: one row a lead, nothing else.

    Parameters
    ----------
    attributes : pyarrow.Table
        (n leads) candidates for features under the user's own names; excluded and sensitive columns are already gone.
    won : ndarray of float (n,)
        1 won, 0 lost or not won within the horizon, NaN open or too young to tell.
    created : ndarray of int64 (n,) or None
        Microseconds since 1970 (any number that grows with time will do); None when the history has no dates.
    group : ndarray of int64 (n,)
        Account of the lead; negative means that the lead stands alone.
    lead_order : ndarray (n,)
        Rank of the lead's id among all ids.
    declared, state, tracked : frozenset of str
        Columns declared as known at creation, as current state, and those read as of each moment from their history.
    """

    attributes: pa.Table
    won: Floats
    created: Ints | None
    group: Ints
    lead_order: Ints
    declared: frozenset[str] = frozenset()
    state: frozenset[str] = frozenset()
    tracked: frozenset[str] = frozenset()


def audit_columns(data: AuditInput, *, waive: Mapping[str, str]) -> tuple[Finding, ...]:
    """Judge every column alone, against the others, and by when it is filled.

    A value is only believed to tell something where chance would show as much, in any value of any column, in 1 of
    100 audits of columns that tell nothing; an ask or a block needs a large effect beyond that
    (limits in ``audit_checks``).

    Parameters
    ----------
    waive : mapping of str to str
        Columns that a person allows all the same, with the reason.

    Returns
    -------
    tuple of Finding
        "block" first, then "ask", then "note"; the strongest first. At most one block or ask an attribute; what is
        found of the leads themselves stands under ``lead_id``.

    Examples
    --------
    >>> import pyarrow as pa
    >>> won = np.tile([1.0, 0.0], 200)
    >>> table = pa.table({"status": np.where(won == 1, "Closed Won", "Closed Lost")})
    >>> rows = np.arange(400)
    >>> data = AuditInput(table, won, created=None, group=rows, lead_order=rows)
    >>> [(f.level, f.column) for f in audit_columns(data, waive={})]
    [('block', 'status')]
    """
    closed = stat.split_closed(data.won, data.created, data.group, data.lead_order)
    judged, notes = _sort_columns(data)
    found = [(0.0, note) for note in notes]
    if stat.judgeable(closed.won):
        evidence = _measure(judged, closed, data.declared)
        found += [(e.strength, finding) for e, finding in _judge(evidence, data, closed)]
        found += [(0.0, finding) for finding in _id_order(data, closed)]
        told = [column for column in judged if _not_learned(column) != "record-number"]
        found += [(0.0, finding) for finding in copies(told, closed)]
    filled = {finding.column for _, finding in found if finding.check == "filled-after"}
    to_learn = [column for column in judged if column.name not in filled and not _not_learned(column)]
    found += [(0.0, finding) for column in to_learn for finding in shifts(column, data.won, data.created)]
    found.sort(key=lambda pair: (-pair[0], pair[1].column, pair[1].check))
    return in_order([finding for _, finding in found], waive=waive)


def in_order(findings: Sequence[Finding], *, waive: Mapping[str, str]) -> tuple[Finding, ...]:
    """Blocks first, then asks, then notes, otherwise in the order given; each with the reason for its waiver."""
    ordered = sorted(findings, key=lambda finding: _ORDER[finding.level])
    return tuple(replace(finding, waived=waive.get(finding.column)) for finding in ordered)


def usable_columns(data: AuditInput, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Attributes that may become features, in the table's order.

    Left out are blocked columns that nobody waived, current state that is not read from history, and columns that
    cannot be learned from: constant, unique text, dates in text, record numbers. "ask" keeps a column in use.
    """
    stopped = {f.column for f in findings if f.waived is None and (f.level == "block" or f.check in _NOT_USED)}
    stopped |= {f.column for f in findings if f.check == "constant"} | (data.state - data.tracked)
    return tuple(name for name in data.attributes.column_names if name not in stopped or name in data.tracked)


def _sort_columns(data: AuditInput) -> tuple[list[Column], list[Finding]]:
    judged: list[Column] = []
    notes: list[Finding] = []
    for name in data.attributes.column_names:
        if name in data.tracked:
            continue
        if name in data.state:
            why = "declared as current state: today's value may hold what happened after the decision"
            remedy = "nothing to do; to use it, give its changes in the history table"
            notes.append(Finding("note", "state-column", name, "not used", why, remedy))
            continue
        column = stat.read_column(name, data.attributes[name])
        if column.distinct == 0 or (column.distinct == 1 and not column.missing.any()):
            figure = "no values at all" if column.distinct == 0 else "the same value for every lead"
            notes.append(Finding("note", "constant", name, figure, "it tells no lead from another", _NOTHING))
            continue
        judged.append(column)
    return judged, notes


def _measure(columns: Sequence[Column], closed: Closed, declared: frozenset[str]) -> list[Evidence]:
    parts = {c.name: _partitions(c) for c in columns}
    counts = [stat.level_counts(p, closed) for group in parts.values() for p in group.values()]
    looks = max(int(sum((n >= stat.MIN_LEVEL).sum() for n in counts)), 1)
    error = stat.FAMILY_ERROR / looks
    evidence = []
    for column in columns:
        levels = {k: stat.judge_levels(p, closed, error=error) for k, p in parts[column.name].items()}
        area, spread = stat.column_auc(column.main, closed)
        evidence.append(Evidence(column, closed, levels, area, spread, column.name in declared))
    return evidence


def _partitions(column: Column) -> dict[str, Partition]:
    found = {"filled": column.filled, "main": column.main}
    return found if column.sign is None else {**found, "sign": column.sign}


def _judge(evidence: Sequence[Evidence], data: AuditInput, closed: Closed) -> Iterator[tuple[Evidence, Finding]]:
    leads = open_leads(data.won, data.created)
    pairs = _pairs(evidence, closed)

    def best(e: Evidence) -> Finding | None:
        apart = [*filled_after(e, leads), *decides(e), *missing_tells(e), *too_strong(e)]
        checks = [*apart, *pairs.get(e.column.name, ()), *strong_value(e)]
        return min(checks, key=lambda finding: _ORDER[finding.level], default=None)

    alone = {e.column.name: best(e) for e in evidence}
    honest = [
        e for e in evidence if getattr(alone[e.column.name], "level", "") != "block" and not _not_learned(e.column)
    ]
    for e in evidence:
        finding = alone[e.column.name]
        if e.area - SURE * e.error >= STRONG_AUC and getattr(finding, "level", "") != "block":
            finding = best(replace(e, others=_others_auc(e, honest, closed)))
        finding = _unlearnable(e, finding, data.created)
        if finding is not None:
            yield e, finding


def _others_auc(evidence: Evidence, honest: Sequence[Evidence], closed: Closed) -> float:
    """Measure the AUC of all columns that are no leak themselves and no copy of this one."""
    others = [o.column.main for o in honest if o is not evidence]
    return stat.together_auc([p for p in others if not stat.alike(evidence.column.main, p, closed)], closed)


def _pairs(evidence: Sequence[Evidence], closed: Closed) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for first, second in combinations(evidence, 2):
        partition = same_values(first.column, second.column)
        if partition is None:
            continue
        late, early = (first, second) if late_name(first.column) and not late_name(second.column) else (second, first)
        late, early = (early, late) if late.declared and not early.declared else (late, early)
        levels = stat.judge_levels(partition, closed, error=stat.FAMILY_ERROR / max(len(evidence) ** 2, 1))
        found.setdefault(late.column.name, []).extend(differs(late, early.column, levels))
    return found


def _not_learned(column: Column) -> str | None:
    """Name the check by which a column's values, as they are, teach nothing; None for all others."""
    filled = int((~column.missing).sum())
    if column.days is not None:
        return "date-text"
    if not column.numeric:
        return "unique-text" if column.distinct >= 50 and column.distinct * 2 > filled else None
    values = column.values[~column.missing]
    whole = column.distinct >= 50 and column.distinct == filled and bool(np.all(values == np.rint(values)))
    dense = whole and float(np.ptp(values)) < 2 * filled
    return "record-number" if whole and (dense or column.words & _ID_WORDS) else None


def _unlearnable(evidence: Evidence, finding: Finding | None, created: Ints | None) -> Finding | None:
    """Turn what was found into a note where the column is not used anyway, unless it betrays the outcome."""
    column = evidence.column
    check = _not_learned(column)
    if check is None or (finding is not None and finding.level == "block"):
        return finding
    if check == "date-text":
        return _date_finding(evidence, created)
    distinct = f"{column.distinct:,} different values for {int((~column.missing).sum()):,} leads"
    figure = distinct if check == "unique-text" else f"{distinct}; {evidence.auc_words}"
    why = "hardly any value is shared by two leads, so nothing can be learned from it"
    return evidence.finding("note", check, figure, why, _NOTHING)


def _date_finding(evidence: Evidence, created: Ints | None) -> Finding:
    column, closed = evidence.column, evidence.closed
    known = created is not None and len(created) > 0 and int(created.min()) >= _SINCE_1990
    after, area = 1.0, 0.5
    if column.days is not None and created is not None and known:
        delay = column.days - created // _MICROSECONDS_A_DAY
        present = ~np.isnan(delay)
        after = float((delay[present] > 0).mean()) if present.any() else 0.0
        area, _ = stat.column_auc(stat.number_column(column.name, delay).main, closed)
    figure = f"dates, {100 * after:.1f} % of them after the lead's creation" if known else "dates"
    if after >= 0.5 and not evidence.declared and (evidence.late or abs(area - 0.5) >= _DELAY_TELLS):
        why = "a date written after the lead's creation tells what happened to it later"
        return evidence.finding("block", "date-text", f"{figure}; AUC {area:.3f} of the days between", why, EXCLUDE)
    return evidence.finding("note", "date-text", figure, "dates stored as text teach nothing as they are", _NOTHING)


def _id_order(data: AuditInput, closed: Closed) -> Iterator[Finding]:
    """Whether lead ids sort by outcome among leads created at the same time."""
    areas, weights = [], []
    rank = data.lead_order[closed.rows].astype(np.float64)
    for period in np.unique(closed.period):
        at = closed.period == period
        wins = float(closed.won[at].sum())
        losses = float(at.sum()) - wins
        areas.append(stat.auc(rank[at], closed.won[at]))
        weights.append(wins * losses)
    if not sum(weights):
        return
    area = float(np.average(areas, weights=weights))
    total = float(closed.won.sum())
    cautious = abs(area - 0.5) - SURE * stat.auc_error(0.5, total, len(closed.won) - total)
    if cautious < 0.05:
        return
    level: Level = "ask" if cautious >= 0.2 else "note"
    same = " among leads created at the same time" if data.created is not None else ""
    figure = f"AUC {area:.3f} of the order of the ids{same}; 0.500 would be no order"
    why = "ids sort won and lost leads apart: the list was put together by outcome, or times changed (no dates)"
    yield Finding(
        level, "id-order", "lead_id", figure, why, "check how the list was made; ids are never used as a feature"
    )
