"""Says how much is usual, and how much there was."""

from collections.abc import Iterable

from otids.learning.ledger import Ledger
from otids.learning.models.features import FEATURES, NAMES
from otids.traffic import Array

_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
_WHOLE = 10
"""Numbers from here on are told without a fraction."""


def usual(ledger: Ledger, row: int, features: Iterable[int]) -> list[str]:
    """What was learned of features, each in words."""
    mean, top = ledger["mean"][row], ledger["top"][row]
    return [
        f"about {spell(one, mean[one])}, never more than {_number(one, top[one])}"
        if top[one]
        else f"never any {FEATURES[one].words}"
        for one in features
    ]


def moved(ledger: Ledger, row: int, measured: Array, features: Iterable[int]) -> list[str]:
    """How much there was of features, each in words."""
    top = ledger["top"][row]
    return [
        spell(one, measured[one])
        + (f" ({_times(measured[one] / top[one])} times the most learned)" if top[one] else "")
        for one in features
    ]


def spell(feature: int, number: float) -> str:
    """A feature's number in words: "41 MB sent"."""
    words = FEATURES[feature].words
    spelled = _number(feature, number)
    if spelled == "1":  # "1 frame sent"
        first, _, rest = words.partition(" ")
        words = f"{first.removesuffix('s')} {rest}".strip() if " and " not in words else words
    return f"{spelled} {words}"


def _number(feature: int, number: float) -> str:
    name = NAMES[feature]
    if name.endswith("_share"):
        return f"{100 * number:.0f} %"
    if "bytes" not in name and "size" not in name:
        return f"{number:,.0f}" if number >= _WHOLE or number == int(number) else f"{number:.1f}"
    for unit, size in _UNITS:
        if number >= size:
            return f"{number / size:.{0 if number >= _WHOLE * size else 1}f} {unit}"
    return f"{number:.0f} bytes"


def _times(factor: float) -> str:
    return f"{factor:,.0f}" if factor >= _WHOLE else f"{factor:.1f}"
