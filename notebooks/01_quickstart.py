# %% [markdown]
# # Quickstart: from a lead history to a list that sales can work
#
# A made-up B2B history stands in for yours. The steps are those of the command line (`mqlml sample`, `check`, `train`,
# `score`, `explain`), called from Python.

# %%
import tempfile
from pathlib import Path

import pandas as pd

from mqlml.config import Config
from mqlml.history.sample import write_sample
from mqlml.workflows.checking import check
from mqlml.workflows.explaining import explain
from mqlml.workflows.scoring import score
from mqlml.workflows.training import train

folder = Path(tempfile.mkdtemp())
tables = write_sample(folder, leads=3_000, seed=0)
tables

# %% [markdown]
# `mqlml.toml` says what the tables are and what is asked of them. Two lines matter most: the horizon ("won within 90
# days") and the capacity of sales ("so many new MQLs a week"). Here we ask for a small model and a look every four
# weeks, so that this notebook is quick.

# %%
settings = folder / "mqlml.toml"
small = "\n[model]\nbags = 2\norigins = 2\n"
settings.write_text(settings.read_text().replace("every_days = 7 ", "every_days = 28 ") + small)
config = Config.load(settings)
config.label, config.policy

# %% [markdown]
# ## Look before learning
#
# `check` reads everything, counts every row, plans the tests and looks for columns that give the outcome away.

# %%
found = check(config, as_of="2026-04-01")
pd.DataFrame(found["plan"])

# %%
pd.DataFrame(found["accounting"])

# %% [markdown]
# ## Learn
#
# Only what was known before 2026-04-01 is used, although the files go on until the end of June: so we can see later
# what really became of the leads.

# %%
trained = train(config, as_of="2026-04-01")
trained.summary["verdict"]["sentence"]

# %%
pd.DataFrame({m["name"]: m["model"] for m in trained.summary["evaluation"]["metrics"]}).T

# %% [markdown]
# ## Score the open leads

# %%
done = score(config, as_of="2026-04-01", out=folder / "scores.parquet")
scores = pd.read_parquet(done.out)
scores.sort_values("probability", ascending=False)[["lead_id", "probability", "tier", "reason_1"]].head()

# %%
best = scores.sort_values("probability").iloc[-1]
story = explain(config, best["lead_id"], as_of="2026-04-01")
pd.DataFrame(story["criteria"]).head(8)

# %% [markdown]
# ## What became of them?
#
# The 90 days after 2026-04-01 lie in the files, and nothing above has seen them.

# %%
outcomes = pd.read_parquet(folder / "outcomes.parquet")
won = set(outcomes.loc[(outcomes.outcome == "won") & (outcomes.decided_at >= "2026-04-01"), "lead_id"])
scores["won"] = scores["lead_id"].isin(won)
by_tier = scores.groupby("tier")[["probability", "won"]].mean().assign(leads=scores.groupby("tier").size())
by_tier.reindex(["hot", "mql", "nurture", "cold"]).round(3)

# %% [markdown]
# The report for marketing and sales lies beside the model: open it in a browser.

# %%
trained.report.name

# %%
assert found["problems"] == []
assert scores["lead_id"].is_unique
assert scores["probability"].between(0, 1, inclusive="neither").all()
tenth = scores.nlargest(len(scores) // 10, "probability")
assert tenth["won"].mean() > 2 * scores["won"].mean(), "the best tenth wins more than twice as often as all leads"
