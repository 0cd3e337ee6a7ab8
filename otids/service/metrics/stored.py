"""What is on disk, in numbers: the journal of alerts is followed, files are measured.

A thread of its own looks every few seconds, so that neither a scrape nor the judge ever waits for
a disk, and a disk that hangs hides no other number.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from otids.alerts.alert import SEVERITIES
from otids.alerts.evidence import SUFFIX
from otids.folder import StateFolder
from otids.logs import logger
from otids.service.judge import Snapshot
from otids.service.metrics.progress import Progress, progress_of
from otids.store import JournalEntry, Store, StoreError

LOOK_SECONDS = 5.0
EVIDENCE_EVERY = 12
"""Looks from one count of the evidence to the next: it is one file an alert."""
MOST_KINDS = 2_000
"""Pairs of kind and severity that are told apart; the catalogue has far fewer."""
OTHER = "other"
STORE, FILES = "store", "files"


class Journal(Protocol):
    """What is asked of the store."""

    def journal_end(self) -> int:
        """Return the place of the last revision."""

    def entries(self, after: int, limit: int = 1000) -> list[JournalEntry]:
        """Return what stands after a place, in order."""

    def open_alerts(self) -> dict[str, str]:
        """Return the severities of alerts that are open, by id."""

    def accepted(self) -> set[str]:
        """Return the ids of alerts that people accepted."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What was found on disk; made new with each look, never changed."""

    opened: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by kind and severity
    escalated: Mapping[str, int] = field(default_factory=dict)  # by the severity that was reached
    open: Mapping[str, int] = field(default_factory=dict)  # not accepted, by severity
    sizes: Mapping[str, int] = field(default_factory=dict)  # bytes, by what
    evidence_files: int = 0
    disk_free: int = 0  # bytes
    disk_size: int = 0
    read: Mapping[str, float] = field(default_factory=dict)  # s since the epoch, by what was read
    failed: Mapping[str, int] = field(default_factory=dict)  # looks that failed, by the same


class Tally:
    """Counts alerts from the journal, from where it stood when this was made. Raises StoreError."""

    def __init__(self, journal: Journal) -> None:
        self._place = journal.journal_end()
        self._open = journal.open_alerts()
        self._opened: Counter[tuple[str, str]] = Counter()
        self._escalated: Counter[str] = Counter()

    def follow(self, journal: Journal) -> None:
        """Take in what was committed since. Raises StoreError."""
        while entries := journal.entries(self._place):
            for one in entries:
                self._take(one)
            self._place = entries[-1].place

    def _take(self, one: JournalEntry) -> None:
        if one.revision == 1:
            pair = one.kind, one.severity
            if pair not in self._opened and len(self._opened) >= MOST_KINDS:
                pair = OTHER, one.severity
            self._opened[pair] += 1
        before = self._open.get(one.id)
        if before is not None and SEVERITIES.index(one.severity) > SEVERITIES.index(before):
            self._escalated[one.severity] += 1
        if one.status == "open":
            self._open[one.id] = one.severity
        else:
            self._open.pop(one.id, None)

    def told(self, accepted: Iterable[str], stored: Stored) -> Stored:
        """Return `stored` with the counts of now."""
        known = frozenset(accepted)
        still = Counter(severity for id_, severity in self._open.items() if id_ not in known)
        return replace(
            stored, opened=dict(self._opened), escalated=dict(self._escalated), open=dict(still)
        )


class Looker:
    """The thread that looks. `stored` and `progress` are what it found last.

    To be made before the judge begins, so that no alert goes uncounted. Raises StoreError.
    """

    def __init__(
        self,
        folder: StateFolder,
        snapshot: Callable[[], Snapshot],
        clock: Callable[[], float],
    ) -> None:
        self.stored = Stored()
        self.progress: tuple[Progress, ...] = ()
        self._folder = folder
        self._snapshot = snapshot
        self._clock = clock
        self._tally = Tally(folder.store)
        self._store: Store | None = None
        self._looks = 0
        self._readiness: object = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._log = logger(__name__)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """End; False if a disk does not let it within `timeout` seconds."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.look()
                self._stopping.wait(LOOK_SECONDS)
        finally:
            self.close()

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def look(self) -> None:
        """Look once. What fails is counted, and stays as it was found last."""
        for what, read in ((STORE, self._read_store), (FILES, self._measure)):
            try:
                found = read(self.stored)
            except Exception as error:  # noqa: BLE001 counted; the other numbers go on
                self._note_failure(what, error)
            else:
                self.stored = replace(found, read={**found.read, what: self._clock()})
        snapshot = self._snapshot()
        if snapshot.readiness is not self._readiness:  # made new every few seconds
            self._readiness = snapshot.readiness
            self.progress = progress_of(snapshot.readiness)
        self._looks += 1

    def _note_failure(self, what: str, error: Exception) -> None:
        failed = self.stored.failed.get(what, 0) + 1
        self.stored = replace(self.stored, failed={**self.stored.failed, what: failed})
        if failed == 1:
            is_expected = isinstance(error, StoreError | OSError)
            self._log.warning(
                "numbers for the metrics cannot be read",
                what=what,
                why=str(error),
                exc_info=None if is_expected else error,
            )

    def _read_store(self, stored: Stored) -> Stored:
        if self._store is None:  # a connection of its own: the judge's is never waited for
            self._store = Store(self._folder.store.path)
        self._tally.follow(self._store)
        return self._tally.told(self._store.accepted(), stored)

    def _measure(self, stored: Stored) -> Stored:
        folder = self._folder
        store, disk = folder.store.path, os.statvfs(folder.path)
        files = {
            "store": (store, store.with_name(f"{store.name}-wal")),
            "baseline": tuple(folder.path.glob("baseline.otids*")),
        }
        sizes = {what: sum(map(_size, paths)) for what, paths in files.items()}
        evidence = stored.sizes.get("evidence", 0), stored.evidence_files
        if self._looks % EVIDENCE_EVERY == 0:
            evidence = _measure_evidence(folder.evidence.path)
        return replace(
            stored,
            sizes={**sizes, "evidence": evidence[0]},
            evidence_files=evidence[1],
            disk_free=disk.f_bavail * disk.f_frsize,
            disk_size=disk.f_blocks * disk.f_frsize,
        )


def _measure_evidence(folder: Path) -> tuple[int, int]:
    """Bytes and number of pieces of evidence."""
    size = files = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX):
                with contextlib.suppress(FileNotFoundError):  # removed to keep the quota
                    size += entry.stat(follow_symlinks=False).st_size
                    files += 1
    return size, files


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
