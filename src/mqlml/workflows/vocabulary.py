"""The vocabulary of a company: found beside its settings, and checked against what a model looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqlml.errors import UsageError, shown
from mqlml.review.wording import Words, read_words

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.tape.features import FeatureSet

__all__ = ["read_vocabulary", "unknown_words"]


def read_vocabulary(config: Config) -> Words:
    """Read ``[reasons] vocabulary``, or ``words.toml`` beside the settings where there is one.

    Raises
    ------
    UsageError
        The file is named and not there, cannot be read, or is wrong.
    """
    named = config.reasons.vocabulary
    path = config.path(named)
    if not path.is_file():
        if "vocabulary" in config.reasons.model_fields_set:
            raise UsageError(f"[reasons] vocabulary: there is no file '{named}'.", hint="correct the path")
        return Words()
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path.name}: is not UTF-8 text.", hint="save it as UTF-8") from None
    return read_words(text, where=path.name)


def unknown_words(words: Words, features: FeatureSet) -> list[str]:
    """A note for every output where there are words for names that the model does not look at."""
    names = [f"'{shown(name)}'" for name in words.unknown(features)]
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return [f"The vocabulary has words for {listed}, which the model does not look at."] if names else []
