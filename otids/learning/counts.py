"""Counts by id, without sorting where ids are small."""

from dataclasses import dataclass

import numpy as np

from otids.traffic import Array

FEW = 8_192
"""Up to so many ids, counting all of them costs less than sorting those of a tick."""


@dataclass(frozen=True, slots=True)
class Count:
    """How much there is of each of some distinct ids."""

    ids: Array
    counts: Array


NOTHING = Count(np.empty(0, np.uint32), np.empty(0, np.int64))


def counted(ids: Array) -> Count:
    """How often each of some ids (at least one) stands in a column."""
    if int(ids.max()) > FEW:
        return Count(*np.unique(ids, return_counts=True))
    counts = np.bincount(ids)
    distinct = counts.nonzero()[0]
    return Count(distinct, counts[distinct])


def summed(ids: Array, counts: Array) -> Count:
    """The sum of the counts that stand with each of some ids (at least one)."""
    if int(ids.max()) > FEW:
        distinct, inverse = np.unique(ids, return_inverse=True)
        return Count(distinct, np.bincount(inverse, counts).astype(np.int64))
    distinct = np.bincount(ids).nonzero()[0]
    return Count(distinct, np.bincount(ids, counts)[distinct].astype(np.int64))


def first_of(ids: Array, distinct: Array) -> Array:
    """Where in `ids` each of `distinct` (ascending) stands first."""
    places = np.empty(len(distinct), np.int64)
    backward = np.arange(len(ids) - 1, -1, -1)
    places[np.searchsorted(distinct, ids[::-1])] = backward
    return places


def aligned(count: Count, other: Count) -> Array:
    """The counts of `other` for the ids of `count`; 0 where it has none."""
    if not len(other.ids):
        return np.zeros(len(count.ids), np.int64)
    order = np.argsort(other.ids)
    ids, counts = other.ids[order], other.counts[order]
    places = np.minimum(np.searchsorted(ids, count.ids), len(ids) - 1)
    return np.where(ids[places] == count.ids, counts[places], 0)
