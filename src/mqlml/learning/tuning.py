"""Optuna's search for better trees, on forward tests older than any window the training reports (decision 020)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mqlml.errors import UsageError
from mqlml.learning.hyperparameters import Hyperparameters
from mqlml.learning.resampling import Resampler

if TYPE_CHECKING:
    from optuna import Trial

    from mqlml.learning.inner_tests import Losses

__all__ = ["Tuned", "chosen_of", "judge_find", "need_optuna", "search", "tune"]

# Chance that what is taken is truly better, judged on a window that the search has not seen.
_CONFIDENCE = 0.9


@dataclass(frozen=True)
class Tuned:
    """What a search found and what became of it.

    Attributes
    ----------
    asked, trials : int
        Trials wanted, and how many ran before the time was up; the first one is the default.
    searched : tuple of float
        Log loss of the default and of the best trial where it was searched.
    before, after : float
        The same on the window that the search has not seen.
    surely : float
        Lower 90 % bound of ``before - after``, accounts redrawn.
    found : Hyperparameters
        The best trial.
    """

    asked: int
    trials: int
    searched: tuple[float, float]
    before: float
    after: float
    surely: float
    found: Hyperparameters

    @property
    def taken(self) -> bool:
        """Whether the training uses what was found: only what is surely better on the unseen window is."""
        return self.surely > 0

    @property
    def chosen(self) -> Hyperparameters:
        """What the training uses."""
        return self.found if self.taken else Hyperparameters()

    @property
    def sentence(self) -> str:
        """For the notes of a training."""
        ran = f"{self.trials}" if self.trials == self.asked else f"{self.trials} of {self.asked} (the time was up)"
        became = "is used" if self.taken else "is not surely better, so that the defaults stay"
        return (
            f"Tuning: {ran} trials; the best one took log loss from {self.before:.4f} to {self.after:.4f} on the "
            f"window kept for this check and {became}."
        )

    def told(self) -> dict[str, Any]:
        """Lines of the report's recipe."""
        h = self.chosen
        return {
            "tuning, trials": self.trials if self.trials == self.asked else f"{self.trials} of {self.asked}",
            "log loss before and after tuning": f"{self.before:.4f}, {self.after:.4f}",
            "trees": f"{'tuned' if self.taken else 'default'}: learning rate {h.learning_rate:.3f}, "
            f"{h.num_leaves} leaves, {h.min_leads_in_leaf} leads a leaf, {h.feature_fraction:.0%} of the columns, "
            f"penalty {h.lambda_l2:.3g}",
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the bundle."""
        return {
            "trials": self.trials,
            "trials asked for": self.asked,
            "log loss before": self.before,
            "log loss after": self.after,
            "gain, lower 90 % bound": self.surely if np.isfinite(self.surely) else None,
            "log loss where searched": list(self.searched),
            "taken": self.taken,
            "found": asdict(self.found),
        }


def tune(
    searched: Callable[[Hyperparameters], Losses],
    unseen: Callable[[Hyperparameters], Losses],
    *,
    trials: int,
    minutes: float | None,
    seed: int,
    step: Callable[[], None] = lambda: None,
) -> Tuned:
    """Search on some forward tests and check the best find on a later one.

    Parameters
    ----------
    searched, unseen : callable
        Log losses of the rows of the tests to search on, and of the one kept for the check.
    trials : int
        At least 1; the first one is the default.
    minutes : float or None
        No trial begins later than this after the first one; results then depend on the machine, and the number of
        trials that ran, asked for again without a limit, gives them anywhere.
    seed : int
    step : callable
        Called once a trial, for progress.
    """
    default = Hyperparameters()
    found, losses = search(
        lambda h: float(searched(h).loss.mean()), trials=trials, minutes=minutes, seed=seed, step=step
    )
    before = unseen(default)
    after = before if found == default else unseen(found)
    return judge_find(found, losses, before, after, asked=trials, seed=seed)


def search(
    loss: Callable[[Hyperparameters], float],
    *,
    trials: int,
    minutes: float | None,
    seed: int,
    step: Callable[[], None] = lambda: None,
) -> tuple[Hyperparameters, list[float]]:
    """Look for the least loss with Optuna's seeded tree-structured Parzen estimator, from the default on.

    Returns
    -------
    tuple of (Hyperparameters, list of float)
        The best trial (the earliest of equals), and the losses in the order they were tried.
    """
    need_optuna()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(asdict(Hyperparameters()))
    for wanted, seconds in ((1, None), (trials - 1, None if minutes is None else 60 * minutes)):
        study.optimize(
            lambda trial: loss(_suggested(trial)),
            n_trials=wanted,
            timeout=seconds,
            callbacks=[lambda _, __: step()],
        )
    losses = [trial.value for trial in study.trials if trial.value is not None]
    return Hyperparameters(**study.trials[int(np.argmin(losses))].params), losses


def judge_find(
    found: Hyperparameters, losses: list[float], before: Losses, after: Losses, *, asked: int, seed: int
) -> Tuned:
    """Say whether the find beats the default on rows the search has not seen, whole accounts redrawn.

    Parameters
    ----------
    found : Hyperparameters
    losses : list of float
        Of every trial of the search, the default first.
    before, after : Losses
        Of the default and of the find on the same unseen rows.
    asked : int
        Trials wanted.
    seed : int
        Draws the accounts.
    """
    gain = Resampler(before.group, seed=seed).means({"gain": before.loss - after.loss})["gain"]
    return Tuned(
        asked=asked,
        trials=len(losses),
        searched=(losses[0], min(losses)),
        before=float(before.loss.mean()),
        after=float(after.loss.mean()),
        surely=gain.at_least(_CONFIDENCE),
        found=found,
    )


def chosen_of(stored: Mapping[str, Any] | None) -> Hyperparameters:
    """What a bundle's training used, from what it recorded of its tuning."""
    return Hyperparameters() if not stored or not stored["taken"] else Hyperparameters(**stored["found"])


def need_optuna() -> None:
    """Fail with the remedy where Optuna is not installed.

    Raises
    ------
    UsageError
        It is not.
    """
    try:
        import optuna  # noqa: F401
    except ImportError:
        message = "[model] tune needs Optuna, which is not installed"
        raise UsageError(message, hint="pip install 'mqlml[tune]', or set tune = 0") from None


def _suggested(trial: Trial) -> Hyperparameters:
    """One set to try; ranges around the default, small trees throughout since histories are."""
    return Hyperparameters(
        learning_rate=trial.suggest_float("learning_rate", 0.02, 0.15, log=True),
        num_leaves=trial.suggest_int("num_leaves", 4, 48, log=True),
        min_leads_in_leaf=trial.suggest_int("min_leads_in_leaf", 5, 100, log=True),
        feature_fraction=trial.suggest_float("feature_fraction", 0.1, 1.0),
        lambda_l2=trial.suggest_float("lambda_l2", 0.1, 100.0, log=True),
    )
