"""Features of leads as of a moment: facts and snapshot marks in time order, played once."""

from __future__ import annotations

from mqlml.tape.columns import Attribute, Feature, Pair
from mqlml.tape.features import FeatureSet
from mqlml.tape.vocabulary import learn_feature_set

__all__ = ["Attribute", "Feature", "FeatureSet", "Pair", "learn_feature_set"]
