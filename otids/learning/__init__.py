"""What detectors share: vocabularies, thresholds, readiness."""
