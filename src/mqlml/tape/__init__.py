"""Features of leads as of a moment: facts and snapshot marks in time order, played once."""

from __future__ import annotations

from mqlml.tape.features import Attribute, Feature, FeatureSet, learn_feature_set

__all__ = ["Attribute", "Feature", "FeatureSet", "learn_feature_set"]
