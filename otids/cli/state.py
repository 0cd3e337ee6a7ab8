"""The state folder that a command is about."""

from pathlib import Path

from otids.folder import StateFolder, last_replay


def open_state(
    state: Path | None, *, control: Path | None = None, writing: bool = False
) -> StateFolder:
    """Open a folder that is there already: `state`, or that of the last replay.

    Where a service works on it, or answers at `control`, that is asked instead; also where
    nothing is named and there was no replay. Raises `StateError`, `StoreError`, `UserError`.
    """
    from otids.cli.remote import SOCKET, RemoteFolder, service_of  # noqa: PLC0415 rarely needed

    path = state or last_replay()
    if control is not None:
        return RemoteFolder(control)
    if state is None and not path.is_dir() and SOCKET.is_socket():
        return RemoteFolder(SOCKET)
    if (service := service_of(path)) is not None:
        return service
    if writing:  # which would make it
        StateFolder(path).close()
    return StateFolder(path, writing=writing)
