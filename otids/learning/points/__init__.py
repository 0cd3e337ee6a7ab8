"""Which values process variables take."""
