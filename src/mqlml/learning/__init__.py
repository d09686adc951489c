"""Learning: snapshots and labels, windows, the propensity model, its calibration, evaluation and audit."""
