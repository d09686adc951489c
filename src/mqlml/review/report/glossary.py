"""The report's words, explained to people who never saw the model."""

from __future__ import annotations

__all__ = ["GLOSSARY"]

GLOSSARY: tuple[tuple[str, str, str], ...] = (
    ("lead", "Lead", "One prospect. An open lead is neither won nor lost yet."),
    ("won", "Won, lost", "How a lead ended, as the outcomes you supplied say."),
    ("mql", "MQL", "Marketing-qualified lead: a lead that marketing hands to sales because its chance to win is high enough."),
    ("chance", "Chance to win", "Of 100 leads with a chance of 30 %, about 30 are won. It is a promise that can be checked, and the section “How sure” checks it."),
    ("threshold", "Threshold", "The chance to win from which a lead becomes an MQL; also called the line."),
    ("win-rate", "Win rate of MQLs", "Of all leads handed over as MQLs, the share that is won. Higher means less wasted sales time."),
    ("share-of-wins", "Share of wins caught", "Of all leads that are won, the share that had been handed over as MQLs. Higher means fewer missed winners."),
    ("weekly", "MQLs a week", "How many leads cross the threshold for the first time in a week."),
    ("base-rate", "Win rate of all leads", "The share of leads that is won when nobody chooses: what calling at random would give."),
    ("lift", "Times as often", "The win rate of MQLs divided by the win rate of all leads. Also called lift."),
    ("tier", "Tier", "A group of leads treated alike: hot and mql are handed to sales, nurture stays with marketing, cold waits."),
    ("likely", "Likely between", "The range in which the true figure lies, 95 times of 100. A wide range means that few cases were there to count."),
    ("snapshot", "Snapshot", "One lead looked at on one day, with only what was known before that day. A lead that stays open for weeks gives several snapshots."),
    ("horizon", "Horizon", "How far ahead a win still counts. With a horizon of 90 days, the chance to win is the chance to win within 90 days."),
    ("replay", "Replay", "Past weeks played again as if the rule had been in use, with nothing known that was not known then."),
    ("driver", "Criterion, driver", "One thing known about a lead, such as its job title or its visits to a page, with all the time windows in which it is counted."),
    ("weight", "Weight of a criterion", "Its share of all that moves chances up and down. It says what the model looks at, not what causes a win."),
    ("kinds", "Fit, engagement, timing", "Fit is who the lead is, engagement is what it did, timing is when."),
    ("log-loss", "Log loss", "One number for how wrong the promised chances were; smaller is better. It punishes bold promises that do not come true."),
    ("auc", "AUC", "Take one lead that was won and one that was not: how often the first had the higher chance. 0.5 is tossing a coin, 1 is perfect."),
    ("calibration", "Calibration", "Bringing the chances in line with what happened, so that 30 % means 30 of 100."),
    ("audit", "Leak audit", "A search for columns that know the outcome because they were filled in after it. Such columns make a model look good and fail in use."),
    ("waived", "Waived", "A finding that somebody accepted by name, with a reason."),
    ("quarantined", "Quarantined, skipped", "Quarantined rows could not be used and were set aside; skipped rows were left out on purpose. Both are counted."),
    ("reviewed", "Reviewed", "Marketing and sales went through the criteria that carry the weight. Until then a model is marked unreviewed."),
)  # fmt: skip
