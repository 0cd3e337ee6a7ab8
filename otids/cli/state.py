"""The state folder that a command is about."""

from pathlib import Path

from otids.folder import StateFolder, last_replay


def open_state(state: Path | None, *, writing: bool = False) -> StateFolder:
    """Open a folder that is there already: `state`, or that of the last replay.

    Raises `StateError`, `StoreError`.
    """
    path = state or last_replay()
    if writing:  # which would make it
        StateFolder(path).close()
    return StateFolder(path, writing=writing)
