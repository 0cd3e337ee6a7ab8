"""Volume: what it tells, what it must not tell, and how it is saved."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from detectors.suite import CHECKS, Act, Play, Stage, all_said, plain, restored
from pipelines import feed, make_pipeline
from ticks import HMI, PLC, Wire, reads

from otids.detectors.base import Finding, Quarantine, StateError
from otids.detectors.volume import MOST_FINDINGS, Volume
from otids.learning.models import normal
from otids.resources import data_folder
from otids.rules.models import Definition, load_models
from otids.traffic import Loss

SHIPPED = load_models([data_folder("models")])
WINDOW = 2
STANDBY = "10.0.0.11"


def fast() -> Volume:
    """Return a detector with the shipped models, but for their windows."""
    return Volume(msgspec.structs.replace(one, window=WINDOW) for one in SHIPPED)


# After its crowd that one expects silence; but the window in which the crowd ends is told then.
@pytest.mark.parametrize("check", [one for one in CHECKS if one != "memory_is_bounded"])
def test_suite_with_windows_that_close_within_its_plays(check: str) -> None:
    CHECKS[check](fast)


# --- plays ---------------------------------------------------------------------------------------


def polls(
    start: int, seconds: int, each: float = 1.0, client: str = HMI, size: int = 1_000
) -> list[Act]:
    """A client that polls `each` times as much as usual: 2 messages and 1 kB a second."""

    def at(second: int) -> Act:
        def act(wire: Wire) -> None:
            number = round(2 * each) + (1 if second % 3 == 0 else 0)
            for place in range(number):
                registers = reads("holding-register", 0, 10)
                to = wire.request(second + place / (2 * number), 3, registers, client=client)
                wire.response(to, latency=0.001)
            wire.volume(
                second + 0.9,
                parts={"client": client},
                client_frames=number,
                client_bytes=size * number // 2 + 7 * (second % 5),
                server_frames=number,
                server_bytes=size * number + 9 * (second % 4),
            )

        return act

    return [at(second) for second in range(start, start + seconds)]


def learned(seconds: int = 200, *plays: Play) -> Stage:
    """A stage that has learned usual polling by declaration."""
    stage = Stage(fast())
    stage.learn([act for play in (polls(0, seconds), *plays) for act in play])
    return stage


def found(stage: Stage, *plays: Play) -> list[Finding]:
    return [one for play in plays for act in stage.give(play) for one in act]


# --- what is told --------------------------------------------------------------------------------


def test_a_flood_is_told_at_once() -> None:
    first, *more = found(learned(), polls(200, 20, each=30), polls(220, 10))
    assert first.kind == "volume.unusual"
    assert not first.weak
    assert (first.source, first.target) == ((0, HMI), (0, PLC))
    assert "requests and reports" in first.observed
    assert "times the most learned" in first.observed
    assert "never more than" in first.expected
    assert "windows learned" in first.expected
    assert {one.cause for one in more} == {first.cause}
    assert {one.kind for one in more} == {"volume.unusual"}  # of devices it says nothing new


def test_what_is_a_few_times_as_much_is_weak_until_it_lasts() -> None:
    told = found(learned(), polls(200, 6, each=4), polls(206, 10))
    assert [one.weak for one in told[:3]] == [True, False, False]
    assert "2 windows in a row" in told[1].observed


def test_more_bytes_alone_are_told() -> None:
    told = found(learned(), polls(200, 8, size=40_000), polls(208, 4))
    assert told
    assert not told[0].weak
    assert "kB received" in told[0].observed
    assert "messages" not in told[0].observed


def test_an_ordinary_day_is_silent() -> None:
    assert found(learned(), polls(200, 600)) == []


def test_what_is_silent_is_none_of_ours() -> None:
    assert found(learned(), polls(400, 60), polls(3_000, 60, each=0.5)) == []


def test_what_was_learned_once_may_come_again() -> None:
    stage = learned(200, polls(200, 4, each=10), polls(204, 100))
    assert found(stage, polls(304, 50), polls(354, 4, each=10), polls(358, 20)) == []
    assert found(stage, polls(378, 10, each=100), polls(388, 4))


def test_many_connections_of_a_device_are_told_of_the_device() -> None:
    def scan(second: int) -> Act:
        def act(wire: Wire) -> None:
            for place in range(30):
                wire.connection(second + place / 100, "attempted", port=1_000 + place)

        return act

    told = found(learned(), [scan(200), scan(201)], polls(202, 6))
    (only,) = told
    assert only.kind == "volume.unusual-device"
    assert only.source == (0, HMI)
    assert "60 connections tried" in only.observed


# --- what is not told ----------------------------------------------------------------------------


def test_a_standby_takes_over() -> None:
    life = polls(0, 200, each=0.5, client=STANDBY, size=50)
    stage = Stage(fast())
    stage.learn([_both(one, other) for one, other in zip(polls(0, 200), life, strict=True)])
    whole = polls(202, 60, client=STANDBY)
    assert found(stage, whole) == []
    assert found(stage, polls(262, 20, client=STANDBY, each=8), polls(282, 4))


def _both(*acts: Act) -> Act:
    def act(wire: Wire) -> None:
        # The rows of a tick stand in order of time within each table only.
        for one in acts:
            wire._now = min(wire._now, wire._now // 10**9 * 10**9)
            one(wire)

    return act


def test_nothing_is_told_before_enough_was_heard() -> None:
    seconds = WINDOW * normal.ENOUGH
    short = learned(seconds)  # without the first window, which may have begun before
    assert found(short, polls(seconds, 1, each=30)) == []
    (ready,) = short.detectors[0].readiness()
    assert ready.progress < 1
    assert ready.seconds_left is not None


def test_what_nobody_declared_is_ready_after_an_hour_and_weak_for_a_day() -> None:
    stage = Stage(fast())
    assert found(stage, polls(0, 300), polls(300, 4, each=2), polls(304, 10)) == []
    # Some polls a minute: time passes, but little of it has to be played.
    sparse = [act for minute in range(6, 70) for act in polls(60 * minute, 2)]
    assert found(stage, sparse) == []
    (whole,) = stage.detectors[0].readiness()
    assert whole.progress == 1
    told = found(stage, polls(5_000, 10, each=60), polls(5_010, 4))
    assert told
    assert all(one.weak for one in told)


def test_a_window_that_is_not_heard_whole_is_not_learned() -> None:
    stage = learned()
    (detector,) = stage.detectors
    before = _windows(detector)
    _lossy(stage, polls(200, 20))
    assert _windows(detector) <= before + 2  # what was open, and the last one


def test_loss_hides_no_flood() -> None:
    told = _lossy(learned(), polls(200, 20, each=30))
    assert told
    assert not told[0].weak


def _lossy(stage: Stage, play: Play) -> list[Finding]:
    (detector,) = stage.detectors
    told: list[Finding] = []
    for act in play:
        for whole in stage.ticks(act):
            every = np.ones(whole.names.conversations.size, np.bool_)
            tick = replace(whole, loss=Loss(every, np.zeros_like(every)))
            findings = detector.judge(tick)
            told.extend(findings)
            detector.learn(tick, Quarantine(tick, findings))
    return told


def _windows(detector: object) -> int:
    watch = detector._watches["modbus"]  # type: ignore[attr-defined]
    return int(watch.ledger["windows"].sum())


# --- drift ---------------------------------------------------------------------------------------


def test_a_ramp_is_told_before_it_is_three_times_as_much() -> None:
    stage = learned(400)
    each, second = 1.0, 400
    while each < 3:
        if found(stage, polls(second, WINDOW, each=1, size=round(1_000 * each))):
            break
        each, second = each * 1.01, second + WINDOW
    assert 1.2 < each < 3


def test_slow_drift_is_followed_within_its_bound() -> None:
    stage = learned(400)
    second = 400
    for step in range(240):  # 20 % in all
        assert found(stage, polls(second, WINDOW, size=1_000 + step)) == []
        second += WINDOW


# --- decisions -----------------------------------------------------------------------------------


def test_so_much_is_accepted_and_no_more() -> None:
    stage = learned()
    told = found(stage, polls(200, 10, each=30), polls(210, 10))
    (detector,) = stage.detectors
    for cause in {cause for one in told for cause in one.accepts}:
        assert detector.accept(cause)
    assert found(stage, polls(220, 10, each=30), polls(230, 10)) == []
    assert found(stage, polls(240, 10, each=100), polls(250, 10))


@pytest.mark.parametrize(
    "cause",
    [
        ("volume", "device", 0, PLC, "sent_bytes", -1),
        ("volume", "device", 0, PLC, "sent_bytes", 2**62),
        ("volume", "device", 0, PLC, "no-feature", 5),
        ("volume", "device", "0", PLC, "sent_bytes", 5),
        ("volume", "conversation", 0, PLC, "sent_bytes", 5),
        ("volume", "else", 0, PLC, "sent_bytes", 5),
        ("volume", "sent_bytes", 5),
    ],
)
def test_nonsense_is_not_accepted(cause: tuple[str | int, ...]) -> None:
    assert not fast().accept(cause)


# --- state ---------------------------------------------------------------------------------------


def test_a_restart_in_the_middle_of_a_window_changes_nothing() -> None:
    play = [*polls(200, 7), *polls(207, 10, each=6), *polls(217, 20)]
    whole = learned()
    states, frames, told = [], [], []
    for act in play:
        states.append(whole.detectors[0].state())
        frames.append(whole.wire._frame)
        told.extend(all_said(whole.give([act])))
    assert any(told)
    for place in (1, 6, 8, 11, 20):
        again = Stage(restored(fast, states[place]))
        again.wire._frame = frames[place]
        assert all_said(again.give(play[place:])) == told[place:]
        assert plain(again.detectors[0].state()) == plain(whole.detectors[0].state())


def test_a_definition_that_was_changed_is_learned_again() -> None:
    state = plain(learned().detectors[0].state())
    other = Volume(msgspec.structs.replace(one, window=3) for one in SHIPPED)
    other.restore(state)
    assert other.readiness() == []


def test_a_definition_that_is_gone_is_passed_over() -> None:
    state = plain(learned().detectors[0].state())
    fewer = Volume(
        msgspec.structs.replace(one, window=WINDOW) for one in SHIPPED if one.name != "other"
    )
    fewer.restore(state)
    assert {one.name for one in fewer._definitions.values()} == {"modbus", "devices"}


def test_a_damaged_model_is_an_error() -> None:
    state = plain(learned().detectors[0].state())
    state["watches"]["modbus"]["model"]["weights"]["data"] = b"\xff" * 88
    with pytest.raises(StateError, match="volume"):
        fast().restore(state)


def test_what_another_flagged_is_not_learned() -> None:
    stage = learned()
    (detector,) = stage.detectors
    before = _windows(detector)
    for act in polls(200, 20):
        for tick in stage.ticks(act):
            flagged = Finding("x", ("x",), 0, 0, (), 0, 1, "x", "", "", 1.0,
                              rows={"messages": np.array([0])})  # fmt: skip
            detector.judge(tick)
            detector.learn(tick, Quarantine(tick, [flagged]))
    assert _windows(detector) <= before + 1


def test_findings_of_a_window_are_bounded() -> None:
    clients = [f"10.0.1.{place}" for place in range(MOST_FINDINGS + 9)]

    def all_at(second: int, frames: int) -> Act:
        def act(wire: Wire) -> None:
            for client in clients:
                wire.volume(second + 0.5, parts={"client": client}, client_frames=frames,
                            client_bytes=60 * frames)  # fmt: skip

        return act

    stage = Stage(fast())
    stage.learn([all_at(second, 2) for second in range(40)])
    told = found(stage, [all_at(40, 900), all_at(41, 900), all_at(42, 2)])
    assert len(told) == MOST_FINDINGS
    assert told[-1].cause == ("volume", "conversations", "further")
    assert "10 further" in told[-1].observed


# --- captures ------------------------------------------------------------------------------------


def captured(name: str, repository: Path) -> Path:
    path = repository / "replay" / "captures" / name / f"{name}.pcap.gz"
    if not path.exists():
        pytest.skip(f"{path.relative_to(repository)} was not recorded")
    return path


def judged(learn: Path, judge: Path) -> list[Finding]:
    detector = Volume()
    pipeline, _ = make_pipeline([detector])
    feed(pipeline, learn, learn=True)
    pipeline.finish()
    told: list[Finding] = []
    look = detector.judge

    def judging(tick: object) -> Sequence[Finding]:
        findings = look(tick)  # type: ignore[arg-type]
        told.extend(findings)
        return findings

    detector.judge = judging  # type: ignore[method-assign]
    feed(pipeline, judge)
    return told


@pytest.mark.parametrize("name", ["normal-seed2", "normal-seed3", "normal-seed4"])
def test_other_normal_work_is_silent(name: str, repository: Path) -> None:
    assert judged(captured("normal", repository), captured(name, repository)) == []


def test_a_scan_through_registers_is_more_than_usual(repository: Path) -> None:
    told = judged(captured("normal", repository), captured("attacks", repository))
    assert {one.source.address for one in told if one.source} == {"10.20.1.12", "10.20.2.20"}


def test_attacks_on_the_whole_plant(repository: Path) -> None:
    """Exfiltration in a conversation that nobody decodes, a flood, and what else is much."""
    capture = captured("plant-attacks", repository)
    told = judged(captured("plant", repository), capture)
    spans = [
        (float(start), float(end), label)
        for start, end, label in (
            line.split(",")
            for line in capture.with_name("labels.csv").read_text("utf-8").splitlines()[1:]
        )
    ]
    strong = [one for one in told if not one.weak]
    during = {
        label
        for start, end, label in spans
        if any(one.first_seen < end * 1e9 and one.last_seen > start * 1e9 for one in strong)
    }
    assert {"exfiltration", "flood", "exception-storm", "half-open"} <= during
    quiet = [
        one
        for one in told
        if not any(one.first_seen < end * 1e9 and one.last_seen > start * 1e9 - 1e9
                   for start, end, _ in spans)
    ]  # fmt: skip
    assert quiet == []
    (stolen,) = {one.cause for one in strong if one.conversation and one.conversation.port == 5450}
    assert stolen[3] == "10.20.2.20"


def test_definitions_are_those_of_the_folder() -> None:
    assert [one.name for one in SHIPPED] == ["devices", "modbus", "other"]
    assert all(isinstance(one, Definition) for one in SHIPPED)
