"""Options that several commands share, and what is written in them."""

import re
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(min|[smhdw])")


class Severity(StrEnum):
    """How grave an alert is, the least first."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


State: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="State folder. Without it: that of the last replay.",
        show_default=False,
    ),
]

Control: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--control",
        metavar="SOCKET",
        help="Ask the service that answers there. Without it: the one that works on the folder.",
        show_default=False,
    ),
]

Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON, one object a line, and nothing else.")
]

Rules: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--rules",
        metavar="DIR",
        help="Rules of your own: policies/*.toml and catalogue/*.toml, read after those that "
        "otids brings. May be repeated.",
        show_default=False,
    ),
]

AlertId: TypeAlias = Annotated[
    str, typer.Argument(metavar="ALERT", help="The alert's id, or its beginning.")
]

Who: TypeAlias = Annotated[
    str,
    typer.Option("--who", metavar="NAME", help="Who decides. Default: the user's name."),
]

Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


def examples(*lines: str) -> str:
    """The end of a command's help: command lines to copy."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def parse_duration(text: str) -> float:
    """Read a stretch of time ("90s", "10m", "1h30m", "2d") in seconds.

    Raises `typer.BadParameter`.
    """
    parts = _DURATION.findall(text.strip())
    rest = _DURATION.sub("", text).strip()
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if rest or not seconds:
        raise typer.BadParameter(f"{text!r} is no duration like 90s, 10m, 1h30m or 2d")
    return seconds


def parse_time(text: str) -> float:
    """Read a moment, in seconds since the epoch: epoch seconds or RFC 3339.

    Without an offset the time is local. Raises `typer.BadParameter`.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = _parse_date(text)
    if not 0 <= seconds < 2**33:
        raise typer.BadParameter(f"{text!r} is no moment between 1970 and 2242")
    return seconds


def _parse_date(text: str) -> float:
    try:
        return datetime.fromisoformat(text.strip().upper()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(
            f"{text!r} is neither epoch seconds nor a time like 2026-03-01T06:00:00+01:00"
        ) from None
