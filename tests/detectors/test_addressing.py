"""Whoever takes an address is told; whoever has it, shares it or inherits it by right is not."""

from collections.abc import Callable, Sequence

import pytest
from detectors.suite import LEARNED, Act, Stage, plain, said, work
from ticks import HMI, PLC, Wire, reads

from otids.detectors.addressing import MOST_FINDINGS, Addressing
from otids.detectors.base import Finding, StateError
from otids.learning.addresses.addresses import MOST_MACS
from otids.learning.addresses.claims import MOST_CLAIMS, SETTLED, WINDOW
from otids.learning.addresses.second_answers import ANOTHER
from otids.traffic import EndpointName

HMI_MAC, PLC_MAC, STATION_MAC = 0x00D0C93A5110, 0x00A0458E2B13, 0x3C52826B1E20
ROGUE_MAC, SPARE_MAC = 0xB827EB5DC066, 0x00A0458E2B99
STATION, ROGUE = "10.0.0.20", "10.0.0.66"
START = LEARNED
"""When what is judged begins."""


def plant(wire: Wire) -> None:
    """Let everybody be heard."""
    wire.sighting(0.0, HMI, HMI_MAC, ttl=128)
    wire.sighting(0.1, PLC, PLC_MAC, ttl=64)
    wire.sighting(0.2, PLC, PLC_MAC, arp=True)
    wire.sighting(0.3, STATION, STATION_MAC, ttl=128)


def keep_talking(start: int, seconds: int) -> list[Act]:
    """Go on with what changes no address."""

    def at(second: int) -> Act:
        return lambda wire: wire.volume(second + 0.9, client_frames=2)

    return [at(second) for second in range(start, start + seconds)]


def learned(*more: Act) -> Stage:
    """A stage whose detector has learned the plant, and more, by declaration."""
    stage = Stage(Addressing())
    stage.learn([plant, *more, *keep_talking(START - 10, 10)])
    return stage


def found(stage: Stage, *acts: Act) -> list[Finding]:
    return [finding for findings in stage.give(acts) for finding in findings]


def kinds(findings: Sequence[Finding]) -> list[str]:
    return [one.kind.removeprefix("addressing.") for one in findings]


def sends(time: float, address: str, mac: int) -> Act:
    """Send with an address from a MAC address."""
    return lambda wire: wire.sighting(time, address, mac)


def poison(start: float, *, passes_on: bool = True) -> Act:
    """Poison the HMI and the PLC, and pass on what is drawn so."""

    def act(wire: Wire) -> None:
        for place, (victim, mac, ttl) in enumerate([(HMI, HMI_MAC, 128), (PLC, PLC_MAC, 64)]):
            time = start + place / 10
            wire.sighting(time, victim, ROGUE_MAC, arp="unasked")
            wire.sighting(time + 0.03, victim, mac, ttl=ttl)
            if passes_on:
                wire.sighting(time + 0.06, victim, ROGUE_MAC, ttl=ttl - 1)

    return act


# --- spoofing ------------------------------------------------------------------------------------


def test_poisoning_is_told_for_each_end() -> None:
    hmi, of_hmi, plc, of_plc = found(learned(), poison(START))
    assert kinds([hmi, of_hmi, plc, of_plc]) == ["arp-spoofing", "two-macs"] * 2
    assert (of_hmi.target, of_plc.target) == (hmi.target, plc.target)
    assert (hmi.target, plc.target) == (EndpointName(0, HMI), EndpointName(0, PLC))
    assert hmi.source == EndpointName(0, "b8:27:eb:5d:c0:66")
    assert (
        plc.expected
        == f"{PLC} has the MAC address 00:a0:45:8e:2b:13 (Phoenix Contact GmbH & Co. KG)"
    )
    assert plc.observed == (
        "MAC b8:27:eb:5d:c0:66 (Raspberry Pi Foundation), which no known device has, claims "
        f"{PLC} by ARP answers that nobody asked for and sends in its name, while the real {PLC} "
        "is still there; its frames arrive with TTL 63 instead of 64: it passes them on; it "
        f"stands in for {HMI} too"
    )
    assert not plc.weak
    assert (hmi.frame_count, len(hmi.rows["sightings"])) == (2, 1)  # with the claim itself


