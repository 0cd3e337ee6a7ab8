"""What is wrong with otids itself is told, after it has lasted, until it is over."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from service.made import INTERFACE, make_snapshot

from otids.alerts.attack import load_attack
from otids.alerts.catalogue import UNLISTED, load_catalogue
from otids.detectors.base import Readiness
from otids.resources import data_folder
from otids.service.troubles import KINDS, Sample, Trouble, Troubles
from otids.traffic import ConversationName, EndpointName


@dataclass(frozen=True)
class Place:
    """How a sink stands."""

    name: str = "siem"
    behind: int = 0
    waiting_since: float = 0.0
    failing_since: float = 0.0
    last_error: str = ""


class Run:
    """A service whose time passes second by second."""

    def __init__(self) -> None:
        self.troubles = Troubles()
        self.at = 1000.0
        self.frames = 0
        self.rate = 10
        self.extra: dict[str, Any] = {}
        self.snapshot: dict[str, Any] = {}
        self.health: dict[str, Any] = {}
        self.interface: dict[str, Any] = {}
        self.is_timed = True

    def sample(self) -> Sample:
        interface = {
            **INTERFACE,
            "frames": self.frames,
            "received": self.frames,
            **self.interface,
        }
        health = {"frames": self.frames, "bytes": 60 * self.frames, "interfaces": [interface]}
        snapshot = make_snapshot(
            **{
                "made": self.at,
                "beat": self.at,
                "judged_until": self.at - 1,
                "frames": self.frames,
                "health": {**health, **self.health},
                **self.snapshot,
            }
        )
        return Sample(**{"at": self.at, "now": self.at, "snapshot": snapshot, **self.extra})

    def go(self, seconds: int) -> tuple[Trouble, ...]:
        """Let time pass; what stands at its end."""
        for _ in range(seconds):
            self.at += 1
            self.frames += self.rate
            self.troubles.look(self.sample())
        return self.troubles.standing

    def kinds(self, seconds: int) -> list[str]:
        return [one.kind for one in self.go(seconds)]


def conversation(number: int) -> ConversationName:
    server = EndpointName(0, f"10.0.0.{number}")
    return ConversationName(EndpointName(0, "10.0.1.1"), server, "modbus", "tcp", 502)


def test_a_healthy_service_has_no_troubles() -> None:
    assert Run().go(2000) == ()


def test_rates_are_those_of_the_last_minute() -> None:
    run = Run()
    run.go(300)
    assert run.troubles.rates.frames == pytest.approx(10)
    assert run.troubles.rates.bytes == pytest.approx(600)
    run.rate = 0
    run.go(59)
    assert 0 < run.troubles.rates.frames < 1
    run.go(5)
    assert run.troubles.rates.frames == 0


def test_silence_is_told_after_a_minute_and_ends_with_the_first_frames() -> None:
    run = Run()
    run.go(700)
    run.rate = 0
    assert run.kinds(58) == []
    (trouble,) = run.go(5)
    assert trouble.kind == "sensor.no-traffic"
    assert trouble.subject == "eth1"
    assert "no frame on eth1 for 1 min" in trouble.observed
    assert trouble.is_blinding
    run.rate = 10
    assert run.kinds(20) == ["sensor.no-traffic"], "it may flicker"
    assert run.kinds(20) == []


def test_a_wire_that_carries_little_may_be_silent_for_longer() -> None:
    run = Run()
    run.rate = 0
    assert run.kinds(590) == []
    assert run.kinds(20) == ["sensor.no-traffic"]
    assert "not a single frame" in run.troubles.standing[0].observed


def test_an_interface_that_is_down_is_told_once_and_not_as_silent() -> None:
    run = Run()
    run.go(700)
    run.rate, run.interface = 0, {"trouble": "the interface is down\x1b[2J"}
    assert run.kinds(3) == []
    assert run.kinds(200) == ["sensor.interface-down"]
    assert "\x1b" not in run.troubles.standing[0].observed
    run.rate, run.interface = 10, {}
    assert run.kinds(60) == []


def test_a_flapping_interface_is_one_trouble() -> None:
    run = Run()
    run.go(100)
    began = set()
    for _ in range(20):
        run.interface = {"trouble": "the interface is down"}
        began |= {one.since for one in run.go(8)}
        run.interface = {}
        run.go(8)
    assert len(began) == 1


def test_a_few_lost_frames_of_many_are_no_alert_and_many_are() -> None:
    run = Run()
    run.rate = 100_000
    run.go(100)
    run.interface = {"dropped": 3, "received": 10**9}
    assert run.kinds(5) == []
    run.interface = {"dropped": 3 + 5000, "received": 2 * 10**9}
    assert run.kinds(1) == ["sensor.kernel-drops"]
    assert run.troubles.standing[0].severity is None
    assert run.kinds(100) == ["sensor.kernel-drops"]
    assert run.kinds(120) == []


def test_grave_losses_are_graver() -> None:
    run = Run()
    run.go(100)
    run.interface = {"dropped": 500, "received": 1500}
    (trouble,) = run.go(1)
    assert trouble.severity == "high"
    assert "500 of" in trouble.observed


@pytest.mark.parametrize(
    ("key", "kind", "count"),
    [
        ("shed_frames", "sensor.shed-frames", 1),
        ("malformed_frames", "sensor.decode-failures", 400),
        ("unknown_link_frames", "sensor.decode-failures", 400),
        ("snapped_frames", "sensor.decode-failures", 400),
    ],
)
def test_counters_that_grow_are_told_until_they_stand_still(
    key: str, kind: str, count: int
) -> None:
    run = Run()
    run.go(100)
    for step in range(1, 30):
        run.health = {key: count * step}
        run.go(1)
    assert [one.kind for one in run.troubles.standing] == [kind]
    assert run.kinds(60 + 125) == []


def test_malformed_frames_among_very_many_are_no_alert() -> None:
    run = Run()
    run.rate = 100_000
    run.go(100)
    run.health = {"malformed_frames": 200}
    assert run.kinds(30) == []


def test_half_of_the_conversations_one_sided_is_told() -> None:
    run = Run()
    known = [Readiness(conversation(one), 1.0, 0.0) for one in range(10)]
    run.snapshot = {
        "readiness": {"novelty": [Readiness(None, 1.0, None), *known]},
        "blind": {"one-sided": [conversation(one) for one in range(4)]},
    }
    assert run.kinds(300) == []
    run.snapshot["blind"] = {"one-sided": [conversation(one) for one in range(6)]}
    assert run.kinds(100) == []
    assert run.kinds(60) == ["sensor.one-sided"]
    run.snapshot["blind"] = {"one-sided": []}
    assert run.kinds(310) == []


def test_a_judge_that_lags_or_hangs_is_told() -> None:
    run = Run()
    run.go(100)
    run.snapshot = {"judged_until": 900.0}
    assert run.kinds(12) == ["sensor.lagging"]
    hung = Run()
    hung.go(100)
    hung.snapshot = {"beat": hung.at, "made": hung.at, "judged_until": hung.at - 1}
    assert hung.kinds(20) == []
    assert hung.kinds(30) == ["sensor.lagging"]
    assert hung.troubles.standing[0].is_blinding


def test_a_clock_that_is_set_is_no_lag() -> None:
    run = Run()
    run.go(100)
    run.snapshot = {"clock_steps": 1, "clock_step": 3600.0, "judged_until": 900.0}
    assert run.kinds(60) == ["sensor.clock-set"]
    assert "forward by 1 h" in run.troubles.standing[0].observed
    run.snapshot = {"clock_steps": 1}
    assert run.kinds(70) == []
    run.snapshot = {"clock_steps": 2, "clock_step": -30.0}
    assert run.kinds(1) == ["sensor.clock-set"]
    assert "back by 30 s" in run.troubles.standing[0].observed


def test_a_sink_may_be_behind_for_two_minutes() -> None:
    run = Run()
    run.go(10)
    run.extra = {
        "sinks": [
            Place(behind=3, waiting_since=run.at, failing_since=run.at, last_error="no\x1b[m")
        ]
    }
    assert run.kinds(110) == []
    (trouble,) = run.go(20)
    assert (trouble.kind, trouble.subject) == ("sensor.sink-behind", "siem")
    assert trouble.observed.startswith("3 revisions of alerts wait for siem: no")
    assert "\x1b" not in trouble.observed
    run.extra = {"sinks": [Place()]}
    assert run.kinds(12) == []


def test_two_sinks_are_two_troubles() -> None:
    run = Run()
    run.extra = {"sinks": [Place("a", 1, 1.0), Place("b", 1, 1.0)]}
    assert [one.subject for one in run.go(1)] == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "kind", "lasts"),
    [
        ({"store_trouble": "disk is full", "uncommitted": 7}, "sensor.store-failing", 40),
        ({"checkpoint_trouble": "disk is full"}, "sensor.checkpoint-failing", 5),
        ({"evidence_removed": 4}, "sensor.evidence-full", 3700),
        ({"faults": {"novelty": 2}}, "sensor.fault", 3700),
    ],
)
def test_what_the_judge_reports_is_told(change: dict[str, Any], kind: str, lasts: int) -> None:
    run = Run()
    run.go(100)
    run.snapshot = change
    assert run.kinds(2) == [kind]
    counters = {"evidence_removed", "faults"}
    run.snapshot = {key: value for key, value in change.items() if key in counters}
    assert run.kinds(lasts) == []


def test_a_disk_that_fills_up_is_told_before_it_is_full() -> None:
    run = Run()
    run.extra = {"disk_free": 100 << 30, "disk_size": 500 << 30}
    assert run.kinds(10) == []
    run.extra = {"disk_free": 200 << 20, "disk_size": 500 << 30}
    assert run.kinds(1) == ["sensor.disk-full"]
    run.extra = {"disk_free": 1 << 20, "disk_size": 16 << 20}
    assert run.kinds(1) == ["sensor.disk-full"], "a small disk need not have 256 MiB"
    small = Run()
    small.extra = {"disk_free": 8 << 20, "disk_size": 16 << 20}
    assert small.kinds(1) == []


def test_time_before_the_start_is_told_for_a_while() -> None:
    run = Run()
    run.extra = {"missed": (run.at - 7200, run.at), "was_killed": True}
    (trouble,) = run.go(5)
    assert trouble.kind == "sensor.away"
    assert trouble.severity == "medium"
    assert "2 h" in trouble.observed
    assert trouble.since == 1000.0 - 7200
    assert run.kinds(310) == []
    short = Run()
    short.extra = {"missed": (short.at - 5, short.at)}
    assert short.kinds(5) == []


def test_memory_is_bounded_over_days() -> None:
    run = Run()
    run.go(5000)
    troubles = run.troubles
    assert len(troubles._samples) <= 256
    assert len(troubles._held) == 0
    assert all(len(one.minutes) <= 64 for one in troubles._heard.values())


def test_every_kind_is_in_the_catalogue_and_says_what_to_do() -> None:
    rules = data_folder("rules")
    catalogue = load_catalogue(load_attack(rules / "attack.toml"), rules / "catalogue")
    for kind in KINDS:
        entry = catalogue.entry(kind)
        assert entry.kind == kind != UNLISTED
        assert "{expected}" in entry.explanation
        assert "{observed}" in entry.explanation
        for steps in (entry.response["it"], entry.response["ot"]):
            assert 3 <= len(steps) <= 6
            assert steps[0].startswith("Check first: ")
    listed = {kind for kind in catalogue.entries if kind.startswith("sensor.")}
    assert listed == set(KINDS)


def test_a_health_that_lacks_keys_is_no_fault() -> None:
    bare = replace(make_snapshot(), health={}, beat=1.0)
    assert Troubles().look(Sample(1.0, 1.0, bare)) == ()
