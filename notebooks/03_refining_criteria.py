# %% [markdown]
# # Refining criteria: people decide, the next model obeys
#
# Sales and marketing go through the criteria in the report, mark what they disagree with and download `criteria.toml`.
# The next training obeys it and says what each decision cost or gained.

# %%
import tempfile
from pathlib import Path

import pandas as pd

from mqlml.config import Config
from mqlml.history.sample import write_sample
from mqlml.review.criteria import Criteria, Mark, needs_review, read_criteria
from mqlml.workflows.carding import scorecard
from mqlml.workflows.training import train

folder = Path(tempfile.mkdtemp())
write_sample(folder, leads=1_000, seed=0)
settings = folder / "mqlml.toml"
# A small model, and a look every four weeks instead of each week, so that this notebook is quick.
small = "\n[model]\nbags = 2\norigins = 1\n[features]\nwindows_days = [30]\n"
settings.write_text(settings.read_text().replace("every_days = 7 ", "every_days = 28 ") + small)
config = Config.load(settings)
first = train(config, as_of="2026-04-01")

# %% [markdown]
# ## What needs a decision
#
# The criteria that carry 90 % of the weight, at most 20.

# %%
drivers = first.summary["drivers"]
asked = needs_review(drivers)
pd.DataFrame(drivers)[["criterion", "group", "importance", "direction"]].head(len(asked)).round(3)

# %% [markdown]
# ## Two decisions
#
# "We sell to every industry: leave it out." And "page views may be used as they are; call them pages seen". This is
# what the report's form writes when somebody presses *Download criteria.toml*.

# %%
marks = (
    Mark("industry", "bar", note="we sell to every industry", by="Ana", on="2026-04-02"),
    Mark("page_view", "approve", label="Pages seen", note="agreed with sales", by="Ana", on="2026-04-02"),
)
file = folder / "criteria.toml"
file.write_text(Criteria(marks, model_version=first.bundle.name).to_toml())
print(file.read_text())

# %% [markdown]
# ## Train again
#
# The file lies beside `mqlml.toml`, so the next training finds it. Each decision that changes the model is left out in
# turn and the same past weeks are tested again; a positive log loss means that it costs something.

# %%
second = train(config, as_of="2026-04-01")
found = second.summary["criteria"]
pd.DataFrame(
    [{"criterion": m["name"], "decision": m["decision"], "what it costs": m["effect"]} for m in found["marks"]]
)

# %%
before, after = (
    {m["name"]: m["model"]["value"] for m in run.summary["evaluation"]["metrics"]} for run in (first, second)
)
pd.DataFrame({"before": before, "after": after}).round(4)

# %% [markdown]
# The first bundle stays in use until somebody compares the two and promotes the second.
#
# ## As points
#
# Tools that cannot run a model get at most twelve rules. How true they stay to the model is measured on the newest
# weeks, by rules that were chosen without them.

# %%
card, text = scorecard(config, model=second.bundle.name, out=folder / "scorecard.csv")
print(text)

# %%
used = {driver["criterion"] for driver in second.summary["drivers"]}
labels = {driver["criterion"]: driver["label"] for driver in second.summary["drivers"]}

assert read_criteria(file.read_text(), where="criteria.toml").marks == marks
assert "industry" in {driver["criterion"] for driver in drivers}
assert "industry" not in used
assert labels.get("page_view", "Pages seen") == "Pages seen"
assert [mark["name"] for mark in found["marks"]] == ["industry", "page_view"]
assert "log loss" in found["marks"][0]["effect"]
assert abs(after["auc"] - before["auc"]) < 0.05
assert 0 < len(card["rules"]) <= 12
assert all(rule["subject"] != "industry" and rule["points"] > 0 for rule in card["rules"])
assert card["fidelity"]["same_decision"] > 0.8
