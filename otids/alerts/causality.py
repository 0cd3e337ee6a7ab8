"""Which finding tells what another one found, too: one cause is one alert.

What a detector says of rhythm and volume follows from what somebody did, and is told with it. What
is an attack of its own is never told by something that says less of it.
"""

from collections.abc import Mapping

from otids.detectors.base import GRAVITY, Finding
from otids.learning.plant.memory import is_group
from otids.traffic import EndpointName

RANKS: Mapping[str, int] = {
    name: place
    for place, name in enumerate(
        (
            "policy",
            "scan",
            "flood",
            "addressing",
            "protocol",
            "novelty",
            "values",
            "timing",
            "volume",
        )
    )
}
"""Detectors: of those that flagged the same rows, the first says most of what happened."""

_ACTS = frozenset({"scan", "flood", "addressing", "protocol", "novelty"})
"""Detectors that say what somebody did, and so why there is more traffic than usual."""
_TRIES = frozenset({"scan", "novelty.function-scan", "novelty.address-scan"})
_SLOW = frozenset({"timing.slow-answers", "timing.unanswered"})
_BEYOND = frozenset(
    {"values.out-of-range", "values.written-out-of-range", "values.repeated", "addressing"}
)

TELLERS: Mapping[str, frozenset[str]] = {
    "novelty.new-conversation": frozenset({"scan", "protocol"}),
    "protocol.malformed": _TRIES,
    "values.out-of-range": frozenset({"values.written-out-of-range"}),
    "values.step": _BEYOND,
    "values.rate": _BEYOND,
    "timing.silence": _SLOW,
    "timing.drift": _SLOW | {"flood"},
    "timing.fast": _ACTS,
    "volume.unusual": _ACTS | {"timing.fast"},
    "volume.unusual-device": _ACTS | {"timing.fast", "volume.unusual"},
}
"""By kind of what follows from something else: detectors, or kinds, of which it is a consequence.

In the order in which they are told, as some follow from each other.
"""
_ORDER = {kind: place for place, kind in enumerate(TELLERS)}

_TOLD_AT_ONCE = frozenset({"protocol.malformed", "timing.silence", "values.out-of-range"})
_HIGH = frozenset({"high", "critical"})
_STANDS_ALONE = "novelty.new-endpoint"


def may_hold(holder: Finding, one: Finding) -> bool:
    """Whether a finding over all rows of another one tells it, too.

    That a device is new is told by itself. What changes a device is told by what says so: a broken
    rule, or who or what was new; and values are not told by what only counts messages. A rule that
    is there to keep count (of no high severity) tells nothing but itself.
    """
    rank, own = RANKS.get(holder.detector), RANKS.get(one.detector)
    if rank is None or own is None or rank >= own or one.kind == _STANDS_ALONE:
        return False
    if holder.detector == "policy":
        return holder.severity in _HIGH
    if one.activity in GRAVITY and holder.detector != "novelty":
        return False
    return one.detector != "values" or holder.detector not in {"scan", "flood"}


def follows(one: Finding, detector: str, kind: str) -> bool:
    """Whether a finding is of a sort that follows from what a detector said with a kind."""
    tellers = TELLERS.get(one.kind, frozenset())
    return detector in tellers or kind in tellers


def is_consequence(one: Finding) -> bool:
    """Whether it is worth a moment to wait for what a finding may follow from.

    A silence is told at once, for somebody may be kept from speaking, and so is a new conversation
    in which something is said. What is written is heard before it is read, and what is tried
    before it breaks.
    """
    if one.kind in _TOLD_AT_ONCE:
        return False
    if one.kind == "novelty.new-conversation":
        return one.severity == "low"
    return one.kind in TELLERS


def order_of(one: Finding) -> int:
    """What follows from nothing comes first."""
    return _ORDER.get(one.kind, -1)


def devices_of(one: Finding) -> tuple[EndpointName, ...]:
    """The devices that a finding is about; who is everybody is nobody.

    Of an impostor only the victim counts: what is said in its name is seen there. Whoever answers
    late lets all its clients wait.
    """
    parties = [one.target, one.source]
    if one.detector == "addressing":
        parties = [one.target]
    elif one.kind in _SLOW:
        parties = [one.source]
    found = (each for each in parties if each is not None and each.address)
    return tuple(dict.fromkeys(each for each in found if not is_group(each.address)))
