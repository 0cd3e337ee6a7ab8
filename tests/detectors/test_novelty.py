"""What is new is told once, in true words, at the broadest level; and what people decide counts."""

import re
from collections.abc import Iterable
from typing import Any

import pytest
from ticks import HMI, PLC, Wire, reads, writes

from otids.detectors import novelty as module
from otids.detectors.base import Cause, Finding, Quarantine, StateError
from otids.detectors.novelty import Novelty
from otids.learning.plant import memory as memory_module
from otids.learning.plant import plant as plant_module
from otids.learning.plant.accepted import flat
from otids.learning.plant.scans import SPAN
from otids.traffic import ConversationName, EndpointName, Tick

REGISTER, COIL = "holding-register", "coil"
INTRUDER = "10.0.0.66"
HISTORIAN = "10.0.0.20"
NAME = ConversationName(EndpointName(0, HMI), EndpointName(0, PLC), "modbus", "tcp", 502)


def give(novelty: Novelty, ticks: Iterable[Tick]) -> list[Finding]:
    """Judge and learn as the pipeline does."""
    found = []
    for tick in ticks:
        findings = list(novelty.judge(tick))
        novelty.learn(tick, Quarantine(tick, findings))
        found.extend(findings)
    return found


class Plant:
    """A wire and a detector that has learned: the HMI reads, writes and browses, others read."""

    def __init__(self, *, declared: bool = True) -> None:
        self.wire = Wire()
        self.novelty = Novelty()
        self.now = 0.0
        wire = self.wire
        if declared:
            self.novelty.begin_learning()
        for number, address in enumerate((HMI, PLC, HISTORIAN), 1):
            wire.sighting(0, address, number)
        for number in range(60):
            wire.exchange(number + 0.1, 3, reads(REGISTER, 0, 10))
            wire.exchange(number + 0.2, 3, reads(REGISTER, 0, 10), client=HISTORIAN)
        wire.exchange(60.0, 6, writes(REGISTER, 5, values=[1]))
        wire.exchange(60.1, 43, subfunction=14)
        wire.exchange(60.2, 3, reads(REGISTER, 50), status=2)
        give(self.novelty, wire.ticks())
        if declared:
            self.novelty.close_world()

    def hears(self) -> list[Finding]:
        """What is found in what was said since."""
        return give(self.novelty, self.wire.ticks())

    def accept(self, findings: Iterable[Finding], *, backwards: bool = False) -> list[Cause]:
        """Accept what findings offer; the causes."""
        causes = list(dict.fromkeys(cause for one in findings for cause in one.accepts))
        for cause in causes[::-1] if backwards else causes:
            assert self.novelty.accept(cause), cause
        return causes


@pytest.fixture
def plant() -> Plant:
    return Plant()


def kinds(findings: Iterable[Finding]) -> list[str]:
    return [one.kind.removeprefix("novelty.") for one in findings]


# --- endpoints -----------------------------------------------------------------------------------


def test_a_stranger_is_told_with_its_mac_and_what_it_does(plant: Plant) -> None:
    plant.wire.sighting(100.0, INTRUDER, 0xB827EB000066)
    plant.wire.exchange(100.1, 3, reads(REGISTER, 0, 10), client=INTRUDER)
    (found,) = plant.hears()
    assert found.kind == "novelty.new-endpoint"
    assert found.expected == "one of the 3 devices that were learned"
    assert found.observed == (
        f"a device that was never seen before (MAC b8:27:eb:00:00:66): it talks modbus/502 to {PLC}"
    )
    assert (str(found.source), str(found.target)) == (INTRUDER, PLC)
    assert found.members == (f"talks modbus/502 to {PLC}",)
    assert (found.count, found.frame_count, len(found.frames)) == (1, 3, 3)
    assert [cause[:2] for cause in found.accepts] == [
        ("novelty", "endpoint"),
        ("novelty", "conversation"),
    ]
    plant.wire.exchange(200.0, 3, reads(REGISTER, 0, 10), client=INTRUDER)
    (later,) = plant.hears()
    assert (later.kind, later.cause, later.observed) == (found.kind, found.cause, found.observed)


@pytest.mark.parametrize(
    ("mac", "words"),
    [
        (2, f"an address that was never seen before; its MAC 00:00:00:00:00:02 is that of {PLC}"),
        (0, "a device that was never seen before"),
        (9, "a device that was never seen before (MAC 00:00:00:00:00:09)"),
    ],
)
def test_whose_mac_it_is(plant: Plant, mac: int, words: str) -> None:
    plant.wire.sighting(100.0, INTRUDER, mac)
    (found,) = plant.hears()
    assert found.observed == words


def test_behind_a_router_stand_several() -> None:
    plant = Plant(declared=False)
    for address in ("192.168.0.1", "192.168.0.2"):
        plant.wire.sighting(100.0, address, 0xFE)
    give(plant.novelty, plant.wire.ticks())
    plant.novelty.close_world()
    plant.wire.sighting(101.0, INTRUDER, 0xFE)
    (found,) = plant.hears()
    assert "its MAC 00:00:00:00:00:fe is that of 2 learned addresses (a router" in found.observed


