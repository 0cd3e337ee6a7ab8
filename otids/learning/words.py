"""Says in words what was said on the wire, and what is usual."""

from collections.abc import Iterable

from otids.learning.plant import Acquaintance
from otids.traffic import ConversationName, EndpointName, SymbolName, function_name

MOST_POINTS = 64


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


def spell_points(symbols: Iterable[SymbolName]) -> tuple[str, ...]:
    """The distinct objects of messages."""
    points = dict.fromkeys(
        f"{one} of unit {symbol.unit}" if symbol.unit else str(one)
        for symbol in symbols
        for one in symbol.objects
    )
    return tuple(points)[:MOST_POINTS]


def spell_list(words: Iterable[str], separator: str = ", ", most: int = 5) -> str:
    """The first few of many distinct words, and how many more there are."""
    every = list(dict.fromkeys(words))
    more = f"{separator}and {len(every) - most} more" if len(every) > most else ""
    return separator.join(every[:most]) + more


def spell_usual(name: ConversationName, known: Acquaintance, level: str) -> str:
    """What is usual at a level of a conversation."""
    vocabulary = known.vocabulary
    if level == "activity":
        usual = f"this client only does: {spell_list(sorted(vocabulary.activities))}"
    elif level in {"function", "status"}:
        names = (function_name(name.protocol, *one) for one in sorted(vocabulary.functions))
        usual = f"this client uses {spell_list(names, most=8)}"
        if level == "status":
            usual = f"{usual}, and was never answered so"
    elif level == "unit":
        units = spell_list(map(str, sorted(vocabulary.units)))
        usual = f"this client talks to unit {units}"
    else:
        usual = f"this client touches {spell_list(vocabulary.describe_items())}"
    return f"{usual} ({known.messages:,} messages learned)"


def spell_company(name: ConversationName, conversations: Iterable[ConversationName]) -> str:
    """Who talks to the server of a conversation as far as is known."""
    clients = sorted(
        {
            str(one.client)
            for one in conversations
            if one.server == name.server and one.protocol == name.protocol
        }
    )
    if not clients:
        return f"nobody talks {name.protocol} to it"
    verb = "talks" if len(clients) == 1 else "talk"
    return f"only {spell_list(clients)} {verb} {name.protocol} to it"
