"""How whole the capture was around an alert: what is missing weakens what was not seen."""

from collections import deque

import msgspec
import numpy as np

from otids.detectors.base import Finding, State, StateError
from otids.learning.loss import Losses
from otids.traffic import Tick

WINDOW = 60
"""Seconds that count as around an alert."""
WHOLE = "no gap in the minute before"


class CompletenessState(msgspec.Struct, forbid_unknown_fields=True):
    """The checked form: epoch, and (second, frames, gaps) of the last minute."""

    epoch: int
    seconds: list[tuple[int, int, int]]


class Completeness:
    """Counts frames and gaps over the last minute of capture time."""

    def __init__(self, losses: Losses) -> None:
        """`losses` is what tells how well each conversation is heard."""
        self._losses = losses
        self._epoch = 0
        self._seconds: deque[tuple[int, int, int]] = deque(maxlen=2 * WINDOW)

    def take(self, tick: Tick) -> None:
        """Take in a tick."""
        if tick.epoch != self._epoch:
            self._epoch = tick.epoch
            self._seconds.clear()
        traffic = tick.tables.traffic
        frames = gaps = 0
        if len(traffic):
            frames = int(
                np.add.reduce(traffic.client_frames) + np.add.reduce(traffic.server_frames)
            )
            gaps = int(np.add.reduce(traffic.gaps))
        self._seconds.append((tick.second, frames, gaps))
        while self._seconds and self._seconds[0][0] <= tick.second - WINDOW:
            self._seconds.popleft()

    def of(self, finding: Finding) -> str:
        """Say how whole the capture was in the minute before the end of the last tick.

        First of all that was captured, then of the conversation that the finding is about.
        """
        gaps = sum(one[2] for one in self._seconds)
        words = WHOLE
        if gaps:
            frames = sum(one[1] for one in self._seconds)
            holes = "1 gap" if gaps == 1 else f"{gaps:,} gaps"
            words = f"{holes} in {frames:,} frames of the minute before"
        if not self._seconds:
            return words
        heard = self._losses.of(finding.conversation, self._seconds[-1][0])
        if heard.has_gaps:
            words += "; frames of this very conversation are missing"
        elif gaps and finding.conversation is not None:
            words += "; none of them in this conversation"
        if heard.unheard is not None:
            words += f"; nothing that {heard.unheard} says in it is in the capture"
        if heard.is_beginning:
            words += "; the capture had only just begun"
        return words

    def state(self) -> State:
        """The last minute, as plain data."""
        state: State = msgspec.to_builtins(CompletenessState(self._epoch, list(self._seconds)))
        return state

    def restore(self, state: State) -> None:
        """Take back a state. Raises `StateError` if it is not one."""
        try:
            checked = msgspec.convert(state, CompletenessState)
        except msgspec.ValidationError as error:
            raise StateError(f"the state of completeness is damaged: {error}") from error
        self._epoch = checked.epoch
        self._seconds = deque(checked.seconds, maxlen=2 * WINDOW)
