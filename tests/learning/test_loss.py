"""Known loss: gaps, sides that are not heard, beginnings; and what is none of them."""

from typing import Any

import msgspec
import numpy as np
import pytest
from ticks import HMI, PLC, Wire

from otids.learning.loss import ALONE, REMEMBERED, STARTING, Losses
from otids.traffic import Array, ConversationName, EndpointName, Loss, Tick

HISTORIAN = "10.0.0.20"
NAME = ConversationName(EndpointName(0, HMI), EndpointName(0, PLC), "modbus", "tcp", 502)
LATE = STARTING + 1


class Ear:
    """A wire and what is known of how well it is heard."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.losses = Losses()
        self.second = 0
        self.say(0.0)

    def say(self, time: float, client: int = 1, server: int = 1, **counts: Any) -> None:
        parts = counts.pop("parts", {})
        self.wire.volume(time, parts=parts, client_frames=client, server_frames=server, **counts)

    def hear(self) -> Loss:
        """Take in what was said; how it stands after the last tick of it."""
        loss = None
        for tick in self.wire.ticks():
            self.second = tick.second
            loss = self.losses.take(tick)
        assert loss is not None
        return loss

    def id(self, **parts: Any) -> Array:
        return np.array([self.wire.conversation(**parts)], np.uint32)


@pytest.fixture
def ear() -> Ear:
    return Ear()


def marks(loss: Loss, ids: Array) -> tuple[bool, bool]:
    gaps, one_sided = bool(loss.has_gaps(ids)[0]), bool(loss.is_one_sided(ids)[0])
    assert bool(loss.is_lossy(ids)[0]) is (gaps or one_sided)
    return gaps, one_sided


def test_a_beginning_is_a_gap_everywhere(ear: Ear) -> None:
    ear.say(STARTING - 1)
    assert marks(ear.hear(), ear.id()) == (True, False)
    assert ear.losses.of(NAME, ear.second).is_beginning
    ear.say(STARTING)
    assert marks(ear.hear(), ear.id()) == (False, False)
    assert not ear.losses.of(NAME, ear.second).is_beginning


def test_a_gap_marks_its_conversation_for_a_minute(ear: Ear) -> None:
    other = {"client": HISTORIAN}
    ear.say(LATE, gaps=1)
    ear.say(LATE, parts=other)
    loss = ear.hear()
    assert marks(loss, ear.id()) == (True, False)
    assert marks(loss, ear.id(**other)) == (False, False)
    assert ear.losses.told(ear.second) == {"gaps": [NAME], "one-sided": []}
    assert ear.losses.of(NAME, ear.second).has_gaps
    ear.say(LATE + REMEMBERED - 1)
    assert marks(ear.hear(), ear.id()) == (True, False)
    ear.say(LATE + REMEMBERED)
    assert marks(ear.hear(), ear.id()) == (False, False)
    assert ear.losses.told(ear.second) == {"gaps": [], "one-sided": []}


def test_without_sequence_numbers_a_gap_elsewhere_is_a_gap(ear: Ear) -> None:
    datagrams = {"carrier": "udp", "port": 2222}
    ear.say(LATE, gaps=1)
    ear.say(LATE, parts=datagrams)
    assert marks(ear.hear(), ear.id(**datagrams)) == (True, False)
    ear.say(LATE + REMEMBERED, parts=datagrams, client=99, server=0)
    assert marks(ear.hear(), ear.id(**datagrams)) == (False, False), "publishers are not one-sided"


def test_gaps_in_half_of_all_conversations_are_gaps_everywhere(ear: Ear) -> None:
    parts = [{"port": 1_000 + number} for number in range(6)]
    for number, one in enumerate(parts):
        ear.say(LATE, parts=one, gaps=int(number < 2))
    assert marks(ear.hear(), ear.id(**parts[5])) == (False, False)
    ear.say(LATE + 1, parts=parts[2], gaps=1)
    assert marks(ear.hear(), ear.id(**parts[5])) == (False, False), "three of seven"
    ear.say(LATE + 2, parts=parts[3], gaps=1)
    assert marks(ear.hear(), ear.id(**parts[5])) == (True, False), "four of seven"
    assert not ear.losses.of(NAME._replace(port=1_005), ear.second).has_gaps


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_side_that_is_heard_alone(ear: Ear, side: str) -> None:
    frames = {"client": 0, "server": 0, side: 1}
    for second in range(ALONE - 1):
        ear.say(LATE + second, **frames)
    assert marks(ear.hear(), ear.id()) == (False, False)
    ear.say(LATE + ALONE, **frames)
    assert marks(ear.hear(), ear.id()) == (False, True)
    unheard = NAME.server if side == "client" else NAME.client
    assert ear.losses.of(NAME, ear.second).unheard == unheard
    assert ear.losses.told(ear.second)["one-sided"] == [NAME]
    ear.say(LATE + 20)
    assert marks(ear.hear(), ear.id()) == (False, False), "the other one is heard after all"
    assert ear.losses.of(NAME, ear.second).unheard is None


def test_who_repeats_itself_has_lost_its_peer(ear: Ear) -> None:
    for second in range(30):
        ear.say(LATE + second, client=2, server=0, retransmissions=1)
    assert marks(ear.hear(), ear.id()) == (False, False)


def test_retransmissions_of_long_ago_excuse_nobody(ear: Ear) -> None:
    for second in range(100):  # both are heard, in turns
        ear.say(LATE + second, client=(second + 1) % 2, server=second % 2, retransmissions=1)
    for second in range(2 * ALONE):
        ear.say(LATE + 100 + second, server=0)
    assert marks(ear.hear(), ear.id()) == (False, True)


def test_who_asks_in_vain_for_connections_is_not_one_sided(ear: Ear) -> None:
    """A controller that is dead is no loss: its silence is to be told."""
    for second in range(60):
        ear.wire.connection(LATE + second, "attempted")
        ear.say(LATE + second + 0.5, client=3, server=0, retransmissions=2)
    assert marks(ear.hear(), ear.id()) == (False, False)
    for second in range(60, 120):
        ear.wire.connection(LATE + second, "attempted")
        ear.say(LATE + second + 0.5, client=1, server=0)
    assert marks(ear.hear(), ear.id()) == (False, False)


def test_another_source_is_heard_anew(ear: Ear) -> None:
    ear.say(LATE, client=ALONE, server=0, gaps=1)
    assert marks(ear.hear(), ear.id()) == (True, True)
    ear.losses.interrupt()
    assert ear.losses.told(ear.second) == {"gaps": [], "one-sided": []}
    ear.say(LATE + 1)
    assert marks(ear.hear(), ear.id()) == (True, False), "a beginning"
    ear.say(LATE + 1 + STARTING)
    assert marks(ear.hear(), ear.id()) == (False, False)


def test_ids_that_mean_something_else_are_not_marked(ear: Ear) -> None:
    ear.say(LATE, gaps=1)
    loss = ear.hear()
    (old,) = ear.id().tolist()
    ear.wire.retire("conversations", [old])
    ear.losses.forget(np.array([old], np.uint32))
    other = {"client": HISTORIAN}
    ear.say(LATE + 1, parts=other)
    loss = ear.hear()
    assert ear.id(**other).tolist() == [old]
    assert marks(loss, ear.id(**other)) == (False, False)
    assert ear.losses.told(ear.second)["gaps"] == [NAME]


def drama(wire: Wire) -> list[Tick]:
    """Gaps, lone sides and repetitions in several conversations."""
    for second in range(200):
        for number in range(6):
            if (second + number) % 3:
                wire.volume(
                    second + number / 10,
                    parts={"port": 500 + number, "carrier": "udp" if number == 5 else "tcp"},
                    client_frames=int(second % 70 < 40 or number > 2),
                    server_frames=int(second % 50 < 30 or number < 2),
                    gaps=int(second % 90 == 17 + number),
                    retransmissions=int(number == 1),
                )
    return wire.ticks()


@pytest.mark.parametrize("at", [0, 1, 18, 60, 111, 199])
def test_a_restart_changes_nothing(at: int) -> None:
    one, first, second = Losses(), Losses(), Losses()
    ticks = drama(Wire())
    expected = [one.take(tick) for tick in ticks]
    found = [first.take(tick) for tick in ticks[:at]]
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.state())))
    assert second.state() == first.state()
    for tick in ticks[:at]:
        second.pass_over(tick)
    assert second.state() == first.state()
    found += [second.take(tick) for tick in ticks[at:]]
    ids = np.arange(1, 8, dtype=np.uint32)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.has_gaps(ids).tolist() == theirs.has_gaps(ids).tolist()
        assert mine.is_one_sided(ids).tolist() == theirs.is_one_sided(ids).tolist()
    assert second.state() == one.state()
    marked = [(one.has_gaps(ids).any(), one.is_one_sided(ids).any()) for one in expected]
    assert {(False, False), (True, False), (True, True)} <= set(marked)


@pytest.mark.parametrize(
    "damage",
    [
        {"conversations": {}},
        {"conversations": None},
        {"last_gap": -(2**63)},
        {"last_gap": "x"},
        {"started": 1.5},
        {"more": 1},
    ],
)
def test_a_damaged_state_changes_nothing(ear: Ear, damage: dict[str, Any]) -> None:
    ear.say(LATE, gaps=1)
    ear.hear()
    before = ear.losses.state()
    with pytest.raises(ValueError, match=r".+"):
        ear.losses.restore({**msgspec.msgpack.decode(msgspec.msgpack.encode(before)), **damage})
    assert ear.losses.state() == before
