"""The explained ``mqlml.toml`` of the synthetic history."""

from __future__ import annotations

TEMPLATE = """# Settings of the synthetic history that 'mqlml sample' wrote ({leads:,} leads, seed {seed}).
# The data end on {as_of}. Recommended: mqlml train --as-of {as_of}
# Every path is relative to this file. A key that mqlml does not know is refused with the nearest valid one.

[leads]
path = "leads.parquet"             # one row a lead; lead_id, account_id and created_at have their default names
timezone = "UTC"                   # zone of timestamps that name none, and of the date given to --as-of
known_at_creation = [              # never change after the lead was created, so today's value is the value then
    "industry", "country", "source", "campaign", "free_mail", "budget_stated", "buying_role",
]
state = [                          # today's view of the CRM: only the values of [history] are used, as of each moment
    "job_title", "company_size", "lead_status",
]
exclude = [
    # found by the leak audit: filled after the outcome; remove this line to see it blocked
    "onboarding_owner",
]
sensitive = []                     # never used for scoring, such as gender or age; the report shows how groups fare
budget = ["budget_stated", "company_size"]   # who can pay, and ...
authority = ["job_title", "buying_role"]     # ... who can decide: a block of the report; else recognised by name

[outcomes]
path = "outcomes.parquet"          # several rows a lead are episodes: lost, picked up again, won
won = ["won"]
lost = ["lost"]
ignore = ["duplicate"]             # neither won nor lost; these leads are left out

[events]
path = "events.parquet"            # what leads did; recorded_at says when the system knew it
by_sales = ["call", "meeting"]     # made by sales, so they say what sales thought: off as features

[events.machines]                  # what scanners, crawlers and scripts did is left out; 0 or [] switches a rule off
# opens = ["email_open"]           # opened mails, here recognised by name: off as features unless in [events] use
# open_within_seconds = 5          # where they are in use: not counted so soon after a send (sends = ["email_sent"])
links = 3                          # clicks: not counted from the third different link on
links_within_seconds = 60          # within so many seconds
burst_events = 100                 # any event: not counted when the lead had so many others
burst_seconds = 60                 # within so many seconds
# agent = "user_agent"             # column of the events; named agents are not counted (agents = ["bot/", ...])

# [features]
# max_pairs = 10                   # which event after which, where the order tells something of its own; 0: none
# pair_days = 7                    # at most so many days after

[history]
path = "history.parquet"           # every value of the columns in 'state', with the one before it
# collect = "collected"            # a folder: keep what changes from one extract of the leads to the next

[stages]
path = "stages.parquet"            # when an opportunity was opened ...
taken = ["opportunity"]            # ... from when on sales has the lead

[handovers]
path = "handovers.parquet"         # when sales took a lead, and whether they accepted it
# touch_within_days = 2            # what mqlml monitor calls "in time"
# region = "country"               # a column of the leads by which it tells what sales answered

[spend]
path = "spend.parquet"             # what each campaign cost in each month; told in the report, never learned from

[label]
horizon_days = 90                  # the question: will this lead be won within 90 days?

[snapshots]
every_days = 7                     # look at every open lead once a week
max_age_days = 180                 # older leads are dormant, neither learned from nor scored, until they act again

[policy]
capacity_per_week = {capacity}{space}# about one eighth of the leads that come in a week now; sales can work no more
# cost = 80                        # what working an MQL costs, and ...
# value = "learned"                # ... what a win brings: a number, or learned from won leads by source
# precision = 0.2                  # certified win rate of MQLs; needs refit = false in [model]
# recall = 0.6                     # share of the wins to keep; floor = 0.05: least chance of an MQL
# backlog_per_week = 5             # on top, of the leads that wait above the line
# stay_at = 0.8                    # a lead on the list leaves it below this share of the threshold ...
# min_days = 7                     # ... and not before so many days
# retry_days = 90                  # a rejected lead is not handed over again before, unless it acts anew
# min_fit = "C"                    # least fit grade of a new MQL: keen leads that cannot buy stay out
# per_account = 2                  # new MQLs of one account a week; unit = "account": one contact of it at a time
# control_per_week = 5             # leads below the line handed over on purpose, to learn what the line costs
# [[policy.rules]]                 # decided beside the model, counted apart: "never", "always" or "sales-ready"
# name = "students"
# when = {{column = "industry", value = "education"}}
# then = "never"

# [reasons]
# vocabulary = "words.toml"        # what reasons call events, columns and assets; read where it is there, see the docs

# [promotion]                      # before a challenger replaces the model in use: docs/retraining.md
# weeks = 13                       # newest weeks with known outcomes that both are compared on
# worse_by_at_most = 0.02          # the challenger's log loss may be 2 % worse, with 95 % confidence
# automatic = false                # true: 'mqlml retrain' promotes a challenger that passes every gate

# [handoff]                        # lists for those who take the leads; see also: mqlml score --handoff FOLDER
# folder = "lists"                 # write them with every scoring
# recipient = "country"            # one file for each value
# columns = ["job_title"]          # of the leads, to carry along; consent = "may_be_mailed"
# preset = "salesforce"            # or "hubspot", "dynamics365"

# [suppress]
# path = "suppress.csv"            # ids that are neither learned from nor scored; mqlml forget adds to it

# [output]
# scores = ["scores.parquet"]      # where score writes without --out; forget looks at all of them
# state = "state"                  # with a folder as [events] path: score keeps what it has read, see docs/jobs.md
"""


def settings_text(*, leads: int, seed: int, as_of: str, capacity: int) -> str:
    """Fill in the numbers of one history.

    Parameters
    ----------
    leads, seed : int
        As given to ``mqlml sample``.
    as_of : str
        End of the data, ISO date.
    capacity : int
        Leads that sales can take a week.
    """
    space = " " * max(1, 15 - len(str(capacity)))
    return TEMPLATE.format(leads=leads, seed=seed, as_of=as_of, capacity=capacity, space=space)
