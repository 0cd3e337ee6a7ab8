"""What every sink is, and how alerts get from the store to it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

BATCH = 256


class SinkError(Exception):
    """A sink could not deliver; what it was given stays pending. The message is one line."""


class RefusedError(SinkError):
    """The other side will not have this one record, however often it comes."""


class Sink(Protocol):
    """A place where alerts go. One thread at a time uses it."""

    name: str

    def deliver(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Hand over alert records, in order; return when they are safe. Raises SinkError.

        With no records it looks after itself: what may have been lost with a connection goes out
        again.
        """

    def close(self) -> None:
        """Let go of what is open; a later delivery opens it again."""


class Pending(Protocol):
    """A revision that waits for a sink."""

    @property
    def place(self) -> int:
        """Its place in the journal."""

    @property
    def record(self) -> Mapping[str, Any]:
        """The alert's public record."""


class Outbox(Protocol):
    """Where revisions wait for sinks: the store."""

    def pending(self, sink: str, limit: int = BATCH) -> Sequence[Pending]:
        """Return what a sink has not had yet, in order, at most `limit`."""

    def delivered(self, sink: str, place: int) -> None:
        """Note that a sink has had everything up to `place`."""


def deliver_pending(outbox: Outbox, sink: Sink, *, batch: int = BATCH) -> int:
    """Deliver all that waits for a sink, and count it.

    Raises SinkError; what was delivered until then is noted. If we crash between delivery and
    note, the sink gets the batch again: at least once, and (id, revision) tells.
    """
    count = 0
    while waiting := outbox.pending(sink.name, batch):
        sink.deliver([one.record for one in waiting])
        outbox.delivered(sink.name, waiting[-1].place)
        count += len(waiting)
    return count


def encode(record: Mapping[str, Any]) -> bytes:
    """Spell a record as one line of UTF-8, with its end."""
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace") + b"\n"
