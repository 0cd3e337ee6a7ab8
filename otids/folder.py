"""The state folder: the baseline, the alerts, their evidence. A replay and the service have one.

baseline.otids   everything learned: one sealed, atomic generation (and the one before it)
alerts.sqlite    alerts, decisions, assets, and how far each sink has come
evidence/        a pcapng per alert
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from otids import statefile
from otids.alerts.alert import Alert
from otids.alerts.evidence import EvidenceFolder
from otids.detectors.base import Detector, State, StateError
from otids.store import Store

BASELINE = "baseline"
VERSION = 1


def last_replay() -> Path:
    """Where a replay keeps its state if no folder is named: it holds the last one only."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "otids" / "last-replay"


class StateFolder:
    """One folder of state. Raises `StateError`, `StoreError` or `OSError`, each in one line."""

    def __init__(self, path: Path, *, writing: bool = False) -> None:
        """Open a folder; for writing, make it if need be and keep other writers out."""
        self.path = path
        if writing:
            path.mkdir(parents=True, exist_ok=True, mode=0o750)
        elif not path.is_dir():
            raise StateError(f"{path}: there is no such state folder; run a replay first")
        self.note = ""  # why what `load` gave is not the newest generation
        self.store = Store(path / "alerts.sqlite", writing=writing)
        self.evidence = EvidenceFolder(path / "evidence")

    @classmethod
    def anew(cls, path: Path) -> Self:
        """Open a folder for writing without what was in it. Only a state folder is emptied."""
        marks = ("baseline.otids", "alerts.sqlite")
        if path.is_dir() and any(path.iterdir()):
            if not any((path / mark).exists() for mark in marks):
                raise StateError(f"{path}: is not empty and not a state folder; not touched")
            shutil.rmtree(path)
        return cls(path, writing=True)

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def baseline(self) -> Path:
        """The file that holds what was learned."""
        return self.path / "baseline.otids"

    def where(self, evidence: Path) -> str:
        """Where people find a piece of evidence."""
        return str(evidence)

    def load(self) -> State | None:
        """Read what was learned; None if nothing was yet. Raises `StateError`."""
        if not self.baseline.exists() and not statefile.previous(self.baseline).exists():
            return None
        loaded = statefile.read(self.baseline, BASELINE, VERSION)
        self.note = loaded.note
        if not isinstance(loaded.payload, dict):
            raise StateError(f"{self.baseline}: holds no baseline")
        return loaded.payload

    def save(self, state: State) -> None:
        """Write what was learned (its parts may be functions that give it) as a new generation."""
        statefile.write(self.baseline, BASELINE, VERSION, state)

    def apply_decisions(self, detectors: Iterable[Detector]) -> None:
        """Let every detector know what people accepted, and what they took back.

        What several decisions accept stays accepted for as long as one of them stands.
        """
        decisions = self.store.decisions()[::-1]
        standing, taken_back = (
            dict.fromkeys(
                cause
                for one in decisions
                if (one.undone_at is None) is stands
                for cause in one.causes
            )
            for stands in (True, False)
        )
        for detector in detectors:
            for cause in taken_back:
                if cause not in standing:
                    detector.undo(cause)
            for cause in standing:
                detector.accept(cause)

    def cut_evidence(self, capture: Path, alerts: Iterable[Alert]) -> Mapping[str, str]:
        """Cut the frames of alerts out of a capture; return what was wrong with it, by alert."""
        return self.evidence.cut(capture, alerts).notes
