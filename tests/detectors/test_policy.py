"""Rules forbid what they name, to whom they name it, and nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ticks import HMI, PLC, Touch, Wire, reads, writes

from otids.detectors.base import Finding, Quarantine, StateError
from otids.detectors.policy import MOST_FINDINGS, Policy
from otids.resources import data_folder
from otids.rules.files import RuleError
from otids.rules.policies import load_policies
from otids.traffic import NO_SUBFUNCTION, function_name, status_name

ATTACKER = "10.0.0.66"
REGISTER = "holding-register"


def shipped() -> Policy:
    return Policy(load_policies([data_folder("rules") / "policies"]))


@pytest.fixture
def rules(tmp_path: Path) -> Any:
    """Make a detector out of the text of a rule file."""

    def make(text: str) -> Policy:
        (tmp_path / "plant.toml").write_text(text)
        return Policy(load_policies([tmp_path]))

    return make


def rule(body: str) -> str:
    return f'[[rule]]\nid = "r"\ntitle = "A rule"\n{body}\n'


def judge(policy: Policy, wire: Wire) -> list[Finding]:
    return [finding for tick in wire.ticks() for finding in policy.judge(tick)]


def hits(policy: Policy, *requests: tuple[Any, ...], **parts: Any) -> list[bool]:
    """Whether each request, said in a second of its own, is told."""
    told = []
    for function, *touches in requests:
        wire = Wire()
        wire.request(0.0, function, *touches, **parts)
        told.append(bool(judge(policy, wire)))
    return told


# --- shipped rules -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "subfunction", "kind"),
    [
        (8, 4, "policy.modbus-force-listen-only"),
        (8, 1, "policy.modbus-restart-communications"),
        (8, 10, "policy.modbus-clear-counters"),
        (8, 20, "policy.modbus-clear-counters"),
        (90, 0x41, "policy.umas-stop-plc"),
        (90, 0x40, "policy.umas-start-plc"),
        (90, 0x30, "policy.umas-download"),
        (90, 0x31, "policy.umas-download"),
        (90, 0x32, "policy.umas-download"),
        (90, 0x33, "policy.umas-upload"),
        (90, 0x35, "policy.umas-upload"),
    ],
)
def test_shipped_rules_tell_of_dangerous_operations(
    function: int, subfunction: int, kind: str
) -> None:
    wire = Wire()
    wire.request(0.0, 3, reads(REGISTER, 0, 10))
    wire.request(0.5, function, subfunction=subfunction, client=ATTACKER, unit=7, frame=40)
    (finding,) = judge(shipped(), wire)
    rule_id = kind.removeprefix("policy.")
    assert finding.kind == kind
    assert finding.cause == ("policy", rule_id, ATTACKER, PLC, 7)
    assert (str(finding.source), str(finding.target)) == (ATTACKER, PLC)
    assert (finding.frames, finding.frame_count, finding.count) == ((40,), 1, 1)
    assert finding.first_seen == finding.last_seen == wire.start * 10**9 + 500_000_000
    assert finding.function == function_name("modbus", function, subfunction)
    assert finding.observed.startswith(f"{ATTACKER} sent {finding.function} ({function}/")
    assert finding.observed.endswith(f"to unit 7 of {PLC}")
    assert finding.expected
    assert finding.baseline[0].startswith(f"rule {rule_id} (modbus.toml:")


@pytest.mark.parametrize(
    ("function", "subfunction", "kind"),
    [
        (105, 0x106, "policy.iec104-reset-process"),
        (105, 0x006, "policy.iec104-reset-process"),
        (105, 0x206, "policy.iec104-clear-events"),
        (110, 6, "policy.iec104-parameter"),
        (112, 6, "policy.iec104-parameter"),
        (113, 0x306, "policy.iec104-parameter"),
        (122, 0x40D, "policy.iec104-delete-file"),
        (0x113, NO_SUBFUNCTION, "policy.iec104-stop-transfer"),
    ],
)
def test_dangerous_operations_of_iec_104(function: int, subfunction: int, kind: str) -> None:
    wire = Wire(protocol="iec104")
    wire.request(0.5, function, subfunction=subfunction, client=ATTACKER, unit=7)
    (finding,) = judge(shipped(), wire)
    assert finding.kind == kind
    assert finding.function == function_name("iec104", function, subfunction)


def test_a_file_for_a_station_is_told_and_one_of_it_is_not() -> None:
    for access, kinds in (("write", ["policy.iec104-file-to-station"]), ("read", [])):
        wire = Wire(protocol="iec104")
        touch = Touch("file", 1, access=access)
        wire.report(0.5, 120, touch, subfunction=13, from_client=access == "write")
        assert [finding.kind for finding in judge(shipped(), wire)] == kinds


def test_what_a_control_centre_does_every_day_is_in_no_rule() -> None:
    wire = Wire(protocol="iec104")
    every_day = [(45, 6), (45, 0x106), (50, 6), (63, 6), (100, 6), (101, 6), (102, 5), (103, 6)]
    every_day += [(104, 6), (107, 6), (122, 0x20D), (0x107, NO_SUBFUNCTION)]
    for place, (function, subfunction) in enumerate(every_day):
        wire.exchange(place, function, subfunction=subfunction)
    assert judge(shipped(), wire) == []


@pytest.mark.parametrize(
    ("protocol", "function", "subfunction", "kinds"),
    [
        ("goose", 1, 1, ["policy.goose-simulated"]),
        ("goose", 1, 2, ["policy.goose-needs-commissioning"]),
        ("goose", 1, 3, ["policy.goose-needs-commissioning", "policy.goose-simulated"]),
        ("goose", 1, NO_SUBFUNCTION, []),
        ("goose", 0, 1, []),  # a request of GSE management
        ("sv", 0, 1, ["policy.sv-simulated"]),
        ("sv", 0, NO_SUBFUNCTION, []),
    ],
)
def test_shipped_rules_tell_of_publishers(
    protocol: str, function: int, subfunction: int, kinds: list[str]
) -> None:
    wire = Wire(protocol=protocol)
    entry = Touch("data-set", name="IED1LD0/LLN0$GO$gcb1", access="report", values=("DS1",))
    wire.report(
        0.0, function, entry, subfunction=subfunction, from_client=True, unit=0, activity="report"
    )
    found = judge(shipped(), wire)
    assert sorted(finding.kind for finding in found) == kinds
    assert all(str(finding.source) == HMI for finding in found)


def test_shipped_rules_are_quiet_about_the_rest() -> None:
    wire = Wire()
    for place, (function, subfunction) in enumerate(
        [(8, 0), (8, 2), (8, 11), (90, 0x20), (90, 0x12), (90, 0x36), (41, 4)]
    ):
        wire.exchange(place, function, subfunction=subfunction)
    for function in range(1, 25):
        if function != 8:
            wire.exchange(100 + function, function, reads("coil"))
    assert judge(shipped(), wire) == []


def test_a_response_alone_is_no_operation() -> None:
    wire = Wire()
    to = wire.request(0.0, 8, subfunction=1)
    assert len(wire.ticks()) == 1
    wire.response(to, latency=1.5)
    assert judge(shipped(), wire) == []


# --- one finding per rule, source, target and unit -----------------------------------------------


def test_repeats_join_and_units_part() -> None:
    wire = Wire()
    wire.request(0.0, 90, subfunction=0x31, frame=10)
    wire.request(0.1, 90, subfunction=0x31, frame=11)
    wire.request(0.2, 90, subfunction=0x32, frame=12)
    wire.request(0.3, 90, subfunction=0x31, frame=13, unit=2)
    wire.request(0.4, 90, subfunction=0x41, frame=14)
    wire.request(0.5, 90, subfunction=0x31, frame=15, port=1502)
    findings = judge(shipped(), wire)
    assert [(one.cause[1], one.cause[4], one.count, one.frames) for one in findings] == [
        ("umas-download", 1, 4, (10, 11, 12, 15)),
        ("umas-download", 2, 1, (13,)),
        ("umas-stop-plc", 1, 1, (14,)),
    ]
    assert len(findings[0].members) == 3  # two conversations, two functions in one of them
    assert "and 2 more to unit 1 of 10.0.0.1, 4 times" in findings[0].observed


def test_the_answer_is_told_and_flagged() -> None:
    wire = Wire()
    wire.exchange(0.0, 3, reads(REGISTER, 0, 2))
    wire.exchange(0.1, 8, subfunction=1)
    wire.exchange(0.2, 90, subfunction=0x41, status=1)
    wire.exchange(0.3, 90, subfunction=0x40)
    wire.exchange(0.4, 90, subfunction=0x40, status=2)
    restart, stop, start = judge(shipped(), wire)
    assert restart.observed.endswith("; the device answered without error")
    assert restart.rows["messages"].tolist() == [2, 3]
    assert stop.observed.endswith(f"; the device refused ({status_name('modbus', 1)})")
    assert stop.rows["messages"].tolist() == [4, 5]
    assert start.observed.endswith(f"; the device refused 1 of 2 ({status_name('modbus', 2)})")
    assert start.rows["messages"].tolist() == [6, 7, 8, 9]


def test_what_a_forbidden_message_carries_is_in_quarantine(rules: Any) -> None:
    policy = rules(rule('match = { function = 16, source_not_in = "10.0.0.9" }'))
    wire = Wire()
    wire.exchange(0.0, 16, writes(REGISTER, 0, values=[1, 2]))
    wire.exchange(0.1, 16, writes(REGISTER, 0, values=[3, 4]), client=ATTACKER)
    tick = wire.tick()
    findings = policy.judge(tick)
    quarantine = Quarantine(tick, findings)
    clean = {name: quarantine.clean(name) for name in ("messages", "items", "values", "facts")}
    assert [None if one is None else one.tolist() for one in clean.values()] == [
        [True, True, False, False],
        [True, True, False, False],
        [True, True, False, False],
        None,
    ]


def test_a_flood_of_sources_is_bounded_and_counted() -> None:
    wire = Wire()
    for place in range(MOST_FINDINGS + 50):
        wire.request(place / 1000, 8, subfunction=4, client=f"10.1.{place // 250}.{place % 250}")
    findings = judge(shipped(), wire)
    assert len(findings) == MOST_FINDINGS
    assert sum(one.count for one in findings) == MOST_FINDINGS + 50
    assert [str(one.source) for one in findings[:2]] == ["10.1.0.0", "10.1.0.1"]
    last = findings[-1]
    assert (last.source, last.target, last.conversation) == (None, None, None)
    assert last.cause == ("policy", "modbus-force-listen-only", "", "", 0)
    assert last.observed.startswith("51 further pairs of devices")
    rows = np.sort(np.concatenate([one.rows["messages"] for one in findings]))
    assert rows.tolist() == list(range(MOST_FINDINGS + 50))


def test_vlans_part() -> None:
    wire = Wire()
    wire.request(0.0, 8, subfunction=4, vlan=5)
    (finding,) = judge(shipped(), wire)
    assert finding.cause[3] == "10.0.0.1 (VLAN 5)"


# --- the language --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("function = 5", [1, 0, 0, 0, 0, 0]),
        ("function = [5, 6]", [1, 1, 0, 0, 0, 0]),
        ('function = "5-6"', [1, 1, 0, 0, 0, 0]),
        ('function = ["0x05-0x06", 16]', [1, 1, 1, 0, 0, 0]),
        ('activity = "write"', [1, 1, 1, 0, 1, 0]),
        ('activity = ["read", "diagnose"]', [0, 0, 0, 1, 0, 1]),
        ('activity = "write", object = "coil"', [1, 0, 0, 0, 0, 0]),
        ('object = ["coil", "input-register"]', [1, 0, 0, 1, 0, 0]),
        ('object = "holding-register", address = 100', [0, 1, 1, 0, 0, 0]),
        ('object = "holding-register", address = "101-110"', [0, 0, 1, 0, 1, 0]),
        ('address = ["0-50", 109]', [1, 0, 1, 1, 1, 0]),
        ('access = "write", object = "holding-register", address = 5', [0, 0, 0, 0, 0, 0]),
        ('access = "read", address = 5', [0, 0, 0, 1, 1, 0]),
        ('protocol = "modbus", unit = "1-3"', [1, 1, 1, 1, 1, 1]),
        ("unit = [2, 3]", [0, 0, 0, 0, 0, 0]),
        ("subfunction = 0", [0, 0, 0, 0, 0, 1]),
        ('role = "response", function = 5', [0, 0, 0, 0, 0, 0]),
        ("value_above = 80", [0, 1, 1, 0, 0, 0]),
        ("value = [0, 1]", [1, 0, 0, 0, 0, 0]),
        ("value_below = 20", [1, 0, 1, 0, 1, 0]),
        ('value_below = 20, object = "holding-register", address = 100', [0, 0, 0, 0, 0, 0]),
        ('value_below = 20, object = "holding-register", address = 101', [0, 0, 1, 0, 0, 0]),
        ("value_above = 15, value_below = 20", [0, 0, 0, 0, 1, 0]),
    ],
)
def test_what_matches(rules: Any, match: str, expected: list[int]) -> None:
    requests: list[tuple[Any, ...]] = [
        (5, writes("coil", 3, values=[True])),
        (6, writes(REGISTER, 100, values=[81])),
        (16, writes(REGISTER, 100, values=[90, 10, *range(30, 38)])),
        (4, reads("input-register", 0, 10)),
        (23, reads(REGISTER, 0, 10), writes(REGISTER, 105, values=[17])),
    ]
    policy = rules(rule(f"match = {{ {match} }}"))
    told = hits(policy, *requests) + hits(policy, (8,), subfunction=0)
    assert told == [bool(one) for one in expected]


def test_functions_and_errors_by_name(rules: Any) -> None:
    name = function_name("modbus", 6).upper()
    assert hits(rules(rule(f'match = {{ function = "{name}" }}')), (5,), (6,)) == [False, True]
    refused = status_name("modbus", 2)
    policy = rules(rule(f'match = {{ status = "{refused}", target = "{HMI}" }}'))
    wire = Wire()
    wire.exchange(0.0, 3, reads(REGISTER, 0), status=1)
    wire.exchange(0.1, 3, reads(REGISTER, 0), status=2)
    (finding,) = judge(policy, wire)
    assert finding.rows["messages"].tolist() == [3]
    assert finding.members[0].endswith(f": {refused}")


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ('source = "10.0.0.66"', [True, False, False]),
        ('source = "10.0.0.0/28"', [False, True, False]),
        ('source = ["10.0.0.0/24", "fe80::/10"]', [True, True, True]),
        ('source_not_in = ["10.0.0.9", "10.0.0.66"]', [False, False, True]),
        ('target = "10.0.0.1"', [True, True, True]),
        ('target_not_in = "10.0.0.1"', [False, False, False]),
        ('source = "hmi"', [False, True, False]),
        ('source_not_in = ["hmi", "fe80::1"]', [True, False, False]),
    ],
)
def test_who_and_whom(rules: Any, match: str, expected: list[bool]) -> None:
    policy = rules('[names]\nhmi = "10.0.0.9"\n' + rule(f"match = {{ {match} }}"))
    sources = [ATTACKER, HMI, "fe80::1"]
    assert [hits(policy, (3,), client=source)[0] for source in sources] == expected


def test_addresses_that_are_not_ip(rules: Any) -> None:
    policy = rules(rule('match = { source_not_in = "02:00:00:00:00:0A" }'))
    assert not hits(policy, (3,), client="02:00:00:00:00:0a")[0]
    assert hits(policy, (3,), client="02:00:00:00:00:0b")[0]


@pytest.mark.parametrize(
    ("match", "hours", "expected"),
    [
        # 2023-11-14 was a Tuesday; the wire starts at midnight UTC
        ('hours = "22:00-06:00", utc_offset = "+00:00"', [0, 5.99, 6, 21.99, 22], [1, 1, 0, 0, 1]),
        ('hours = "22:00-06:00", utc_offset = "+01:00"', [0, 4.99, 5, 20.99, 21], [1, 1, 0, 0, 1]),
        ('hours = "08:00-16:30", utc_offset = "-05:30"', [13.4, 13.5, 21.9, 22], [0, 1, 1, 0]),
        ('hours = ["00:00-01:00", "23:00-24:00"], utc_offset = "+00:00"', [0, 1, 23], [1, 0, 1]),
        ('weekdays = ["tue", "sun"], utc_offset = "+00:00"', [0, 23.9, 24, 120], [1, 1, 0, 1]),
        ('weekdays = "wed", utc_offset = "+02:00"', [21.9, 22, 45.9, 46], [0, 1, 1, 0]),
    ],
)
def test_when(rules: Any, match: str, hours: list[float], expected: list[int]) -> None:
    policy = rules(rule(f"match = {{ {match} }}"))
    wire = Wire(start=1_699_920_000)
    for hour in hours:
        wire.request(hour * 3600, 5)
    told = [bool(policy.judge(tick)) for tick in wire.ticks()]
    assert told == [bool(one) for one in expected]


def test_names_of_objects(rules: Any) -> None:
    policy = rules(rule('match = { name = "Pump*.Speed" }'))
    named = [Touch(REGISTER, name=name) for name in ("Pump1.Speed", "Pump1.Torque")]
    assert hits(policy, *((16, one) for one in named)) == [True, False]
    many = [replace_name(place) for place in range(9)]
    assert hits(policy, (16, *many), (16, *many, named[0])) == [False, True]


def replace_name(place: int) -> Touch:
    return Touch(REGISTER, name=f"Tank{place}")


def test_exceptions(rules: Any) -> None:
    policy = rules(
        rule(
            'match = { activity = "write", object = "holding-register", address = "100-110" }\n'
            'unless = [{ source = "10.0.0.9", address = "100-105", value_below = 50 },'
            " { unit = 9 }]"
        )
    )

    def told(address: int, *values: int, **parts: Any) -> bool:
        return hits(policy, (16, writes(REGISTER, address, values=values)), **parts)[0]

    assert not told(100, 1, 2, 3)
    assert told(100, 1, 2, 50), "one value is not excepted"
    assert told(104, 1, 2, 3), "one address is not excepted"
    assert told(98, 1, 2, 3), "a part lies outside"
    assert told(100, 1, client=ATTACKER)
    assert not told(100, 1, client=ATTACKER, unit=9)
    assert not told(111, 1, client=ATTACKER)


def test_an_exception_vouches_only_for_what_it_sees(rules: Any) -> None:
    policy = rules(
        rule('match = { function = 16 }\nunless = { object = "holding-register", address = 5 }')
    )
    assert hits(policy, (16,), (16, writes(REGISTER, 5, 1))) == [True, False]
    two = (writes(REGISTER, 5, 1), writes("coil", 5, 1))
    assert hits(policy, (16, *two)) == [True]


@pytest.mark.parametrize("coarse", [False, True])
def test_what_a_symbol_does_not_tell_is_looked_at_in_the_items(rules: Any, coarse: bool) -> None:
    policy = rules(rule('match = { object = "holding-register", address = "100-110", unit = 2 }'))
    many = [writes(REGISTER, 200 + 2 * place, 1) for place in range(9)]
    wanted = [*many[:8], writes(REGISTER, 110, 1)]
    others = [*many[:8], writes("coil", 110, 1)]
    for unit, expected in ((2, [False, True, False]), (3, [False, False, False])):
        assert hits(
            policy, (16, *many), (16, *wanted), (16, *others), unit=unit, coarse=coarse
        ) == (expected)


def test_what_no_dictionary_had_room_for_does_not_blind_a_rule(rules: Any) -> None:
    text = 'match = {{ object = "holding-register", address = 5, unit = 2 }}\n{}'
    plain, excepted = (
        rules(rule(text.format(more))) for more in ("", f'unless = {{ source = "{HMI}" }}')
    )
    wire = Wire()
    wire.request(0.0, 8, coarse=True)
    wire.request(0.1, 6, writes(REGISTER, 9), coarse=True)
    tick = wire.tick()
    assert [one.rows["messages"].tolist() for one in plain.judge(tick)] == [[0]]
    tick.tables.items.point[:] = 0
    (finding,) = plain.judge(tick)
    assert finding.rows["messages"].tolist() == [0, 1]
    assert excepted.judge(tick) == []


def test_values_without_a_known_point(rules: Any) -> None:
    policy = rules(
        rule('match = { object = "holding-register", address = "5-9", value_above = 80 }')
    )
    wire = Wire()
    wire.request(0.0, 16, writes(REGISTER, 4, values=[99, 1]))
    tick = wire.tick()
    assert policy.judge(tick) == []
    tick.tables.values.point[0] = 0
    (finding,) = policy.judge(tick)
    assert ", value 99" in finding.observed


def test_values_are_told(rules: Any) -> None:
    policy = rules(rule("match = { activity = 'write', value_above = 80 }"))
    wire = Wire()
    wire.request(0.0, 16, writes(REGISTER, 0, values=[95, 81, 12]))
    wire.request(0.1, 16, writes(REGISTER, 0, values=[300, 7]))
    (finding,) = judge(policy, wire)
    assert finding.count == 2
    assert ", values from 81 to 300" in finding.observed


def test_severity_and_texts(rules: Any) -> None:
    policy = rules(
        rule('severity = "low"\nattack = ["T0836"]\nexplanation = "why"\nmatch = { function = 5 }')
    )
    wire = Wire()
    wire.request(0.0, 5, writes("coil", 3))
    (finding,) = judge(policy, wire)
    assert (finding.kind, finding.severity) == ("policy.r", "low")
    assert finding.expected == "nothing that the rule “A rule” names"
    assert finding.points == ("coil 3",)
    text = policy.rules["r"]
    assert (text.title, text.explanation, text.attack) == ("A rule", "why", ("T0836",))
    assert shipped().rules["umas-stop-plc"].severity is None


# --- symbols come and go -------------------------------------------------------------------------


def test_an_id_that_changes_its_meaning() -> None:
    policy, wire = shipped(), Wire()
    wire.request(0.0, 3)
    assert judge(policy, wire) == []
    wire.retire("symbols", [1])
    wire.request(1.0, 90, subfunction=0x41)
    batch = wire.batch()
    policy.forget(batch.retired)
    wire.names.update(batch)
    assert batch.defined["symbols"]["id"].tolist() == [1]
    (tick,) = wire._ticks.feed(batch)
    assert [one.kind for one in policy.judge(tick)] == ["policy.umas-stop-plc"]
    policy.forget({"symbols": np.array([0, 1, 10**6], np.uint32)})
    assert len(policy.judge(tick)) == 1


def test_other_dictionaries() -> None:
    policy, first, second = shipped(), Wire(), Wire()
    first.request(0.0, 90, subfunction=0x41)
    second.request(0.0, 3)
    assert len(judge(policy, first)) == 1
    assert judge(policy, second) == []


def test_many_operations_stay_bounded() -> None:
    policy, wire = shipped(), Wire()
    for place in range(5000):
        wire.request(place / 10_000, 65, subfunction=place)
    wire.request(0.9, 8, subfunction=4)
    assert len(judge(policy, wire)) == 1
    assert len(policy._operations) <= 4096


@given(cuts=st.lists(st.integers(0, 59), max_size=5))
@settings(max_examples=20, deadline=None)
def test_however_batches_are_cut(cuts: list[int]) -> None:
    def run(places: Sequence[int]) -> list[Finding]:
        policy, wire = shipped(), Wire()
        findings: list[Finding] = []
        for place in range(60):
            sub = (0, 1, 4, 10)[place % 4]
            wire.exchange(place / 7, 8, subfunction=sub, client=f"10.0.1.{place % 5}")
            if place in places:
                batch = wire.batch(close=False)
                wire.names.update(batch)
                for tick in wire._ticks.feed(batch):
                    findings += policy.judge(tick)
        return findings + judge(policy, wire)

    assert run(cuts) == run([])


# --- a person's word -----------------------------------------------------------------------------


def stop_tick() -> tuple[Any, tuple[str | int, ...]]:
    wire = Wire()
    wire.exchange(0.0, 90, subfunction=0x41)
    wire.exchange(0.1, 90, subfunction=0x41, client=ATTACKER)
    return wire.tick(), ("policy", "umas-stop-plc", HMI, PLC, 1)


def test_accept_and_undo() -> None:
    policy = shipped()
    tick, cause = stop_tick()
    assert len(policy.judge(tick)) == 2
    assert policy.accept(cause)
    (finding,) = policy.judge(tick)
    assert finding.cause[2] == ATTACKER
    assert finding.rows["messages"].tolist() == [2, 3]
    assert policy.accept(finding.cause)
    assert policy.judge(tick) == []
    assert policy.undo(cause)
    assert not policy.undo(cause)
    assert [one.cause for one in policy.judge(tick)] == [cause]


@pytest.mark.parametrize(
    "cause",
    [
        ("novelty", "x"),
        (),
        ("policy",),
        ("policy", "r", "a", "b", "1"),
        ("other", "r", "a", "b", 1),
    ],
)
def test_foreign_causes(cause: tuple[str | int, ...]) -> None:
    assert not shipped().accept(cause)
    assert not shipped().undo(cause)


def test_declared_learning_takes_only_what_is_learnable(rules: Any) -> None:
    policy = rules(
        rule("match = { function = 90, subfunction = 0x41 }\nlearnable = true")
        + '[[rule]]\nid = "s"\ntitle = "S"\nmatch = { function = 90, subfunction = 0x41 }\n'
    )
    tick, _ = stop_tick()
    policy.learn(tick, Quarantine(tick, []))
    assert len(policy.judge(tick)) == 4, "nothing is learned unless it is declared"
    policy.begin_learning()
    findings = policy.judge(tick)
    assert [one.cause[1] for one in findings] == ["s", "s"]
    other = [one for one in findings if one.cause[2] == ATTACKER]
    policy.learn(tick, Quarantine(tick, other))
    policy.close_world()
    assert [one.cause[1:3] for one in policy.judge(tick) if one.cause[1] == "r"] == [
        ("r", ATTACKER)
    ]
    assert policy.readiness() == []


def test_state_comes_back_and_merges() -> None:
    policy, other = shipped(), shipped()
    tick, cause = stop_tick()
    policy.accept(cause)
    other.restore(policy.state())
    assert other.state() == policy.state()
    assert [one.cause[2] for one in other.judge(tick)] == [ATTACKER]
    third = shipped()
    third.accept((*cause[:2], ATTACKER, *cause[3:]))
    third.merge(policy.state())
    assert third.judge(tick) == []
    assert len(third.state()["accepted"]) == 2


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"accepted": [], "learning": 1},
        {"accepted": {}, "learning": False},
        {"accepted": [["policy", "r", "a", "b"]], "learning": False},
        {"accepted": [["policy", "r", "a", "b", True]], "learning": False},
        {"accepted": [["novelty", "r", "a", "b", 1]], "learning": False},
        {"accepted": ["policy"], "learning": False},
        {"accepted": [], "learning": False, "more": 1},
    ],
)
def test_hostile_states(state: dict[str, Any]) -> None:
    policy = shipped()
    policy.accept(("policy", "r", "a", "b", 1))
    before = policy.state()
    for take in (policy.restore, policy.merge):
        with pytest.raises(StateError):
            take(state)
    assert policy.state() == before


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("match = {}", "4: rule.match: names nothing"),
        ('match = { protocol = "modbuss" }', "did you mean 'modbus'?"),
        ('match = { role = "reply" }', "rule.match.role = 'reply': not known"),
        ('match.activity = [\n"read",\n"wright"]', "6: rule.match.activity = 'wright': not known"),
        ("match = { function = 5, object = 'coils' }", "did you mean 'coil'?"),
        ("match = { access = 'rd' }", "rule.match.access = 'rd': not known"),
        ("match = { function = 'write singl coil' }", "is neither number, range nor known name"),
        ("match = { function = '6-5' }", "is not a range of numbers from 0 on"),
        ("match = { unit = -1 }", "is not a range of numbers from 0 on"),
        ("match = { unit = 'one' }", "is neither a number nor a range like '5-6'"),
        ("match = { function = [] }", "is empty"),
        ("match = { source = [] }", "is empty"),
        ("match = { source = '10.0.0.256' }", "is no address, network or name"),
        ("match = { source = '10.0.0.1/24' }", "has bits set beyond its prefix length"),
        ("match = { value_above = 80, value_below = 20 }", "write two rules"),
        ("match = { value_above = nan }", "is not a number"),
        ("match = { value = [] }", "is not a number, or a list of numbers"),
        ("match = { hours = '22:00-06:00' }", "needs utc_offset beside it"),
        ("match = { weekdays = 'mon' }", "rule.match.weekdays = 'mon': needs utc_offset"),
        ("match = { hours = '22-6', utc_offset = '+01:00' }", "is not a span like"),
        ("match = { hours = '25:00-26:00', utc_offset = '+01:00' }", "is not a span like"),
        ("match = { weekdays = 'Monday', utc_offset = '+01:00' }", "did you mean 'mon'?"),
        ("match = { hours = '22:00-06:00', utc_offset = 'CET' }", "is not an offset like"),
        ("match = { function = 5, utc_offset = '+01:00' }", "is said without hours or weekdays"),
        (
            "match = { function = 5 }\nunless = [{ unit = 1 }, { unit = 'x' }]",
            "5: rule.unless.unit",
        ),
        ("match = { function = 5 }\nattack = ['T1234']", "5: rule.attack = 'T1234'"),
        ("match = { function = 5 }\nseverity = 'urgent'", "5: rule.severity = 'urgent'"),
        ("match = { fonction = 5 }", "unknown key; did you mean 'function'?"),
        ("matches = { function = 5 }", "did you mean 'match'?"),
        ("", "1: rule: the key match is missing"),
    ],
)
def test_mistakes_are_one_clear_line(tmp_path: Path, body: str, message: str) -> None:
    path = tmp_path / "plant.toml"
    path.write_text(rule(body))
    with pytest.raises(RuleError) as caught:
        load_policies([tmp_path])
    assert str(caught.value).startswith(f"{path}:")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_later_files_override_add_and_disable(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        'disable = ["umas-upload"]\n'
        '[[rule]]\nid = "umas-stop-plc"\ntitle = "Ours"\nseverity = "info"\n'
        "match = { function = 90, subfunction = 0x41, source_not_in = 'engineering' }\n"
    )
    (tmp_path / "b.toml").write_text(
        '[names]\nengineering = ["10.0.0.9"]\n' + rule("match.unit = 5")
    )
    loaded = {one.id: one for one in load_policies([data_folder("rules") / "policies", tmp_path])}
    assert "umas-upload" not in loaded
    assert loaded["umas-stop-plc"].title == "Ours"
    assert loaded["umas-stop-plc"].where == "a.toml:2"
    assert "r" in loaded
    assert [one.cause[2] for one in Policy(loaded.values()).judge(stop_tick()[0])] == [ATTACKER]


def test_ids_are_said_once_a_file_and_known_to_be_disabled(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(rule("match.unit = 5") * 2)
    with pytest.raises(RuleError, match=r"6: rule\.id = 'r': another rule in this file has it too"):
        load_policies([tmp_path])
    path.write_text('disable = [\n"umas"]')
    with pytest.raises(RuleError, match="2: disable = 'umas': no file before this has such a rule"):
        load_policies([data_folder("rules") / "policies", tmp_path])


def test_protocols_beside_the_native_ones(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(rule('match.protocol = "bacnet"'))
    (loaded,) = load_policies([tmp_path], ["bacnet"])
    wire = Wire(protocol="bacnet")
    wire.request(0.0, 12)
    assert len(judge(Policy([loaded]), wire)) == 1


def test_the_examples_of_the_documentation_are_valid(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "policies.md").read_text()
    examples = [part.split("```")[0] for part in text.split("```toml\n")[1:]]
    assert examples
    for place, example in enumerate(examples):
        folder = tmp_path / str(place)
        folder.mkdir()
        (folder / "example.toml").write_text(example)
        assert load_policies([data_folder("rules") / "policies", folder])
