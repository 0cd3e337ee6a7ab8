"""How things stand: how far learning is, what is heard badly, and how far was judged."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otids.detectors.base import Readiness
from otids.traffic import ConversationName

MOST_LISTED = 1_000
"""Conversations that one list of the record names; its counts are of all of them."""


@dataclass(frozen=True, slots=True)
class Learning:
    """How far one detector is."""

    detector: str
    plant: Readiness | None  # of the plant as a whole, where the detector knows of such a thing
    ready: int  # conversations
    learning: tuple[Readiness, ...]  # conversations that are not ready, the farthest first

    @classmethod
    def of(cls, detector: str, readiness: Iterable[Readiness]) -> "Learning":
        """Sum up what a detector says of itself."""
        plant, ready, learning = None, 0, []
        for one in readiness:
            if one.conversation is None:
                plant = one
            elif one.progress >= 1:
                ready += 1
            else:
                learning.append(one)
        learning.sort(key=lambda one: (-one.progress, one.conversation))
        return cls(detector, plant, ready, tuple(learning))

    @property
    def is_silent(self) -> bool:
        """Whether the detector has nothing to learn."""
        return self.plant is None and not self.ready and not self.learning

    def record(self) -> dict[str, Any]:
        """The public JSON record."""
        return {
            "detector": self.detector,
            "plant": None if self.plant is None else _progress(self.plant),
            "ready": self.ready,
            "learning": len(self.learning),
            "conversations": [
                {"conversation": str(one.conversation), **_progress(one)}
                for one in self.learning[:MOST_LISTED]
            ],
        }


@dataclass(frozen=True, slots=True)
class Status:
    """How things stand."""

    learning: Sequence[Learning]  # by detector
    blind: Mapping[str, Sequence[ConversationName]]  # why: gaps, one-sided
    judged_until: int | None  # capture time, s; None before anything was judged
    is_declared: bool  # a person says that what comes now is normal

    def record(self) -> dict[str, Any]:
        """The public JSON record, without what only a state folder knows."""
        return {
            "judged_until": self.judged_until,
            "is_declared": self.is_declared,
            "detectors": [one.record() for one in self.learning],
            "blind": [
                {"conversation": str(name), "why": why}
                for why, names in self.blind.items()
                for name in names[:MOST_LISTED]
            ],
        }


def _progress(one: Readiness) -> dict[str, float | None]:
    return {"progress": round(one.progress, 4), "seconds_left": one.seconds_left}
