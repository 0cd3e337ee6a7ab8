"""The daemon: what `replay` does on files, on live interfaces, for years."""
