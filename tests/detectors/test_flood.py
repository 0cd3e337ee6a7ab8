"""Far more of what is usual is told, and what is normal life is not."""

from collections.abc import Callable
from typing import Any

import pytest
from detectors.suite import HISTORIAN, LEARNED, REGISTER, Act, Stage, learned, plain, restored, work
from ticks import HMI, PLC, Wire, reads, writes

from otids.detectors.base import Finding, StateError
from otids.detectors.flood import MOST_FINDINGS, Flood
from otids.learning.bursts.rates import ENOUGH_SECONDS


def ask(second: float, number: int, *, seconds: float = 0.9, client: str = HMI) -> Act:
    def act(wire: Wire) -> None:
        for place in range(number):
            wire.request(
                second + seconds * place / number, 3, reads(REGISTER, 0, 10), client=client
            )

    return act


def explore(second: float, number: int, start: int = 100) -> Act:
    """Ask for different things, each once, in vain."""

    def act(wire: Wire) -> None:
        for place in range(number):
            wire.exchange(
                second + 0.9 * place / number, 3, reads(REGISTER, start + place * 7, 1), status=2
            )

    return act


def refuse(second: float, number: int) -> Act:
    def act(wire: Wire) -> None:
        for place in range(number):
            wire.exchange(second + 0.9 * place / number, 3, reads(REGISTER, 500, 1), status=2)

    return act


def write(second: float, number: int, *, points: int = 1) -> Act:
    def act(wire: Wire) -> None:
        for place in range(number):
            wire.request(
                second + 0.9 * place / number, 6, writes(REGISTER, place % points, values=[place])
            )

    return act


def attempt(second: float, number: int, *states: str, clients: int = 1, port: int = 502) -> Act:
    def act(wire: Wire) -> None:
        for place in range(number):
            client = HMI if clients == 1 else f"10.66.0.{place % clients}"
            for step, state in enumerate(("attempted", *states)):
                moment = second + 0.9 * place / number + step / 10_000
                wire.connection(moment, state, client=client, port=port)

    return act


def call(second: float, frames: int, *, client: str = HMI, groups: int = 1) -> Act:
    def act(wire: Wire) -> None:
        for group in range(groups):
            parts = {
                "client": client, "server": f"239.0.0.{group}", "carrier": "udp", "port": 9,
                "protocol": "udp",
            }  # fmt: skip
            wire.volume(second + group / 1_000, parts=parts, client_frames=frames)

    return act


def found(stage: Stage, *acts: Act) -> list[Finding]:
    return [one for act in stage.give(acts) for one in act]


def kinds(findings: list[Finding]) -> set[str]:
    return {one.kind for one in findings}


def test_a_flood_of_a_usual_request_names_who_what_and_how_many() -> None:
    (one,) = found(learned(Flood), ask(LEARNED, 200))
    assert one.kind == "flood.requests"
    assert one.source is not None
    assert one.target is not None
    assert (one.source.address, one.target.address) == (HMI, PLC)
    assert one.severity == "high"
    assert one.expected == (
        f"{HMI} repeats a request to {PLC} within a second at most 0 times in a second "
        "(learned; told above 20)"
    )
    assert one.observed == (
        f"{HMI} repeats requests 199 times in a second: Read Holding Registers: "
        "holding-register 0–9 of unit 1 (200 times)"
    )
    assert one.count == 199
    assert len(one.rows["messages"]) == 200


def test_one_below_twenty_a_second_is_found_when_it_lasts() -> None:
    stage = learned(Flood)
    told = [bool(found(stage, ask(1_000 + place, 18))) for place in range(10)]
    assert told == [False] * 5 + [True] * 5
    assert not any(found(stage, ask(1_010 + place, 8)) for place in range(20))


def test_five_times_what_was_learned_is_the_bound() -> None:
    stage = Stage(Flood())
    stage.learn([*work(0, 20), ask(20, 41)])
    assert found(stage, ask(30, 201)) == []
    assert found(stage, ask(40, 202))