def test_a_device_that_spoke_without_ip() -> None:
    plant = Plant(declared=False)
    plant.wire.sighting(100.0, "00:80:f4:01:02:03", 0x0080F4010203)
    give(plant.novelty, plant.wire.ticks())
    plant.novelty.close_world()
    plant.wire.sighting(101.0, INTRUDER, 0x0080F4010203)
    (found,) = plant.hears()
    assert found.observed.endswith("of a known device without one (MAC 00:80:f4:01:02:03)")


def test_two_strangers_that_talk_are_one_finding(plant: Plant) -> None:
    plant.wire.sighting(100.0, INTRUDER, 0x66)
    plant.wire.sighting(100.1, "10.0.0.77", 0x77)
    plant.wire.volume(100.2, parts={"client": INTRUDER, "server": "10.0.0.77", "protocol": "tcp"})
    (found,) = plant.hears()
    assert str(found.source) == INTRUDER
    assert found.observed.endswith("(never seen before either: 10.0.0.77)")
    plant.accept([found])
    plant.wire.sighting(101.0, "10.0.0.77", 0x77)
    assert plant.hears() == []


def test_what_a_stranger_writes_is_a_finding_of_its_own(plant: Plant) -> None:
    plant.wire.sighting(100.0, INTRUDER, 0x66)
    plant.wire.exchange(100.1, 3, reads(REGISTER, 0, 10), client=INTRUDER)
    plant.wire.exchange(100.2, 6, writes(REGISTER, 5, values=[9]), client=INTRUDER)
    write, stranger = plant.hears()
    assert write.kind == "novelty.write-from-new-client"
    assert write.expected == f"only {HMI} writes to {PLC}"
    assert write.observed == (
        "Write Single Register: holding-register 5 of unit 1; answered without error"
        "; written: holding-register 5 of unit 1 = 9"
    )
    assert write.points == ("holding-register 5 of unit 1",)
    assert (write.count, write.frame_count) == (1, 2)
    assert stranger.kind == "novelty.new-endpoint"
    assert not set(write.frames) & set(stranger.frames)
    assert stranger.count == 1


def test_a_refused_write_says_so(plant: Plant) -> None:
    plant.wire.exchange(100.0, 6, writes(REGISTER, 5), client=INTRUDER, status=1)
    plant.wire.exchange(101.0, 6, writes(REGISTER, 5), client=INTRUDER, status=1)
    plant.wire.exchange(101.1, 6, writes(REGISTER, 6), client=INTRUDER)
    plant.wire.request(102.0, 6, writes(REGISTER, 5), client=INTRUDER)
    whole, part, unanswered = plant.hears()
    assert whole.observed.endswith("; refused (Illegal Function)")
    assert part.observed.endswith("; in part refused (Illegal Function)")
    assert unanswered.observed.endswith("register 5 of unit 1")


def test_a_write_of_a_known_device_takes_its_connection_along(plant: Plant) -> None:
    parts = {"client": HISTORIAN, "port": 503}
    plant.wire.connection(100.0, "open", **parts)
    plant.wire.exchange(100.1, 6, writes(REGISTER, 5), **parts)
    plant.wire.volume(100.9, parts=parts, client_frames=4)
    (found,) = plant.hears()
    assert found.kind == "novelty.write-from-new-client"
    assert set(found.rows) == {"messages", "connections", "traffic"}
    assert found.count == 1


def test_only_reading_is_no_write(plant: Plant) -> None:
    plant.wire.exchange(100.0, 77, reads(REGISTER), client=INTRUDER, activity="configure")
    plant.wire.exchange(101.0, 77, client=INTRUDER, activity="configure")
    assert kinds(plant.hears()) == ["new-conversation", "write-from-new-client"]


def test_reading_a_file_is_no_write(plant: Plant) -> None:
    plant.wire.exchange(100.0, 20, reads("file-record", 65_536), client=INTRUDER)
    plant.wire.exchange(101.0, 21, writes("file-record", 65_536), client=INTRUDER)
    assert kinds(plant.hears()) == ["new-conversation", "write-from-new-client"]


# --- conversations -------------------------------------------------------------------------------


def test_a_new_client_is_told_with_the_company_of_its_server(plant: Plant) -> None:
    plant.wire.exchange(100.0, 3, reads(REGISTER, 0, 10), client="10.0.0.5")
    plant.wire.exchange(101.0, 3, reads(REGISTER, 0, 10), client="10.0.0.5", port=503)
    first, other_port = plant.hears()
    assert first.kind == other_port.kind == "novelty.new-conversation"
    assert first.expected == f"only {HISTORIAN}, {HMI} talk modbus/502 to {PLC}"
    assert other_port.expected == f"nobody talks modbus/503 to {PLC}"
    assert first.observed == (
        f"talks modbus/502 to {PLC}: Read Holding Registers: holding-register 0–9 of unit 1"
    )
    assert first.function == "Read Holding Registers"
    assert first.severity is None
    assert first.cause == other_port.cause, "one client and one server are one alert"


