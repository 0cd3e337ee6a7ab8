"""Which operations of DNP3 are dangerous in any plant, and which are everyday work."""

import pytest
from ticks import HMI, PLC, Touch, Wire, reads, writes

from otids.detectors.base import Quarantine
from otids.detectors.policy import Policy
from otids.resources import data_folder
from otids.rules.policies import load_policies
from otids.traffic import status_name

INTRUDER = "10.0.0.66"
FILE = "file"


@pytest.fixture
def policy() -> Policy:
    return Policy(load_policies([data_folder("rules") / "policies"]))


def kinds(policy: Policy, wire: Wire) -> list[str]:
    return [finding.kind for tick in wire.ticks() for finding in policy.judge(tick)]


@pytest.mark.parametrize(
    ("function", "touches", "rule"),
    [
        (13, (), "dnp3-restart"),
        (14, (), "dnp3-restart"),
        (0x101, (), "dnp3-restart"),
        (18, (), "dnp3-stop-application"),
        (15, (), "dnp3-initialize"),
        (16, (), "dnp3-initialize"),
        (21, (writes("class", 1, 3),), "dnp3-disable-unsolicited"),
        (9, (Touch("counter", 0, 4, "control"),), "dnp3-freeze-and-clear"),
        (10, (Touch("counter", 0, 4, "control"),), "dnp3-freeze-and-clear"),
        (25, (writes(FILE),), "dnp3-file-write"),
        (2, (writes(FILE),), "dnp3-file-write"),
        (27, (writes(FILE),), "dnp3-file-delete"),
        (19, (), "dnp3-configuration"),
        (31, (writes(FILE),), "dnp3-configuration"),
    ],
)
def test_dangerous_operations(
    policy: Policy, function: int, touches: tuple[Touch, ...], rule: str
) -> None:
    wire = Wire(protocol="dnp3")
    wire.request(0.0, function, *touches, client=INTRUDER, unit=10)
    (finding,) = [finding for tick in wire.ticks() for finding in policy.judge(tick)]
    assert finding.kind == f"policy.{rule}"
    assert (str(finding.source), str(finding.target)) == (INTRUDER, PLC)
    assert finding.expected


def test_everyday_work_is_quiet(policy: Policy) -> None:
    wire = Wire(protocol="dnp3")
    everyday = [
        (0, ()),
        (1, (reads("class", 0, 4),)),
        (2, (writes("internal-indication", 7),)),
        (2, (writes("time"),)),
        (3, (Touch("binary-output-command", 3, 1, "control"),)),
        (4, (Touch("binary-output-command", 3, 1, "control"),)),
        (5, (Touch("analog-output", 3, 1, "control"),)),
        (7, (Touch("counter", 0, 4, "control"),)),
        (20, (writes("class", 1, 3),)),
        (22, (writes("class", 1),)),
        (23, ()),
        (24, ()),
        (25, (reads(FILE),)),
        (1, (reads(FILE),)),
        (26, (reads(FILE),)),
        (28, (reads(FILE),)),
        (32, ()),
        (0x109, ()),
    ]
    for place, (function, touches) in enumerate(everyday):
        wire.exchange(float(place), function, *touches, client=HMI, unit=10)
    assert kinds(policy, wire) == []


def test_authentication_that_fails(policy: Policy) -> None:
    for status, is_told in [(0x2001, True), (0x2007, True), (0x0200, False), (4, False)]:
        wire = Wire(protocol="dnp3")
        wire.exchange(0.0, 5, Touch("binary-output-command", 3, 1, "control"), status=status)
        assert bool(kinds(policy, wire)) == is_told, status_name("dnp3", status)


@pytest.mark.parametrize(("function", "is_told"), [(21, False), (9, False), (13, True), (18, True)])
def test_what_masters_do_at_work_can_be_learned(
    policy: Policy, function: int, *, is_told: bool
) -> None:
    policy.begin_learning()
    learned = Wire(protocol="dnp3")
    learned.request(0.0, function, unit=10)
    for tick in learned.ticks():
        policy.judge(tick)
        policy.learn(tick, Quarantine(tick, []))
    policy.close_world()
    again = Wire(protocol="dnp3")
    again.request(0.0, function, unit=10)
    assert bool(kinds(policy, again)) == is_told
