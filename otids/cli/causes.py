"""Causes in words: what becomes normal when a person accepts an alert."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from otids.detectors.base import Cause
from otids.learning.accepted import CONVERSATION_PARTS, unflat
from otids.learning.models.features import NAMES
from otids.learning.models.words import spell
from otids.learning.vocabulary import LEVELS, spell_span
from otids.traffic import (
    NO_SUBFUNCTION,
    ConversationName,
    EndpointName,
    function_name,
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
        match cause:
            case ("novelty", "endpoint", int(vlan), str(address)):
                return f"the device {spell_endpoint(EndpointName(vlan, address), names)} is known"
            case ("novelty", "conversation", *parts):
                return _spell_talk(unflat(parts), names)
            case ("novelty", str(level), *parts) if level in LEVELS:
                name = unflat(parts[:CONVERSATION_PARTS])
                return _spell_word(level, name, parts[CONVERSATION_PARTS:], names)
            case ("policy", str(rule), str(source), str(target), int(unit)):
                return _spell_offence(rule, (source, target, unit), names)
            case ("volume", str(whose), *parts, str(feature), int(most)):
                return _spell_amount(whose, parts, spell(NAMES.index(feature), most), names)
    except (ValueError, TypeError):  # of another version: told as it stands
        pass
    return " ".join(str(part) for part in cause)


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
            where = item or spell_span(address, address + count)
            of = f" of unit {unit}" if unit else ""
            return f"{who}: {access} {kind} {where}{of}"
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
