"""Who tries many things is told, and who only does what is usual is not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from detectors.suite import (
    HISTORIAN,
    INTRUDER,
    LEARNED,
    REGISTER,
    Act,
    Stage,
    learned,
    plain,
    restored,
    work,
)
from ticks import HMI, PLC, Wire, reads

from otids.detectors.base import Finding, StateError
from otids.detectors.scan import ENOUGH_SECONDS, MOST_FINDINGS, Scan
from otids.learning.bursts import fanout
from otids.traffic import Loss


def arp(
    second: float, targets: list[str], *, client: str = HISTORIAN, answered: bool = False
) -> Act:
    def act(wire: Wire) -> None:
        for place, target in enumerate(targets):
            parts = {
                "client": client, "server": target, "carrier": "network", "port": 0,
                "protocol": "arp",
            }  # fmt: skip
            counts = {"client_frames": 1, "server_frames": int(answered)}
            wire.volume(second + place / 1_000, parts=parts, **counts)

    return act


def connect(second: float, server: str, ports: list[int], *states: str, client: str = HMI) -> Act:
    def act(wire: Wire) -> None:
        for place, port in enumerate(ports):
            for step, state in enumerate(("attempted", *states)):
                wire.connection(
                    second + place / 1_000 + step / 10_000, state,
                    client=client, server=server, port=port, protocol="tcp",
                )  # fmt: skip

    return act


def hosts(number: int, start: int = 1) -> list[str]:
    return [f"10.0.1.{start + place}" for place in range(number)]


def found(stage: Stage, *acts: Act) -> list[Finding]:
    return [one for act in stage.give(acts) for one in act]


def test_a_sweep_names_who_how_many_and_which() -> None:
    (one,) = found(learned(Scan), arp(LEARNED, hosts(30)))
    assert one.kind == "scan.hosts"
    assert one.source is not None
    assert one.source.address == HISTORIAN
    assert one.target is None
    assert "tries 30 devices that it never used before: 10.0.1.1 to 10.0.1.30" in one.observed
    assert one.observed.endswith("within 1 s; none answered")
    assert one.expected == f"{HISTORIAN} talks to 1 device: {PLC}"
    assert one.count == 30
    assert 0.5 < one.score < 1
    assert one.severity is None
    assert len(one.rows["traffic"]) == 30


@pytest.mark.parametrize(
    ("every", "number", "after"), [(10, 60, 10), (300, 60, 10), (3_600, 30, 10)]
)
def test_a_slow_one_is_found_within_a_day(every: int, number: int, after: int) -> None:
    stage = learned(Scan)
    told = [
        bool(found(stage, arp(LEARNED + place * every, [target])))
        for place, target in enumerate(hosts(number))
    ]
    first = told.index(True)
    assert first == after - 1
    assert all(told[first:24])


def test_one_slower_than_a_day_is_none() -> None:
    stage = learned(Scan)
    acts = [arp(LEARNED + place * 10_000, [one]) for place, one in enumerate(hosts(40))]
    assert found(stage, *acts) == []


def test_it_is_told_while_it_goes_on_and_not_by_what_follows() -> None:
    stage = learned(Scan)
    assert found(stage, arp(LEARNED, [*hosts(20)]), arp(LEARNED + 1, hosts(3, 30)))
    late = [connect(LEARNED + 5 + place, "10.0.1.1", [502], "open") for place in range(5)]
    assert not any(one.kind == "scan.hosts" for one in found(stage, *late[1:]))


def test_what_answers_weighs_less() -> None:
    stage = learned(Scan)
    assert found(stage, arp(LEARNED, hosts(31), answered=True)) == []
    (one,) = found(stage, arp(LEARNED + 1, hosts(1, 32), answered=True))
    assert one.severity == "high"
    assert one.observed.endswith("all answered")


def test_ports_of_one_device() -> None:
    (one,) = found(learned(Scan), connect(LEARNED, PLC, [*range(20, 60)], "refused"))
    assert one.kind == "scan.ports"
    assert one.target is not None
    assert one.target.address == PLC
    assert "tries 40 ports that it never used before: 20/tcp to 59/tcp" in one.observed
    assert one.expected == f"{HMI} uses only 502/tcp of {PLC}"


def test_a_port_made_up_for_each_connection_is_one_port() -> None:
    stage = Stage(Scan())
    stage.learn([*work(0, 20), connect(20, PLC, [50_000], "open")])
    assert found(stage, connect(30, PLC, [*range(51_000, 51_060)])) == []
    assert found(learned(Scan), connect(LEARNED, PLC, [*range(51_000, 51_060)]))


@pytest.mark.parametrize("answers", [True, False])
def test_units_of_one_server(answers: bool) -> None:
    def act(wire: Wire) -> None:
        for unit in range(2, 40):
            status = {"status": 0 if answers and unit == 7 else 11}
            wire.exchange(LEARNED + unit / 100, 3, reads(REGISTER, 0, 1), unit=unit, **status)

    (one,) = found(learned(Scan), act)
    assert one.kind == "scan.units"
    assert one.conversation is not None
    assert "tries 37 units that it never used before: unit 2 to unit 39" in one.observed
    assert one.observed.endswith("1 answered: unit 7" if answers else "none answered")
    assert one.expected == f"{HMI} uses only unit 1, unit 4 of {PLC}"


def over_servers(each: int, servers: int, *, function: bool) -> Act:
    def act(wire: Wire) -> None:
        for server in range(servers):
            for place in range(each):
                wire.exchange(
                    LEARNED + server / 5 + place / 100,
                    60 + place if function else 3,
                    *([] if function else [reads(REGISTER, 500 + place * 10, 1)]),
                    client=HISTORIAN, server=f"10.0.1.{server}", status=1, activity="other",
                )  # fmt: skip

    return act


@pytest.mark.parametrize(("function", "kind"), [(True, "functions"), (False, "addresses")])
def test_functions_and_addresses_are_told_where_they_span_servers(
    function: bool, kind: str
) -> None:
    told = found(learned(Scan), over_servers(3, 4, function=function))
    assert [one.kind for one in told if one.kind == f"scan.{kind}"] == [f"scan.{kind}"]
    (one,) = (one for one in told if one.kind == f"scan.{kind}")
    assert "on 4 devices (10.0.1.0, 10.0.1.1, 10.0.1.2, and 1 more)" in one.observed
    # Many on each are a scan of each, and novelty's.
    told = found(learned(Scan), over_servers(20, 4, function=function))
    assert not [one for one in told if one.kind == f"scan.{kind}"]
    # Many on one too.
    told = found(learned(Scan), over_servers(20, 1, function=function))
    assert not [one for one in told if one.kind == f"scan.{kind}"]


def test_a_station_that_always_asks_everybody_is_silent() -> None:
    def visit(second: int) -> list[Act]:
        return [arp(second + place, [one], answered=True) for place, one in enumerate(hosts(60))]

    stage = Stage(Scan())
    stage.learn([*work(0, 20), *visit(20)])
    assert found(stage, *visit(200), *visit(300)) == []
    assert found(stage, arp(400, hosts(60))) == [], "now that they are all down, too"


def test_clients_that_look_for_their_own_servers_are_silent() -> None:
    """A switch fails or a controller reboots: everybody asks, connects, and is refused."""
    stage = learned(Scan)
    storm: list[Act] = []
    for place in range(40):
        second = LEARNED + place / 2
        storm += [
            arp(second + 0.1, [PLC], client=HMI),
            connect(second + 0.2, PLC, [502], "refused", client=HMI),
            arp(second + 0.3, [PLC], client=HISTORIAN),
            connect(second + 0.4, PLC, [502], client=HISTORIAN),
        ]
    assert found(stage, *storm) == []


def test_calls_to_everybody_are_no_tries() -> None:
    groups = [f"239.1.1.{place}" for place in range(40)]
    assert found(learned(Scan), arp(LEARNED, groups)) == []


def test_where_answers_are_not_heard_nothing_is_known_to_fail() -> None:
    stage = learned(Scan)
    (tick,) = stage.ticks(arp(LEARNED, hosts(12)))
    one_sided = np.ones(stage.wire.names.conversations.size, np.bool_)
    (scan,) = stage.detectors
    assert scan.judge(tick)
    assert not scan.judge(replace(tick, loss=Loss(~one_sided, one_sided)))


def test_without_declaration_it_listens_first() -> None:
    stage = Stage(Scan())
    stage.give(work(0, 60))
    assert found(stage, arp(60, hosts(30))) == []
    (readiness,) = stage.detectors[0].readiness()
    assert readiness.progress == pytest.approx(60 / ENOUGH_SECONDS)
    stage.give(work(61, ENOUGH_SECONDS))
    assert found(stage, arp(700, hosts(30))) == [], "learned before it was ready"
    (one,) = found(stage, arp(701, hosts(30, 100)))
    assert one.score < 0.5


def test_what_lasts_for_a_day_becomes_usual_if_nobody_declared() -> None:
    stage = Stage(Scan())
    stage.give(work(0, ENOUGH_SECONDS + 10))
    day, start = 86_400, ENOUGH_SECONDS + 20
    for place in range(5):
        assert found(stage, arp(start + place * day // 3, hosts(6), answered=True)) == []
    assert found(stage, arp(start + 2 * day, [*hosts(6), *hosts(7, 50)])) == []
    closed = learned(Scan)
    for place in range(5):
        found(closed, arp(start + place * day // 3, hosts(6), answered=True))
    assert found(closed, arp(start + 5 * day // 3, hosts(10, 50)))


def test_a_crowd_of_scans_is_bounded_and_says_how_many_more() -> None:
    def act(wire: Wire) -> None:
        for place in range(MOST_FINDINGS + 9):
            arp(LEARNED + place / 100, hosts(9), client=f"10.9.0.{place}")(wire)

    told = found(learned(Scan), act)
    assert len(told) == MOST_FINDINGS
    assert told[-1].observed.endswith("and 9 further scans in the same second")
    assert len(told[-1].rows["traffic"]) == 9 * 10


def test_passers_by_do_not_displace_a_slow_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "MOST_TRACKS", 20)
    stage = learned(Scan)
    for place, target in enumerate(hosts(9)):
        assert found(stage, arp(LEARNED + place * 60, [target])) == []
        for other in range(10):
            client = f"172.16.{place}.{other}"
            assert found(stage, arp(LEARNED + place * 60 + 1 + other, [PLC], client=client)) == []
    scan = stage.detectors[0]
    assert isinstance(scan, Scan)
    assert scan.counters["tracks"] > 60
    assert found(stage, arp(LEARNED + 700, hosts(1, 10)))


def test_it_goes_on_after_a_restart_in_the_middle() -> None:
    stage = learned(Scan)
    for place, target in enumerate(hosts(9)):
        assert found(stage, arp(LEARNED + place * 60, [target])) == []
    again = Stage(restored(Scan, stage.detectors[0].state()))
    (one,) = found(again, arp(LEARNED + 9 * 60, hosts(1, 10)))
    assert one.observed.startswith("tries 10 devices")
    assert "within 9 min" in one.observed


def test_accepting_one_source_keeps_the_others() -> None:
    stage = learned(Scan)
    (one,) = found(stage, arp(LEARNED, hosts(30)))
    scan = stage.detectors[0]
    assert scan.accept(one.cause)
    assert found(stage, arp(LEARNED + 10, hosts(30, 100))) == []
    assert found(stage, arp(LEARNED + 20, hosts(30), client=INTRUDER))
    assert scan.undo(one.cause)
    assert found(stage, arp(LEARNED + 30, hosts(30)))
    for nonsense in [("scan", "hosts"), ("scan", "hosts", "a", "b"), ("scan", "nobody", 1, "x")]:
        assert not scan.accept(nonsense)


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state["fanout"]["usual"][0]["track"].append(1),
        lambda state: state["fanout"]["usual"][0]["things"].append(["x", 1]),
        lambda state: state["fanout"]["tried"].append(state["fanout"]["tried"][0]),
        lambda state: state["fanout"]["tried"][0]["things"].clear(),
        lambda state: state["accepted"].append(["flood", "requests"]),
        lambda state: state.update(listened=-1),
    ],
)
def test_a_damaged_state_is_refused(damage: Callable[[dict[str, object]], None]) -> None:
    stage = learned(Scan)
    found(stage, arp(LEARNED, hosts(12)))
    state = plain(stage.detectors[0].state())
    restored(Scan, state)
    damage(state)
    with pytest.raises(StateError, match="scan detector is damaged"):
        Scan().restore(state)