def test_a_new_writer_where_others_only_read() -> None:
    wire, novelty = Wire(), Novelty()
    novelty.begin_learning()
    wire.exchange(0.0, 3, reads(REGISTER, 0, 10))
    give(novelty, wire.ticks())
    novelty.close_world()
    wire.exchange(1.0, 6, writes(REGISTER, 5), client=HISTORIAN)
    (found,) = give(novelty, wire.ticks())
    assert found.expected == f"nobody writes to {PLC}; {HMI} only reads"


def test_what_nothing_decodes_weighs_by_whether_it_was_answered(plant: Plant) -> None:
    parts = {"client": HMI, "server": PLC, "protocol": "tcp", "port": 4444}
    plant.wire.connection(100.0, "attempted", **parts)
    plant.wire.volume(100.5, parts=parts, client_frames=3, server_frames=1)
    plant.wire.connection(101.0, "open", **parts)
    plant.wire.volume(102.0, parts=parts, server_largest=90)
    plant.wire.volume(103.0, parts={**parts, "protocol": "udp", "carrier": "udp"}, server_largest=9)
    found = plant.hears()
    assert [one.severity for one in found] == ["low", None, None, "low"]
    assert found[0].expected == f"nobody talks tcp/4444 to {PLC}"
    assert (found[0].count, found[0].frame_count) == (1, 4)


def test_a_sweep_over_ports_is_one_finding_of_weight(plant: Plant) -> None:
    for port in range(1, 11):
        plant.wire.connection(100 + port / 100, "refused", client=HMI, port=port, protocol="tcp")
    (found,) = plant.hears()
    assert found.severity is None
    assert len(found.members) == len(found.accepts) == 10
    assert found.observed.endswith("; and 7 more")


def test_calls_to_everybody_that_others_make_are_no_news() -> None:
    plant = Plant(declared=False)
    call = {"server": "10.0.0.255", "protocol": "udp", "carrier": "udp", "port": 138}
    plant.wire.volume(100.0, parts={"client": HISTORIAN, **call})
    give(plant.novelty, plant.wire.ticks())
    plant.novelty.close_world()
    plant.wire.volume(101.0, parts={"client": HMI, **call})
    assert plant.hears() == []
    plant.wire.volume(102.0, parts={"client": HMI, **call, "port": 137})
    plant.wire.volume(103.0, parts={"client": INTRUDER, **call})
    assert [(one.kind, one.severity) for one in plant.hears()] == [
        ("novelty.new-conversation", "low"),
        ("novelty.new-conversation", "low"),
    ]


def test_known_datagrams_the_other_way_round_say_little() -> None:
    plant = Plant(declared=False)
    time = {"protocol": "udp", "carrier": "udp", "port": 123}
    plant.wire.volume(100.0, parts={"client": HMI, "server": PLC, **time})
    give(plant.novelty, plant.wire.ticks())
    plant.novelty.close_world()
    plant.wire.volume(101.0, parts={"client": PLC, "server": HMI, **time})
    plant.wire.volume(102.0, parts={"client": PLC, "server": HMI, **time, "port": 161})
    plant.wire.volume(103.0, parts={"client": PLC, "server": HISTORIAN, **time})
    found = plant.hears()
    assert kinds(found) == ["new-conversation"] * 3
    assert [one.weak for one in found] == [True, False, False]


def test_another_publisher_to_a_group_is_news() -> None:
    plant = Plant(declared=False)
    group = {"server": "01:0c:cd:01:00:01", "protocol": "goose", "carrier": "link", "port": 1}
    plant.wire.volume(100.0, parts={"client": HISTORIAN, **group})
    give(plant.novelty, plant.wire.ticks())
    plant.novelty.close_world()
    plant.wire.volume(101.0, parts={"client": HMI, **group})
    assert kinds(plant.hears()) == ["new-conversation"]


def test_looking_up_addresses_is_no_conversation(plant: Plant) -> None:
    for number in range(50):
        server = f"10.0.0.{100 + number}"
        plant.wire.volume(
            100.0, parts={"client": HMI, "server": server, "protocol": "arp", "carrier": "link"}
        )
    plant.wire.volume(
        100.5,
        parts={"client": HMI, "server": "ff02::1:ff00:5", "protocol": "icmpv6", "port": 0},
    )
    before = plant.novelty.learned()["conversations"].tolist()
    assert plant.hears() == []
    assert plant.novelty.learned()["conversations"].tolist() == before, "none gets a lasting id"


def test_ports_made_up_anew_are_one_conversation(plant: Plant) -> None:
    plant.novelty.begin_learning()
    parts = {"client": HMI, "server": PLC, "protocol": "tcp"}
    plant.wire.volume(100.0, parts={**parts, "port": 50_000})
    plant.hears()
    plant.novelty.close_world()
    plant.wire.volume(101.0, parts={**parts, "port": 51_000})
    assert plant.hears() == []