def test_poisoning_is_told_as_long_as_it_goes_on() -> None:
    stage = learned()
    for second in range(START, START + 20, 2):
        assert set(kinds(found(stage, poison(second)))) == {"arp-spoofing", "two-macs"}
    assert found(stage, *keep_talking(START + 20, 600)) == []


def test_a_claim_of_a_known_device_names_it() -> None:
    def claim(wire: Wire) -> None:
        wire.sighting(START, PLC, STATION_MAC, arp="request")
        wire.sighting(START + 0.5, PLC, PLC_MAC)

    (one,) = found(learned(), claim)
    assert one.source == EndpointName(0, STATION)
    assert f"which is that of {STATION}, asks by ARP in the name of {PLC}" in one.observed


def test_a_stranger_that_claims_is_named_by_its_own_address() -> None:
    (one, *_) = found(
        learned(), lambda wire: wire.sighting(START, ROGUE, ROGUE_MAC), poison(START + 1)
    )
    assert one.source == EndpointName(0, ROGUE)


def test_an_owner_heard_a_second_later_is_still_there() -> None:
    stage = learned()
    assert found(stage, lambda wire: wire.sighting(START, PLC, ROGUE_MAC, arp="announcement")) == []
    (one,) = found(stage, lambda wire: wire.sighting(START + 3, PLC, PLC_MAC))
    assert kinds([one]) == ["arp-spoofing"]
    assert one.frame_count == 2  # the claim, and the owner
    assert "announces 10.0.0.1 by ARP as its own" in one.observed


def test_two_devices_that_send_in_one_name() -> None:
    def share(wire: Wire) -> None:
        for place, mac in enumerate([PLC_MAC, SPARE_MAC, PLC_MAC, SPARE_MAC]):
            wire.sighting(START + place / 10, PLC, mac)

    (one,) = found(learned(), share)
    assert kinds([one]) == ["two-macs"]
    assert "sends in the name of 10.0.0.1, while the real 10.0.0.1 is still there" in one.observed


# --- replacement ---------------------------------------------------------------------------------


def test_a_device_that_comes_instead_is_told_once_when_it_has_settled() -> None:
    stage = learned()

    def replace(wire: Wire) -> None:
        wire.sighting(START, PLC, SPARE_MAC, arp="announcement")
        wire.sighting(START + 0.2, PLC, SPARE_MAC)

    assert found(stage, replace, *keep_talking(START + 1, SETTLED - 1)) == []
    (one,) = found(stage, *keep_talking(START + SETTLED, 60))
    assert kinds([one]) == ["mac-changed"]
    assert (one.severity, one.frame_count) == (None, 1)
    assert one.last_seen - one.first_seen == SETTLED * 10**9
    assert "00:a0:45:8e:2b:13 (Phoenix" in one.expected
    assert "00:a0:45:8e:2b:99 (Phoenix" in one.observed
    again = START + SETTLED + 70
    assert found(stage, lambda wire: wire.sighting(again, PLC, SPARE_MAC, arp="unasked")) == []


def test_it_is_told_on_a_silent_wire_too() -> None:
    stage = learned()
    assert found(stage, lambda wire: wire.sighting(START, PLC, SPARE_MAC)) == []
    (one,) = found(stage, *keep_talking(START + 3_000, 1))
    assert kinds([one]) == ["mac-changed"]
    assert stage.detectors[0].due() is None


def test_addresses_that_are_given_out_are_told_as_low() -> None:
    stage = learned(lambda wire: wire.sighting(1, STATION, SPARE_MAC))
    found(stage, lambda wire: wire.sighting(START, STATION, ROGUE_MAC))
    (one,) = found(stage, *keep_talking(START + 1, SETTLED))
    assert (kinds([one]), one.severity) == (["mac-changed"], "low")


def test_a_router_that_is_replaced_is_one_cause() -> None:
    remote = [f"10.9.0.{place}" for place in range(5)]

    def behind(mac: int, start: float) -> Act:
        def act(wire: Wire) -> None:
            for place, address in enumerate(remote):
                wire.sighting(start + place / 100, address, mac, ttl=63)

        return act

    stage = learned(behind(STATION_MAC, 1))
    found(stage, behind(SPARE_MAC, START))
    moved = found(stage, *keep_talking(START + 1, SETTLED))
    assert kinds(moved) == ["mac-changed"] * 5
    assert len({one.cause for one in moved}) == 1
    for one in moved:
        assert [stage.detectors[0].accept(cause) for cause in one.accepts] == [True]
    assert found(stage, behind(SPARE_MAC, START + 4_000), behind(STATION_MAC, START + 4_001)) == []


