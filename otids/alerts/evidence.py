"""Evidence: the frames that an alert rests on, in a pcapng beside its record."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from otids import _hotpath
from otids.alerts.alert import Alert
from otids.alerts.wording import clean, spell_list

CONTEXT = 5
"""How many frames before and after each of an alert's frames come along."""

QUOTA_BYTES = 1 << 30

SUFFIX = ".pcapng"

Cutter: TypeAlias = Callable[
    [list[tuple[str, list[int], int, str]]], Sequence[tuple[int, list[int]]]
]
"""Cuts frames into files, as `_hotpath.cut_evidence` does once it knows the capture."""

_AT_ONCE = 64
"""Alerts whose evidence is cut in one pass; the quota is kept between passes."""

_FIT_FOR_A_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_OWN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}\.pcapng(\.\d+-\d+\.part)?")
_LAST_NUMBER = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Cuttings:
    """What became of the alerts: names of evidence files, and what there is to say, by id."""

    names: dict[str, str]
    notes: dict[str, str]
    """Why an alert has no evidence, or not all of it: one line."""
    removed: int
    """Files of older evidence that went to keep the quota."""


class EvidenceFolder:
    """A folder of evidence, made when it is first needed, of at most `quota_bytes`.

    The oldest evidence goes first. Files are readable by owner and group only.
    """

    def __init__(self, path: Path, quota_bytes: int = QUOTA_BYTES) -> None:
        self.path = path
        self.quota_bytes = quota_bytes

    def cut(self, capture: Path, alerts: Iterable[Alert]) -> Cuttings:
        """Cut the evidence of `alerts`, raised on `capture`, which is read once for 64 of them."""
        return self.cut_with(partial(_hotpath.cut_evidence, os.fspath(capture)), alerts)

    def cut_with(self, cutter: Cutter, alerts: Iterable[Alert]) -> Cuttings:
        """Cut the evidence of `alerts` from wherever `cutter` has their frames.

        A later revision's evidence takes the place of the earlier one's. Never raises for what
        is wrong with an alert, the capture or the disk: `notes` say it.
        """
        names: dict[str, str] = {}
        notes: dict[str, str] = {}
        removed = 0
        rest = iter(alerts)
        while some := {alert.id: alert for alert in islice(rest, _AT_ONCE)}:
            self._cut_some(cutter, list(some.values()), names, notes)
            gone = self._keep_quota()
            removed += len(gone)
            for id in [id for id, name in names.items() if name in gone]:
                del names[id]
                notes[id] = "the evidence did not fit the quota of its folder"
        return Cuttings(names, notes, removed)

    def holds(self, alert: str) -> bool:
        """Whether there is evidence of the alert of an id."""
        return (
            _FIT_FOR_A_NAME.fullmatch(alert) is not None
            and (self.path / (alert + SUFFIX)).is_file()
        )

    def _cut_some(
        self,
        cutter: Cutter,
        alerts: Sequence[Alert],
        names: dict[str, str],
        notes: dict[str, str],
    ) -> None:
        good = []
        for alert in alerts:
            if fault := _complain(alert):
                notes[alert.id] = fault
            else:
                good.append(alert)
        if not good:
            return
        try:
            self.path.mkdir(mode=0o750, parents=True, exist_ok=True)
            cuts = [self._order(alert) for alert in good]
            reports = cutter(cuts)
        except (OSError, ValueError) as error:  # a CaptureError is a ValueError
            notes.update(
                dict.fromkeys((alert.id for alert in good), clean(f"no evidence: {error}"))
            )
            return
        for alert, (written, missing) in zip(good, reports, strict=True):
            if written:
                names[alert.id] = alert.id + SUFFIX
            if missing:
                notes[alert.id] = _spell_missing(missing)

    def _order(self, alert: Alert) -> tuple[str, list[int], int, str]:
        target = self.path / (alert.id + SUFFIX)
        comment = f"otids alert {alert.id}: {clean(alert.title)}"
        return os.fspath(target), list(alert.frames), CONTEXT, comment

    def _keep_quota(self) -> set[str]:
        """Remove the oldest files until the rest fits; return the names of those removed."""
        try:
            files = sorted(self._files())
        except OSError:
            return set()
        total = sum(size for _, _, size in files)
        removed = set()
        for _, name, size in files:
            if total <= self.quota_bytes:
                break
            try:
                (self.path / name).unlink()
            except OSError:
                continue
            total -= size
            removed.add(name)
        return removed

    def _files(self) -> Iterable[tuple[int, str, int]]:
        """Find evidence, and what a killed process left of it: time (ns), name and length."""
        with os.scandir(self.path) as entries:
            for entry in entries:
                if _OWN.fullmatch(entry.name) is None:
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(found.st_mode):
                    yield found.st_mtime_ns, entry.name, found.st_size


def _complain(alert: Alert) -> str:
    if _FIT_FOR_A_NAME.fullmatch(alert.id) is None:
        return "no evidence: the alert's id cannot be the name of a file"
    if not alert.frames:
        return "no evidence: the alert names no frames"
    if not all(0 < frame <= _LAST_NUMBER for frame in alert.frames):
        return "no evidence: the alert names frames that cannot be"
    return ""


def _spell_missing(missing: Sequence[int]) -> str:
    frames = "frame" if len(missing) == 1 else "frames"
    verb = "is" if len(missing) == 1 else "are"
    return f"{frames} {spell_list([str(frame) for frame in missing])} of the alert {verb} missing"
