"""Which operations of S7comm are dangerous in any plant, and which are everyday work."""

import pytest
from ticks import HMI, PLC, Touch, Wire, reads

from otids.detectors.policy import Policy
from otids.resources import data_folder
from otids.rules.policies import load_policies

ENGINEER = "10.0.0.66"
STATE = (52 << 32) | 2167


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy(load_policies([data_folder("rules") / "policies"]))


def kinds(policy: Policy, wire: Wire) -> list[str]:
    return [finding.kind for tick in wire.ticks() for finding in policy.judge(tick)]


@pytest.mark.parametrize(
    ("function", "subfunction", "rule"),
    [
        (0x29, None, "s7-stop"),
        (0x28, 0, "s7-start"),
        (0x28, 1, "s7-start"),
        (0x1A, None, "s7-download"),
        (0x28, 2, "s7-activate-block"),
        (0x28, 3, "s7-activate-block"),
        (0x28, 6, "s7-activate-block"),
        (0x28, 4, "s7-delete-block"),
        (0x28, 5, "s7-compress"),
        (0x101, 12, "s7-memory-reset"),
        (0x101, 8, "s7-force"),
        (0x101, 9, "s7-force"),
        (0x101, 10, "s7-breakpoint"),
        (0x101, 11, "s7-breakpoint"),
        (0x107, 2, "s7-set-clock"),
        (0x107, 4, "s7-set-clock"),
        (0x105, 1, "s7-password"),
        (0x1D, None, "s7-upload"),
    ],
)
def test_dangerous_operations(
    policy: Policy, function: int, subfunction: int | None, rule: str
) -> None:
    wire = Wire(protocol="s7comm")
    parts = {} if subfunction is None else {"subfunction": subfunction}
    wire.request(0.0, function, client=ENGINEER, **parts)
    (finding,) = [finding for tick in wire.ticks() for finding in policy.judge(tick)]
    assert finding.kind == f"policy.{rule}"
    assert (str(finding.source), str(finding.target)) == (ENGINEER, PLC)
    assert finding.expected


def test_everyday_work_is_quiet(policy: Policy) -> None:
    wire = Wire(protocol="s7comm")
    everyday = [(0x104, 1), (0x107, 1), (0x107, 3), (0x102, 1), (0x103, 1), (0x101, 2), (0x101, 14)]
    for place, (function, subfunction) in enumerate(everyday):
        wire.exchange(float(place), function, subfunction=subfunction)
    for place, function in enumerate([0x04, 0x05, 0xF0, 0x1E, 0x1F, 0x2E0]):
        wire.exchange(20.0 + place, function, reads("db-word", (1 << 32) | 10, 2), client=HMI)
    assert kinds(policy, wire) == []


@pytest.mark.parametrize(("address", "is_told"), [(STATE, True), (STATE + 1, False)])
def test_the_operating_state_of_s7comm_plus(policy: Policy, address: int, is_told: bool) -> None:
    wire = Wire(protocol="s7comm-plus")
    touch = Touch("attribute", address, 1, "write")
    wire.request(0.0, 0x4F2, touch, activity="write")
    assert bool(kinds(policy, wire)) == is_told
