"""What of known values was read in a tick, and what of it moved."""

from dataclasses import dataclass

import numpy as np

from otids.learning.pairs import WORD
from otids.learning.samples import UNSIGNED, Samples
from otids.traffic import Array, Mask, Tick

NEAR = 3
"""Readings that lie farther apart than so many usual intervals say nothing of how a value moves."""


@dataclass(frozen=True, slots=True)
class Moves:
    """Values of quantities that moved in a tick; those of a row in order of completion."""

    row: Array
    number: Array
    time: Array
    place: Array  # of the sample (of a pair, of its first word)
    before: Array  # the value before; only where `has_before`
    before_time: Array  # when the point was last read
    has_before: Mask
    usual: Array  # ns between readings of late
    is_near: Mask  # the value before was read not much longer ago than that
    clock: Array  # the row that knows when it was last read
    is_odd: Mask | None  # is no number; None: all are


@dataclass(frozen=True, slots=True)
class Heard:
    """What was read in a tick of quantities that have a row."""

    samples: Samples
    row: Array
    moves: Moves | None


def neighbours(tick: Tick, samples: Samples, which: Mask) -> Array:
    """Places of registers (of `which`) that another register of the same message follows."""
    if not which.any():
        return np.zeros(0, np.int64)
    points, places = tick.names.points, np.flatnonzero(which)
    first, second = samples.point[places], samples.point[places + 1]
    follows = samples.message[places] == samples.message[places + 1]
    follows &= points.address[first] + np.uint64(1) == points.address[second]
    follows &= points.kind[first] == points.kind[second]
    follows &= (samples.kind[places] == UNSIGNED) & (samples.kind[places + 1] == UNSIGNED)
    follows &= (samples.raw[places] < WORD) & (samples.raw[places + 1] < WORD)
    found = places[follows]
    protocols = tick.names.texts.text[points.protocol[samples.point[found]]]
    pairs: Array = found[protocols == "modbus"]
    return pairs
