"""What a person made normal: endpoints, conversations, and words within conversations.

It is kept apart from what was learned, so that it can be taken back without a trace, in any order.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import msgspec

from otids.learning.plant.vocabulary import LEVELS, Vocabulary
from otids.traffic import ConversationName, EndpointName

Key: TypeAlias = tuple[str | int, ...]
"""A level and what stands at it, spelled: what a person accepts or takes back."""

MOST_ACCEPTED = 100_000
CONVERSATION_PARTS = 7

_ENDPOINT = (int, str)
_CONVERSATION = (*_ENDPOINT, *_ENDPOINT, str, str, int)
_SHAPES: dict[str, tuple[type, ...]] = {
    "endpoint": _ENDPOINT,
    "conversation": _CONVERSATION,
    "activity": (*_CONVERSATION, str),
    "function": (*_CONVERSATION, int, int),
    "unit": (*_CONVERSATION, int),
    "item": (*_CONVERSATION, int, str, str, str, int, int),
    "status": (*_CONVERSATION, int, int),
}
_MOST = 2**64 - 1


class Accepted:
    """Keys in the order in which they were accepted, and what they stand for."""

    def __init__(self, keys: Iterable[Sequence[Any]] = ()) -> None:
        """Take back saved keys. Raises ValueError if one is none, or if they are too many."""
        self._keys: dict[Key, None] = {}
        self._words: dict[ConversationName, Vocabulary] = {}
        for key in map(tuple, keys):
            if not self.add(key):
                raise ValueError(f"cannot be accepted: {key!r}")

    def __contains__(self, key: Key) -> bool:
        return key in self._keys

    def words(self, name: ConversationName) -> Vocabulary | None:
        """What was accepted within a conversation, whether it is known or not."""
        return self._words.get(name)

    def __iter__(self) -> Iterator[Key]:
        """Yield what was accepted, in order."""
        return iter(self._keys)

    def add(self, key: Key) -> bool:
        """Accept a key; False if it is none, or if there are too many."""
        if key in self._keys:
            return True
        if len(self._keys) >= MOST_ACCEPTED or not is_key(key):
            return False
        if key[0] in LEVELS and not self._add_word(key):
            return False
        self._keys[key] = None
        return True

    def remove(self, key: Key) -> bool:
        """Take back a key; False if it was not accepted."""
        if key not in self._keys:
            return False
        del self._keys[key]
        if key[0] in LEVELS:
            under = key[1 : CONVERSATION_PARTS + 1]
            self._words.pop(unflat(under), None)
            for other in self._keys:
                if other[0] in LEVELS and other[1 : CONVERSATION_PARTS + 1] == under:
                    self._add_word(other)
        return True

    def merge(self, keys: Iterable[Key]) -> bool:
        """Accept what was accepted elsewhere; False if a bound was met."""
        refused = [key for key in keys if not self.add(key)]
        return not refused

    def _add_word(self, key: Key) -> bool:
        name = unflat(key[1 : CONVERSATION_PARTS + 1])
        words = self._words.setdefault(name, Vocabulary())
        return words.add(str(key[0]), key[CONVERSATION_PARTS + 1 :])


def is_key(key: Key) -> bool:
    """Whether a level and its parts are spelled as they must be; numbers are not negative."""
    shape = _SHAPES.get(str(key[0])) if key else None
    if shape is None or len(key) != len(shape) + 1:
        return False
    return all(
        type(part) is wanted and (isinstance(part, str) or 0 <= part <= _MOST)
        for part, wanted in zip(key[1:], shape, strict=True)
    )


def flat(name: ConversationName) -> Key:
    """A conversation's name as the flat part of a key."""
    return (*name.client, *name.server, name.protocol, name.carrier, name.port)


def unflat(parts: Sequence[Any]) -> ConversationName:
    """The name in the flat part of a key that `is_key`."""
    return msgspec.convert((parts[0:2], parts[2:4], *parts[4:]), ConversationName)


def endpoint_of(key: Key) -> EndpointName:
    """The name in the key of an endpoint."""
    return msgspec.convert(key[1:], EndpointName)
