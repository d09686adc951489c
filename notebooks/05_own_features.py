# %% [markdown]
# # Features of your own
#
# A feature has to be known as of each moment, when the model learns and when it scores. So features of your own are
# given as tables, and the tape plays them like everything else:
#
# | your feature | give it as |
# |---|---|
# | never changes after the creation | a column of the leads, in `known_at_creation` |
# | changes over time | rows of `[history]`, and the column in `[leads] state` |
# | happens | rows of `[events]` with a type of their own |
#
# Here a made-up product trial adds one of each kind: a partner's code, the seats a lead has invited, and logins.

# %%
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from mqlml.config import Config
from mqlml.history.reading import read_history
from mqlml.history.sample import write_sample
from mqlml.operation.scoring import LeadScorer
from mqlml.tape.build import build_features
from mqlml.workflows.scoring import score
from mqlml.workflows.training import train

folder = Path(tempfile.mkdtemp())
write_sample(folder, leads=1_000, seed=0)
settings = folder / "mqlml.toml"
# A small model, and a look every four weeks instead of each week, so that this notebook is quick.
small = "\n[model]\nbags = 2\norigins = 1\n[features]\nwindows_days = [7, 30]\n"
settings.write_text(settings.read_text().replace("every_days = 7 ", "every_days = 28 ") + small)
before = train(Config.load(settings), as_of="2026-04-01")

# %% [markdown]
# ## What the trial records
#
# Leads that will buy start a trial more often, some weeks before they decide; a few others start one too. The partner's
# code is drawn by lot: it tells nothing.

# %%
random = np.random.default_rng(7)
leads, outcomes = (pd.read_parquet(folder / f"{name}.parquet") for name in ("leads", "outcomes"))
end = outcomes["decided_at"].max()
decided = outcomes.groupby("lead_id")["decided_at"].max()
won = set(outcomes.loc[outcomes["outcome"] == "won", "lead_id"])
days = pd.to_timedelta(1, "D")


def trial_of(lead: pd.Series) -> tuple[list[dict], list[dict]]:
    """Logins and numbers of seats of one lead, all before it was decided."""
    buys = lead["lead_id"] in won
    if random.random() > (0.6 if buys else 0.08):
        return [], []
    stop = decided.get(lead["lead_id"], end)
    start = (
        max(lead["created_at"], stop - random.uniform(10, 40) * days)
        if buys
        else lead["created_at"] + random.uniform(0, 60) * days
    )
    moments = sorted(start + random.uniform(0, 14, random.poisson(6 if buys else 3)) * days)
    seats = np.cumsum(random.integers(1, 4, 3))
    weeks = [start + number * 5 * days for number in range(3)]
    logins = [{"occurred_at": at, "value": float(random.integers(2, 60))} for at in moments if at < stop]
    steps = zip(weeks, seats, [0, *seats[:-1]], strict=True)
    changes = [{"changed_at": at, "value": str(new), "old_value": str(old)} for at, new, old in steps if at < stop]
    return [{"lead_id": lead["lead_id"], **row} for row in logins], [
        {"lead_id": lead["lead_id"], **row} for row in changes
    ]


trials = [trial_of(lead) for _, lead in leads.iterrows()]
logins = pd.DataFrame([row for events, _ in trials for row in events]).assign(event_type="trial_login")
logins["recorded_at"] = logins["occurred_at"]
seats = pd.DataFrame([row for _, changes in trials for row in changes]).assign(field="seats")
len(logins), len(seats)

# %% [markdown]
# ## Into the tables
#
# Logins go to the events, with the minutes as their `value`; numbers of seats to the field history. The column `seats`
# of the leads holds today's value, as an export would; it is declared as `state`, so only its history is used.


