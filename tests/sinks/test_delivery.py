"""A sink's way through the journal, by a clock of the test's own."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest
from alerts.records import write_alert
from structlog.testing import capture_logs

from otids.sinks import RefusedError, SinkError
from otids.sinks.delivery import IDLE, LONGEST_PAUSE, TRIES, Backoff, Delivery
from otids.sinks.trial import make_test_alert


@dataclass
class Waiting:
    place: int
    record: Mapping[str, Any]


class Journal:
    def __init__(self) -> None:
        self.all: list[Waiting] = []
        self.noted = 0

    def add(self, *severities: str) -> None:
        for severity in severities:
            place = len(self.all) + 1
            record = write_alert(revision=place, severity=severity).record()
            self.all.append(Waiting(place, record))

    def pending(self, _: str, limit: int = 256, *, after: int = 0) -> Sequence[Waiting]:
        return [one for one in self.all if one.place > max(after, self.noted)][:limit]

    def waiting(self, sink: str, *, after: int = 0) -> tuple[int, int]:
        left = self.pending(sink, 10_000, after=after)
        return (len(left), left[0].place * 10**9) if left else (0, 0)

    def note(self, _: str, place: int) -> "Future[None]":
        future: Future[None] = Future()
        self.noted = max(self.noted, place)
        future.set_result(None)
        return future


class Place:
    """A sink that fails or refuses as it is told."""

    name = "place"

    def __init__(self) -> None:
        self.is_down = False
        self.refuses: set[int] = set()
        self.had: list[int] = []
        self.calls: list[int] = []

    def deliver(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.calls.append(len(records))
        if self.is_down:
            raise SinkError("place: is down")
        for record in records:
            if record["revision"] in self.refuses:
                raise RefusedError("place: answers 400")
        self.had += [record["revision"] for record in records]

    def close(self) -> None:
        self.had.append(-1)


class World:
    """A delivery and all around it."""

    def __init__(self, **settings: Any) -> None:
        self.now = 1000.0
        self.journal, self.sink = Journal(), Place()
        settings = {"note": self.journal.note} | settings
        self.delivery = Delivery(
            self.sink, self.journal, clock=lambda: self.now, chance=lambda: 0.0, **settings
        )

    def step(self, after: float = 0.0) -> float:
        self.now += after
        return self.delivery.step()

    def run(self, steps: int = 200) -> None:
        """Step until nothing is left, each pause waited for."""
        for _ in range(steps):
            if (pause := self.step()) == IDLE:
                return
            self.now += pause


def test_pauses_double_up_to_a_minute_and_begin_anew() -> None:
    whole = Backoff(lambda: 1.0)
    assert [whole.pause() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    whole.reset()
    assert whole.pause() == 1
    half = Backoff(lambda: 0.0)
    assert [half.pause() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_all_is_delivered_in_order_and_noted() -> None:
    world = World()
    world.journal.add(*["low"] * 600)
    assert world.step() == 0
    assert world.step() == 0
    assert world.step() == IDLE
    assert world.sink.had == [*range(1, 601)]
    world.run()
    state = world.delivery.state
    assert (state.delivered, state.retried, state.behind) == (600, 0, 0)
    assert world.journal.noted == 600


def test_a_sink_that_is_down_is_left_alone_for_ever_longer() -> None:
    world = World()
    world.sink.is_down = True
    world.journal.add("low")
    pauses = [world.step()]
    while len(pauses) < 9:
        assert world.step() <= pauses[-1]  # woken too early
        pauses.append(world.step(after=pauses[-1]))
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert world.sink.calls == [1] * 9
    state = world.delivery.state
    assert (state.failures, state.behind, state.last_error) == (9, 1, "place: is down")
    assert (state.failing_since, state.waiting_since) == (1000, 1)
    world.sink.is_down = False
    assert world.step(after=LONGEST_PAUSE) == 0
    state = world.delivery.state
    assert (state.failing_since, state.behind, state.delivered, state.retried) == (0, 0, 1, 9)
    assert state.last_success == world.now


def test_a_sink_that_was_down_for_a_day_gets_everything() -> None:
    world = World()
    world.sink.is_down = True
    for _ in range(24 * 60):
        world.journal.add("medium")
        world.step(after=60)
    assert world.delivery.state.behind == 24 * 60
    world.sink.is_down = False
    world.now += 60
    world.run()
    assert world.sink.had == [*range(1, 24 * 60 + 1)]


def test_a_clock_that_is_set_back_does_not_keep_a_sink_waiting() -> None:
    world = World()
    world.sink.is_down = True
    world.journal.add("low")
    world.step()
    world.sink.is_down = False
    assert world.step(after=-86_400) == IDLE
    assert world.sink.had == [1]


def test_what_is_not_grave_enough_is_passed_over() -> None:
    world = World(min_severity="high")
    world.journal.add("low", "high", "medium", "critical", "info")
    world.run()
    assert world.sink.had == [2, 4]
    assert world.delivery.state.passed_over == 3
    assert world.journal.noted == 5
    world.sink.is_down = True
    world.journal.add("low", "low", "high")
    world.step()
    assert world.delivery.state.behind == 1
    assert world.delivery.state.waiting_since == 8


def test_a_test_alert_passes_whatever_severity_is_wanted() -> None:
    world = World(min_severity="critical")
    alert = make_test_alert("s", 1)
    world.journal.all.append(Waiting(1, alert.record()))
    world.run()
    assert list(world.delivery.tests) == [alert.id]


def test_an_idle_sink_looks_after_itself() -> None:
    world = World()
    assert world.step() == IDLE
    assert world.sink.calls == [0]
    assert world.delivery.state.last_success == 0


@pytest.mark.parametrize("bad", [1, 7, 20])
def test_one_record_that_is_refused_does_not_hold_up_the_others(bad: int) -> None:
    world = World()
    world.sink.refuses = {bad}
    if bad == 1:  # the sink has to have taken something before
        world.journal.add("low")
        world.sink.refuses = {2}
        world.run()
    world.journal.add(*["low"] * 20)
    world.run()
    (refused,) = world.sink.refuses
    assert sorted(set(world.sink.had)) == [
        one.place for one in world.journal.all if one.place != refused
    ]
    state = world.delivery.state
    assert (state.given_up, state.failures, state.behind) == (1, TRIES - 1, 0)


def test_a_sink_that_refuses_everything_loses_nothing() -> None:
    world = World()
    world.sink.refuses = set(range(1, 50))
    world.journal.add(*["low"] * 10)
    world.run(200)
    assert world.delivery.state.given_up == 0
    world.sink.refuses = set()
    world.now += LONGEST_PAUSE
    world.run()
    assert world.sink.had == [*range(1, 11)]


def test_a_store_that_cannot_be_written_to_does_not_double_alerts() -> None:
    def fail(_: str, __: int) -> "Future[None]":
        future: Future[None] = Future()
        future.set_exception(OSError("disk full"))
        return future

    world = World(note=fail)
    world.journal.add("low", "low")
    world.run()
    world.journal.add("low")
    world.run()
    assert world.sink.had == [1, 2, 3]
    assert world.delivery.state.behind == 0


def test_places_are_noted_one_at_a_time_and_the_last_wins() -> None:
    notes: list[tuple[int, Future[None]]] = []

    def slow(_: str, place: int) -> "Future[None]":
        notes.append((place, Future()))
        return notes[-1][1]

    world = World(note=slow)
    for _ in range(3):
        world.journal.add("low")
        world.run()
    assert [place for place, _ in notes] == [1]
    notes[0][1].set_result(None)
    world.run()
    assert [place for place, _ in notes] == [1, 3]
    notes[1][1].cancel()  # the judge has ended
    world.run()
    assert [place for place, _ in notes] == [1, 3, 3]


def test_a_fault_of_a_sink_is_contained(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.journal.add("low")

    def break_down(_: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(world.sink, "deliver", break_down)
    with capture_logs() as logs:
        assert world.step() > 0
        assert world.step(after=60) > 0
    assert world.delivery.state.failures == 2
    assert [one["event"] for one in logs] == [
        "a sink takes no alerts; they wait for it",
        "fault in a sink",
    ]
    monkeypatch.undo()
    world.now += 60
    world.run()
    assert world.sink.had == [1]
