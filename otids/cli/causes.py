"""Causes in words: what becomes normal when a person accepts an alert."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from otids.detectors.base import Cause
from otids.learning.addresses.vendors import spell_mac
from otids.learning.models.features import NAMES
from otids.learning.models.words import spell
from otids.learning.plant.accepted import CONVERSATION_PARTS, unflat
from otids.learning.plant.vocabulary import LEVELS
from otids.traffic import (
    NO_SUBFUNCTION,
    ConversationName,
    EndpointName,
    function_name,
    spell_objects,
    status_name,
)

Names: TypeAlias = Mapping[str, str]
"""Names of devices by address."""


def names_of(assets: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Names of devices by address, from the records of an inventory."""
    return {one["address"]: one["name"] for one in assets if one["name"]}


def spell_conversation(name: ConversationName, names: Names) -> str:
    """Name a conversation by the names of its devices."""
    port = f"/{name.port}" if name.port else ""
    return (
        f"{spell_endpoint(name.client, names)} → {spell_endpoint(name.server, names)}, "
        f"{name.protocol}{port}"
    )


def spell_cause(cause: Cause, names: Names) -> str:
    """Say what becomes normal with a cause, in one line."""
    try:
        return _spell(cause, names)
    except (ValueError, TypeError, KeyError):  # of another version: told as it stands
        pass
    return " ".join(str(part) for part in cause)


def _spell(cause: Cause, names: Names) -> str:
    match cause:
        case ("novelty", *parts):
            words = _spell_novelty(parts, names)
        case ("policy", str(rule), str(source), str(target), int(unit)):
            words = _spell_offence(rule, (source, target, unit), names)
        case ("volume", str(whose), *parts, str(feature), int(most)):
            words = _spell_amount(whose, parts, spell(NAMES.index(feature), most), names)
        case ("values", str(word), *parts, str(bound)):
            words = _spell_value(word, parts, bound, names)
        case ("timing", str(word), *parts):
            words = _spell_pace(word, parts, names)
        case (str(detector), str(word), *parts):
            words = _spell_habit(f"{detector}.{word}", parts, names)
        case _:
            raise ValueError(cause)
    return words


def _spell_novelty(parts: list[Any], names: Names) -> str:
    match parts:
        case ["endpoint", int(vlan), str(address)]:
            return f"the device {spell_endpoint(EndpointName(vlan, address), names)} is known"
        case ["conversation", *rest]:
            return _spell_talk(unflat(rest), names)
        case [str(level), *rest] if level in LEVELS:
            name = unflat(rest[:CONVERSATION_PARTS])
            return _spell_word(level, name, rest[CONVERSATION_PARTS:], names)
    raise ValueError(parts)


def _spell_talk(name: ConversationName, names: Names) -> str:
    port = f"/{name.port}" if name.port else ""
    return (
        f"{spell_endpoint(name.client, names)} talks {name.protocol}{port} to "
        f"{spell_endpoint(name.server, names)}; what it says there is learned as it comes"
    )


def _spell_amount(whose: str, parts: list[Any], amount: str, names: Names) -> str:
    if whose == "device":
        return f"{spell_endpoint(EndpointName(*parts), names)}: up to {amount} at a time"
    name = unflat(parts)
    client, server = spell_endpoint(name.client, names), spell_endpoint(name.server, names)
    return f"between {client} and {server}: up to {amount} at a time"


_OF_VALUES = {
    "out-of-range": "may go {bound}",
    "written-out-of-range": "may be set {bound}",
    "step": "jumps as far as it will",
    "rate": "counts as fast as it will, or begins anew",
    "frozen": "stands still for as long as it will",
    "repeated": "runs back",
    "not-taken": "does not show what is written to it",
    "new-state": "may be {bound}",
}


def _spell_value(word: str, parts: list[Any], bound: str, names: Names) -> str:
    vlan, address, _, unit, kind, first, name, form = parts
    place = f"{first} of " if first else ""
    what = f"{kind} {place}{name}" if name else spell_objects(kind, first, first + bool(form))
    of = f" of unit {unit}" if unit else ""
    words, _, number = bound.rpartition(" ")
    reach = f"{words} {float(number):.6g}".strip() if number else "anywhere"
    does = _OF_VALUES[word].format(bound=reach)
    device = spell_endpoint(EndpointName(vlan, address), names)
    return f"{device}: {what}{of}{f' ({form})' if form else ''} {does}"


_OF_TIMING = {
    "silence": "falls silent",
    "fast": "comes as often as it will",
    "drift": "comes at another pace",
    "slow-answers": "is answered as late as it will",
    "unanswered": "is not answered",
}


_OBJECTS = re.compile(r"([a-z][a-z-]*) ([0-9]{1,18})[+]([0-9]{1,18}) [a-z]+ ?")


