"""Alerts as JSON lines: one record a line, appended to a file."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from otids.sinks.base import SinkError

MOST_TORN = 1 << 20
"""More bytes than any record has: so far back the end of the last whole line is looked for."""


class JsonLines:
    """Appends records to a file, which may be rotated between deliveries.

    Lines are whole: a delivery that fails, or a line that a crash tore, is cut off again; its
    records are still pending and come whole.
    """

    def __init__(self, path: Path, name: str = "jsonlines") -> None:
        self.name = name
        self.path = path

    def deliver(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write records and have the disk keep them. Raises SinkError naming the file."""
        if not records:
            return
        lines = b"".join(encode(record) for record in records)
        try:
            if self.path.exists() and not self.path.is_file():
                self._pass_on(lines)
            else:
                self._append(lines)
        except OSError as error:
            raise SinkError(f"{self.path}: {error.strerror}") from error

    def _pass_on(self, lines: bytes) -> None:
        """Write to a pipe or a terminal; a pipe that nobody reads is an error, not a wait."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "wb", buffering=0):
            os.set_blocking(descriptor, True)
            _write_all(descriptor, lines)

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


def encode(record: Mapping[str, Any]) -> bytes:
    """Spell a record as one line of UTF-8, with its end."""
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace") + b"\n"


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
