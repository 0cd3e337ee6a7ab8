"""How grave an alert is: by what deviates, what was done, and to what it was done."""

from typing import Protocol

from otids.alerts.alert import SEVERITIES
from otids.detectors.base import Finding
from otids.learning.words import CHANGING
from otids.traffic import EndpointName

INFO, LOW, MEDIUM, HIGH = (SEVERITIES.index(one) for one in ("info", "low", "medium", "high"))

HARMLESS = frozenset({"read", "browse", "report", "session", "diagnose"})
"""Activities that leave a device as it is."""


class Standing(Protocol):
    """What is known of a device's place in the process."""

    def is_controller(self, endpoint: EndpointName) -> bool | None:
        """Tell whether a device serves the process; None if that is not known."""


def rank_of(finding: Finding, listed: str, devices: Standing) -> int:
    """Rate a finding: the place of its severity in `SEVERITIES`.

    1. What is `weak` is info.
    2. What the detector rates, or the rule that was broken, stands: it knows what was done.
    3. Else the catalogue's severity of the kind (`listed`) says what the deviation is worth, and
       whom it reaches moves it by one step: up to high where a controller is changed, down to low
       where a device that is known to be none is only looked at.
    """
    if finding.weak:
        return INFO
    if finding.severity in SEVERITIES:
        return SEVERITIES.index(finding.severity)
    rank = SEVERITIES.index(listed)
    if finding.target is None:
        return rank
    if finding.activity in CHANGING and rank < HIGH and devices.is_controller(finding.target):
        return rank + 1
    is_looking = finding.activity in HARMLESS and rank == MEDIUM
    if is_looking and devices.is_controller(finding.target) is False:
        return LOW
    return rank
