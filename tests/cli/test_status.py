"""`otids status`: how far learning is, what is not heard whole, what is open."""

from pathlib import Path

import pytest
from captures import pcap, talk
from cli.commands import Run

from otids.detectors.base import Readiness
from otids.status import Learning
from otids.traffic import ConversationName, EndpointName


def one_side(path: Path) -> Path:
    """Write a capture that holds what a client sends, and nothing of its server."""
    frames = [(time, data) for time, data in talk(60) if data[26:30] == bytes([10, 0, 0, 1])]
    path.write_bytes(pcap(frames))
    return path


@pytest.fixture
def lone(tmp_path: Path, run: Run) -> Path:
    """A state in which little was learned, of a capture that has one side only."""
    state = tmp_path / "lone"
    assert run("replay", "--state", state, one_side(tmp_path / "lone.pcap")).code == 0
    return state


def test_a_state_that_is_learned_is_ready(run: Run, judged: Path) -> None:
    (record,) = run("status", "--state", judged, "--json").records
    learned = {one["detector"]: one for one in record["detectors"]}
    assert list(learned)[:2] == ["policy", "novelty"]
    assert learned["novelty"]["plant"] == {"progress": 1.0, "seconds_left": 0.0}
    assert (learned["novelty"]["ready"], learned["novelty"]["learning"]) == (9, 0)
    assert record["blind"] == []
    assert record["is_declared"] is False
    alerts = run("alerts", "--state", judged, "--open", "--json").records
    assert sum(record["open_alerts"].values()) == len(alerts) > 5
    assert record["judged_until"] >= max(one["last_seen"] for one in alerts)[:19]
    out = run("status", "--state", judged).out
    assert "new devices and conversations: ready; 9 conversations ready" in out
    assert "Not heard whole  none" in out


def test_what_is_accepted_is_not_open(run: Run, judged: Path) -> None:
    before = run("status", "--state", judged, "--json").records[0]["open_alerts"]
    worst = run("alerts", "--state", judged, "--json").records[-1]
    assert run("accept", worst["id"], "--state", judged, "--yes").code == 0
    after = run("status", "--state", judged, "--json").records[0]["open_alerts"]
    assert after == {**before, worst["severity"]: before[worst["severity"]] - 1}


def test_a_capture_of_one_side_says_so(run: Run, lone: Path) -> None:
    (record,) = run("status", "--state", lone, "--json").records
    assert record["blind"] == [
        {"conversation": "10.0.0.1 → 10.0.0.2 modbus/502", "why": "one-sided"}
    ]
    (novelty,) = [one for one in record["detectors"] if one["detector"] == "novelty"]
    (talk_,) = novelty["conversations"]
    assert 0 < talk_["progress"] < 1
    assert 0 < talk_["seconds_left"] <= 600
    out = run("status", "--state", lone).out
    assert "Still learned by novelty" in out
    assert "modbus/502: only one side is in the capture" in " ".join(out.split())
    said = run("replay", "--state", lone, lone.parent / "lone.pcap").out
    assert "only one side is in the capture" in " ".join(said.split())
    assert "1 learning" in " ".join(said.split())


def test_there_is_no_status_of_nothing(run: Run, tmp_path: Path) -> None:
    ran = run("status", "--state", tmp_path / "none")
    assert ran.code == 2
    assert "there is no such state folder" in ran.err


def test_learning_is_summed_up() -> None:
    names = [
        ConversationName(EndpointName(0, "a"), EndpointName(0, "b"), "modbus", "tcp", port)
        for port in range(4)
    ]
    made = Learning.of(
        "timing",
        [
            Readiness(names[3], 0.2, None),
            Readiness(None, 0.5, 30.0),
            Readiness(names[2], 0.9, 10.0),
            Readiness(names[1], 0.2, 40.0),
            Readiness(names[0], 1.0, 0.0),
        ],
    )
    assert [one.conversation for one in made.learning] == [names[2], names[1], names[3]]
    assert (made.ready, made.plant) == (1, Readiness(None, 0.5, 30.0))
    assert not made.is_silent
    assert Learning.of("policy", []).is_silent
