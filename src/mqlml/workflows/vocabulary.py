"""The vocabulary of a company: found beside its settings, and checked against what a model looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqlml.errors import UsageError, shown
from mqlml.review.wording import Words, read_words

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.tape.features import FeatureSet
    from mqlml.workflows.opening import Opened

__all__ = ["new_event_types", "read_vocabulary", "unknown_words"]


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


def new_event_types(features: FeatureSet, opened: Opened) -> list[str]:
    """Event types that training did not know: they count as other, or as any activity only."""
    known = {*features.event_types, *features.dropped_types}
    counts = opened.history.event_type_counts(opened.as_of)
    new = [f"'{shown(name)}' ({count:,})" for name, count in counts.items() if name not in known]
    return (
        [f"Event types without features of their own (rare at training, or new): {', '.join(new[:10])}."] if new else []
    )
