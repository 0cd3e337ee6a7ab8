"""How much is normal for one conversation or device: means, spreads, largest values, limits.

All is columns of a `Ledger`: a row for each conversation or device, in it a number for each
feature. The limits rest on the largest value learned. Of n values whose tail is exponential the
largest is expected ln n spreads above the rest, and the largest of H·n stands ln H higher (the law
of extremes, Gumbel 1958); so the limit is what would be reached once in `HORIZON` times as many
windows as were learned. Few windows give wide limits by themselves.
"""

import numpy as np

from otids.learning.ledger import Column, Ledger
from otids.learning.models.features import FEATURES, NO_FRAME, SUMS, UNITS
from otids.traffic import Array, Mask

ENOUGH = 12
"""Windows that were learned by declaration, before anything is judged by them."""
EARNED = 60
EARNED_SECONDS = 3_600
"""Windows, and time, after which what nobody declared is normal."""
SETTLED_SECONDS = 86_400
"""Time after which what was earned weighs as much as what was declared."""
HOLE = 600
"""What a pause counts for at most as time in which was listened, seconds."""
HORIZON = 1_000
LEAST_SPREAD = 0.25
"""How far above the mean the largest value is taken to be at least, as a part of the mean."""
MEMORY = 1_000
"""Windows over which the mean and the variance are followed."""
CREEP = 0.1
"""How fast the largest value follows a larger one once it is normal."""
DRIFT = 1.25
"""How far mean and largest value may go beyond what they were when they became normal."""
_MOST = 1e18
_COUNT = 2**53

_F = (len(FEATURES),)
COLUMNS = {
    "windows": Column("<i8", low=0, high=_COUNT),
    "listened": Column("<i8", low=0, high=_COUNT),  # seconds
    "last": Column("<i8", fill=-_COUNT, low=-_COUNT, high=_COUNT),  # second of the last window
    "declared": Column("|u1", low=0, high=1),
    "normal": Column("|u1", low=0, high=1),  # enough was learned to be judged by
    "told": Column("<i8", low=0, high=_COUNT),  # windows in a row that were told
    "mean": Column("<f8", low=0, high=_MOST, width=_F),
    "variance": Column("<f8", low=0, high=_MOST * _MOST, width=_F),
    "top": Column("<f8", low=0, high=_MOST, width=_F),
    "first_mean": Column("<f8", low=0, high=_MOST, width=_F),  # when it became normal
    "first_top": Column("<f8", low=0, high=_MOST, width=_F),
    # Of the open window:
    "sums": Column("<i8", low=0, high=_COUNT, width=(len(SUMS),)),
    "functions": Column("<u8"),
    "first_frame": Column("<i8", fill=NO_FRAME, low=0),
    "last_frame": Column("<i8", low=0),
    "marks": Column("|u1", low=0, high=7),
}


def limits(ledger: Ledger, rows: Array) -> Array:
    """What is still normal at most, rows × FEATURES."""
    mean, top = ledger["mean"][rows], ledger["top"][rows]
    spread = np.maximum(np.maximum(top - mean, LEAST_SPREAD * mean), UNITS)
    most: Array = mean + spread * _reach(ledger["windows"][rows])[:, None]
    return most


def _reach(windows: Array) -> Array:
    logs: Array = np.log(np.maximum(windows, ENOUGH))
    wider: Array = 1 + np.log(HORIZON) / logs
    return wider


def squash(ledger: Ledger, rows: Array, measured: Array) -> Array:
    """Features such that normal lies mid-range, 0 … 1: 0.5 + 0.5·tanh((x − mean) / 6 spreads)."""
    mean = ledger["mean"][rows]
    spread = np.sqrt(ledger["variance"][rows])
    spread = np.maximum(np.maximum(spread, 0.05 * mean), UNITS / 4)
    squashed: Array = 0.5 + 0.5 * np.tanh((measured - mean) / (6 * spread))
    return squashed