def test_what_is_tried_out_is_no_flood() -> None:
    """It is a scan, which novelty tells: each word is said once."""
    assert found(learned(Flood), explore(LEARNED, 128), explore(LEARNED + 1, 128, 2_000)) == []


def test_an_unknown_client_is_not_ours() -> None:
    assert found(learned(Flood), ask(LEARNED, 200, client="10.0.0.66")) == []


def test_a_second_that_comes_in_parts_is_one() -> None:
    stage = learned(Flood)
    assert found(stage, ask(LEARNED, 15, seconds=0.4)) == []
    (one,) = found(stage, ask(LEARNED + 0.5, 15, seconds=0.4))
    assert "28 times in a second" in one.observed


def test_a_storm_of_refusals() -> None:
    stage = learned(Flood)
    told = [found(stage, refuse(1_020 + place, 2)) for place in range(15)]
    assert [bool(one) for one in told] == [False] * 11 + [True] * 4
    (one,) = told[-1]
    assert one.kind == "flood.exceptions"
    assert one.observed == (
        f"{PLC} refuses again 29 times in a minute (Illegal Data Address): Read Holding Registers: "
        "holding-register 500 of unit 1"
    )
    # Another minute begins anew.
    assert found(stage, refuse(1_080, 15)) == []


def test_brute_force_writes_to_many_points_or_to_one() -> None:
    for points in (40, 1):
        (one,) = found(learned(Flood), write(LEARNED, 40, points=points))[-1:]
        assert one.kind == "flood.writes"
        assert one.source is not None
        assert one.source.address == HMI
        assert "writes 40 times in a minute" in one.observed
        assert len(one.points) == min(points, 32)
    assert found(learned(Flood), write(LEARNED, 20)) == []


def test_half_open_connections_of_one_or_many_senders() -> None:
    (one,) = found(learned(Flood), attempt(LEARNED, 100))
    assert one.kind == "flood.half-open"
    assert one.target is not None
    assert one.target.address == PLC
    assert one.source is not None
    assert one.observed.endswith(f"those of the last second by {HMI}")
    (one,) = found(learned(Flood), attempt(LEARNED, 100, clients=50))
    assert one.source is None
    assert one.observed == (
        "100 are begun and not opened in 10 s; those of the last second by 50 addresses"
    )
    assert one.count == 100
    assert len(one.rows["connections"]) == 100


def test_ports_that_are_tried_are_no_half_open_flood() -> None:
    acts = [attempt(LEARNED + place / 200, 1, port=place + 1) for place in range(150)]
    assert found(learned(Flood), *acts) == []


def test_clients_that_come_back_after_a_reboot_are_silent() -> None:
    stage = learned(Flood)
    storm = [attempt(LEARNED + place, 8, "refused") for place in range(20)]
    back = [attempt(LEARNED + 20 + place, 2, "open", "closed") for place in range(10)]
    assert found(stage, *storm, *back) == []


def test_connections_opened_far_too_often() -> None:
    stage = learned(Flood)
    (one,) = found(stage, attempt(LEARNED, 31, "open", "closed"))
    assert one.kind == "flood.connections"
    assert one.observed == f"{HMI} opens 31 connections in a minute"


def test_a_storm_of_frames_to_everybody_names_its_sender() -> None:
    stage = Stage(Flood())
    stage.learn([*work(0, 20), call(20, 50)])
    assert found(stage, call(30, 250)) == []
    (one,) = found(stage, call(50, 3_000, groups=3))
    assert one.kind == "flood.broadcast"
    assert one.source is not None
    assert one.source.address == HMI
    assert one.observed.endswith(": udp to 239.0.0.0, udp to 239.0.0.1, udp to 239.0.0.2")


