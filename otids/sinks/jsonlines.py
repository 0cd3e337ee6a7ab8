"""Alerts as JSON lines: one record a line, appended to a file."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from otids.sinks.base import SinkError, encode

__all__ = ["JsonLines", "encode"]

MOST_TORN = 1 << 20
"""More bytes than any record has: so far back the end of the last whole line is looked for."""


class JsonLines:
    """Appends records to a file, which may be rotated between deliveries.

    Lines are whole: a delivery that fails, or a line that a crash tore, is cut off again; its
    records are still pending and come whole.
    """

    def __init__(
        self, path: Path, name: str = "jsonlines", *, rotate_bytes: int = 0, keep: int = 5
    ) -> None:
        """Beyond `rotate_bytes` (0: never) the file becomes PATH.1, and so on to PATH.`keep`."""
        self.name = name
        self.path = path
        self._rotate_bytes = rotate_bytes
        self._keep = keep

    def deliver(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write records and have the disk keep them. Raises SinkError naming the file."""
        if not records:
            return
        lines = b"".join(encode(record) for record in records)
        try:
            if self.path.exists() and not self.path.is_file():
                self._pass_on(lines)
            else:
                self._make_room(len(lines))
                self._append(lines)
        except OSError as error:
            raise SinkError(f"{self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Nothing is open between deliveries, so that others may rotate the file."""

    def _pass_on(self, lines: bytes) -> None:
        """Write to a pipe or a terminal; a pipe that nobody reads is an error, not a wait."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "wb", buffering=0):
            os.set_blocking(descriptor, True)
            _write_all(descriptor, lines)

    def _make_room(self, more: int) -> None:
        """Rotate the file if `more` bytes would bring it beyond its size."""
        if not self._rotate_bytes or not self.path.exists():
            return
        path = self.path.resolve()  # behind a link the file moves, not the link
        size = path.stat().st_size
        if size == 0 or size + more <= self._rotate_bytes:
            return
        with path.open("r+b", buffering=0) as file:
            self._mend(file.fileno())
        if not self._keep:
            path.unlink()
            return
        older = [path.with_name(f"{path.name}.{number}") for number in range(1, self._keep + 1)]
        for place in range(self._keep - 1, 0, -1):
            if older[place - 1].exists():
                older[place - 1].replace(older[place])
        path.replace(older[0])

    def _append(self, lines: bytes) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        with os.fdopen(descriptor, "rb", buffering=0):
            end = self._mend(descriptor)
            try:
                _write_all(descriptor, lines)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, end)
                raise

    def _mend(self, descriptor: int) -> int:
        """Cut off a line that a crash tore; return where the next line begins."""
        size = os.fstat(descriptor).st_size
        start = max(size - MOST_TORN, 0)
        tail = os.pread(descriptor, size - start, start)
        if not tail or tail.endswith(b"\n"):
            return size
        whole = tail.rfind(b"\n") + 1
        if not tail[whole:].startswith(b"{") or (whole == 0 and start > 0):
            raise SinkError(f"{self.path}: ends in something that is no JSON line; left as it is")
        os.ftruncate(descriptor, start + whole)
        return start + whole


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
