"""Severity: what deviates, what was done, and to what."""

import pytest
from alerts.findings import write_finding

from otids.alerts.alert import SEVERITIES
from otids.alerts.severity import rank_of
from otids.traffic import EndpointName

STANDING = {"10.0.0.5": True, "10.0.0.9": False}


class Devices:
    def is_controller(self, endpoint: EndpointName) -> bool | None:
        return STANDING.get(endpoint.address)


@pytest.mark.parametrize(
    ("listed", "activity", "target", "severity"),
    [
        ("medium", "write", "10.0.0.5", "high"),
        ("low", "control", "10.0.0.5", "medium"),
        ("high", "program", "10.0.0.5", "high"),  # critical is for the catalogue to say
        ("critical", "write", "10.0.0.5", "critical"),
        ("medium", "write", "10.0.0.9", "medium"),
        ("medium", "write", "10.0.0.7", "medium"),  # nothing is known of it
        ("medium", "read", "10.0.0.5", "medium"),
        ("medium", "read", "10.0.0.9", "low"),
        ("high", "browse", "10.0.0.9", "high"),  # a scan is a scan
        ("low", "read", "10.0.0.9", "low"),
        ("medium", "read", "10.0.0.7", "medium"),
        ("medium", "", "10.0.0.9", "medium"),
        ("medium", "write", None, "medium"),
    ],
)
def test_whom_it_reaches_moves_it_by_one_step(
    listed: str, activity: str, target: str | None, severity: str
) -> None:
    endpoint = target and EndpointName(0, target)
    finding = write_finding(activity=activity, target=endpoint or None)
    assert SEVERITIES[rank_of(finding, listed, Devices())] == severity


def test_what_the_detector_rates_stands() -> None:
    finding = write_finding(activity="write", severity="low")
    assert SEVERITIES[rank_of(finding, "medium", Devices())] == "low"


def test_what_is_weak_is_info() -> None:
    finding = write_finding(activity="program", severity="critical", weak=True)
    assert SEVERITIES[rank_of(finding, "critical", Devices())] == "info"