# --- what is normal ------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [0x00005E000100, 0x00000C07AC00, 0x00000C9FF000])
def test_virtual_routers_move(family: int) -> None:
    gateway = "10.0.0.254"
    stage = learned(lambda wire: wire.sighting(1, gateway, family | 1, arp="announcement"))

    def move(wire: Wire) -> None:
        wire.sighting(START, gateway, family | 2)
        wire.sighting(START + 0.1, gateway, family | 1)
        wire.sighting(START + 0.2, PLC, family | 1)  # but not to where none was
        wire.sighting(START + 0.3, PLC, PLC_MAC)

    (one,) = found(stage, move)
    assert one.target == EndpointName(0, PLC)


def test_routers_stand_in_for_each_other() -> None:
    def behind(mac: int, net: int) -> Act:
        def act(wire: Wire) -> None:
            for place in range(4):
                wire.sighting(1 + net / 10, f"10.{net}.0.{place}", mac)

        return act

    stage = learned(behind(SPARE_MAC, 8), behind(ROGUE_MAC, 9))
    for second, mac in enumerate([ROGUE_MAC, SPARE_MAC, ROGUE_MAC]):
        assert found(stage, sends(START + second, "10.8.0.1", mac)) == []


def test_what_was_learned_to_change_may_change() -> None:
    stage = learned(lambda wire: wire.sighting(1, PLC, SPARE_MAC))
    for second, mac in enumerate([SPARE_MAC, PLC_MAC, SPARE_MAC]):
        assert found(stage, sends(START + second, PLC, mac)) == []


def test_a_device_that_starts_announces_itself() -> None:
    def boot(start: float) -> Act:
        return lambda wire: wire.sighting(start, PLC, PLC_MAC, arp="announcement")

    (one,) = found(learned(), boot(START))
    assert (kinds([one]), one.weak) == (["gratuitous-arp"], True)
    assert found(learned(boot(1)), boot(START)) == []


def test_ordinary_arp_is_silent() -> None:
    def ask(wire: Wire) -> None:
        for how in ("request", "reply", "unasked"):
            wire.sighting(START, PLC, PLC_MAC, arp=how)
        wire.sighting(START, "10.0.0.77", SPARE_MAC, arp="announcement")  # novelty's

    assert found(learned(), ask) == []


@pytest.mark.parametrize(
    ("ttl", "words"),
    [
        (63, "they pass 1 more router than before"),
        (62, "they pass 2 more routers than before"),
        (66, "they pass 2 routers less than before"),
        (128, "another system, or another program, sends in its name"),
    ],
)
def test_hops_that_change_are_weak(ttl: int, words: str) -> None:
    (one,) = found(learned(), lambda wire: wire.sighting(START, PLC, PLC_MAC, ttl=ttl))
    assert (kinds([one]), one.weak) == (["ttl-changed"], True)
    assert one.observed == f"frames of {PLC} arrive with TTL {ttl}: {words}"


@pytest.mark.parametrize("ttl", [1, 64, 255])
def test_other_ttls_say_nothing(ttl: int) -> None:
    assert found(learned(), lambda wire: wire.sighting(START, PLC, PLC_MAC, ttl=ttl)) == []


def test_links_without_macs_are_passed_over() -> None:
    stage = Stage(Addressing())
    stage.learn([lambda wire: wire.sighting(0, PLC, 0)])
    assert found(stage, lambda wire: wire.sighting(START, PLC, 0, ttl=60)) == []


# --- two answers ---------------------------------------------------------------------------------


def answer_twice(start: float, kind: str = "overlap-disagrees", **parts: str) -> Act:
    def act(wire: Wire) -> None:
        wire.exchange(start, 3, reads("holding-register", 10, 2))
        detail = parts.get("detail", ANOTHER)
        wire.notice(start + 0.1, kind, detail, address=parts.get("address", PLC))

    return act


