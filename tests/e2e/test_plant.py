"""The whole plant: sixteen attacks within an hour and a half of normal work, each told in time."""

import csv
import gzip
import struct
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from pipelines import judge

from otids.alerts.alert import Alert
from otids.detectors import make_detectors
from otids.resources import data_folder
from otids.rules.policies import load_policies

SECOND = 1_000_000_000
EARLY = {"volume": 60.0}
"""Seconds by which an alert may begin before its attack: a window of volume is told as a whole,
whatever moment of it the attack began in."""
BEFORE = 1.0
"""The same of all other detectors: they date by the second, and a silence shows what was heard
last."""
LATE = 20.0
"""Seconds by which an alert may end after its label: five answers to what is asked every ten
seconds are told with the fifth, and a forged device with the first word of the real one."""

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True, slots=True)
class Told:
    """The last revision of an alert, and when it was first told above info (s; None: never)."""

    alert: Alert
    at: float | None


@dataclass(frozen=True, slots=True)
class Window:
    """A label, with the aftermath that belongs to it."""

    label: str
    start: float
    end: float
    until: float  # the end of the aftermath

    def holds(self, alert: Alert) -> bool:
        """Whether an alert came in it, as a whole."""
        early = EARLY.get(alert.detector, BEFORE)
        began, ended = alert.first_seen / SECOND, alert.last_seen / SECOND
        late = max(LATE, early)
        return self.start - early <= began <= self.end and ended <= self.until + late


def last_of(revisions: Iterable[tuple[int, Alert]]) -> list[Told]:
    told: dict[str, Told] = {}
    for moment, alert in revisions:
        at = told[alert.id].at if alert.id in told else None
        if at is None and alert.severity != "info":
            at = moment / SECOND
        told[alert.id] = Told(alert, at)
    return list(told.values())


@pytest.fixture(scope="session")
def told(judged_plant_attacks: Sequence[tuple[int, Alert]]) -> list[Told]:
    return last_of(judged_plant_attacks)


@pytest.fixture(scope="session")
def told_without_volume(learned_plant: bytes, plant_attacks: Path) -> list[Told]:
    every = make_detectors(load_policies([data_folder("rules") / "policies"]))
    detectors = [one for one in every if one.name != "volume"]
    return last_of(judge(msgpack.unpackb(learned_plant), plant_attacks, detectors))


@pytest.fixture(scope="session")
def windows(plant_attacks: Path) -> list[Window]:
    with plant_attacks.with_name("labels.csv").open() as file:
        rows = {
            row["label"]: (float(row["start"]), float(row["end"])) for row in csv.DictReader(file)
        }
    after = "ok:aftermath of "
    return [
        Window(label, start, end, rows.get(after + label, (end, end))[1])
        for label, (start, end) in rows.items()
        if not label.startswith("ok:")
    ]


@pytest.fixture(scope="session")
def expected(plant_attacks: Path) -> dict[str, Any]:
    return tomllib.loads(plant_attacks.with_name("expected.toml").read_text())


@pytest.fixture(scope="session")
def times(plant_attacks: Path) -> list[float]:
    """When each frame was captured, in seconds."""
    data, at, found = gzip.decompress(plant_attacks.read_bytes()), 24, []
    while at < len(data):
        seconds, micros, length = struct.unpack_from("<III", data, at)
        found.append(seconds + micros / 1e6)
        at += 16 + length
    return found


def named(window: Window, told: Sequence[Told], kind: str) -> list[Told]:
    return [one for one in told if one.alert.kind == kind and window.holds(one.alert)]


def test_every_attack_is_expected_to_be_told(
    windows: Sequence[Window], expected: dict[str, Any]
) -> None:
    labels = {window.label for window in windows}
    assert len(labels) == len(windows) == 16
    assert {one["label"] for one in expected["alert"]} == labels == set(expected["may"])


