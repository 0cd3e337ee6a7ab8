"""From what on a model's score is unusual: a high quantile of what it gave to usual windows."""

import numpy as np

from otids.learning.arrays import pack, unpack
from otids.learning.models.estimators import within

KEPT = 2_000
"""How many of the latest scores are kept."""
LEAST = 100
"""Scores without which there is no threshold."""
_MOST_SCORE = 1e9


class Threshold:
    """The latest scores of windows that nobody flagged; flagged ones never move it."""

    def __init__(self, quantile: float, margin: float) -> None:
        """The threshold lies `margin` of the way from the median to the quantile above it."""
        self._quantile = quantile
        self._margin = margin
        self._scores = np.zeros(KEPT)
        self._count = 0
        self._value: float | None = None

    def add(self, scores: list[float]) -> None:
        """Take in scores, in order."""
        for score in scores:
            self._scores[self._count % KEPT] = score
            self._count += 1
        if scores:
            self._value = None

    @property
    def value(self) -> float | None:
        """What is usual lies at or below this; None while too little was scored."""
        if self._count < LEAST:
            return None
        if self._value is None:
            scores = self._scores[: min(self._count, KEPT)]
            high, middle = np.quantile(scores, (self._quantile, 0.5)).tolist()
            self._value = high + self._margin * (high - middle)
        return self._value

    def state(self) -> dict[str, object]:
        """All scores kept, as plain data."""
        return {"count": self._count, "scores": pack(self._scores[: min(self._count, KEPT)])}

    def restore(self, state: object) -> None:
        """Take back a state. Raises ValueError if it is not one; then nothing has changed."""
        match state:
            case {"count": int(count), "scores": scores, **rest} if not rest and count >= 0:
                pass
            case _:
                raise ValueError("no scores")
        if type(count) is not int or count > 2**53:
            raise ValueError("scores that cannot have been counted")
        kept = min(count, KEPT)
        self._scores[:kept] = within(unpack(scores, "<f8", (kept,)), -_MOST_SCORE, _MOST_SCORE)
        self._count, self._value = count, None
