"""Feature sets that ask for every family, in several zones, windows and vocabularies."""

from __future__ import annotations

from dataclasses import replace

from mqlml.tape.columns import Attribute, Pair
from mqlml.tape.families import FAMILIES
from mqlml.tape.features import FeatureSet

EVERYTHING = FeatureSet(
    event_types=("web", "form"),
    windows_days=(1, 7),
    half_lives_days=(7,),
    attributes=(
        Attribute("stage", "category", "history"),
        Attribute("score", "number", "history"),
        Attribute("source", "category", "creation"),
    ),
    other=True,
    valued_types=("web", "other"),
    dropped_types=("call",),
    assets=True,
    named_assets=("x",),
    other_assets=True,
    channels=("mail",),
    other_channels=True,
    pairs=(Pair("web", "form", 3), Pair("form", "web", 1)),
    families=FAMILIES,
    stages=True,
    accounts=True,
    zone="Europe/Berlin",
    tracked="consent",
)
"""For the histories of ``tape.worlds``."""

_WIDE = FeatureSet(
    event_types=("web", "o'chat", "mail", "form"),
    windows_days=(1, 7, 30, 90),
    half_lives_days=(7, 30),
    attributes=(*EVERYTHING.attributes, Attribute("size", "number", "creation")),
    other=True,
    valued_types=("web", "form", "other"),
    dropped_types=("call",),
    assets=True,
    named_assets=("b", "ä", "nowhere"),
    other_assets=True,
    channels=("email", "Web"),
    other_channels=True,
    pairs=(Pair("web", "form", 7), Pair("web", "web", 1), Pair("mail", "o'chat", 30)),
    families=FAMILIES,
    stages=True,
    accounts=True,
    zone="Europe/Berlin",
)
_NARROW = replace(
    _WIDE,
    event_types=("form",),
    windows_days=(2, 3, 5),
    half_lives_days=(1,),
    attributes=(),
    other=False,
    valued_types=(),
    dropped_types=(),
    named_assets=("", "a"),
    other_assets=False,
    channels=("phone",),
    other_channels=False,
    pairs=(Pair("form", "form", 2),),
    zone="America/St_Johns",
    session_gap_minutes=45,
    tracked="consent",
)
VARIANTS = (
    _WIDE,
    _NARROW,
    replace(_WIDE, zone="UTC", tracked="consent", event_types=("mail", "web"), valued_types=("web",), pairs=()),
    replace(_NARROW, windows_days=(7,), zone="Asia/Kathmandu", dropped_types=("call", "web"), age=False),
    replace(_WIDE, zone="Australia/Lord_Howe", session_gap_minutes=10, named_assets=(), other_assets=True),
)
"""For the histories of ``tape.histories``."""

FEW = {
    "no windows": replace(_WIDE, windows_days=(), half_lives_days=()),
    "one window": replace(_WIDE, windows_days=(1,)),
    "no types": replace(_WIDE, event_types=(), other=False, valued_types=(), pairs=()),
    "no names": replace(_WIDE, event_types=(), valued_types=("other",), named_assets=(), channels=(), pairs=()),
    "no assets": replace(_WIDE, assets=False, named_assets=(), other_assets=False),
    "no accounts": replace(_WIDE, accounts=False, stages=False, age=False),
    "told by a number": replace(_WIDE, tracked="size"),
}
"""For histories that lack something."""
