"""What of known values was read in a tick, and what of it moved."""

from typing import NamedTuple

import numpy as np

from otids.learning.points.pairs import WORD
from otids.learning.points.samples import UNSIGNED, Samples
from otids.traffic import SECOND, Array, Mask, Tick

NEAR = 3
"""Readings that lie farther apart than so many usual intervals say nothing of how a value moves."""


class Moves(NamedTuple):
    """Values of quantities that moved in a tick; those of a row in order of completion."""

    row: Array
    number: Array
    time: Array
    place: Array  # of the sample (of a pair, of its first word)
    before: Array  # the value before; only where `has_before`
    before_time: Array  # when the point was last read
    has_before: Mask
    pace: Array  # ns between readings of late
    clock: Array  # the row that knows when it was last read
    is_odd: Mask | None  # is no number; None: all are

    @property
    def usual(self) -> Array:
        """Ns between readings of late, a second at least."""
        usual: Array = np.maximum(self.pace, SECOND)
        return usual

    @property
    def is_near(self) -> Mask:
        """Whether the value before was read not much longer ago than is usual."""
        near: Mask = self.time - self.before_time <= NEAR * self.usual
        return near


class Heard(NamedTuple):
    """What was read in a tick of quantities that have a row."""

    samples: Samples
    row: Array
    moving: Array  # places of samples of points that moved
    moves: Moves | None


class Waiting(NamedTuple):
    """Samples of points that were written and not yet read back."""

    place: Array  # of the sample
    is_taken: Mask  # it is what was written
    is_late: Mask  # it is not, though there was time enough


def neighbours(tick: Tick, samples: Samples, which: Mask) -> Array:
    """Places of registers (of `which`) that another register of the same message follows."""
    places = which.nonzero()[0]
    if not len(places):
        return places
    points = tick.names.points
    first, second = samples.point[places], samples.point[places + 1]
    follows = samples.message(places) == samples.message(places + 1)
    follows &= points.address[first] + np.uint64(1) == points.address[second]
    follows &= points.kind[first] == points.kind[second]
    follows &= (samples.kind(places) == UNSIGNED) & (samples.kind(places + 1) == UNSIGNED)
    follows &= (samples.raw[places] < WORD) & (samples.raw[places + 1] < WORD)
    found = places[follows]
    protocols = tick.names.texts.text[points.protocol[samples.point[found]]]
    pairs: Array = found[protocols == "modbus"]
    return pairs
