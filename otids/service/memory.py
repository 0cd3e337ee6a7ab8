"""What the process may hold: every large part is a share of one number, which is watched.

Budgets keep it below the number by themselves. Where that is not enough, things are given up step
by step, the least missed first; what was learned, open alerts and committing are never given up.
"""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from otids.logs import logger

DEFAULT_BYTES = 512 << 20
LEAST_BYTES = 256 << 20
"""With less, what detectors hold of strangers would not fit beside a plant's baseline."""
TOO_MUCH = 0.75
"""Share of the memory in use from which on something is given up.

The rest is for what is held between two looks: a checkpoint, a tick with much that is new.
"""
ENOUGH = 0.55
"""Share below which something is taken back."""
STEP_SECONDS = 3.0
"""Between two steps: what is given up leaves with the next batches."""
URGENT_SECONDS = 1.0
"""Between two steps while more is held than may be."""
BACK_SECONDS = 600.0
"""For how long there must be enough before something is taken back."""
MOST_UNCOMMITTED = 10_000
PAGE = 4096


@dataclass(frozen=True, slots=True)
class Shares:
    """How much the large parts may hold."""

    hotpath: int  # for a process of how many bytes its tables are made
    evidence: int  # bytes of the last frames
    uncommitted: int  # revisions that wait for the store


STEPS: tuple[tuple[str, Shares], ...] = (
    # What is given up, and what is left: each a divisor of the share.
    ("", Shares(1, 1, 1)),
    ("three quarters of the last frames, from which evidence is cut", Shares(1, 4, 1)),
    ("nearly all of the last frames, from which evidence is cut", Shares(1, 16, 1)),
    ("half the room for strangers, their flows, fragments of streams", Shares(2, 16, 1)),
    ("three quarters of that room", Shares(4, 16, 1)),
    ("seven eighths of that room", Shares(8, 16, 1)),
    ("older revisions of alerts that the store does not take", Shares(8, 16, 8)),
)
"""The order in which things are given up; each step gives up what those before it did, too."""


class Memory:
    """Watches how much the process holds. `look` is to be called every second or so."""

    def __init__(
        self,
        bound: int = DEFAULT_BYTES,
        evidence: int | None = None,
        *,
        resident: Callable[[], int] | None = None,
        release: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`bound` and `evidence` (its share at most; default: an eighth) are in bytes."""
        self.bound = bound
        self.step = 0
        self.steps_taken = 0
        self.resident = 0
        share = bound // 8
        self._evidence = share if evidence is None else min(evidence, share)
        self._measure = resident or resident_bytes
        self._release = release or hand_back
        self._clock = clock
        self._stepped = -BACK_SECONDS
        self._log = logger(__name__)

    @property
    def shares(self) -> Shares:
        """What the large parts may hold at present."""
        _, left = STEPS[self.step]
        return Shares(
            self.bound // left.hotpath,
            self._evidence // left.evidence,
            MOST_UNCOMMITTED // left.uncommitted,
        )

    @property
    def given_up(self) -> str:
        """What is given up at present, in words; empty if nothing is."""
        return STEPS[self.step][0]

    def look(self) -> bool:
        """Measure; whether the shares have changed."""
        self.resident = self._measure()
        now = self._clock()
        if self.resident > TOO_MUCH * self.bound:
            is_urgent = self.resident > self.bound
            if now - self._stepped < (URGENT_SECONDS if is_urgent else STEP_SECONDS):
                return False
            self._stepped = now
            # What was freed counts as held until it is handed back.
            self._release()
            self.resident = self._measure()
            if self.resident <= TOO_MUCH * self.bound or self.step + 1 == len(STEPS):
                return False
            self.step += 1
            self.steps_taken += 1
            self._note("memory is short: something is given up")
            return True
        if self.resident >= ENOUGH * self.bound:
            self._stepped = max(self._stepped, now - BACK_SECONDS + STEP_SECONDS)
        elif self.step and now - self._stepped >= BACK_SECONDS:
            self.step -= 1
            self._stepped = now
            self._note("there is memory again")
            return True
        return False

    def _note(self, event: str) -> None:
        self._log.warning(
            event,
            given_up=self.given_up or "nothing",
            resident_mib=self.resident >> 20,
            bound_mib=self.bound >> 20,
        )


def resident_bytes() -> int:
    """How much of the process is in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE


def hand_back() -> None:
    """Hand back to the system what was freed."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # another libc: it frees as it likes
        return
