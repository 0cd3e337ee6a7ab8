"""What is kept of each value: a summary of what it did, and how it moves just now.

Summaries are counts, sums, minima and maxima, so that they commute; beside them stands how each
value moves just now, which is nobody's knowledge and is forgotten when another capture begins.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from otids.learning.ledger import Column
from otids.traffic import Array, PointName

FAR = 1e100
"""Numbers beyond are taken for this."""
LONG_AGO = -(2**62)

OPEN, EARNED, DECLARED = range(3)
"""Stages of learning: going on; over for lack of news; over because a person said so."""

_MOST = 2**53
_NO_RAW = (1 << 63) + 1
_STATE_BITS = 256


Form: TypeAlias = Literal["", "float", "float, low word first", "32-bit", "32-bit, low word first"]
"""One of `pairs.FORMS`."""


class Quantity(NamedTuple):
    """A value: its point (of two: the one at the lower address), and how it is made."""

    point: PointName
    form: Form


def _count(join: np.ufunc = np.add) -> Column:
    return Column("<i8", join=join, low=0, high=_MOST)


def _largest(*, fill: float = 0.0) -> Column:
    return Column("<f8", fill=fill, join=np.maximum, low=-FAR, high=FAR)


def _smallest() -> Column:
    return Column("<f8", fill=FAR, join=np.minimum, low=-FAR, high=FAR)


LEARNED: Mapping[str, Column] = {
    "count": _count(),  # seconds in which it was read
    "heard": Column(
        "<i8", join=np.add, low=0, high=2**33
    ),  # seconds over which it was read, without pauses
    "news": _count(np.maximum),  # of `heard`, when its span last grew
    "low": _smallest(),
    "high": _largest(fill=-FAR),
    "ups": _count(),  # how often it rose, and fell
    "downs": _count(),
    "steps": _count(),  # changes whose size is certain
    "up_step": _largest(),
    "down_step": _largest(),
    "least_down": _smallest(),
    "up_rate": _largest(),  # a second
    "standstill": _count(np.maximum),  # readings
    "states": Column("<u8", join=np.bitwise_or, width=(_STATE_BITS // 64,)),
    "fraction": Column("|u1", high=1),  # was ever not whole
    "bit": Column("|u1", high=1),
    "text": Column("|u1", high=1),
    "odd": _count(),  # readings that were no number
    "writes": _count(),
    "written_low": _smallest(),
    "written_high": _largest(fill=-FAR),
    "paired": _count(),  # of a pair: written both in one item of two
    "alone": _count(),  # written by itself
    "taken": _count(),  # writes that were read back, and that were not
    "ignored": _count(),
    "taking": _count(np.maximum),  # ns until read back
    "refuted": Column("|u1", high=1),  # a pair that is none
    "stage": Column("|i1", fill=DECLARED, join=np.minimum, low=OPEN, high=DECLARED),
    "widened": _largest(),  # since the beginning of `day`
    "day": Column("<i8", low=0, high=_MOST),
}
MOVING: Mapping[str, Column] = {
    "raw": Column("<u8", fill=_NO_RAW),
    "last": Column("<f8", low=-FAR, high=FAR),
    "last_time": Column("<i8", fill=LONG_AGO, low=LONG_AGO),  # ns
    "pace": Column("<i8", low=0),  # ns between readings, the longest of late
    "changed": Column("<i8", fill=LONG_AGO, low=LONG_AGO),  # ns
    "still": Column("<i8", low=0, high=_MOST),  # seconds since then in which it was read
    "fault": Column("|u1", high=1),  # the last value was found to deviate
    "pending": Column("<u8"),  # raw value that was written last
    "pending_time": Column("<i8", fill=LONG_AGO, low=LONG_AGO),
    "told": Column("<u8", fill=_NO_RAW),  # a written number of which people were told
    "ran_back": Column("<i8", fill=LONG_AGO, low=LONG_AGO),  # ns, when people were told of that
}


def state_of(number: Array) -> Array:
    """The bit that stands for a value among the 256 states that are told apart."""
    whole = (number >= 0) & (number < _STATE_BITS) & (number == np.floor(number))
    if np.count_nonzero(whole) == len(number):
        return number.astype(np.int64)
    mixed = np.ascontiguousarray(number).view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    places: Array = np.where(whole, number, (mixed >> np.uint64(56)).astype(np.float64))
    return np.nan_to_num(places).astype(np.int64)
