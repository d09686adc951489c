"""Using a trained model: bundles on disk, scores in files and databases, the champion, the training log."""