def test_every_attack_is_told_in_time(
    told: Sequence[Told], windows: Sequence[Window], expected: dict[str, Any]
) -> None:
    where = {window.label: window for window in windows}
    late = {}
    for one in expected["alert"]:
        window = where[one["label"]]
        delays = [
            found.at - window.start
            for found in named(window, told, one["kind"])
            if found.at is not None and _matches(found.alert.record(), one)
        ]
        if not delays or min(delays) > one["within"]:
            late[one["label"], one["kind"]] = delays
    assert late == {}


def _matches(record: dict[str, Any], one: dict[str, Any]) -> bool:
    """Whether an alert names who, whom and how, as expected."""
    ends = {
        name: (record[name] or {"address": ""})["address"]
        for name in ("source", "target")
        if name in one
    }
    techniques = {technique["id"] for technique in record["attack"]}
    return all(ends[name] == one[name] for name in ends) and set(one["attack"]) <= techniques


def test_what_is_told_shows_frames_of_the_attack(
    told: Sequence[Told],
    windows: Sequence[Window],
    expected: dict[str, Any],
    times: Sequence[float],
) -> None:
    where = {window.label: window for window in windows}
    for one in expected["alert"]:
        window = where[one["label"]]
        for alert in (found.alert for found in named(window, told, one["kind"])):
            early = EARLY.get(alert.detector, BEFORE)
            shown = [times[frame - 1] for frame in alert.frames]
            assert shown, one
            assert shown == sorted(shown), one
            assert window.start - early <= shown[0] <= shown[-1] <= window.until + LATE, one
            # A silence can only show what came before it.
            if one["kind"] != "timing.silence":
                assert any(window.start <= time <= window.end for time in shown), one


def test_nothing_else_is_told(
    told: Sequence[Told], windows: Sequence[Window], expected: dict[str, Any]
) -> None:
    allowed = {label: set(kinds) for label, kinds in expected["may"].items()}
    for one in expected["alert"]:
        allowed[one["label"]].add(one["kind"])
    above = [one.alert for one in told if one.at is not None]
    astray = [
        (alert.kind, alert.title, alert.observed)
        for alert in above
        if not any(
            window.holds(alert) and alert.kind in allowed[window.label] for window in windows
        )
    ]
    assert astray == []
    assert len(above) >= len(expected["alert"])


def test_whoever_reads_the_alerts_learns_what_to_do(told: Sequence[Told]) -> None:
    for record in (one.alert.record() for one in told if one.at is not None):
        assert record["expected"], record["kind"]
        assert record["observed"], record["kind"]
        assert record["attack"], record["kind"]
        assert record["response"]["it"], record["kind"]
        assert record["response"]["ot"], record["kind"]


def test_the_man_in_the_middle_is_one_incident(
    told: Sequence[Told], windows: Sequence[Window]
) -> None:
    (window,) = (one for one in windows if one.label == "arp-spoof")
    kinds = ("addressing.arp-spoofing", "addressing.two-macs", "values.out-of-range")
    parts = [named(window, told, kind) for kind in kinds]
    assert all(parts)
    incidents = {one.alert.incident for part in parts for one in part}
    assert len(incidents) == 1
    assert incidents != {""}
    others = {one.alert.incident for one in told if not window.holds(one.alert)}
    assert not incidents & others


def test_exfiltration_is_seen_by_volume_and_by_nothing_else(
    told: Sequence[Told], told_without_volume: Sequence[Told], windows: Sequence[Window]
) -> None:
    (window,) = (one for one in windows if one.label == "exfiltration")

    def during(some: Sequence[Told]) -> list[str]:
        """The kinds of all alerts, info too, that came while it went on."""
        return [
            one.alert.kind
            for one in some
            if one.alert.last_seen / SECOND >= window.start - 60
            and one.alert.first_seen / SECOND <= window.until + 60
        ]

    assert during(told) == ["volume.unusual"]
    assert during(told_without_volume) == []


def test_all_other_attacks_are_seen_without_volume_too(
    told_without_volume: Sequence[Told], windows: Sequence[Window]
) -> None:
    seen = {
        window.label
        for window in windows
        for one in told_without_volume
        if one.at is not None and window.holds(one.alert)
    }
    assert {window.label for window in windows} - seen == {"exfiltration"}
