"""One file per way in which traffic can deviate; each knows traffic, and nothing to its right."""

from collections.abc import Iterable

from otids.detectors.addressing import Addressing
from otids.detectors.base import Detector
from otids.detectors.flood import Flood
from otids.detectors.novelty import Novelty
from otids.detectors.policy import Policy
from otids.detectors.protocol import Protocol
from otids.detectors.scan import Scan
from otids.detectors.timing import Timing
from otids.detectors.values import Values
from otids.detectors.volume import Volume
from otids.rules.conditions import PolicyRule


def make_detectors(rules: Iterable[PolicyRule]) -> list[Detector]:
    """Every detector, fresh. A new one is one more line here."""
    return [
        Policy(rules),
        Novelty(),
        Scan(),
        Flood(),
        Addressing(),
        Protocol(),
        Timing(),
        Values(),
        Volume(),
    ]
