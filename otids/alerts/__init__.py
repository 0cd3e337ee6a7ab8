"""Finding becomes alert: catalogue, dedupe, severity, explanation, evidence."""
