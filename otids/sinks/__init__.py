"""One file per place where alerts go."""