@pytest.mark.parametrize("kind", ["overlap-disagrees", "unasked-response"])
def test_a_second_answer_is_told_with_its_request(kind: str) -> None:
    (one,) = found(learned(), answer_twice(START, kind))
    assert kinds([one]) == ["two-answers"]
    assert (one.target, one.source, one.count) == (EndpointName(0, PLC), None, 1)
    assert one.observed == (
        "a request (Read Holding Registers: holding-register 10–11 of unit 1) had two answers "
        f"that differ, both in the name of {PLC}"
    )
    assert {table: len(rows) for table, rows in one.rows.items()} == {"notices": 1, "messages": 1}


def test_who_sends_the_second_answer_is_named() -> None:
    def forge(wire: Wire) -> None:
        wire.sighting(START, PLC, ROGUE_MAC)
        answer_twice(START + 0.1)(wire)

    (one,) = found(learned(), forge)
    assert one.source == EndpointName(0, "b8:27:eb:5d:c0:66")
    assert one.observed.endswith("which no known device has, sends in its name too")


@pytest.mark.parametrize(
    "act",
    [
        answer_twice(START, address=HMI),
        answer_twice(START, "unasked-response", detail="nobody waits"),
        answer_twice(START, "malformed-pdu"),
    ],
)
def test_other_notices_are_no_second_answer(act: Act) -> None:
    assert found(learned(), act) == []


def test_what_was_learned_to_answer_twice_may() -> None:
    assert found(learned(answer_twice(1)), answer_twice(START)) == []


def test_accepting_two_answers() -> None:
    stage = learned()
    (one,) = found(stage, answer_twice(START))
    assert stage.detectors[0].accept(one.cause)
    assert found(stage, answer_twice(START + 5)) == []
    assert stage.detectors[0].undo(one.cause)
    assert len(found(stage, answer_twice(START + 10))) == 1


# --- readiness -----------------------------------------------------------------------------------


def test_nothing_is_told_before_enough_was_heard() -> None:
    stage = Stage(Addressing())
    assert found(stage, plant, *keep_talking(1, 300), poison(301)) == []
    assert found(stage, *keep_talking(302, 600)) == []
    (whole,) = stage.detectors[0].readiness()
    assert (whole.progress, whole.seconds_left) == (1.0, 0.0)
    # What was heard while it learned is learned: the rogue, too. A third one is not.
    assert found(stage, poison(905)) == []
    stage.give([lambda wire: wire.sighting(910, PLC, SPARE_MAC, arp="unasked")])
    (one,) = found(stage, lambda wire: wire.sighting(911, PLC, PLC_MAC))
    assert kinds([one]) == ["arp-spoofing"]
    assert 0.5 < one.score < 1


def test_a_newcomer_earns_readiness_by_itself() -> None:
    stage = Stage(Addressing())
    newcomer = "10.0.0.50"
    found(stage, plant, *keep_talking(1, 1_000), lambda wire: wire.sighting(1_001, newcomer, 0x50))
    assert (
        found(stage, *keep_talking(1_002, 100), lambda wire: wire.sighting(1_103, newcomer, 0x51))
        == []
    )
    assert (
        found(stage, *keep_talking(1_104, 600), lambda wire: wire.sighting(1_800, newcomer, 0x52))
        == []
    )
    (one,) = found(stage, lambda wire: wire.sighting(1_801, newcomer, 0x50))
    assert kinds([one]) == ["two-macs"]


def test_another_capture_begins_with_nothing_going_on() -> None:
    stage = learned()
    found(stage, lambda wire: wire.sighting(START, PLC, ROGUE_MAC, arp="unasked"))
    stage.interrupt()
    assert stage.detectors[0].due() is None
    assert found(stage, lambda wire: wire.sighting(START + 1, PLC, PLC_MAC)) == []


def test_what_was_long_ago_is_over() -> None:
    stage = learned()
    found(stage, poison(START))
    later = START + WINDOW + 2
    assert found(stage, lambda wire: wire.sighting(later, PLC, PLC_MAC)) == []


# --- accepting -----------------------------------------------------------------------------------


