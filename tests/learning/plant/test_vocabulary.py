"""A vocabulary knows what was said, and says of anything else at which levels it is new."""

from typing import Any

import msgspec
import pytest

from otids.learning.plant import vocabulary
from otids.learning.plant.vocabulary import Novelty, Vocabulary, VocabularyState
from otids.traffic import NO_SUBFUNCTION, ConversationName, EndpointName, RangeName, SymbolName

NAME = ConversationName(EndpointName(0, "hmi"), EndpointName(0, "plc"), "modbus", "tcp", 502)


def symbol(function: int = 3, *objects: RangeName, **parts: Any) -> SymbolName:
    plain = SymbolName(
        NAME, True, "request", "read", function, NO_SUBFUNCTION, 1, objects, 0, False
    )
    return plain._replace(**parts)


def registers(address: int, size: int, access: str = "read", name: str = "") -> RangeName:
    return RangeName("holding-register", address, size, access, name)


def knowing(*symbols: SymbolName) -> Vocabulary:
    known = Vocabulary()
    for one in symbols:
        assert known.learn(one)
    return known


def levels(news: list[Novelty]) -> list[str]:
    return [new.level for new in news]


def test_what_was_learned_is_no_news() -> None:
    every = [
        symbol(3, registers(0, 10)),
        symbol(3, registers(0, 10), role="response", status=2),
        symbol(4, registers(0, 0)),
        symbol(6, registers(5, 1, "write"), activity="write", unit=9),
        symbol(43, subfunction=14, activity="browse", coarse=True, unit=0),
        symbol(3, registers(2**64 - 1, 5)),
        symbol(3, registers(7, 1, name="speed")),
    ]
    known = knowing(*every)
    assert [known.novelties(one) for one in every] == [[]] * len(every)
    assert not Vocabulary()
    assert known


def test_every_level_is_told_broadest_first() -> None:
    known = knowing(symbol(3, registers(0, 10)))
    said = symbol(6, registers(5, 1, "write"), activity="write", unit=2, status=1)
    assert levels(known.novelties(said)) == ["activity", "function", "unit", "item", "status"]
    assert [new.words for new in known.novelties(said)] == [
        "write",
        "Write Single Register (6)",
        "unit 2",
        "holding-register 5 of unit 2",
        "Illegal Function to Write Single Register (6)",
    ]
    said = symbol(8, subfunction=10)
    assert [new.words for new in known.novelties(said)] == [
        "Clear Counters and Diagnostic Register (8/10)"
    ]


def test_only_the_new_part_of_a_range_is_news() -> None:
    known = knowing(symbol(3, registers(0, 10)), symbol(3, registers(20, 10)))
    (left, right) = known.novelties(symbol(3, registers(5, 30)))
    assert left == Novelty(
        "item",
        (1, "read", "holding-register", "", 10, 10),
        "holding-register 10–19 of unit 1",
    )
    assert right.what[-2:] == (30, 5)
    assert known.novelties(symbol(3, registers(22, 3))) == []
    assert known.novelties(symbol(3, registers(0, 0))) == [], "its type is known"


def test_the_unit_of_coarse_symbols_is_not_known() -> None:
    known = knowing(symbol(3))
    assert known.novelties(symbol(3, unit=0, coarse=True)) == []
    assert levels(known.novelties(symbol(3, unit=0))) == ["unit"]


def test_what_was_accepted_is_no_news() -> None:
    known = knowing(symbol(3, registers(0, 10)))
    said = symbol(6, registers(8, 4, "write"), activity="write", unit=2, status=1)
    accepted = Vocabulary()
    for new in known.novelties(said):
        assert accepted.add(new.level, new.what)
    assert known.novelties(said, accepted) == []
    accepted = Vocabulary()
    accepted.add("item", (1, "read", "holding-register", "", 10, 5))
    (new,) = known.novelties(symbol(3, registers(5, 15)), accepted)
    assert new.what[-2:] == (15, 5)


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOST_FUNCTIONS", "MOST_UNITS", "MOST_STATUSES", "MOST_KINDS", "MOST_SPANS"):
        monkeypatch.setattr(vocabulary, name, 2)
    known = knowing(symbol(1, registers(0, 1), status=1), symbol(2, registers(5, 1), status=1))
    assert not known.learn(symbol(3))
    assert known.learn(symbol(2, unit=2))
    assert not known.learn(symbol(2, unit=3))
    assert not known.learn(symbol(2, status=2))
    assert not known.learn(symbol(2, registers(8, 1))), "a third span"
    assert known.learn(symbol(2, registers(6, 1))), "it joins a span"
    assert known.learn(symbol(2, registers(1, 4))), "it joins both"
    assert known.learn(symbol(2, registers(0, 0)))
    assert known.learn(symbol(2, registers(0, 1, "write")))
    assert not known.learn(symbol(2, registers(0, 1, name="more")))
    assert len(known) == len(Vocabulary.of(msgspec.convert(known.state(), VocabularyState)))
    assert not knowing(symbol(7)).merge(known)


def test_merging_is_learning_both() -> None:
    one = [symbol(3, registers(0, 10)), symbol(4, registers(0, 0), status=1)]
    other = [symbol(3, registers(10, 5), unit=2), symbol(5, registers(1, 1), activity="write")]
    merged, reverse = knowing(*one), knowing(*other)
    assert merged.merge(knowing(*other))
    assert reverse.merge(knowing(*one))
    assert merged == reverse == knowing(*one, *other)
    assert merged.state() == knowing(*other, *one).state()


def test_state_is_plain_and_comes_back() -> None:
    known = knowing(symbol(3, registers(0, 10), status=4), symbol(4, registers(0, 0)))
    packed = msgspec.msgpack.encode(known.state())
    back = Vocabulary.of(msgspec.msgpack.decode(packed, type=VocabularyState))
    assert back == known


def test_it_is_described_in_words() -> None:
    known = knowing(
        symbol(3, registers(0, 10)),
        symbol(3, registers(20, 1)),
        symbol(3, role="response", status=2),
        symbol(6, registers(3, 1, "write"), activity="write"),
    )
    assert known.describe("modbus") == [
        "activities: read, write",
        "functions: Read Holding Registers, Write Single Register",
        "units: 1",
        "read holding-register 0–9, 20 of unit 1",
        "write holding-register 3 of unit 1",
        "refusals: Illegal Data Address to Read Holding Registers",
    ]
    assert known.describe_items("write") == ["write holding-register 3 of unit 1"]
    assert known.describe_items("read", "coil") == []
