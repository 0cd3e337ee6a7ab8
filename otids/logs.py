"""The log of otids itself: events with fields, for people on a terminal, on standard error."""

import sys
from typing import Any


def logger(name: str) -> Any:
    """Return the log of one part; the first call sets logging up, unless that was done."""
    import structlog  # noqa: PLC0415 costs more than the whole start, and is rarely needed

    if not structlog.is_configured():
        configure_logs()
    return structlog.get_logger(name)


def configure_logs() -> None:
    """Let events be written as lines for people to standard error."""
    import structlog  # noqa: PLC0415 as above

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=False),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