# --- words ---------------------------------------------------------------------------------------


def test_every_level_of_a_known_conversation(plant: Plant) -> None:
    wire = plant.wire
    wire.exchange(100.0, 6, writes(REGISTER, 5), client=HISTORIAN)  # activity
    wire.exchange(101.0, 1, reads(COIL, 0, 8))  # function
    wire.exchange(102.0, 3, reads(REGISTER, 0, 10), unit=7)  # unit
    wire.exchange(103.0, 3, reads(REGISTER, 5, 10))  # item
    wire.exchange(104.0, 3, reads(REGISTER, 0, 10), status=4)  # status
    found = plant.hears()
    assert kinds(found) == ["new-activity", "new-function", "new-unit", "new-item", "new-status"]
    assert [one.severity for one in found] == ["high", None, None, None, None]
    assert [one.expected for one in found] == [
        "only read between the two (120 messages learned)",
        (
            "only Read Holding Registers, Write Single Register, Read Device Identification "
            "between the two (126 messages learned)"
        ),
        "only unit 1 between the two (126 messages learned)",
        "only read holding-register 0–9, 50 of unit 1 between the two (126 messages learned)",
        (
            "only these refusals: Illegal Data Address to Read Holding Registers "
            "between the two (126 messages learned)"
        ),
    ]
    assert [one.observed for one in found] == [
        "Write Single Register: holding-register 5 of unit 1; answered without error",
        "Read Coils: coil 0–7 of unit 1",
        "Read Holding Registers: holding-register 0–9 of unit 7",
        "Read Holding Registers: holding-register 5–14 of unit 1",
        "Server Device Failure to Read Holding Registers (3)",
    ]
    assert found[3].points == ("holding-register 10–14 of unit 1",)
    assert found[3].members == found[3].points
    assert found[2].members == ("unit 7",)
    assert [one.count for one in found] == [1] * 5
    assert all(one.baseline[0].startswith("activities: ") for one in found)
    assert all(one.score == 1.0 for one in found)


def test_no_refusals_so_far(plant: Plant) -> None:
    plant.wire.exchange(100.0, 3, reads(REGISTER, 0, 10), client=HISTORIAN, status=2)
    (found,) = plant.hears()
    assert found.expected == "no refusals between the two (120 messages learned)"


def test_reading_and_writing_new_items_are_two_findings(plant: Plant) -> None:
    plant.wire.exchange(100.0, 3, reads(REGISTER, 70, 2))
    plant.wire.exchange(100.1, 6, writes(REGISTER, 71, values=[1]))
    read, write = plant.hears()
    assert (read.kind, write.kind) == ("novelty.new-item", "novelty.new-item")
    assert read.cause != write.cause
    assert (read.severity, write.severity) == (None, "high")
    assert write.expected.startswith("only write holding-register 5 of unit 1 between")
    assert "holding-register 71 of unit 1; answered without error; written" in write.observed


def test_a_report_of_the_server_is_heard(plant: Plant) -> None:
    plant.wire.report(100.0, 100, reads(REGISTER), activity="report")
    (found,) = plant.hears()
    assert found.kind == "novelty.new-activity"
    assert found.expected.startswith("only browse, read, write between the two")
    assert found.count == 1


# --- scans ---------------------------------------------------------------------------------------


def refused(wire: Wire, start: float, functions: Iterable[int], step: float, **parts: Any) -> None:
    for place, function in enumerate(functions):
        wire.exchange(start + place * step, function, activity="other", status=1, **parts)


def test_functions_tried_in_vain_are_a_scan(plant: Plant) -> None:
    refused(plant.wire, 100.0, range(60, 90), 0.01)
    (found,) = plant.hears()
    assert found.kind == "novelty.function-scan"
    assert found.observed == (
        "tries function 60, function 61, function 62, function 63, function 64, and 25 more: "
        "at least 30 functions without a good answer within an hour"
    )
    assert (found.count, found.frame_count, len(found.members)) == (30, 60, 30)
    assert found.severity is None


def test_functions_that_are_answered_are_none(plant: Plant) -> None:
    for place, function in enumerate(range(60, 90)):
        plant.wire.exchange(100 + place / 100, function, activity="other")
    assert kinds(plant.hears()) == ["new-activity"]


def test_a_slow_scan_is_a_scan(plant: Plant) -> None:
    refused(plant.wire, 100.0, range(60, 75), 300.0)
    found = plant.hears()
    assert kinds(found) == ["new-activity"] * 7 + ["function-scan"] * 8
    assert len({one.cause for one in found}) == 2
    refused(plant.wire, 100.0 + 15 * 300 + SPAN, [60], 1.0)
    assert kinds(plant.hears()) == ["new-activity"], "the scan is over"


