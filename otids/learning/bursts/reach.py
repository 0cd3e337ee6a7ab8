"""Says in words what somebody tries out, and what is usual instead."""

from collections.abc import Collection, Iterable
from ipaddress import ip_address
from typing import Any

from otids.learning.bursts.fanout import MOST_THINGS, Spread, Thing, Track
from otids.learning.words import distinct, spell_list
from otids.traffic import EndpointName, RangeName, function_name

MINUTE, HOUR = 60, 3_600

_NOUNS = {
    "hosts": ("device", "devices"),
    "ports": ("port", "ports"),
    "units": ("unit", "units"),
    "functions": ("function", "functions"),
    "addresses": ("address range", "address ranges"),
}


def spell_span(seconds: int) -> str:
    """A length of time in the unit in which people would say it."""
    if seconds < 2 * MINUTE:
        return f"{seconds} s"
    if seconds < 2 * HOUR:
        return f"{round(seconds / MINUTE)} min"
    return f"{round(seconds / HOUR)} h"


def spell_number(kind: str, number: int) -> str:
    """So many things of a kind."""
    return f"{number:,} {_NOUNS[kind][number != 1]}"


def spell_observed(kind: str, spread: Spread, second: int) -> str:
    """What was tried until `second`: how much, which, for how long, and how much of it answered."""
    number = len(spread.things)
    at_least = "at least " if number >= MOST_THINGS else ""
    succeeded = spread.succeeded
    where = ""
    if kind in {"functions", "addresses"}:
        servers = distinct(str(_endpoint(thing)) for thing in spread.things)
        where = f" on {len(servers)} devices ({spell_list(servers, most=3)})"
        answered = "all in vain"
    elif succeeded:
        answering = sorted(
            (thing for thing, one in spread.things.items() if one.succeeded), key=_place
        )
        who = spell_list(_word(kind, thing) for thing in answering)
        answered = "all answered" if succeeded == number else f"{succeeded} answered: {who}"
    else:
        answered = "none answered"
    return (
        f"tries {at_least}{spell_number(kind, number)} that it never used before{where}: "
        f"{spell_range(kind, spread.things)}, within {spell_span(spread.seconds(second))}; "
        f"{answered}"
    )


def spell_range(kind: str, things: Iterable[Thing]) -> str:
    """Which things: the first and the last of what has an order, else the first few."""
    if kind in {"functions", "addresses"}:
        return spell_list((_word(kind, thing) for thing in things), most=4)
    ordered = sorted(things, key=_place)
    words = distinct(_word(kind, thing) for thing in ordered)
    return f"{words[0]} to {_word(kind, ordered[-1])}" if len(words) > 1 else words[0]


def spell_expected(track: Track, usual: Collection[Thing]) -> str:
    """What is usual in a track."""
    kind, source = str(track[0]), _endpoint(track[1:])
    if kind in {"functions", "addresses"}:
        return f"{source} asks devices only for what they have ({len(usual)} learned)"
    words = [_word(kind, thing) for thing in sorted(usual, key=_place)]
    if kind == "hosts":
        if not words:
            return f"{source} talks to no other device"
        return f"{source} talks to {spell_number(kind, len(words))}: {spell_list(words)}"
    target = _endpoint(track[3:])
    if not words:
        return f"{source} uses no {_NOUNS[kind][0]} of {target}"
    return f"{source} uses only {spell_list(words)} of {target}"


def _endpoint(parts: Any) -> EndpointName:
    return EndpointName(int(parts[0]), str(parts[1]))


def _word(kind: str, thing: Thing) -> str:
    parts: tuple[Any, ...] = thing
    if kind == "hosts":
        return str(_endpoint(parts))
    if kind == "ports":
        return f"{parts[1]}/{parts[0]}"
    if kind == "units":
        return f"unit {parts[0]}"
    server = _endpoint(parts)
    if kind == "functions":
        return f"{function_name(parts[2], parts[3], parts[4])} of {server}"
    unit, *what = parts[2:]
    touched = RangeName(what[0], what[1], what[2], "", what[3])
    return f"{touched} of unit {unit} of {server}" if unit else f"{touched} of {server}"


def _place(thing: Thing) -> tuple[Any, ...]:
    """Where a thing stands in an order that people expect: 10.0.0.9 before 10.0.0.10."""
    key: list[Any] = []
    for part in thing:
        if isinstance(part, int):
            key.append((0, part, ""))
            continue
        try:
            ip = ip_address(part)
        except ValueError:
            key.append((3, 0, part))
        else:
            key.append((ip.version // 2 - 1, int(ip), ""))
    return tuple(key)
