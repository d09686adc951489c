# %% [markdown]
# # Reading the report
#
# A training ends with one HTML file for marketing and sales. This notebook reads the same figures from the summary that
# the report is drawn from, in the order in which a reader should ask: what is decided, can I believe it, why, and what
# does it say of one lead.

# %%
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from mqlml.config import Config
from mqlml.history.sample import write_sample
from mqlml.workflows.explaining import explain
from mqlml.workflows.scoring import score
from mqlml.workflows.training import train

folder = Path(tempfile.mkdtemp())
write_sample(folder, leads=2_000, seed=0)
settings = folder / "mqlml.toml"
# A small model, and a look every four weeks instead of each week, so that this notebook is quick.
small = "\n[model]\nbags = 2\norigins = 2\n[features]\nwindows_days = [7, 30]\n"
settings.write_text(settings.read_text().replace("every_days = 7 ", "every_days = 28 ") + small)
config = Config.load(settings)
trained = train(config, as_of="2026-04-01")
summary = trained.summary
summary["verdict"]["sentence"]

# %% [markdown]
# ## What is decided
#
# The threshold follows from the rule (here: so many new MQLs a week). Beside it stands how often leads above it were
# won in past weeks that the model had not learned from, with the range that chance leaves open, and the rate of all.

# %%
decision = summary["decision"]
pd.Series(
    {
        "rule": decision["rule"],
        "threshold": round(decision["threshold"], 3),
        "MQLs a week": decision["mqls_per_week"]["median"],
        "win rate of MQLs": round(decision["win_rate"]["value"], 3),
        "likely from": round(decision["win_rate"]["low"], 3),
        "to": round(decision["win_rate"]["high"], 3),
        "win rate of all": round(decision["base_rate"], 3),
    }
)

# %% [markdown]
# Every other threshold is there too; the slider of the report moves over these rows.

# %%
grid = pd.DataFrame(decision["grid"])[["threshold", "mqls_per_week", "win_rate", "share_of_wins"]]
grid.iloc[:: max(1, len(grid) // 8)].round(3)

# %% [markdown]
# ## Can I believe it?
#
# Two questions. Is it better than simpler ways of choosing (positive numbers: the model is better)? And do promised
# chances come true: of leads promised 5 %, were about 5 % won?

# %%
ladder = [
    {
        "way": rung["name"],
        "AUC": rung["auc"] and rung["auc"]["value"],
        "model better by (log loss)": rung["model_better_by"] and rung["model_better_by"]["value"],
    }
    for rung in summary["evaluation"]["ladder"]
]
pd.DataFrame(ladder).round(4)

# %%
reliability = pd.DataFrame(summary["evaluation"]["reliability"])
reliability.round(3)

# %% [markdown]
# ## Why
#
# A criterion is one column, kind of event, page or ordered pair with all its windows. Its importance says how much the
# model looks at it, not that it causes wins.

# %%
drivers = pd.DataFrame(summary["drivers"])
drivers[["criterion", "group", "importance", "direction"]].head(8).round(3)

# %%
summary["drivers"][0]["sentence"]

# %% [markdown]
# ## One lead
#
# The list for sales holds the three strongest reasons of each lead, recent actions first, compared with what became of
# such leads. `words.toml` says what things are called; it can be edited without training again.

# %%
words = """
[events]
page_view = "page view"
form_submit = "form sent"
demo_request = "demo asked for"
[columns]
job_title = "Job title"
[assets]
"/pricing" = "the pricing page"
"""
(folder / "words.toml").write_text(words)
done = score(config, as_of="2026-04-01", out=folder / "scores.parquet")
scores = pd.read_parquet(done.out).sort_values("probability", ascending=False)
list(scores.iloc[0][["reason_1", "reason_2", "reason_3"]])

# %% [markdown]
# `explain` tells the whole story, on the screen or as a card (`mqlml explain LEAD --out card.html`): every part of the
# sum, how the chance went with each step, and what the chance would be with one thing more. The last is an association:
# making a lead do it need not have the same effect.

# %%
card = folder / "card.html"
story = explain(config, scores.iloc[0]["lead_id"], as_of="2026-04-01", out=card)
pd.DataFrame(story["criteria"])[["fact", "theme", "contribution", "points"]].head(6).round(3)

# %%
steps = pd.DataFrame(story["timeline"])
steps[["at", "what", "chance", "change"]].tail(6).round({"chance": 3, "change": 3})

# %%
pd.DataFrame(story["what_if"]["events"])[["called", "again", "chance", "change"]].round(3)

# %% [markdown]
# The parts sum to the chance exactly, whatever the model looks like inside.

# %%
log_odds = story["base"] + sum(reason["contribution"] for reason in story["criteria"])
chance = 1 / (1 + np.exp(-log_odds))

assert abs(chance - story["score"]["probability"]) < 1e-9
assert decision["win_rate"]["low"] <= decision["win_rate"]["value"] <= decision["win_rate"]["high"]
assert grid["mqls_per_week"].is_monotonic_increasing or grid["mqls_per_week"].is_monotonic_decreasing
assert drivers["importance"].is_monotonic_decreasing
assert drivers["importance"].sum() <= 1 + 1e-9
assert steps["at"].is_monotonic_increasing
assert "default-src 'none'" in card.read_text()
assert trained.report.exists()
