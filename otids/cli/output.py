"""Where output goes and how it looks: consoles, times, severities, JSON lines."""

import re
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from io import TextIOBase
from typing import Any, TextIO, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from otids.alerts.wording import clean

STYLES = {
    "critical": "bold white on red",
    "high": "bold red",
    "medium": "bold yellow",
    "low": "cyan",
    "info": "dim",
}
MOST_SHOWN = 2000
"""Characters of one text that people are shown; the wording of alerts has tighter bounds."""

SECOND = 1_000_000_000


class _Stripped(TextIOBase):
    """Standard output without the blanks with which tables end their lines."""

    def write(self, text: str) -> int:
        """Write text that ends a line, or is one."""
        return sys.stdout.write(re.sub(r" +$", "", text, flags=re.MULTILINE))

    def flush(self) -> None:
        """Let go of what is buffered."""
        sys.stdout.flush()


class _Console(Console):
    """A console that leaves a closed pipe to `otids.cli`."""

    def on_broken_pipe(self) -> None:
        """Do not end the process here."""
        raise BrokenPipeError


def console() -> Console:
    """Standard output; without colours and at 80 columns (or COLUMNS) where it is no terminal."""
    file = None if sys.stdout.isatty() else cast("TextIO", _Stripped())
    return _Console(file=file, highlight=False, markup=False, emoji=False)


def aside() -> Console:
    """Standard error: progress and remarks."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def print_json(records: Iterable[Mapping[str, Any]]) -> None:
    """Print records as JSON lines."""
    from otids.sinks.jsonlines import encode  # noqa: PLC0415 only when needed

    sys.stdout.flush()
    for record in records:
        sys.stdout.buffer.write(encode(record))
    sys.stdout.buffer.flush()


def shown(text: object, style: str = "") -> Text:
    """Text that may come from the wire, made fit for a terminal; long words are folded, not cut."""
    return Text(clean(str(text), MOST_SHOWN), style, overflow="fold")


def badge(severity: str) -> Text:
    """A severity as it stands before an alert."""
    return Text(f" {severity.upper()} ", STYLES.get(severity, ""), no_wrap=True)


def counted(number: int, word: str, words: str = "") -> str:
    """Spell "1 frame", "12,243 frames"."""
    return f"{number:,} {word if number == 1 else words or f'{word}s'}"


def labelled(rows: Iterable[tuple[str, str | Text]], style: str = "dim") -> Table:
    """Lines with a label before each; those without text are left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=style, no_wrap=True, min_width=8)
    grid.add_column(ratio=1, overflow="fold")
    for label, text in rows:
        if text:
            grid.add_row(shown(label), text if isinstance(text, Text) else shown(text))
    return grid


class Times:
    """Local times, of which the offset to UTC is said once as long as all have the same."""

    def __init__(self, moments: Iterable[float]) -> None:
        """`moments` in seconds since the epoch."""
        offsets = {_offset(local(moment)) for moment in moments}
        self._once = len(offsets) <= 1
        offset = offsets.pop() if len(offsets) == 1 else ""
        self.zone = f"UTC{offset}" if offset else ""
        self.note = f"times are {self.zone}" if offset else "times with their offset to UTC"

    def spell(self, moment: float, digits: int = 0) -> str:
        """Spell a moment: "2026-11-22 10:02:20.5"; `digits` are those of its fraction."""
        when = local(moment)
        text = f"{when:%Y-%m-%d %H:%M:%S}"
        if digits:
            text += f".{when.microsecond:06d}"[: digits + 1]
        return text if self._once else text + _offset(when)


def local(moment: float) -> datetime:
    """Local time, knowing its offset."""
    return datetime.fromtimestamp(moment).astimezone()


def moment_of(text: str) -> float:
    """Seconds since the epoch of a time in a record (RFC 3339 with nine digits)."""
    whole, _, rest = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{rest or 0}")


def _offset(when: datetime) -> str:
    text = f"{when:%z}"
    return f"{text[:3]}:{text[3:5]}"