def _spell_found(found: re.Match[str]) -> str:
    first, size = int(found[2]), int(found[3])
    return spell_objects(found[1], first, first + max(size, 1) - 1)


def _spell_pace(word: str, parts: list[Any], names: Names) -> str:
    if word == "all-silent":
        return "nothing at all is heard for as long as it will"
    name, rest = unflat(parts[:CONVERSATION_PARTS]), parts[CONVERSATION_PARTS:]
    who = f"between {spell_endpoint(name.client, names)} and {spell_endpoint(name.server, names)}"
    match rest:
        case []:
            what = "all that is said"
        case [int(function), int(unit)]:
            of = f" (unit {unit})" if unit else ""
            what = f"{function_name(name.protocol, function)}{of}"
        case [str(), str(), int(function), int(subfunction), int(unit), str(objects)]:
            of = f", unit {unit}" if unit else ""
            said = function_name(name.protocol, function, subfunction)
            what = f"{said} ({_OBJECTS.sub(_spell_found, objects)}{of})"
        case _:
            raise ValueError(word)
    return f"{who}: {what} {_OF_TIMING[word]}"


_MACS = 1 << 48

_HABITS = {
    "flood.requests": "{0} repeats requests to {1} as often as it will",
    "flood.exceptions": "{1} refuses {0} as often as it will",
    "flood.connections": "{0} connects to {1} as often as it will",
    "flood.writes": "{0} writes to {1} as often as it will",
    "flood.half-open": "connections to {0}, port {rest}, are begun and not opened",
    "flood.broadcast": "{0} sends to everybody as much as it will",
    "scan.hosts": "{0} looks for devices",
    "scan.ports": "{0} looks for ports of {1}",
    "scan.units": "{0} looks for units behind {1}",
    "scan.functions": "{0} tries out functions",
    "scan.addresses": "{0} tries out addresses",
    "addressing.announcement": "{0} announces its address",
    "addressing.ttl": "frames of {0} arrive with TTL {rest}",
    "addressing.two-answers": "requests of {0} to {1} get two answers that differ",
    "protocol.malformed": "{0} sends messages that break their protocol's rules",
    "protocol.unasked-response": "{0} answers what nobody asked",
    "protocol.foreign": "{0} sends something else than the protocol of a port",
    "protocol.overlap": "{0} sends data twice, with different content",
}


def _spell_habit(what: str, parts: list[Any], names: Names) -> str:
    """What a device may do from now on: its VLAN and address, those of another one, the rest."""
    devices = []
    while len(parts) > 1 and isinstance(parts[0], int) and isinstance(parts[1], str):
        devices.append(spell_endpoint(EndpointName(*parts[:2]), names))
        parts = parts[2:]
    match what, devices, parts:
        case "addressing.binding", [device], [int(mac)] if 0 <= mac < _MACS:
            return f"{device} has the MAC address {spell_mac(mac)}"
    if what not in _HABITS:
        raise ValueError(what)
    try:
        return _HABITS[what].format(*devices, rest=" ".join(map(str, parts)))
    except IndexError as error:
        raise ValueError(what) from error


def _spell_word(level: str, name: ConversationName, what: list[Any], names: Names) -> str:
    who = f"between {spell_endpoint(name.client, names)} and {spell_endpoint(name.server, names)}"
    match level, what:
        case "activity", [activity]:
            return f"{who}: the activity “{activity}”, with whatever it touches"
        case "function", [function, *sub]:
            words = function_name(name.protocol, function, sub[0] if sub else NO_SUBFUNCTION)
            return f"{who}: the function {words}"
        case "unit", [unit]:
            return f"{who}: unit {unit}"
        case "item", [unit, access, kind, item, address, count]:
            last = address + max(count, 1) - 1
            where = f"{kind} {item}" if item else spell_objects(kind, address, last)
            of = f" of unit {unit}" if unit else ""
            return f"{who}: {access} {where}{of}"
        case "status", [function, status]:
            answer = status_name(name.protocol, status)
            return f"{who}: the answer “{answer}” to {function_name(name.protocol, function)}"
    raise ValueError(level)


def _spell_offence(rule: str, parts: tuple[str, str, int], names: Names) -> str:
    source, target, unit = parts
    if not source:
        return f"whoever breaks the rule {rule} beyond those told apart"
    of = f", unit {unit}" if unit else ""
    return f"{_named(source, names)} may do to {_named(target, names)}{of} what {rule} forbids"


def spell_endpoint(endpoint: EndpointName, names: Names) -> str:
    """Name a device by its name, if it has one, and its address."""
    name = names.get(endpoint.address)
    return f"{name} ({endpoint})" if name else str(endpoint)


def _named(address: str, names: Names) -> str:
    name = names.get(address.partition(" ")[0])
    return f"{name} ({address})" if name else address
