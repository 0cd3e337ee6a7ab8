"""Cases: what is learned, what is judged, and which labels tell what was in it.

A `cases.toml` is a list of `[[case]]`; file names in it are relative to its folder.
"""

import fnmatch
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from otids.evaluation.labels import Frames, Labels, read_labels
from otids.rules.files import Document, Keys, RuleError

FILE = "cases.toml"
SLACK = 5.0
"""Seconds after an attack in which an alert still counts."""

RUN_GAP = 10.0
"""Labelled frames so many seconds apart belong to two instances."""

LONGEST_NAME = 200
"""Bytes of a case's name, which is the name of its file of alerts."""

Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e12)]


class _Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One case as it is written (docs/evaluation.md says what each key means)."""

    name: str
    judge: Annotated[list[str], msgspec.Meta(min_length=1)]
    labels: str
    learn: list[str] = []
    learn_until: Seconds | None = None
    protocol: str = ""
    note: str = ""
    set: str = ""
    match: Literal["any", "frame"] = "any"
    frame_slack: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    judged_seconds: Seconds | None = None
    slack: Seconds = SLACK
    run_gap: Seconds = RUN_GAP


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    case: list[_Case] = []


@dataclass(frozen=True, slots=True)
class Case:
    """One case, its labels read. Times and lengths are in seconds."""

    name: str
    set: str
    protocol: str
    learn: tuple[Path, ...]
    learn_until: float | None
    judge: tuple[Path, ...]  # nearly always one
    labels: Labels
    by_frame: bool  # alerts count by the frames that they name, never by time
    frame_slack: int
    judged_seconds: float | None  # where the length of the capture is not the time that it covers
    slack: float
    run_gap: float


def load_cases(paths: Iterable[Path], only: Sequence[str] = ()) -> list[Case]:
    """Read the cases of files, or of the folders in and under which files of cases lie.

    `only` are shell patterns of names. Raises `RuleError` or `OSError`, in one line that names the
    file and the key or line.
    """
    cases: dict[str, tuple[Case, Path]] = {}
    for file in _files(paths):
        document = Document(file, _File)
        for place, written in enumerate(document.value.case):
            if only and not any(fnmatch.fnmatch(written.name, one) for one in only):
                continue
            if written.name in cases:
                other = cases[written.name][1]
                raise document.error(("case", place, "name"), f"is a case of {other} already")
            cases[written.name] = _case(document, place, written), file
    return [case for case, _ in cases.values()]


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(
                os.path.join(folder, FILE)  # noqa: PTH118 in order of the text, as people list them
                for folder, _, names in os.walk(path)
                if FILE in names
            )
            if not inside:
                raise RuleError(f"{path}: there is no {FILE} here or below")
            found += map(Path, inside)
        else:
            found.append(path)
    return found


def _case(document: Document[_File], place: int, written: _Case) -> Case:
    at: Keys = ("case", place)
    folder = document.path.parent
    if not _is_name(written.name):
        raise document.error((*at, "name"), "is no name for a file of alerts")
    for key in ("learn", "judge"):
        for number, name in enumerate(getattr(written, key)):
            _find(document, (*at, key, number), folder / name)
    _find(document, (*at, "labels"), folder / written.labels)
    labels = read_labels(folder / written.labels)
    if isinstance(labels, Frames) and labels.rows and len(written.judge) > 1:
        raise document.error((*at, "labels"), "labels by frame need a single judged capture")
    return Case(
        name=written.name,
        set=written.set or Path(os.path.abspath(folder)).name,  # noqa: PTH100 a link keeps its name
        protocol=written.protocol,
        learn=tuple(folder / one for one in written.learn),
        learn_until=written.learn_until,
        judge=tuple(folder / one for one in written.judge),
        labels=labels,
        by_frame=written.match == "frame",
        frame_slack=written.frame_slack,
        judged_seconds=written.judged_seconds,
        slack=written.slack,
        run_gap=written.run_gap,
    )


def _is_name(text: str) -> bool:
    return (
        0 < len(text.encode("utf-8", "replace")) <= LONGEST_NAME
        and text.isprintable()
        and not text.startswith(".")
        and "/" not in text
    )


def _find(document: Document[_File], keys: Keys, path: Path) -> None:
    """Complain of a file that cannot be read before hours of work. Raises `RuleError`."""
    try:
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is no name of a file"
        raise document.error(keys, f"{path}: {reason}") from None
