"""What is given up for want of memory, in which order, and when it comes back."""

import itertools
import mmap
from pathlib import Path

import pytest
from service.made import Feed, make_snapshot, running, write_config

from otids.service.config import size
from otids.service.daemon import Daemon, listening
from otids.service.judge import Judge
from otids.service.memory import (
    BACK_SECONDS,
    MOST_UNCOMMITTED,
    STEP_SECONDS,
    STEPS,
    URGENT_SECONDS,
    Memory,
    Shares,
    resident_bytes,
)
from otids.service.status import summary
from otids.service.troubles import Sample, Troubles

MIB = 1 << 20


class Held:
    """A process that holds what the test says, at the time that it says."""

    def __init__(self, bound: int = 512 * MIB) -> None:
        self.bytes = 100 * MIB
        self.now = 1000.0
        self.freed = 0
        self.memory = Memory(
            bound,
            64 * MIB,
            resident=lambda: self.bytes,
            release=self.hand_back,
            clock=lambda: self.now,
        )

    def hand_back(self) -> None:
        self.bytes -= self.freed
        self.freed = 0

    def look(self, seconds: float) -> bool:
        self.now += seconds
        return self.memory.look()


def test_the_shares_are_of_one_number() -> None:
    assert Memory(512 * MIB).shares == Shares(512 * MIB, 64 * MIB, MOST_UNCOMMITTED)
    assert Memory(256 * MIB, 64 * MIB).shares == Shares(256 * MIB, 32 * MIB, MOST_UNCOMMITTED)
    assert Memory(512 * MIB, 8 * MIB).shares.evidence == 8 * MIB
    assert [size("512M"), size("2G")] == [512 * MIB, 2048 * MIB]


def test_each_step_gives_up_no_less_than_the_one_before() -> None:
    left = [shares for _, shares in STEPS]
    for before, after in itertools.pairwise(left):
        assert before != after
        assert after.hotpath >= before.hotpath
        assert after.evidence >= before.evidence
        assert after.uncommitted >= before.uncommitted
    assert left[1].hotpath == left[2].hotpath == 1, "evidence goes before what is decoded"
    assert left[-2].uncommitted == 1, "alerts go last"


def test_things_are_given_up_step_by_step_and_come_back() -> None:
    held = Held()
    assert not held.look(1)
    assert held.memory.given_up == ""
    held.bytes = 500 * MIB
    told = [held.memory.given_up for _ in range(40) if held.look(1)]
    assert told == [words for words, _ in STEPS[1:]]
    assert held.memory.shares.hotpath == 64 * MIB
    held.bytes = 350 * MIB  # neither too much nor enough
    assert not any(held.look(60) for _ in range(100))
    held.bytes = 200 * MIB
    back = sum(held.look(STEP_SECONDS) for _ in range(int(8 * BACK_SECONDS / STEP_SECONDS)))
    assert back == len(STEPS) - 1
    assert held.memory.shares == Shares(512 * MIB, 64 * MIB, MOST_UNCOMMITTED)
    assert held.memory.steps_taken == len(STEPS) - 1


def test_what_was_freed_is_handed_back_before_anything_is_given_up() -> None:
    held = Held()
    held.bytes, held.freed = 500 * MIB, 150 * MIB
    assert not held.look(STEP_SECONDS)
    assert (held.memory.resident, held.memory.given_up) == (350 * MIB, "")
    held.bytes, held.freed = 500 * MIB, 50 * MIB
    assert not held.look(STEP_SECONDS / 2), "handing back takes time, and is not done all the time"
    assert held.look(STEP_SECONDS / 2)
    assert held.memory.given_up == STEPS[1][0]


def test_what_is_beyond_the_bound_is_given_up_sooner() -> None:
    held = Held()
    held.bytes = 500 * MIB
    assert [held.look(URGENT_SECONDS) for _ in range(4)] == [True, False, False, True]
    held.bytes = 520 * MIB
    assert [held.look(URGENT_SECONDS) for _ in range(3)] == [True, True, True]


def test_what_is_measured_is_this_process() -> None:
    before = resident_bytes()
    with mmap.mmap(-1, 64 * MIB) as ballast:  # memory that nobody had before
        ballast.write(b"x" * len(ballast))
        assert resident_bytes() - before > 60 * MIB


@pytest.mark.usefixtures("feed")
def test_the_service_acts_on_it_and_says_so(tmp_path: Path, feed: Feed, normal: Path) -> None:
    config = write_config(tmp_path)
    config.write_text('memory = "256M"\n' + config.read_text())
    daemon = Daemon(config)
    assert listening(daemon.config).recent_bytes == 32 * MIB
    judge: Judge = daemon.judge
    judge._memory._measure = lambda: 255 * MIB
    judge._memory._clock = lambda: 0.0  # so that there is one step only
    with running(daemon):
        feed.hear(normal)
        judge.call(lambda: None).result(30)
        snapshot = judge.snapshot
    assert snapshot.memory_bound == 256 * MIB
    assert snapshot.given_up == STEPS[1][0]
    assert snapshot.messages > 0


def test_it_is_an_alert_while_it_lasts() -> None:
    troubles = Troubles()
    snapshot = make_snapshot(
        given_up=STEPS[3][0], memory_bound=512 * MIB, memory_resident=500 * MIB, beat=1000.0
    )
    (trouble,) = troubles.look(Sample(1000.0, 0.0, snapshot))
    assert trouble.kind == "sensor.memory-short"
    assert "500 MiB" in trouble.observed
    assert STEPS[3][0] in trouble.observed
    assert summary(snapshot, [trouble], 1000.0)["health"] == "degraded"


@pytest.mark.parametrize("memory", ["12", "100M", "512m", "65G", "0M"])
def test_what_cannot_be_is_one_line(tmp_path: Path, memory: str) -> None:
    config = write_config(tmp_path)
    config.write_text(f'memory = "{memory}"\n' + config.read_text())
    with pytest.raises(ValueError, match="memory") as caught:
        Daemon(config)
    assert len(str(caught.value).splitlines()) == 1