def test_looking_for_addresses_is_no_storm() -> None:
    def act(wire: Wire) -> None:
        for place in range(250):
            there = {"client": HISTORIAN, "server": f"10.0.1.{place}", "carrier": "network"}
            parts = {**there, "port": 0, "protocol": "arp"}
            wire.volume(LEARNED + place / 1_000, client_frames=2, parts=parts)

    assert found(learned(Flood), act) == []


def test_without_declaration_it_listens_first_and_learns_on_within_a_bound() -> None:
    stage = Stage(Flood())
    stage.give(work(0, 60))
    assert found(stage, ask(60, 10)) == []
    assert found(stage, ask(61, 100)) == [], "not ready: it is learned"
    stage = Stage(Flood())
    stage.give([*work(0, 60), ask(60, 11), *work(61, ENOUGH_SECONDS)])
    (first,) = found(stage, ask(700, 52))
    assert first.score < 0.5
    flood = stage.detectors[0]
    progress = [one.progress for one in flood.readiness()]
    assert progress == [1.0] * len(progress)
    # Who goes slower by and by: what was earned at most doubles.
    told = [bool(found(stage, ask(800 + place * 20, 12 + place))) for place in range(200)]
    first_told = 12 + told.index(True)
    assert 50 < first_told <= 5 * 2 * 10 + 2
    assert all(told[told.index(True) :])


def test_windows_do_not_go_on_in_another_capture() -> None:
    stage = learned(Flood)
    assert found(stage, write(LEARNED, 15)) == []
    stage.interrupt()
    assert found(stage, write(LEARNED + 1, 15)) == []
    assert found(stage, write(LEARNED + 2, 15))


def test_it_goes_on_after_a_restart_in_the_middle() -> None:
    stage = learned(Flood)
    assert found(stage, write(1_020, 15)) == []
    assert found(stage, refuse(1_021, 15)) == []
    again = Stage(restored(Flood, stage.detectors[0].state()))
    assert kinds(found(again, write(1_022, 15), refuse(1_023, 15))) == {
        "flood.writes",
        "flood.exceptions",
    }


def test_a_crowd_of_floods_is_bounded() -> None:
    clients = [f"10.1.0.{place}" for place in range(MOST_FINDINGS + 5)]

    def everybody(second: float, number: int) -> Act:
        def act(wire: Wire) -> None:
            for place, client in enumerate(clients):
                ask(second + place / 100, number, seconds=0.005, client=client)(wire)

        return act

    stage = Stage(Flood())
    stage.learn([everybody(0, 1)])
    told = found(stage, everybody(10, 40))
    assert len(told) == MOST_FINDINGS
    assert told[-1].observed.endswith("and 5 further floods in the same second")
    assert len(told[-1].rows["messages"]) == 6 * 40


def test_accepting_one_flood_keeps_the_others() -> None:
    stage = learned(Flood)
    flood = stage.detectors[0]
    (one,) = found(stage, ask(LEARNED, 200))
    assert flood.accept(one.cause)
    assert found(stage, ask(LEARNED + 20, 200)) == []
    assert kinds(found(stage, write(LEARNED + 40, 60))) == {"flood.requests", "flood.writes"} - {
        "flood.requests"
    }
    assert flood.undo(one.cause)
    assert found(stage, ask(LEARNED + 60, 200))


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state["conversations"]["ledger"]["columns"].pop("most"),
        lambda state: state["conversations"].update(windows=[1]),
        lambda state: state["services"]["ledger"]["names"].append(["x"]),
        lambda state: state["refused"].append("x"),
        lambda state: state["accepted"].append(["scan", "hosts"]),
        lambda state: state.update(second=2**70),
        lambda state: state.update(listened=-1),
    ],
)
def test_a_damaged_state_is_refused(damage: Callable[[dict[str, Any]], None]) -> None:
    stage = learned(Flood)
    state = plain(stage.detectors[0].state())
    restored(Flood, state)
    damage(state)
    with pytest.raises(StateError):
        Flood().restore(state)
