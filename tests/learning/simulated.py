"""Simulated lead histories whose truth is known: straight into training and judging, without files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.special import expit

from mqlml.learning.labels import Rows
from mqlml.learning.snapshots import DAY
from mqlml.tape.features import Attribute, FeatureSet

NUMBERS = tuple(f"n{i}" for i in range(6))
WORDS = ("source", "industry", "title")
LEVELS = (4, 12, 60)
FEATURES = FeatureSet(
    attributes=(
        *(Attribute(name, "number", "creation") for name in NUMBERS),
        *(Attribute(name, "category", "creation") for name in WORDS),
    ),
    age=False,
)
GENERATORS = ("noise", "one number", "many weak", "words", "curved")
HORIZON_DAYS = 30


@dataclass(frozen=True)
class Simulated:
    """Labelled rows, their features and the true log-odds of each row."""

    rows: Rows
    table: pa.Table
    log_odds: np.ndarray


def simulate(
    kind: str, *, seed: int, won: int | None = None, lost: int | None = None, leads: int = 0, base: float = 0.0
) -> Simulated:
    """Draw leads of small accounts, looked at up to four times, a week apart.

    Parameters
    ----------
    kind : str
        One of ``GENERATORS``.
    seed : int
    won, lost : int, optional
        Exactly so many won and lost leads, drawn from a larger population.
    leads : int
        Leads to draw where ``won`` and ``lost`` are not given.
    base : float
        Log-odds of an average lead.
    """
    generator = np.random.default_rng(seed)
    wanted = leads if won is None or lost is None else 8 * max(won, lost) + 100
    account = np.sort(generator.integers(0, max(wanted * 2 // 3, 1), wanted))
    numbers = generator.normal(size=(wanted, len(NUMBERS)))
    # Leads of an account are alike.
    numbers += 0.7 * generator.normal(size=(wanted, len(NUMBERS)))[account]
    numbers /= np.sqrt(1.49)
    words = [generator.integers(0, levels, wanted) for levels in LEVELS]
    z = base + signal(kind, numbers, words)
    outcome = generator.random(wanted) < expit(z)
    if won is not None and lost is not None:
        kept = np.sort(np.r_[np.flatnonzero(outcome)[:won], np.flatnonzero(~outcome)[:lost]])
    else:
        kept = np.arange(wanted)
    return _looked_at(generator, account[kept], numbers[kept], [w[kept] for w in words], z[kept], outcome[kept])


def signal(kind: str, numbers: np.ndarray, words: list[np.ndarray]) -> np.ndarray:
    """True log-odds around the base, from what the model may see."""
    fixed = np.random.default_rng(99)
    effects = [fixed.normal(0, scale, levels) for scale, levels in zip((0.8, 0.7, 0.7), LEVELS, strict=True)]
    if kind == "noise":
        return np.zeros(len(numbers))
    if kind == "one number":
        return 1.2 * numbers[:, 0]
    if kind == "many weak":
        return 0.35 * numbers.sum(axis=1) + 0.4 * effects[0][words[0]]
    if kind == "words":
        return sum(effect[code] - effect.mean() for effect, code in zip(effects, words, strict=True))
    if kind == "curved":
        return 1.5 * np.sign(numbers[:, 0]) * np.sign(numbers[:, 1]) + 0.5 * (numbers[:, 2] ** 2 - 1)
    raise ValueError(kind)


def _looked_at(
    generator: np.random.Generator,
    account: np.ndarray,
    numbers: np.ndarray,
    words: list[np.ndarray],
    z: np.ndarray,
    outcome: np.ndarray,
) -> Simulated:
    n = len(z)
    looks = generator.integers(1, 5, n)
    lead = np.repeat(np.arange(n), looks)
    begun = np.sort(generator.integers(0, 700, n))[generator.permutation(n)] * DAY
    at = begun[lead] + (np.arange(len(lead)) - np.repeat(np.cumsum(looks) - looks, looks)) * 7 * DAY
    rows = Rows(lead, at, at, at + HORIZON_DAYS * DAY, outcome[lead].astype(float), account[lead], "horizon")
    columns = {"lead_id": pa.array([str(i) for i in lead])}
    for j, name in enumerate(NUMBERS):
        columns[f"lead.{name}"] = pa.array(numbers[lead, j])
    for name, code, levels in zip(WORDS, words, LEVELS, strict=True):
        names = pa.array([f"{name} {k}" for k in range(levels)])
        columns[f"lead.{name}"] = pa.DictionaryArray.from_arrays(pa.array(code[lead].astype(np.int32)), names)
    return Simulated(rows, pa.table(columns), z[lead])
