"""The kernel that leaves out machine traffic: it marks events of a tape as skipped before the tape is played.

Every event is judged by the events of its lead that happened no later and were recorded no later than it, whatever
became of them. Most tapes are in the order in which facts were recorded, so a few rows to look at tell everything; only
around facts that arrived late the window is walked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from mqlml.tape.compiling import compiled, inner
from mqlml.tape.state import EVENT, MARK, SKIPPED
from mqlml.tape.traffic import RULES, rules_in_force, tape_codes

if TYPE_CHECKING:
    from mqlml.tape.features import FeatureSet
    from mqlml.tape.state import Tape

__all__ = ["Rules", "drop_machines", "rules_of"]

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Int8 = npt.NDArray[np.int8]

_SECOND_US = 1_000_000
_NEVER = -(2**63)

_AGENT, _OPEN, _LINKS, _BURST = range(len(RULES))
_COUNTED = -1
# What a type is to the rules; a hidden one is on the tape for them only.
_PLAIN, _SEND, _OPENED, _CLICKED = range(4)


class Rules(NamedTuple):
    """The rules of a feature set in the numbers that the kernel needs.

    ``role`` and ``final`` are by type code: what the type is to the rules, and the code it has for the features (-1:
    none, it is on the tape for the rules only). Times are microseconds; 0 links or 0 events of a burst: off.
    """

    role: Int8
    final: Int32
    open_within: int
    links: int
    links_within: int
    burst_events: int
    burst_within: int


class _Notes(NamedTuple):
    """What is remembered while a key is judged: by lead within its key, or by row of the tape where said."""

    marked: Int8  # 1: the lead has a mark
    blamed: Int8  # bit r: rule r left out an event of the lead
    send: Int32  # row of the newest send
    click: Int32  # row of the newest click
    clicks_known: Int64  # when the last of the clicks so far was recorded
    links: Int32  # rows of the newest click on each of the latest different links, newest first
    newest: Int32  # row of the newest event
    events: Int64
    events_known: Int64
    held: Int32  # row of the event that stands ``burst_events`` before the next one
    before: Int32  # by row: the event of the lead before this one
    after: Int32  # by row: the one after it
    same_role: Int32  # by row: the send or click of the lead before this one
    verdict: Int8  # by row: the rule that leaves the event out, or ``_COUNTED``
    found: Int64  # scratch: assets of the links found


def rules_of(features: FeatureSet) -> Rules | None:
    """Translate the rules of a feature set for the kernel; None where no rule is in force."""
    traffic, in_force = features.traffic, rules_in_force(features)
    if traffic is None or not in_force:
        return None
    codes = tape_codes(features)
    other = len(features.event_types)
    size = max([other, *codes.values()]) + 1
    final = np.minimum(np.arange(size), other).astype(np.int32)
    final[[codes[name] for name in features.dropped_types if codes[name] >= 0]] = -1
    role = np.full(size, _PLAIN, dtype=np.int8)
    roles = (("open", traffic.sends, _SEND), ("open", traffic.opens, _OPENED), ("links", traffic.clicks, _CLICKED))
    for rule, names, part in roles:
        role[[codes[name] for name in names if rule in in_force and codes.get(name, -1) >= 0]] = part
    return Rules(
        role=role,
        final=final,
        open_within=traffic.open_within_seconds * _SECOND_US,
        links=traffic.links,
        links_within=traffic.links_within_seconds * _SECOND_US,
        burst_events=traffic.burst_events if "burst" in in_force else 0,
        burst_within=traffic.burst_seconds * _SECOND_US,
    )


def drop_machines(tape: Tape, rules: Rules) -> Int64:
    """Set ``kind`` of events that no person made to ``SKIPPED``, and the types of the others to those of the features.

    Parameters
    ----------
    tape : Tape
        Whole keys, sorted; changed in place. Rows that come as ``SKIPPED`` are those of named agents.
    rules : Rules

    Returns
    -------
    ndarray of int64, shape (len(RULES), 3)
        For each of ``RULES``, among leads that have a mark: events looked at, events left out, leads touched.
    """
    counts = np.zeros((len(RULES), 3), dtype=np.int64)
    if tape.key.size:
        _drop(tape, rules, _new_notes(tape, rules), counts)
    return counts


def _new_notes(tape: Tape, rules: Rules) -> _Notes:
    n = tape.key.size
    leads = int(tape.lead.max()) + 1
    return _Notes(
        marked=np.empty(leads, np.int8),
        blamed=np.empty(leads, np.int8),
        send=np.empty(leads, np.int32),
        click=np.empty(leads, np.int32),
        clicks_known=np.empty(leads, np.int64),
        links=np.empty((leads, max(rules.links, 1)), np.int32),
        newest=np.empty(leads, np.int32),
        events=np.empty(leads, np.int64),
        events_known=np.empty(leads, np.int64),
        held=np.empty(leads, np.int32),
        before=np.empty(n, np.int32),
        after=np.empty(n, np.int32),
        same_role=np.empty(n, np.int32),
        verdict=np.empty(n, np.int8),
        found=np.empty(max(rules.links, 1), np.int64),
    )


@compiled
def _drop(tape: Tape, rules: Rules, notes: _Notes, counts: Int64) -> None:
    start = 0
    while start < tape.key.size:
        leads = 0
        end = start
        while end < tape.key.size and tape.key[end] == tape.key[start]:
            leads = max(leads, tape.lead[end] + 1)
            end += 1
        mails = _begin_key(tape, rules, notes, start, end, leads)
        if 0 < rules.burst_events < end - start:
            _judge_bursts(tape, rules, notes, start, end)
        if mails:
            _judge_mails(tape, rules, notes, start, end)
        _settle_key(tape, rules, notes, start, end, counts)
        start = end


@inner
def _begin_key(tape: Tape, rules: Rules, notes: _Notes, start: int, end: int, leads: int) -> bool:
    for lead in range(leads):
        notes.marked[lead] = 0
        notes.blamed[lead] = 0
        notes.send[lead] = -1
        notes.click[lead] = -1
        notes.clicks_known[lead] = _NEVER
        notes.newest[lead] = -1
        notes.events[lead] = 0
        notes.events_known[lead] = _NEVER
        for place in range(rules.links):
            notes.links[lead, place] = -1
    mails = False
    for row in range(start, end):
        notes.verdict[row] = _COUNTED
        if tape.kind[row] == MARK:
            notes.marked[tape.lead[row]] = 1
        elif tape.kind[row] == EVENT:
            mails |= rules.role[tape.type[row]] != _PLAIN
    return mails


@inner
def _judge_mails(tape: Tape, rules: Rules, notes: _Notes, start: int, end: int) -> None:
    row = start
    while row < end:
        # What happened in the same microsecond counts, wherever it stands: a send first, whatever its code.
        time = tape.time[row]
        first = row
        while row < end and tape.time[row] == time:
            if tape.kind[row] == EVENT and rules.role[tape.type[row]] == _SEND:
                notes.same_role[row] = notes.send[tape.lead[row]]
                notes.send[tape.lead[row]] = row
            row += 1
        for i in range(first, row):
            if tape.kind[i] == EVENT:
                role = rules.role[tape.type[i]]
                if role == _OPENED and _just_sent(tape, rules, notes, i):
                    notes.verdict[i] = _OPEN
                elif role == _CLICKED and _follows_all(tape, rules, notes, i):
                    notes.verdict[i] = _LINKS


@inner
def _just_sent(tape: Tape, rules: Rules, notes: _Notes, row: int) -> bool:
    send = notes.send[tape.lead[row]]
    while send >= 0 and tape.time[row] - tape.time[send] <= rules.open_within:
        if tape.known[send] <= tape.known[row]:
            return True
        send = notes.same_role[send]
    return False


@inner
def _follows_all(tape: Tape, rules: Rules, notes: _Notes, row: int) -> bool:
    lead = tape.lead[row]
    notes.same_role[row] = notes.click[lead]
    notes.click[lead] = row
    _remember_link(tape, rules, notes, row)
    notes.clicks_known[lead] = max(notes.clicks_known[lead], tape.known[row])
    oldest = notes.links[lead, rules.links - 1]
    if oldest < 0 or tape.time[row] - tape.time[oldest] > rules.links_within:
        return False  # not even with those that were not yet recorded
    if tape.known[row] >= notes.clicks_known[lead]:
        return True
    return _known_links(tape, rules, notes, row) >= rules.links


@inner
def _remember_link(tape: Tape, rules: Rules, notes: _Notes, row: int) -> None:
    links = notes.links[tape.lead[row]]
    place = 0
    while place < rules.links - 1 and links[place] >= 0:
        if tape.asset[row] >= 0 and tape.asset[links[place]] == tape.asset[row]:
            break
        place += 1
    while place > 0:
        links[place] = links[place - 1]
        place -= 1
    links[0] = row


@inner
def _known_links(tape: Tape, rules: Rules, notes: _Notes, row: int) -> int:
    different = 0
    click = row
    while click >= 0 and different < rules.links and tape.time[row] - tape.time[click] <= rules.links_within:
        if tape.known[click] <= tape.known[row]:
            asset = tape.asset[click]
            is_new = True
            for place in range(different):
                is_new = is_new and (asset < 0 or notes.found[place] != asset)
            if is_new:
                notes.found[different] = asset
                different += 1
        click = notes.same_role[click]
    return different


@inner
def _judge_bursts(tape: Tape, rules: Rules, notes: _Notes, start: int, end: int) -> None:
    for row in range(start, end):
        if tape.kind[row] == EVENT and rules.final[tape.type[row]] >= 0:
            lead = tape.lead[row]
            newest = notes.newest[lead]
            notes.before[row] = newest
            notes.newest[lead] = row
            if newest < 0:
                notes.held[lead] = row
            else:
                notes.after[newest] = row
            notes.events[lead] += 1
            if notes.events[lead] > rules.burst_events + 1:
                notes.held[lead] = notes.after[notes.held[lead]]
            late = tape.known[row] < notes.events_known[lead]
            notes.events_known[lead] = max(notes.events_known[lead], tape.known[row])
            # Enough others in the window: those not yet recorded by then do not count.
            if notes.events[lead] > rules.burst_events:
                near = tape.time[row] - tape.time[notes.held[lead]] <= rules.burst_within
                if near and (not late or _known_in_burst(tape, rules, notes, row)):
                    notes.verdict[row] = _BURST


@inner
def _known_in_burst(tape: Tape, rules: Rules, notes: _Notes, row: int) -> bool:
    others = 0
    event = notes.before[row]
    while event >= 0 and others < rules.burst_events and tape.time[row] - tape.time[event] <= rules.burst_within:
        if tape.known[event] <= tape.known[row]:
            others += 1
        event = notes.before[event]
    return others >= rules.burst_events


@inner
def _settle_key(tape: Tape, rules: Rules, notes: _Notes, start: int, end: int, counts: Int64) -> None:
    for row in range(start, end):
        kind = tape.kind[row]
        if kind == EVENT:
            role = rules.role[tape.type[row]]
            final = rules.final[tape.type[row]]
            if notes.marked[tape.lead[row]]:
                if final >= 0:
                    counts[_AGENT, 0] += 1
                    counts[_BURST, 0] += 1
                if role == _OPENED:
                    counts[_OPEN, 0] += 1
                elif role == _CLICKED:
                    counts[_LINKS, 0] += 1
            if final < 0:
                tape.kind[row] = SKIPPED
            elif notes.verdict[row] != _COUNTED:
                tape.kind[row] = SKIPPED
                _blame(notes, counts, tape.lead[row], notes.verdict[row])
            else:
                tape.type[row] = final
        elif kind == SKIPPED and notes.marked[tape.lead[row]]:
            counts[_AGENT, 0] += 1
            _blame(notes, counts, tape.lead[row], _AGENT)


@inner
def _blame(notes: _Notes, counts: Int64, lead: int, rule: int) -> None:
    if notes.marked[lead]:
        counts[rule, 1] += 1
        if notes.blamed[lead] >> rule & 1 == 0:
            notes.blamed[lead] |= 1 << rule
            counts[rule, 2] += 1