def test_a_scan_by_a_new_client(plant: Plant) -> None:
    refused(plant.wire, 100.0, range(60, 80), 0.01, client=INTRUDER)
    refused(plant.wire, 101.0, [61], 1.0, client=INTRUDER)
    first, second = plant.hears()
    assert kinds([first, second]) == ["function-scan", "function-scan"]
    assert first.cause == second.cause
    assert first.expected == f"only {HISTORIAN}, {HMI} talk modbus/502 to {PLC}"
    assert second.observed == (
        "tries function 61: at least 20 functions without a good answer within an hour"
    )


def test_a_write_during_a_scan_is_told_apart(plant: Plant) -> None:
    for client in (HISTORIAN, INTRUDER):
        refused(plant.wire, 100.0, range(60, 80), 0.01, client=client)
        plant.wire.exchange(100.5, 6, writes(REGISTER, 5, values=[9]), client=client)
        refused(plant.wire, 101.0, range(80, 85), 0.01, client=client)
        plant.wire.exchange(101.5, 16, writes(REGISTER, 5, values=[9, 9]), client=client)
        found = plant.hears()
        scans = [one for one in found if one.kind == "novelty.function-scan"]
        (first, second) = [one for one in found if one not in scans]
        assert len(scans) == 2
        assert "Write Single Register" in first.observed
        assert "Write Multiple Registers" in second.observed
        assert {first.severity, second.severity} <= {"high", None}
        assert first.kind in {"novelty.new-activity", "novelty.write-from-new-client"}
        assert all("Write" not in one.observed for one in scans)
        plant.wire.run_back(0.0)
        plant.wire.exchange(0.0, 3, reads(REGISTER, 0, 10))
        plant.hears()


def test_a_write_that_is_refused_during_a_scan_belongs_to_it(plant: Plant) -> None:
    for client in (HISTORIAN, INTRUDER):
        refused(plant.wire, 100.0, range(60, 80), 0.01, client=client)
        touch = writes(REGISTER, 5, values=[9])
        plant.wire.exchange(100.5, 6, touch, status=2, client=client)
        (found,) = [one for one in plant.hears() if one.kind.startswith("novelty.new-end") is False]
        assert found.kind == "novelty.function-scan"
        assert "Write Single Register" in found.members
        plant.wire.run_back(0.0)
        plant.wire.exchange(0.0, 3, reads(REGISTER, 0, 10))
        plant.hears()


def test_going_through_addresses_is_a_scan(plant: Plant) -> None:
    for place in range(20):
        plant.wire.exchange(100 + place / 25, 3, reads(REGISTER, 1000 + 20 * place, 10))
    plant.wire.exchange(101.0, 3, reads(REGISTER, 2000, 10))
    plant.wire.exchange(101.1, 6, writes(REGISTER, 2000, values=[1]))
    first, second, write = plant.hears()
    assert kinds([first, second, write]) == ["address-scan", "address-scan", "new-item"]
    assert first.cause == second.cause
    assert first.members[0] == "holding-register 1000–1009 of unit 1"
    assert first.observed.endswith("at least 20 new address ranges within an hour")
    assert write.severity == "high"


def test_many_writes_are_never_a_scan(plant: Plant) -> None:
    for place in range(40):
        plant.wire.exchange(100 + place / 50, 6, writes(REGISTER, 1000 + 2 * place, values=[1]))
    (found,) = plant.hears()
    assert (found.kind, found.severity, found.count) == ("novelty.new-item", "high", 40)
    assert len([one for one in found.members if "=" not in one]) == 40


# --- readiness -----------------------------------------------------------------------------------


def polled(wire: Wire, start: int, seconds: int, **parts: Any) -> None:
    for second in range(start, start + seconds):
        wire.exchange(second, 3, reads(REGISTER, 0, 10), **parts)


def test_a_plant_learns_by_itself_and_becomes_ready() -> None:
    wire, novelty = Wire(), Novelty()
    wire.sighting(0.0, PLC, 1)
    polled(wire, 0, 40)
    assert give(novelty, wire.ticks()) == []
    whole, (name, progress, left) = novelty.readiness()[0], _readiness(novelty)
    assert (whole.conversation, whole.seconds_left) == (None, 600 - 39)
    assert name == NAME
    assert progress == pytest.approx(39 / 600), "messages alone are not enough"
    assert left == 600 - 39
    wire.exchange(41.0, 3, reads(REGISTER, 50))  # still learning
    polled(wire, 42, 599)
    wire.exchange(641.0, 3, reads(REGISTER, 50))
    assert give(novelty, wire.ticks()) == []
    assert novelty.readiness()[1].progress == 1.0
    wire.exchange(650.0, 3, reads(REGISTER, 50))
    wire.exchange(651.0, 3, reads(REGISTER, 60))
    (found,) = give(novelty, wire.ticks())
    assert found.points == ("holding-register 60 of unit 1",)
    assert 0.5 < found.score < 1.0, "earned, not declared"
    polled(wire, 660, 3, client=INTRUDER)
    (found,) = give(novelty, wire.ticks())[:1]
    assert found.kind == "novelty.new-conversation"
    assert 0.5 <= found.score < 1.0
    assert found.expected == f"only {HMI} talks modbus/502 to {PLC}"


