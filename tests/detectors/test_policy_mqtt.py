"""Which operations of MQTT people are told of, and which are everyday work."""

import pytest
from ticks import HMI, PLC, Touch, Wire

from otids.detectors.base import Finding, Quarantine
from otids.detectors.policy import Policy
from otids.resources import data_folder
from otids.rules.policies import load_policies

CONNECT, PUBLISH, SUBSCRIBE = 1, 3, 8
PASSWORD = Touch("password", 0, 1, "control")
TOPIC = Touch("topic", 0, 1, "report")
FILTER = Touch("topic-filter", 0, 1, "read")
DELIVERED = 16


@pytest.fixture
def policy() -> Policy:
    return Policy(load_policies([data_folder("rules") / "policies"]))


def judge(policy: Policy, wire: Wire) -> list[Finding]:
    return [finding for tick in wire.ticks() for finding in policy.judge(tick)]


def everything(wire: Wire) -> None:
    """Do all that rules tell of."""
    wire.request(0.0, CONNECT, PASSWORD, activity="session", subfunction=4)
    wire.request(1.0, SUBSCRIBE, FILTER, activity="browse")
    wire.report(2.0, PUBLISH, TOPIC, activity="report", subfunction=12, from_client=True)


def test_what_is_told(policy: Policy) -> None:
    wire = Wire(protocol="mqtt")
    everything(wire)
    findings = judge(policy, wire)
    assert [finding.kind for finding in findings] == [
        "policy.mqtt-password-in-clear",
        "policy.mqtt-subscribe-all",
        "policy.mqtt-delete-retained",
    ]
    for finding in findings:
        assert (str(finding.source), str(finding.target)) == (HMI, PLC)
        assert finding.expected


def test_everyday_work_is_quiet(policy: Policy) -> None:
    wire = Wire(protocol="mqtt")
    wire.request(0.0, CONNECT, Touch("user", 0, 1, "control"), activity="session", subfunction=4)
    wire.exchange(1.0, SUBSCRIBE, FILTER, activity="read")
    for place, subfunction in enumerate((0, 1, 2, 4, 5, 6)):
        wire.report(
            2.0 + place,
            PUBLISH,
            TOPIC,
            activity="report",
            subfunction=subfunction,
            from_client=True,
        )
    wire.report(9.0, PUBLISH, TOPIC, activity="report", subfunction=DELIVERED + 4)
    assert judge(policy, wire) == []


def test_what_is_declared_as_normal_may_hold_all_of_it(policy: Policy) -> None:
    wire = Wire(protocol="mqtt")
    everything(wire)
    policy.begin_learning()
    for tick in wire.ticks():
        assert policy.judge(tick) == []
        policy.learn(tick, Quarantine(tick, []))
    policy.close_world()
    again = Wire(protocol="mqtt")
    everything(again)
    assert judge(policy, again) == []
