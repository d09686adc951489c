"""Mistakes that a tape's kernel could have, each as an edit of its source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """In one module of ``mqlml.tape`` the text ``right``, which must stand there once, becomes ``wrong``."""

    module: str
    right: str
    wrong: str

    def of(self, text: str) -> str:
        """Make the mistake.

        Raises
        ------
        ValueError
            The text is not the one for which the mistake was made up.
        """
        found = text.count(self.right)
        if found != 1:
            raise ValueError(f"mqlml.tape.{self.module} holds {self.right!r} {found} times, not once")
        return text.replace(self.right, self.wrong)


@dataclass(frozen=True)
class Mistake:
    """Edits that together make one mistake; ``leaks`` tells whether it lets the future into a row."""

    edits: tuple[Edit, ...]
    leaks: bool = False

    def of(self, module: str, text: str) -> str:
        """Make the mistake in the text of one module."""
        for edit in self.edits:
            text = edit.of(text) if edit.module == module else text
        return text


def _one(module: str, right: str, wrong: str, *, leaks: bool = False) -> Mistake:
    return Mistake((Edit(module, right, wrong),), leaks)


_BY_KIND = "sign = _sign(rows.kind, a, b)"
_BY_TYPE = """\
    if sign == 0:
        sign = _sign(rows.type, a, b)
"""
_DERIVE = "        derive(tape, recipe, state, lead, now)\n"
_LIFETIME = """\
        mine = (tape.kind == EVENT) & (tape.key == tape.key[i]) & (tape.lead == lead)
        state.panel[recipe.layout.windows * recipe.layout.stride + recipe.layout.any] = mine.sum()
"""
_OFFSET = 'recipe.zone_offsets[np.searchsorted(recipe.zone_starts, time, side="right")]'
_MONTH_US = 30 * 86_400_000_000

MISTAKES = {
    "facts at the very moment of the mark count": Mistake(
        (
            Edit("ordering", _BY_KIND, _BY_KIND.replace("a, b", "b, a")),
            Edit("lead_state", "late = me.known >= now", "late = me.known > now"),
            Edit("lead_state", "if tape.known[i] < now:", "if tape.known[i] <= now:"),
        ),
        leaks=True,
    ),
    "totals are those of a lifetime": _one("kernel", _DERIVE, _DERIVE + _LIFETIME, leaks=True),
    "when a fact was recorded is ignored": _one(
        "rows", "epoch_us(greatest(e.recorded_at, e.occurred_at))", "epoch_us(e.occurred_at)", leaks=True
    ),
    "a change counts a moment too early": _one(
        "rows", "epoch_us(changed_at) AS time", "epoch_us(changed_at) - 1 AS time", leaks=True
    ),
    "a stage counts a moment too early": _one(
        "rows", "epoch_us(s.entered_at)", "epoch_us(s.entered_at) - 1", leaks=True
    ),
    "today's value stands for the one at first": _one(
        "rows", "WHERE field IN (SELECT DISTINCT field FROM changes WHERE has_old_value)", "", leaks=True
    ),
    "colleagues count before they are created": _one(
        "rows", "SELECT key, created, ", f"SELECT key, created - {_MONTH_US}, ", leaks=True
    ),
    "what colleagues did counts before it is known": _one(
        "colleagues", "if tape.known[i] <= now:", "if True:", leaks=True
    ),
    "what is recorded of colleagues at the mark counts": _one(
        "colleagues", "tape.known[team.heap[0]] < now:", "tape.known[team.heap[0]] <= now:", leaks=True
    ),
    "ties stand in the order in which they come": _one("ordering", _BY_TYPE, "    return sign\n"),
    "the first moment of a window is outside": _one(
        "lookback", "now - time > recipe.windows_us[w]", "now - time >= recipe.windows_us[w]"
    ),
    "windows reach back from the creation of the lead": _one(
        "kernel",
        "look_back(tape, recipe, state, lead, now)",
        "look_back(tape, recipe, state, lead, max(state.leads[lead].created, 0) or now)",
    ),
    "the clock is an hour ahead": _one("lead_state", _OFFSET, f"{_OFFSET} + _HOUR_US"),
    "there is no summer time": _one("lead_state", _OFFSET, "recipe.zone_offsets[-1]"),
    "days are those of UTC": _one("lead_state", _OFFSET, "0"),
    "the first touch is the last": _one(
        "lead_state", "        me.first = i\n    else:\n", "        pass\n    me.first = i\n    if me.newest >= 0:\n"
    ),
    "a pause as long as the gap begins a session": Mistake(
        (
            Edit("lead_state", "elapsed > gap", "elapsed >= gap"),
            Edit("lookback", "if elapsed > recipe.gap_us", "if elapsed >= recipe.gap_us"),
        )
    ),
    "pairs may happen at one moment": _one("lead_state", "if first == time:", "if False:"),
    "facts that came late stay left out": _one("lead_state", "me.stale = late", "me.stale = 0"),
    "visits count again when the past is replayed": _one("lead_state", "state.rows[i].seen = UNSEEN", "pass"),
    "own events count as those of colleagues": _one("colleagues", "= team.events[w] - own", "= team.events[w]"),
    "a lead is its own colleague": _one("colleagues", "facts.colleagues - here", "facts.colleagues"),
    "colleagues' windows lack their first moment": _one(
        "colleagues", "while tape.time[i] < oldest:", "while tape.time[i] <= oldest and i < tape.time.size - 1:"
    ),
    "colleagues' late facts are always recent": _one(
        "colleagues", "if w == windows or i >= team.tails[w]:", "if True:"
    ),
    "what colleagues did before their creation never counts": _one(
        "colleagues", "row = np.int64(me.arrived)\n", "row = -1\n"
    ),
}
"""By what they do."""