def test_a_plant_that_still_learns_says_nothing_of_new_conversations() -> None:
    wire, novelty = Wire(), Novelty()
    wire.sighting(0.0, PLC, 1)
    polled(wire, 0, 500)
    wire.exchange(500.0, 3, reads(REGISTER, 0, 10), client=HISTORIAN)
    polled(wire, 501, 599)
    wire.exchange(1100.5, 3, reads(REGISTER, 0, 10), client=HISTORIAN)
    assert give(novelty, wire.ticks()) == []
    wire.exchange(1101.0, 3, reads(REGISTER, 0, 10), client=INTRUDER)
    (found,) = give(novelty, wire.ticks())
    assert found.expected == f"only {HISTORIAN}, {HMI} talk modbus/502 to {PLC}"


def test_rare_commands_between_fast_polls_are_learned() -> None:
    """A hundred messages are two minutes of polling, in which an operator does nothing."""
    wire, novelty = Wire(), Novelty()
    for second in range(1_300):
        wire.exchange(second, 3, reads(REGISTER, 0, 10))
        if second in {130, 700}:
            wire.exchange(second + 0.5, 6, writes(REGISTER, 10 + second, values=[1]))
    assert give(novelty, wire.ticks()) == []
    wire.exchange(1_310.0, 6, writes(REGISTER, 5, values=[1]))
    assert kinds(give(novelty, wire.ticks())) == [], "what took 700 s takes 700 s more"
    polled(wire, 1_311, 1_320)
    wire.exchange(2_640.0, 6, writes(REGISTER, 6, values=[1]))
    assert kinds(give(novelty, wire.ticks())) == ["new-item"]


def _readiness(novelty: Novelty) -> tuple[ConversationName | None, float, float | None]:
    one = novelty.readiness()[1]
    return one.conversation, one.progress, one.seconds_left


def test_what_is_new_in_the_tick_of_readiness_is_learned() -> None:
    """Judging and learning agree on who is ready: nothing falls between them."""
    wire, novelty = Wire(), Novelty()
    polled(wire, 0, 602)
    for second in range(602, 760):
        wire.exchange(second, 3, reads(REGISTER, 0, 10))
        wire.exchange(second + 0.1, 3, reads(REGISTER, 1000 + 10 * second))
    first: dict[str, int] = {}
    for tick in wire.ticks():
        found = list(novelty.judge(tick))
        novelty.learn(tick, Quarantine(tick, found))
        new = f"holding-register {1000 + 10 * (tick.second - wire.start)} of unit 1"
        known = novelty.memory.plant.conversations[NAME].vocabulary.describe_items()
        is_learned = str(1000 + 10 * (tick.second - wire.start)) in re.findall(r"\d+", known[0])
        is_told = any(new in one.points for one in found)
        if tick.second - wire.start >= 602:
            assert is_learned != is_told, new
            first[["learned", "told"][is_told]] = tick.second
    assert set(first) == {"told"}, "ten minutes of poll were enough"


def test_a_weekly_job_takes_its_weeks() -> None:
    wire, novelty = Wire(), Novelty()
    week = 7 * 86_400
    for number in range(6):
        polled(wire, number * week, 10, client=HISTORIAN)
        for minute in range(1, 60):  # others go on talking
            polled(wire, number * week + minute * 60, 1)
        give(novelty, wire.ticks())
        assert novelty.readiness()[1].progress == pytest.approx(min(1, (number * 20 + 18) / 100))
    wire.exchange(6 * week, 3, reads(REGISTER, 90), client=HISTORIAN)
    assert kinds(give(novelty, wire.ticks())) == ["new-item"]


def test_a_pause_does_not_make_ready() -> None:
    wire, novelty = Wire(), Novelty()
    polled(wire, 0, 5)
    polled(wire, 86_400, 5)
    wire.exchange(86_405, 3, reads(REGISTER, 0), client=INTRUDER)
    assert give(novelty, wire.ticks()) == []
    assert novelty.readiness()[0].seconds_left == pytest.approx(600, abs=1)


# --- decisions -----------------------------------------------------------------------------------


