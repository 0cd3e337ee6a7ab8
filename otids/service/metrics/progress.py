"""How far learning is, in one line of numbers a detector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from otids.detectors.base import Readiness


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one detector is."""

    detector: str
    ready: int  # conversations
    learning: int
    mean: float | None  # progress over all of them, 0 … 1; None without any
    plant: float | None  # progress of the plant as a whole; None if it knows of no such thing


def progress_of(readiness: Mapping[str, Iterable[Readiness]]) -> tuple[Progress, ...]:
    """Sum up what detectors say of themselves; those with nothing to learn are left out."""
    told = (_sum(detector, each) for detector, each in readiness.items())
    return tuple(one for one in told if one.mean is not None or one.plant is not None)


def _sum(detector: str, readiness: Iterable[Readiness]) -> Progress:
    ready, learning, total, plant = 0, 0, 0.0, None
    for one in readiness:
        if one.conversation is None:
            plant = one.progress
            continue
        total += min(one.progress, 1.0)
        ready += one.progress >= 1
        learning += one.progress < 1
    count = ready + learning
    return Progress(detector, ready, learning, total / count if count else None, plant)
