"""Two neighbouring registers as one value: how they can be put together, and when they are.

Modbus has words of 16 bits only; that two of them form a float or a counter of 32 bits is known
to the device and its clients alone. Each way of putting two words together is followed until it
is refuted, and believed only where there is evidence for it. Both are functions of summaries that
commute, so that it makes no difference whether two captures were learned together or apart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from otids.traffic import Array, Mask

FORMS = ("", "float", "float, low word first", "32-bit", "32-bit, low word first")
"""How a value is made: of the point alone, or of it and its neighbour."""
WAYS = len(FORMS)
FLOATS = (1, 2)
_IS_FLOAT = np.array([place in FLOATS for place in range(WAYS)])
_IS_SWAPPED = np.array(["low word first" in form for form in FORMS])
_SIXTEEN = np.uint64(16)

LEAST_FLOAT, MOST_FLOAT = 2.0**-30, 2.0**40
"""Floats of a process lie between these, or are 0; other words make any exponent."""
WORD = 65_536
RANDOM_STEP = WORD // 4
"""A low word of a float jumps so far, or farther."""
RANDOM_STATES = 4
WRAP_STEP = 3 * WORD // 4
"""The low word of an integer falls so far when it carries."""
ENOUGH_CHANGES = 8
ENOUGH_COUNTS = 50
LEAST_COUNT = 1_000
"""A low word that never came so far may be a counter of its own."""


def combine(first: Array, second: Array, form: Array) -> Array:
    """Put words (u64, below 65,536) together, each pair as its `form` says; as f64."""
    is_swapped, is_float = _IS_SWAPPED[form], _IS_FLOAT[form]
    high, low = first, second
    if np.count_nonzero(is_swapped):
        high, low = np.where(is_swapped, second, first), np.where(is_swapped, first, second)
    whole = (high << _SIXTEEN) | low
    floats = np.count_nonzero(is_float)
    if not floats:
        return whole.astype(np.float64)
    with np.errstate(invalid="ignore"):  # signalling NaN
        numbers = whole.astype(np.uint32).view(np.float32).astype(np.float64)
    return numbers if floats == len(whole) else np.where(is_float, numbers, whole)


def is_sane(number: Array) -> Mask:
    """Whether floats are such as a process has."""
    size = np.abs(number)
    sane: Mask = (number == 0) | ((size >= LEAST_FLOAT) & (size <= MOST_FLOAT))
    return sane


def refutes(form: Array, number: Array, step: Array) -> Mask:
    """Whether a value, and how far it moved (0 if that is not known), shows a form to be wrong.

    An integer whose high word moves by more than a carry is none, unless it begins anew.
    """
    is_jump = (np.abs(step) >= WORD) & (number >= WORD)
    wrong: Mask = np.where(form <= FLOATS[-1], ~is_sane(number), is_jump)
    return wrong


@dataclass(frozen=True, slots=True)
class Candidate:
    """A form of two neighbouring points that nothing refutes: rows of their summaries."""

    place: tuple[Any, ...]  # what sorts neighbours behind each other; the last is the address
    form: int
    row: int  # of the value put together
    first: int  # of the word at the lower address
    second: int


def doubt(one: Candidate, columns: Mapping[str, Array]) -> int | None:
    """How doubtful a form is for which there is evidence (0: least); None: there is none.

    A float: its low word jumps about, up and down, and takes many values while the whole stays
    sane; or the two are written together and never alone. An integer: its low word wraps when its
    high word moves; or, most doubtful, it only counts up.
    """
    high, low = (one.first, one.second) if one.form in {1, 3} else (one.second, one.first)
    changes = int(columns["ups"][low] + columns["downs"][low])
    up, down = float(columns["up_step"][low]), float(columns["down_step"][low])
    if one.form in FLOATS:
        alone = columns["alone"]
        is_together = columns["paired"][one.row] > 0 and not (alone[one.first] or alone[one.second])
        states = int(np.bitwise_count(columns["states"][low]).sum())
        is_random = min(up, down) >= RANDOM_STEP and states >= RANDOM_STATES
        return 0 if is_together or (changes >= ENOUGH_CHANGES and is_random) else None
    moves = int(columns["ups"][high] + columns["downs"][high])
    if moves > 0 and changes >= ENOUGH_CHANGES and down >= WRAP_STEP:
        return 1
    ups, downs = int(columns["ups"][one.row]), int(columns["downs"][one.row])
    counts = downs == 0 and ups >= ENOUGH_COUNTS and columns["high"][low] >= LEAST_COUNT
    return 2 if counts else None


def choose(candidates: Iterable[Candidate], columns: Mapping[str, Array]) -> list[Candidate]:
    """Choose forms such that no word is part of two: the least doubtful, from low addresses on.

    A block of values begins at its first register: where two tilings are possible, the one that
    begins first is that of the device.
    """
    believed = [(found, one) for one in candidates if (found := doubt(one, columns)) is not None]
    order = {1: 0, 3: 1, 2: 2, 4: 3}  # high word first is the custom
    believed.sort(key=lambda pair: (pair[0], pair[1].place, order[pair[1].form]))
    chosen: list[Candidate] = []
    taken: set[int] = set()
    for _, one in believed:
        if not taken & {one.first, one.second}:
            chosen.append(one)
            taken |= {one.first, one.second}
    return chosen