def test_an_accepted_conversation_learns_and_becomes_ready(plant: Plant) -> None:
    polled(plant.wire, 100, 1, client=INTRUDER)
    found = plant.hears()
    causes = plant.accept(found)
    name = ConversationName(EndpointName(0, INTRUDER), EndpointName(0, PLC), "modbus", "tcp", 502)
    assert causes == [("novelty", "conversation", *flat(name))]
    polled(plant.wire, 200, 30, client=INTRUDER)
    plant.wire.exchange(230.0, 1, reads(COIL, 4), client=INTRUDER)
    assert plant.hears() == []
    polled(plant.wire, 240, 600, client=INTRUDER)
    plant.wire.exchange(840.0, 1, reads(COIL, 4), client=INTRUDER)
    plant.wire.exchange(841.0, 1, reads(COIL, 5), client=INTRUDER)
    (news,) = plant.hears()
    assert news.kind == "novelty.new-item"
    assert news.score < 1.0
    assert plant.novelty.undo(causes[0])
    assert name not in plant.novelty.memory.plant.conversations
    plant.wire.exchange(900.0, 1, reads(COIL, 4), client=INTRUDER)
    assert kinds(plant.hears()) == ["new-conversation"]
    assert plant.accept(found)
    plant.wire.exchange(1000.0, 1, reads(COIL, 9), client=INTRUDER)
    assert plant.hears() == [], "it learns from the beginning again"


def test_undo_never_takes_away_what_was_learned(plant: Plant) -> None:
    cause = ("novelty", "item", *flat(NAME), 1, "read", REGISTER, "", 5, 10)
    conversation = ("novelty", "conversation", *flat(NAME))
    for one in (cause, conversation):
        assert plant.novelty.accept(one)
    plant.wire.exchange(100.0, 3, reads(REGISTER, 5, 10))
    assert plant.hears() == []
    for one in (cause, conversation):
        assert plant.novelty.undo(one)
        assert not plant.novelty.undo(one)
    plant.wire.exchange(101.0, 3, reads(REGISTER, 0, 10))
    assert plant.hears() == []
    plant.wire.exchange(102.0, 3, reads(REGISTER, 5, 10))
    (found,) = plant.hears()
    assert found.points == ("holding-register 10–14 of unit 1",)


def test_a_word_may_be_accepted_before_its_conversation(plant: Plant) -> None:
    client = EndpointName(0, INTRUDER)
    under = flat(NAME._replace(client=client))
    assert plant.novelty.accept(("novelty", "unit", *under, 7))
    plant.wire.exchange(100.0, 3, reads(REGISTER, 0), client=INTRUDER, unit=7)
    assert kinds(plant.hears()) == ["new-conversation"]
    assert plant.novelty.accept(("novelty", "conversation", *under))
    polled(plant.wire, 200, 660, client=INTRUDER)
    plant.wire.exchange(900.0, 3, reads(REGISTER, 0, 10), client=INTRUDER, unit=7)
    (found,) = plant.hears()
    assert found.kind == "novelty.new-item", "the unit is accepted, its registers are not"


def test_an_endpoint_that_is_taken_back_is_a_stranger_again(plant: Plant) -> None:
    plant.wire.sighting(100.0, INTRUDER, 0x66)
    polled(plant.wire, 101, 1, client=INTRUDER)
    found = plant.hears()
    plant.accept(found, backwards=True)
    polled(plant.wire, 102, 1, client=INTRUDER)
    assert plant.hears() == []
    endpoint = ("novelty", "endpoint", 0, INTRUDER)
    assert plant.novelty.undo(endpoint)
    polled(plant.wire, 103, 1, client=INTRUDER)
    assert plant.hears() == [], "its conversation is still accepted"
    assert plant.novelty.undo(found[-1].accepts[-1])
    polled(plant.wire, 104, 1, client=INTRUDER)
    (again,) = plant.hears()
    assert again.cause == endpoint


@pytest.mark.parametrize(
    "cause",
    [
        (),
        ("policy", "endpoint", 0, INTRUDER),
        ("novelty",),
        ("novelty", "endpoint", "x", 0),
        ("novelty", "function", *flat(NAME), 6),
        ("novelty", "activity", *flat(NAME), 5),
        ("novelty", "item", *flat(NAME), 1, "read", COIL, "", 0, -1),
        ("novelty", "new-endpoint", "further"),
    ],
)
def test_what_is_no_cause_changes_nothing(plant: Plant, cause: Cause) -> None:
    before = plant.novelty.state()
    assert not plant.novelty.accept(cause)
    assert not plant.novelty.undo(cause)
    assert plant.novelty.state() == before


def test_who_is_accepted_is_known_in_new_conversations(plant: Plant) -> None:
    plant.wire.sighting(100.0, INTRUDER, 0x66)
    plant.accept(plant.hears())
    polled(plant.wire, 101, 1, client=INTRUDER)
    assert kinds(plant.hears()) == ["new-conversation"]


# --- ids -----------------------------------------------------------------------------------------


def test_an_id_that_was_passed_over_is_looked_at_when_it_is_used_again(plant: Plant) -> None:
    lookup = {"client": HMI, "server": PLC, "protocol": "arp", "carrier": "link"}
    plant.wire.volume(100.0, parts=lookup)
    assert plant.hears() == []
    place = plant.wire.conversation(**lookup)  # type: ignore[arg-type]
    plant.wire.retire("conversations", [place])
    plant.wire.exchange(101.0, 6, writes(REGISTER, 5), client=INTRUDER)
    batch = plant.wire.batch()
    plant.novelty.forget(batch.retired)
    plant.wire.names.update(batch)
    assert place in batch.tables.messages.conversation
    assert kinds(give(plant.novelty, plant.wire._ticks.feed(batch))) == ["write-from-new-client"]