def test_an_accepted_spare_part_is_silent() -> None:
    stage = learned()
    (detector,) = stage.detectors
    found(stage, lambda wire: wire.sighting(START, PLC, SPARE_MAC))
    (one,) = found(stage, *keep_talking(START + 1, SETTLED))
    assert [detector.accept(cause) for cause in one.accepts] == [True]
    later = START + 100
    assert found(stage, lambda wire: wire.sighting(later, PLC, PLC_MAC)) == []
    assert found(stage, lambda wire: wire.sighting(later + 1, PLC, SPARE_MAC)) == []
    assert [detector.undo(cause) for cause in one.accepts] == [True]
    found(stage, lambda wire: wire.sighting(later + 2, PLC, SPARE_MAC))
    assert kinds(found(stage, lambda wire: wire.sighting(later + 3, PLC, PLC_MAC))) == ["two-macs"]


def test_accepting_ends_the_waiting() -> None:
    stage = learned()
    found(stage, lambda wire: wire.sighting(START, PLC, SPARE_MAC))
    assert stage.detectors[0].due() == stage.wire.start + START + SETTLED
    assert stage.detectors[0].accept(("addressing", "binding", 0, PLC, SPARE_MAC))
    assert stage.detectors[0].due() is None
    assert found(stage, *keep_talking(START + 1, 20)) == []


# --- bounds and state ----------------------------------------------------------------------------


def test_endless_macs_are_bounded() -> None:
    stage = learned()

    def flood(second: int) -> Act:
        def act(wire: Wire) -> None:
            for place in range(300):
                wire.sighting(START + second, PLC, (2 << 40) + second * 1_000 + place)
            wire.sighting(START + second, PLC, PLC_MAC)

        return act

    findings = found(stage, *(flood(second) for second in range(6)))
    assert len(findings) <= 6 * (MOST_FINDINGS + 1)
    assert "further in the same second" in findings[MOST_FINDINGS].observed
    assert len(stage.detectors[0].state()["claims"]) <= MOST_CLAIMS


def test_an_endpoint_has_so_many_macs_at_most() -> None:
    def many(wire: Wire) -> None:
        for place in range(MOST_MACS + 5):
            wire.sighting(1, "10.0.0.40", (2 << 40) + place)

    stage = learned(many)
    assert isinstance(stage.detectors[0], Addressing)
    assert stage.detectors[0].counters["addresses"] == 5


def test_it_goes_on_from_a_saved_state() -> None:
    play: list[Act] = [
        poison(START),
        lambda wire: wire.sighting(START + 1, STATION, SPARE_MAC),
        *keep_talking(START + 2, 3),
        poison(START + 5),
        *keep_talking(START + 6, SETTLED),
    ]
    whole = learned()
    expected = [said(findings) for findings in whole.give(play)]
    assert [kinds(findings) for findings in expected if findings] == [
        ["arp-spoofing", "two-macs"] * 2,
        ["arp-spoofing", "two-macs"] * 2,
        ["mac-changed"],
    ]
    for cut in range(1, len(play)):
        first = learned()
        first.give(play[:cut])
        detector = Addressing()
        detector.restore(plain(first.detectors[0].state()))
        second = Stage(detector)
        second.wire = first.wire
        second._last = first._last
        assert [said(findings) for findings in second.give(play[cut:])] == expected[cut:]


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state["claims"].append({"endpoint": [0, PLC]}),
        lambda state: state["claims"][0].update(mac=-1),
        lambda state: state["claims"][0].update(how=200),
        lambda state: state["listening"].update(seconds=-1),
        lambda state: state["accepted"].append(["novelty", "x"]),
        lambda state: state["strangers"].append([[0, PLC], 1 << 48]),
        lambda state: state["addresses"]["bindings"]["names"].append([0, PLC, -1]),
    ],
)
def test_a_damaged_state_is_refused(damage: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    stage = learned()
    found(stage, lambda wire: wire.sighting(START, PLC, SPARE_MAC))
    state = plain(stage.detectors[0].state())
    damage(state)
    detector = Addressing()
    with pytest.raises(StateError):
        detector.restore(state)
    with pytest.raises(StateError):
        detector.merge(state)
    assert detector.state() == Addressing().state()


def test_normal_work_is_silent() -> None:
    stage = Stage(Addressing())
    stage.learn(work(0, LEARNED))
    assert found(stage, *work(LEARNED, LEARNED)) == []
