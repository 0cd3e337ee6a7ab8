"""The service's own log: one event a line, cleaned, capped, and never a flood.

JSON for the journal, or lines for people on a terminal. Of each kind of event so many lines a
minute are written; what is left out is counted, and said.
"""

import logging
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TextIO, TypeAlias

import structlog

from otids.alerts.wording import clean
from otids.service.config import LogConfig

MOST_A_MINUTE = 10
"""Lines of one kind of event within a minute."""
MOST_KINDS = 256
MOST_TEXT = 500
MOST_ENTRIES = 20
MOST_TRACEBACK = 40
"""Lines of a traceback, the last ones."""
WINDOW = 60.0

_Event: TypeAlias = MutableMapping[str, Any]


class Limiter:
    """Lets so many events of a kind through within a minute, and counts the others."""

    def __init__(
        self, most: int = MOST_A_MINUTE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._clock = clock
        self._kinds: dict[str, tuple[float, int, int]] = {}  # since when, written, left out

    def __call__(self, _: object, __: str, event: _Event) -> _Event:
        """Pass an event on, or drop it (a processor of structlog)."""
        kind, now = str(event.get("event", ""))[:MOST_TEXT], self._clock()
        since, written, left_out = self._kinds.pop(kind, (now, 0, 0))
        if now - since >= WINDOW:
            since, written = now, 0
        if written >= self._most:
            self._kinds[kind] = since, written, left_out + 1
            raise structlog.DropEvent
        if left_out:
            event["left_out"] = left_out
        self._kinds[kind] = since, written + 1, 0
        while len(self._kinds) > MOST_KINDS:
            del self._kinds[next(iter(self._kinds))]
        return event

    def owed(self) -> dict[str, int]:
        """What was left out of kinds that have been quiet since; it is told only once."""
        now, owed = self._clock(), {}
        for kind, (since, written, left_out) in list(self._kinds.items()):
            if left_out and now - since >= WINDOW:
                owed[kind] = left_out
                self._kinds[kind] = since, written, 0
        return owed


LIMITER = Limiter()


def configure(config: LogConfig, stream: TextIO | None = None) -> None:
    """Write events to `stream` (standard error) from now on, as the config says."""
    stream = stream or sys.stderr
    is_text = config.format == "text" or (config.format == "auto" and stream.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if is_text
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            LIMITER,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=not is_text),
            structlog.processors.format_exc_info,
            cleaned,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[config.level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,  # a reload changes the level of loggers that are there
    )


def cleaned(_: object, __: str, event: _Event) -> _Event:
    """Make every text of an event harmless and short (a processor of structlog)."""
    for key, value in event.items():
        event[key] = _traceback(value) if key == "exception" else _plain(value)
    return event


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        some = [_plain(one) for one in list(value)[:MOST_ENTRIES]]
        return some if len(some) == len(value) else [*some, f"and {len(value) - len(some)} more"]
    if isinstance(value, Mapping):
        return {
            clean(str(key), MOST_TEXT): _plain(one)
            for key, one in list(value.items())[:MOST_ENTRIES]
        }
    return clean(str(value), MOST_TEXT)


def _traceback(value: object) -> str:
    lines = str(value).splitlines()[-MOST_TRACEBACK:]
    return "\n".join(clean(line, MOST_TEXT) for line in lines)
