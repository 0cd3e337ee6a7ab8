"""Says in words what was said on the wire, and what is usual."""

from collections.abc import Iterable, Sequence

from otids.learning.plant.plant import NO_MAC, Acquaintance
from otids.learning.plant.vocabulary import Novelty, part_words
from otids.traffic import ConversationName, EndpointName, SymbolName, function_name, status_name

MOST_POINTS = 64

CHANGING = frozenset({"write", "control", "program", "configure"})
"""Activities that change a device; reading weighs less."""
EITHER = frozenset({"file", "time"})
"""Activities that change a device only if they do not just read."""


def changes(symbol: SymbolName) -> bool:
    """Whether a message changes a device."""
    if symbol.objects and all(one.access == "read" for one in symbol.objects):
        return False
    if symbol.activity in EITHER:
        return any(one.access in {"write", "control"} for one in symbol.objects)
    return symbol.activity in CHANGING


def spell_talk(name: ConversationName, of: EndpointName) -> str:
    """What an endpoint does in a conversation."""
    port = f"/{name.port}" if name.port else ""
    if of == name.client:
        return f"talks {name.protocol}{port} to {name.server}"
    return f"answers {name.client} in {name.protocol}{port}"


def spell_function(symbol: SymbolName) -> str:
    """The function of a message by its specification's name."""
    return function_name(symbol.conversation.protocol, symbol.function, symbol.subfunction)


def spell_message(symbol: SymbolName) -> str:
    """One message: function, objects, unit."""
    objects = ", ".join(str(one) for one in symbol.objects)
    unit = f" of unit {symbol.unit}" if symbol.unit else ""
    function = spell_function(symbol)
    return f"{function}: {objects}{unit}" if objects else f"{function}{unit}"


def spell_messages(symbols: Iterable[SymbolName]) -> str:
    """Several messages, the first few of them."""
    return spell_list((spell_message(one) for one in symbols), separator="; ")


def spell_answers(symbols: Iterable[SymbolName]) -> str:
    """What came of it: an appendix that is empty if nothing was answered."""
    answers = [one for one in symbols if one.role == "response"]
    if not answers:
        return ""
    refusals = spell_list(status_name(*_status(one)) for one in answers if one.status)
    if not refusals:
        return "; answered without error"
    whole = all(one.status for one in answers)
    return f"; refused ({refusals})" if whole else f"; in part refused ({refusals})"


def _status(symbol: SymbolName) -> tuple[str, int]:
    return symbol.conversation.protocol, symbol.status


def spell_points(symbols: Iterable[SymbolName]) -> tuple[str, ...]:
    """The distinct objects of messages."""
    points = (part_words(one, symbol.unit) for symbol in symbols for one in symbol.objects)
    return tuple(dict.fromkeys(points))[:MOST_POINTS]


def spell_new_points(news: Iterable[Novelty]) -> tuple[str, ...]:
    """The distinct objects among what is new."""
    points = dict.fromkeys(new.words for new in news if new.level == "item")
    return tuple(points)[:MOST_POINTS]


def spell_list(words: Iterable[str], separator: str = ", ", most: int = 5) -> str:
    """The first few of many distinct words, and how many more there are."""
    every = list(dict.fromkeys(words))
    more = f"{separator}and {len(every) - most} more" if len(every) > most else ""
    return separator.join(every[:most]) + more


def spell_usual(
    name: ConversationName, known: Acquaintance, level: str, symbol: SymbolName | None = None
) -> str:
    """What is usual at a level of a conversation; of items, those that are like `symbol`'s."""
    vocabulary = known.vocabulary
    if level == "activity":
        usual = f"only {spell_list(sorted(vocabulary.activities))}" if vocabulary else ""
    elif level == "function":
        names = (function_name(name.protocol, *one) for one in sorted(vocabulary.functions))
        usual = f"only {spell_list(names, most=8)}" if vocabulary.functions else ""
    elif level == "unit":
        units = spell_list(map(str, sorted(vocabulary.units)), most=8)
        noun = "unit" if len(vocabulary.units) == 1 else "units"
        usual = f"only {noun} {units}" if vocabulary.units else ""
    elif level == "status":
        answers = [one for one in vocabulary.describe(name.protocol) if one.startswith("refusals")]
        usual = f"only these {spell_list(answers)}" if answers else "no refusals"
    else:
        usual = _spell_usual_items(known, symbol)
    learned = "1 message" if known.messages == 1 else f"{known.messages:,} messages"
    return f"{usual or 'nothing of the kind'} between the two ({learned} learned)"


def _spell_usual_items(known: Acquaintance, symbol: SymbolName | None) -> str:
    like = symbol.objects[0] if symbol is not None and symbol.objects else None
    lines = like and known.vocabulary.describe_items(like.access, like.kind)
    lines = lines or known.vocabulary.describe_items()
    return f"only {spell_list(lines)}" if lines else ""


def spell_company(
    name: ConversationName,
    visits: Iterable[tuple[ConversationName, Acquaintance]],
    *,
    writing: bool = False,
) -> str:
    """Who talks to the server of a conversation (`visits` are all to it), or who writes to it."""
    port = f"/{name.port}" if name.port else ""
    found = [
        (str(one.client), bool(known.vocabulary.activities & CHANGING))
        for one, known in visits
        if one[1:] == name[1:]
    ]
    clients = sorted({client for client, _ in found})
    writers = sorted({client for client, is_writer in found if is_writer})
    talk = f"{name.protocol}{port} to {name.server}"
    if not clients:
        return f"nobody talks {talk}"
    if not writing:
        return f"only {spell_list(clients)} {_verb(clients, 'talk')} {talk}"
    if not writers:
        return (
            f"nobody writes to {name.server}; {spell_list(clients)} only {_verb(clients, 'read')}"
        )
    return f"only {spell_list(writers)} {_verb(writers, 'write')} to {name.server}"


def _verb(people: Sequence[str], verb: str) -> str:
    return f"{verb}s" if len(people) == 1 else verb


def spell_stranger(mac: int, owners: Sequence[EndpointName]) -> str:
    """What is to be thought of an address that was never seen, by the MAC that it came from."""
    if mac == NO_MAC:
        return "a device that was never seen before"
    spelled = ":".join(f"{mac:012x}"[place : place + 2] for place in range(0, 12, 2))
    if not owners:
        return f"a device that was never seen before (MAC {spelled})"
    if [one.address for one in owners] == [spelled]:
        return (
            f"an address that was never seen before, of a known device without one (MAC {spelled})"
        )
    if len(owners) == 1:
        return f"an address that was never seen before; its MAC {spelled} is that of {owners[0]}"
    return (
        f"an address that was never seen before; its MAC {spelled} is that of {len(owners)} "
        "learned addresses (a router, or a device with several)"
    )


def spell_scan(kind: str, words: Sequence[str], tried: int) -> str:
    """What is tried out, and how much of it of late."""
    what = "functions without a good answer" if kind == "function" else "new address ranges"
    said = f"tries {spell_list(words)}: " if words else ""
    return f"{said}at least {tried} {what} within an hour"


def spell_devices(number: int) -> str:
    """One of so many devices."""
    if number == 1:
        return "the one device that was learned"
    return f"one of the {number:,} devices that were learned" if number else "no device at all"


def distinct(words: Iterable[str], most: int = 64) -> tuple[str, ...]:
    """Distinct words, the first of them."""
    return tuple(dict.fromkeys(words))[:most]