def test_what_was_counted_under_a_retired_id_stays_counted() -> None:
    wire, novelty = Wire(), Novelty()
    polled(wire, 0, 40)
    give(novelty, wire.ticks())
    wire.retire("conversations", [wire.conversation(HMI, PLC)])
    wire.retire("symbols", [1, 2])
    polled(wire, 40, 5, client=HISTORIAN)
    batch = wire.batch()
    novelty.forget(batch.retired)
    wire.names.update(batch)
    give(novelty, wire._ticks.feed(batch))
    messages = {str(name.client): known.messages for name, known in novelty.memory.acquaintances()}
    assert messages == {HMI: 80, HISTORIAN: 10}


def test_first_and_last_are_in_order_of_time_also_when_it_runs_back() -> None:
    wire, novelty = Wire(), Novelty()
    polled(wire, 1_000, 3)
    give(novelty, wire.ticks())
    wire.run_back(10)
    polled(wire, 10, 2)
    give(novelty, wire.ticks())
    ((_, known),) = novelty.memory.acquaintances()
    assert (known.first - wire.start, known.last - wire.start) == (10, 1_002)
    assert known.messages == 10


def test_a_word_that_judging_missed_is_not_learned(plant: Plant) -> None:
    plant.wire.exchange(100.0, 3, reads(REGISTER, 70))
    tick = plant.wire.tick()
    plant.novelty.learn(tick, Quarantine(tick, []))  # as if judging had failed
    plant.wire.exchange(101.0, 3, reads(REGISTER, 70))
    assert kinds(plant.hears()) == ["new-item"]


# --- bounds and state ----------------------------------------------------------------------------


def test_a_storm_of_strangers_is_told_in_bounds(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_FINDINGS", 5)
    monkeypatch.setattr(module, "MOST_STRANGERS", 6)
    for number in range(10):
        plant.wire.sighting(100 + number / 20, f"10.9.0.{number}", 0)
    tick = plant.wire.tick()
    found = list(plant.novelty.judge(tick))
    assert len(found) == 5
    assert found[-1].observed == "6 further in the same second, past the 4 told apart"
    rows = sorted(row for one in found for row in one.rows["sightings"].tolist())
    assert rows == list(range(10)), "all are kept out of learning"
    plant.novelty.learn(tick, Quarantine(tick, found))
    assert plant.novelty.counters["strangers"] == 4


def test_what_does_not_fit_is_counted_and_stays_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plant_module, "MOST_ENDPOINTS", 1)
    monkeypatch.setattr(plant_module, "MOST_CONVERSATIONS", 1)
    monkeypatch.setattr(memory_module, "MOST_WORDS", 3)
    wire, novelty = Wire(), Novelty()
    novelty.begin_learning()
    wire.sighting(0.0, PLC, 1)
    wire.sighting(0.1, HMI, 2)
    wire.exchange(0.2, 3, reads(REGISTER, 0, 10))
    wire.exchange(0.3, 1, reads(COIL, 0, 10))
    wire.exchange(0.4, 3, reads(REGISTER, 0, 10), client=HISTORIAN)
    give(novelty, wire.ticks())
    novelty.close_world()
    assert {name: count > 0 for name, count in novelty.counters.items()} == {
        "endpoints": True,
        "conversations": True,
        "words": True,
        "strangers": False,
        "scans": False,
    }
    wire.exchange(1.0, 3, reads(REGISTER, 0, 10))
    wire.exchange(1.1, 1, reads(COIL, 0, 10))
    wire.exchange(1.2, 3, reads(REGISTER, 0, 10), client=HISTORIAN)
    wire.sighting(1.3, HMI, 2)
    assert sorted(kinds(give(novelty, wire.ticks()))) == [
        "new-conversation",
        "new-endpoint",
        "new-function",
    ]


def test_a_stranger_that_is_learned_by_declaration_is_one_no_more(plant: Plant) -> None:
    plant.wire.sighting(100.0, INTRUDER, 0x66)
    assert kinds(plant.hears()) == ["new-endpoint"]
    plant.novelty.begin_learning()
    plant.wire.sighting(101.0, INTRUDER, 0x66)
    polled(plant.wire, 102, 1, client=INTRUDER)
    plant.hears()
    plant.novelty.close_world()
    plant.wire.exchange(103.0, 3, reads(REGISTER, 0, 10), client=INTRUDER, port=503)
    assert kinds(plant.hears()) == ["new-conversation"]


def test_a_state_with_wrong_decisions_is_refused(plant: Plant) -> None:
    state = plant.novelty.state()
    state["memory"]["accepted"] = [["endpoint", "x"]]
    fresh = Novelty()
    for take in (fresh.restore, fresh.merge):
        with pytest.raises(StateError, match="cannot be accepted"):
            take(state)
    assert fresh.state() == Novelty().state()