# %%
def append(name: str, rows: pd.DataFrame) -> None:
    """Put rows behind those of a table."""
    table = pd.read_parquet(folder / f"{name}.parquet")
    for moment in rows.columns.intersection(["occurred_at", "recorded_at", "changed_at"]):
        rows = rows.assign(**{moment: rows[moment].dt.as_unit("us")})
    pd.concat([table, rows], ignore_index=True).to_parquet(folder / f"{name}.parquet", index=False)


append("events", logins)
append("history", seats)
today = seats.groupby("lead_id")["value"].last().astype(float)
leads["seats"] = leads["lead_id"].map(today).fillna(0.0)
leads["partner_code"] = random.choice(["P1", "P2", "P3", "none"], len(leads))
leads.to_parquet(folder / "leads.parquet", index=False)

text = settings.read_text()
text = text.replace('"budget_stated", "buying_role",', '"budget_stated", "buying_role", "partner_code",', 1)
text = text.replace(
    '"job_title", "company_size", "lead_status",', '"job_title", "company_size", "lead_status", "seats",', 1
)
settings.write_text(text)
config = Config.load(settings)
config.leads.known_at_creation[-1], config.leads.state[-1]

# %% [markdown]
# ## Train again

# %%
after = train(config, as_of="2026-04-01")
figures = {
    name: {m["name"]: m["model"]["value"] for m in run.summary["evaluation"]["metrics"]}
    for name, run in (("without the trial", before), ("with it", after))
}
pd.DataFrame(figures).loc[["log_loss", "auc", "top_10"]].round(3)

# %%
scorer = LeadScorer.load(after.bundle)
mine = ("seats", "trial_login", "partner_code")
own = [f for f in scorer.model.features.features if f.criterion in mine]
pd.DataFrame([{"feature": f.name, "meaning": f.description} for f in own])

# %% [markdown]
# ## The future stays out
#
# The same features of the same leads as of 1 January 2026, and again after a login and a change of seats in February
# were added for each of them: every number is the same.

# %%
moment = pd.Timestamp("2026-01-01", tz="UTC")
some = leads.loc[leads["created_at"] < moment, "lead_id"].head(300)
marks = pa.table(
    {"lead_id": pa.array(some, pa.string()), "at": pa.array([moment] * len(some), pa.timestamp("us", "UTC"))}
)


def features_then() -> pd.DataFrame:
    """Read the tables as they are now and look at them as of the moment."""
    with read_history(config) as history:
        return build_features(history, marks, scorer.model.features).to_pandas()


seen = features_then()
later = pd.DataFrame(
    {"lead_id": some.to_numpy(), "occurred_at": moment + timedelta(days=40), "event_type": "trial_login"}
)
append("events", later.assign(recorded_at=later["occurred_at"]))
before_it = some.map(today).fillna(0.0).astype(str)  # without the old value nothing would be known of the time before
change = pd.DataFrame({"lead_id": some, "field": "seats", "value": "99", "old_value": before_it})
append("history", change.assign(changed_at=moment + timedelta(days=40)))
seen_again = features_then()
seen.filter(like="trial_login").max().round(1)

# %% [markdown]
# Scoring needs nothing more: it reads the same tables and plays the same tape. Few leads have a trial, so it is no
# important criterion on average; for those who have one it is among the reasons.

# %%
done = score(config, as_of="2026-04-01", model=after.bundle.name, out=folder / "scores.parquet")
scores = pd.read_parquet(done.out)
reasons = scores[["reason_1", "reason_2", "reason_3"]].melt()["value"].dropna()
reasons[reasons.str.contains("trial_login|seats")].head(3).to_list()

# %%
assert {f.criterion for f in own} == set(mine)
assert figures["with it"]["auc"] > figures["without the trial"]["auc"]
assert figures["with it"]["log_loss"] < figures["without the trial"]["log_loss"]
assert reasons.str.contains("trial_login|seats").any()
pd.testing.assert_frame_equal(seen, seen_again)
assert len(seen.filter(like="trial_login").columns) > 5
assert scores["lead_id"].is_unique
