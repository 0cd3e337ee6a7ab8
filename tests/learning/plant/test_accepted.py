"""Decisions of people, in any order, and taken back without a trace."""

from itertools import permutations

import pytest

from otids.learning.plant import accepted as module
from otids.learning.plant.accepted import Accepted, Key, flat, is_key, unflat
from otids.learning.plant.vocabulary import Vocabulary
from otids.traffic import ConversationName, EndpointName

NAME = ConversationName(EndpointName(0, "hmi"), EndpointName(3, "plc"), "modbus", "tcp", 502)
UNDER = flat(NAME)
KEYS: list[Key] = [
    ("endpoint", 0, "hmi"),
    ("conversation", *UNDER),
    ("activity", *UNDER, "write"),
    ("function", *UNDER, 6, 65535),
    ("unit", *UNDER, 1),
    ("item", *UNDER, 1, "write", "coil", "", 0, 8),
    ("item", *UNDER, 1, "write", "coil", "", 4, 8),
    ("status", *UNDER, 6, 2),
]


def test_every_key_is_one() -> None:
    assert unflat(UNDER) == NAME
    assert all(is_key(key) for key in KEYS)
    assert list(Accepted(KEYS)) == KEYS


@pytest.mark.parametrize("key", KEYS, ids=lambda key: str(key[0]))
def test_no_other_is(key: Key) -> None:
    wrong: list[Key] = [key[:-1], (*key, 1), (*key, "x"), key[1:], ("other", *key[1:])]
    for place in range(1, len(key)):
        part = key[place]
        other: list[str | int] = [0] if isinstance(part, str) else ["x", -1, 2**64]
        wrong.extend((*key[:place], one, *key[place + 1 :]) for one in other)
    wrong.append(())
    accepted = Accepted()
    for one in wrong:
        assert not accepted.add(one)
        assert not is_key(one)
    assert list(accepted) == []
    with pytest.raises(ValueError, match="cannot be accepted"):
        Accepted([key[:-1]])


def test_order_does_not_matter_and_taking_back_leaves_the_others() -> None:
    coils = KEYS[5:7]
    for order in permutations(KEYS[2:7]):
        assert Accepted(order).words(NAME) == Accepted(KEYS[2:7]).words(NAME)
        for gone in coils:
            rest = Accepted(order)
            assert rest.remove(gone)
            assert not rest.remove(gone)
            assert rest.words(NAME) == Accepted([key for key in order if key != gone]).words(NAME)


def test_words_are_there_before_their_conversation() -> None:
    accepted = Accepted()
    assert accepted.words(NAME) is None
    assert accepted.add(KEYS[2])
    assert accepted.words(NAME) == Vocabulary(activities={"write"})
    assert accepted.remove(KEYS[2])
    assert not accepted.words(NAME)


def test_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ACCEPTED", 2)
    accepted = Accepted(KEYS[:2])
    assert not accepted.add(KEYS[2])
    assert accepted.add(KEYS[0]), "it is there already"
    assert not accepted.merge(KEYS)
