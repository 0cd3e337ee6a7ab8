"""Every detector that is made passes the suite."""

from collections.abc import Callable

import pytest
from detectors.suite import CHECKS, Make

from otids.detectors import make_detectors
from otids.detectors.base import Detector
from otids.resources import data_folder
from otids.rules.policies import load_policies


def fresh() -> list[Detector]:
    """Every detector, with the rules that otids brings."""
    return make_detectors(load_policies([data_folder("rules") / "policies"]))


NAMES = [detector.name for detector in fresh()]


def maker(name: str) -> Make:
    def make() -> Detector:
        return next(one for one in fresh() if one.name == name)

    return make


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
@pytest.mark.parametrize("name", NAMES)
def test_suite(name: str, check: Callable[[Make], None]) -> None:
    check(maker(name))


def test_names_are_distinct() -> None:
    assert len(set(NAMES)) == len(NAMES)
