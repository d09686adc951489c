# %% [markdown]
# # Batch scoring: a job that can be left alone
#
# A model is worth something if its scores are there each morning, once, and if people can see what changed. This
# notebook runs the weekly job twice, writes the lists for sales, breaks a run on purpose, lets a person be forgotten,
# and collects what changed in the CRM. A made-up B2B history stands in for yours; on the command line the steps are
# `mqlml score`, `mqlml collect` and `mqlml forget`.

# %%
import hashlib
import json
import tempfile
from pathlib import Path

import duckdb
import pandas as pd

from mqlml.config import Config
from mqlml.history.sample import write_sample
from mqlml.workflows.forgetting import forget
from mqlml.workflows.scoring import score
from mqlml.workflows.training import train

folder = Path(tempfile.mkdtemp())
write_sample(folder, leads=1_500, seed=0)
settings = folder / "mqlml.toml"
# A small model, and a look every four weeks instead of each week, so that this notebook is quick.
small = """
[model]
bags = 2
origins = 1
[features]
windows_days = [30]
[handoff]
folder = "lists"
recipient = "country"
[suppress]
path = "suppress.csv"
[output]
scores = ["week1.parquet", "week2.parquet", "scores.duckdb"]
"""
settings.write_text(settings.read_text().replace("every_days = 7 ", "every_days = 28 ") + small)
(folder / "suppress.csv").write_text("lead_id\n")
config = Config.load(settings)
model = train(config, as_of="2026-04-01").bundle.name
model[:10]

# %% [markdown]
# ## The first week
#
# Nothing reads the clock: the moment is an argument, and a job that was missed is run later with the date it should
# have had. Each run leaves a manifest beside its scores in which every lead of the file is accounted for.

# %%
first = score(config, as_of="2026-04-01", out=folder / "week1.parquet")
manifest = first.manifest
pd.Series(
    {
        "rows in": manifest["rows_in"],
        "scored": manifest["scored"],
        **{f"skipped: {why}": n for why, n in manifest["skipped"].items()},
        "quarantined": manifest["quarantined"],
        "MQLs": manifest["mqls"],
    }
)

# %% [markdown]
# ## The second week
#
# With last week's scores beside it, the run says who is new, who stays and who leaves, and since when.

# %%
second = score(config, as_of="2026-04-08", out=folder / "week2.parquet", previous=folder / "week1.parquet")
week1, week2 = (pd.read_parquet(folder / f"week{n}.parquet") for n in (1, 2))
week2["change"].value_counts()

# %% [markdown]
# The same, as lists for those who take the leads: one CSV file for each value of the column `country`, new leads
# first, safe to open in a spreadsheet. Column names follow Salesforce, HubSpot or Dynamics 365 where `[handoff]
# preset` says so.

# %%
lists = folder / "lists" / "2026-04-08"
told = json.loads((lists / "handoff.json").read_text())
handed = pd.concat([pd.read_csv(file, dtype={"lead_id": str}) for file in lists.glob("*.csv")])
handed[["lead_id", "change", "mql_since", "score", "reason_1"]].head()

# %% [markdown]
# ## Twice is once
#
# A scheduler may start a job again. Scores have the key (lead, moment, model, policy): a file is replaced by an equal
# one, a table of a database is updated row by row.


# %%
def fingerprint(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


before = fingerprint(folder / "week2.parquet")
score(config, as_of="2026-04-08", out=folder / "week2.parquet", previous=folder / "week1.parquet")
for _ in range(2):
    for moment in ("2026-04-01", "2026-04-08"):
        score(config, as_of=moment, out=folder / "scores.duckdb")
with duckdb.connect(folder / "scores.duckdb", read_only=True) as connection:
    in_database = connection.sql("SELECT as_of::DATE::VARCHAR, count(*) FROM scores GROUP BY 1 ORDER BY 1").fetchall()
fingerprint(folder / "week2.parquet") == before, in_database

# %% [markdown]
# ## A run that breaks
#
# Here the extract of the leads arrives cut off. The run is refused with a sentence that says what to do (exit code 3
# on the command line), and yesterday's scores stand.

# %%
leads = folder / "leads.parquet"
whole = leads.read_bytes()
leads.write_bytes(whole[: len(whole) // 2])
try:
    score(config, as_of="2026-04-08", out=folder / "week2.parquet")
except ValueError as error:
    refusal = str(error)
leads.write_bytes(whole)
refusal

# %% [markdown]
# ## A field history where the CRM keeps none
#
# With `[history] collect` each run compares the leads with the extract before and keeps what changed, for every
# column of which no history is delivered. Here three leads turn out to be software companies between two weeks.

# %%
own = folder / "own.toml"
own.write_text(settings.read_text().replace("\n[history]\n", '\n[history]\ncollect = "collected"\n'))
collecting = Config.load(own)
score(collecting, as_of="2026-04-15", out=folder / "week3.parquet")
crm = pd.read_parquet(leads)
moved = crm.index[crm["industry"] != "software"][:3]
crm.loc[moved, "industry"] = "software"
crm.to_parquet(leads)
collected = score(collecting, as_of="2026-04-22", out=folder / "week3.parquet").manifest["collected"]
pd.read_parquet(folder / "collected" / "changes.parquet")

# %% [markdown]
# ## A person who asks to be forgotten
#
# `forget` puts the lead on the list `[suppress]`, erases it from scores, lists and what was collected, and says where
# it looked.

# %%
person = crm.loc[moved[0], "lead_id"]
gone = forget(collecting, person)
pd.DataFrame(gone["looked"]).assign(place=lambda table: [Path(place).name for place in table["place"]])

# %%
assert manifest["rows_in"] == manifest["scored"] + sum(manifest["skipped"].values()) + manifest["quarantined"]
assert manifest["scored"] == len(week1) == week1["lead_id"].nunique()
assert set(week2.loc[week2["change"] == "stays", "lead_id"]) <= set(week1.loc[week1["is_mql"], "lead_id"])
assert not set(week2.loc[week2["change"] == "new", "lead_id"]) & set(week1.loc[week1["is_mql"], "lead_id"])
assert set(handed["change"]) <= {"new", "control", "stays", "leaves"}
assert set(week2.loc[week2["is_mql"], "lead_id"]) <= set(handed["lead_id"])
assert set(crm.loc[moved, "lead_id"]) >= {person}
assert in_database == [("2026-04-01", len(week1)), ("2026-04-08", len(week2))]
assert "export" in refusal
assert collected["changes"] == 3
assert gone["suppressed"] is True
assert person not in set(pd.read_parquet(folder / "collected" / "changes.parquet")["lead_id"])
assert person not in set(pd.read_parquet(folder / "week2.parquet")["lead_id"])
