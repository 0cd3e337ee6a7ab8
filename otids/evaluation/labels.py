"""Label files: what happened when in a capture, and what of it was an attack."""

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from otids.rules.files import RuleError
from otids.traffic import Array

OK = "ok:"
"""How the label of a real event begins that is no attack."""

WINDOW_HEADER = ["start", "end", "label"]
FRAME_HEADER = ["frame", "label"]
MOST_ROWS = 5_000_000
"""How many labels one file may have."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Labels of stretches of time, in seconds since the epoch: start, end, label."""

    path: Path
    rows: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True, slots=True)
class Frames:
    """Labels of single frames of the judged capture, numbered from 1, and the line of each."""

    path: Path
    rows: tuple[tuple[int, str, int], ...]


Labels: TypeAlias = Windows | Frames


@dataclass(frozen=True, slots=True)
class Event:
    """One attack instance, or one event that is no attack. Times are seconds since the epoch."""

    label: str  # without "ok:"
    is_ok: bool
    start: float
    end: float
    frames: Array = field(default_factory=lambda: np.zeros(0, np.int64))  # rising; none of a window

    @classmethod
    def of(cls, label: str, start: float, end: float, frames: Array | None = None) -> "Event":
        """Make an event of what a label file says."""
        name, is_ok = label.removeprefix(OK), label.startswith(OK)
        return cls(name, is_ok, start, end, np.zeros(0, np.int64) if frames is None else frames)


def read_labels(path: Path) -> Labels:
    """Read a label file; its header tells of which kind it is. Raises `RuleError`."""
    rows = _rows(path)
    header = next(rows, (1, []))[1]
    if header == WINDOW_HEADER:
        return Windows(path, tuple(_window(path, line, row) for line, row in rows))
    if header == FRAME_HEADER:
        return Frames(path, tuple(_frame(path, line, row) for line, row in rows))
    raise RuleError(
        f"{path}:1: the header must be start,end,label (times) or frame,label (frame numbers)"
    )


def events(labels: Labels, times: Array, run_gap: float, *, by_frame: bool) -> list[Event]:
    """Make events of labels. Each window is one, and each run of frames with the same label.

    `times` are those of the frames of the judged capture. A run ends where a frame comes `run_gap`
    seconds later or, `by_frame`, where the next frame has not the label. Raises `RuleError`.
    """
    if isinstance(labels, Windows):
        return [Event.of(label, start, end) for start, end, label in labels.rows]
    by_label: dict[str, list[int]] = {}
    for number, label, line in labels.rows:
        if number > len(times):
            raise RuleError(
                f"{labels.path}:{line}: frame = {number}: the capture has {len(times)} frames"
            )
        by_label.setdefault(label, []).append(number)
    found = []
    for label, unordered in by_label.items():
        numbers = np.sort(np.array(unordered, np.int64))
        when = times[numbers - 1]
        is_end = np.diff(numbers) > 1 if by_frame else np.diff(when) >= run_gap
        ends = np.flatnonzero(is_end) + 1
        for run, moments in zip(np.split(numbers, ends), np.split(when, ends), strict=True):
            found.append(Event.of(label, float(moments.min()), float(moments.max()), run))
    return found


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, with their lines. Raises `RuleError`."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            for count, row in enumerate(reader):
                if count > MOST_ROWS:
                    raise RuleError(f"{path}: has more than {MOST_ROWS:,} labels")
                if row:
                    yield reader.line_num, row
    except OSError as error:
        raise RuleError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise RuleError(f"{path}: is not UTF-8") from None
    except csv.Error as error:
        raise RuleError(f"{path}:{reader.line_num}: is no CSV: {error}") from None


def _window(path: Path, line: int, row: list[str]) -> tuple[float, float, str]:
    start, end, label = _fields(path, line, row, WINDOW_HEADER)
    first, last = _moment(path, line, "start", start), _moment(path, line, "end", end)
    if last < first:
        raise RuleError(f"{path}:{line}: end = {end}: is before the start")
    return first, last, label


def _frame(path: Path, line: int, row: list[str]) -> tuple[int, str, int]:
    text, label = _fields(path, line, row, FRAME_HEADER)
    if not (text.isascii() and text.isdecimal() and len(text) <= 15 and int(text) > 0):  # noqa: PLR2004
        raise RuleError(f"{path}:{line}: frame = {text!r}: is no frame number (they begin at 1)")
    return int(text), label, line


def _fields(path: Path, line: int, row: list[str], names: Iterable[str]) -> list[str]:
    wanted = list(names)
    if len(row) != len(wanted):
        raise RuleError(
            f"{path}:{line}: has {len(row)} fields instead of {len(wanted)} ({','.join(wanted)})"
        )
    label = row[-1]
    if not label.removeprefix(OK) or not label.isprintable():
        raise RuleError(f"{path}:{line}: label = {label!r}: is empty or not printable")
    return row


def _moment(path: Path, line: int, key: str, text: str) -> float:
    try:
        moment = float(text)
    except ValueError:
        moment = math.nan
    if not math.isfinite(moment):
        raise RuleError(f"{path}:{line}: {key} = {text!r}: is no time in epoch seconds")
    return moment