def take(ledger: Ledger, rows: Array, measured: Array, *, declared: bool) -> None:
    """Learn the windows of distinct rows."""
    columns = {name: ledger[name] for name in COLUMNS}
    windows = columns["windows"][rows] + 1
    columns["windows"][rows] = windows
    is_normal = columns["normal"][rows].astype(bool)[:, None] & (not declared)
    # What is beyond the limits and was not told is no measure of what is usual.
    kept = np.where(is_normal, np.minimum(measured, limits(ledger, rows)), measured)
    weight = (1 / np.minimum(windows, MEMORY))[:, None]
    mean, variance, top = (columns[name][rows] for name in ("mean", "variance", "top"))
    away = kept - mean
    mean = mean + weight * away
    variance = (1 - weight) * (variance + weight * away * away)
    top = np.where(is_normal, top + CREEP * np.maximum(kept - top, 0), np.maximum(kept, top))
    columns["mean"][rows] = np.where(
        is_normal, np.minimum(mean, DRIFT * columns["first_mean"][rows] + UNITS), mean
    )
    columns["top"][rows] = np.where(
        is_normal, np.minimum(top, DRIFT * columns["first_top"][rows] + UNITS), top
    )
    columns["variance"][rows] = variance


def listen(ledger: Ledger, rows: Array, second: int, window: int) -> None:
    """Something was heard of rows in a window that ended at `second`."""
    last = ledger["last"][rows]
    ledger["listened"][rows] += np.where(last == -_COUNT, window, np.minimum(second - last, HOLE))
    ledger["last"][rows] = second


def settle(ledger: Ledger, rows: Array) -> None:
    """Let those of `rows` become normal of which enough was learned."""
    windows = ledger["windows"][rows]
    enough = (ledger["declared"][rows] > 0) & (windows >= ENOUGH)
    enough |= (windows >= EARNED) & (ledger["listened"][rows] >= EARNED_SECONDS)
    _become(ledger, rows[enough & (ledger["normal"][rows] == 0)])


def close(ledger: Ledger) -> None:
    """Declared learning ends: what was learned is what is normal."""
    rows = np.flatnonzero(ledger.in_use & (ledger["windows"] > 0))
    ledger["declared"][rows] = 1
    _become(ledger, rows[ledger["windows"][rows] >= ENOUGH])


def _become(ledger: Ledger, rows: Array) -> None:
    ledger["normal"][rows] = 1
    ledger["first_mean"][rows] = ledger["mean"][rows]
    ledger["first_top"][rows] = ledger["top"][rows]


def interrupt(ledger: Ledger) -> None:
    """Forget open windows and moments."""
    clear(ledger, np.arange(ledger.size))
    ledger["last"][:] = -_COUNT
    ledger["told"][:] = 0


def clear(ledger: Ledger, rows: Array) -> None:
    """Begin the next window of rows."""
    for name in ("sums", "functions", "first_frame", "last_frame", "marks"):
        ledger[name][rows] = COLUMNS[name].fill


def heard(ledger: Ledger) -> Mask:
    """Rows of which anything was heard in the open window."""
    found: Mask = ledger["first_frame"] != NO_FRAME
    return found


def is_settled(ledger: Ledger, row: int) -> bool:
    """Whether what is normal of a row was declared, or has been for long."""
    return bool(ledger["declared"][row]) or int(ledger["listened"][row]) >= SETTLED_SECONDS


def progress(ledger: Ledger, row: int) -> tuple[float, float | None]:
    """How far learning is (1: enough), and how many more seconds it takes, if that can be told."""
    windows, listened = int(ledger["windows"][row]), int(ledger["listened"][row])
    if ledger["normal"][row]:
        return 1.0, 0.0
    pace = listened / windows if windows else None
    if ledger["declared"][row]:
        left = None if pace is None else (ENOUGH - windows) * pace
        return windows / ENOUGH, left
    part = min(windows / EARNED, listened / EARNED_SECONDS, 1.0)
    if pace is None:
        return part, None
    return part, max((EARNED - windows) * pace, float(EARNED_SECONDS - listened), 0.0)
