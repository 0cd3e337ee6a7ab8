"""What is normal: limits, and how far they may move."""

import numpy as np
import pytest

from otids.learning.ledger import Ledger
from otids.learning.models import normal
from otids.learning.models.features import FEATURES, NAMES, UNITS
from otids.traffic import Array

BYTES = NAMES.index("sent_bytes")


def ledger(numbers: list[float]) -> Ledger:
    """One row that has learned windows of so many bytes by declaration."""
    made = Ledger(str, normal.COLUMNS, 10)
    made.add("row", 0)
    for number in numbers:
        normal.take(made, np.array([0]), measured(number), declared=True)
    normal.close(made)
    return made


def measured(number: float) -> Array:
    row = np.zeros((1, len(FEATURES)))
    row[0, BYTES] = number
    return row


def limit(made: Ledger) -> float:
    return float(normal.limits(made, np.array([0]))[0, BYTES])


def test_limits_follow_the_law_of_extremes() -> None:
    numbers = [100_000.0] * 99 + [200_000.0]
    made = ledger(numbers)
    mean = sum(numbers) / 100
    assert made["mean"][0, BYTES] == pytest.approx(mean)
    assert made["variance"][0, BYTES] == pytest.approx(np.var(numbers))
    wider = np.log(100 * normal.HORIZON) / np.log(100)
    assert limit(made) == pytest.approx(mean + (200_000 - mean) * wider)


def test_few_windows_give_wide_limits() -> None:
    assert limit(ledger([1e6] * 12)) > limit(ledger([1e6] * 100)) > limit(ledger([1e6] * 5_000))
    assert limit(ledger([1e6] * 5_000)) > 1.25e6


def test_what_is_small_is_judged_by_units() -> None:
    assert limit(ledger([3.0] * 100)) > 3 + UNITS[BYTES]


def test_normal_lies_mid_range() -> None:
    dice = np.random.default_rng(1)
    made = ledger(dice.normal(1e6, 1e5, 500).tolist())
    row = np.array([0])
    assert 0.45 < normal.squash(made, row, measured(1e6))[0, BYTES] < 0.55
    assert normal.squash(made, row, measured(1.1e6))[0, BYTES] < 0.65
    assert normal.squash(made, row, measured(1e7))[0, BYTES] > 0.99


@pytest.mark.parametrize("pace", [1.001, 1.01, 1.1])
def test_no_ramp_goes_beyond_its_bound(pace: float) -> None:
    made = ledger([1e6] * 300)
    first, number = limit(made), 1e6
    for _ in range(5_000):
        normal.take(made, np.array([0]), measured(min(number, limit(made))), declared=False)
        number *= pace
    assert made["mean"][0, BYTES] <= normal.DRIFT * 1e6 + UNITS[BYTES]
    assert made["top"][0, BYTES] <= normal.DRIFT * 1e6 + UNITS[BYTES]
    assert limit(made) < 1.35 * first < 3e6


def test_declared_learning_moves_the_bound() -> None:
    made = ledger([1e6] * 300)
    for _ in range(300):
        normal.take(made, np.array([0]), measured(5e6), declared=True)
    normal.close(made)
    assert limit(made) > 5e6


def test_what_is_earned_needs_windows_and_time() -> None:
    made = Ledger(str, normal.COLUMNS, 10)
    row = np.array([made.add("row", 0)])
    for window in range(normal.EARNED + 1):
        normal.listen(made, row, 10 * window, 10)
        normal.take(made, row, measured(1e6), declared=False)
        normal.settle(made, row)
    assert not made["normal"][0]
    part, left = normal.progress(made, 0)
    assert 0 < part < 1
    assert left == normal.EARNED_SECONDS - made["listened"][0]
    second = 10 * normal.EARNED
    while not made["normal"][0]:
        second += 600
        normal.listen(made, row, second, 10)
        normal.take(made, row, measured(1e6), declared=False)
        normal.settle(made, row)
    assert normal.EARNED_SECONDS <= made["listened"][0] <= normal.EARNED_SECONDS + 600
    assert not normal.is_settled(made, 0)
    assert normal.progress(made, 0) == (1.0, 0.0)


def test_a_long_pause_is_little_time() -> None:
    made = Ledger(str, normal.COLUMNS, 10)
    row = np.array([made.add("row", 0)])
    for second in (10, 90_000, 900_000):
        normal.listen(made, row, second, 10)
    assert made["listened"][0] == 10 + 2 * normal.HOLE
