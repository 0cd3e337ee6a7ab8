"""The judging thread: what it saves, closes and says, and what it does for others."""

import json
import time
from pathlib import Path

import pytest
from service.made import Feed, make_alert, running, write_config

from otids.folder import StateFolder
from otids.service.daemon import Daemon, RunBefore
from otids.service.judge import RUN, JudgeEndedError
from otids.store import StoreError


@pytest.fixture
def daemon(feed: Feed, tmp_path: Path) -> Daemon:
    assert feed.captures, "what it will listen to"
    return Daemon(write_config(tmp_path))


def stored(folder: Path, status: str = "") -> list[tuple[str, int, str]]:
    with StateFolder(folder) as state:
        return [
            (one["kind"], one["revision"], one["status"])
            for one in state.store.alerts(status=status)
        ]


def test_alerts_are_committed_and_what_was_learned_is_saved(
    daemon: Daemon, feed: Feed, attacks: Path, tmp_path: Path
) -> None:
    with running(daemon):
        feed.hear(attacks)
    told = stored(tmp_path / "state")
    assert {"policy.umas-stop-plc", "policy.umas-download"} <= {kind for kind, _, _ in told}
    with StateFolder(tmp_path / "state") as state:
        assert state.load() is not None
        assert state.store.assets()
        before = RunBefore.of(state)
    assert before is not None
    assert before.ended == "stopped"
    assert not daemon.judge.is_running
    assert daemon.judge.failure is None


def test_a_new_run_closes_what_the_one_before_left_open(
    daemon: Daemon, feed: Feed, attacks: Path, tmp_path: Path
) -> None:
    with running(daemon):
        feed.hear(attacks)
    first = {kind: revision for kind, revision, _ in stored(tmp_path / "state", "open")}
    assert first
    feed.captures.append(tmp_path / "empty.pcap")
    again = Daemon(tmp_path / "otids.toml")
    assert again.missed is not None
    with running(again):
        assert stored(tmp_path / "state", "open") == []
    closed = {kind: revision for kind, revision, _ in stored(tmp_path / "state", "closed")}
    assert set(closed) == set(first)
    assert all(closed[kind] > first[kind] for kind in first)
    with StateFolder(tmp_path / "state") as state:
        record = state.store.alerts()[0]
        last = state.store.pending("somebody", 10_000)[-1].record
    assert "began anew" in record["completeness"]
    assert last["status"] == "closed", "sinks are told"


def test_what_happens_again_after_a_restart_is_another_alert(
    daemon: Daemon, feed: Feed, attacks: Path, tmp_path: Path
) -> None:
    with running(daemon):
        feed.hear(attacks)
    count = len(stored(tmp_path / "state"))
    feed.captures.append(tmp_path / "empty.pcap")
    with running(Daemon(tmp_path / "otids.toml")):
        feed.hear(attacks)
    opened = stored(tmp_path / "state", "open")
    assert "policy.umas-stop-plc" in {kind for kind, _, _ in opened}
    assert len(stored(tmp_path / "state")) == count + len(opened)


def test_a_run_that_was_killed_is_known_by_what_it_noted(daemon: Daemon) -> None:
    with running(daemon):
        noted = json.loads(daemon.folder.store.meta()[RUN])
        assert noted["ended"] == ""
        daemon.judge.call(daemon.judge.checkpoint).result(10)
        assert json.loads(daemon.folder.store.meta()[RUN])["session"] == daemon.judge.session


def test_a_note_that_makes_no_sense_is_passed_over(tmp_path: Path) -> None:
    with StateFolder(tmp_path / "state", writing=True) as state:
        for note in ("", "[]", "3", '{"judged_until": "x"}', '{"judged_until": 1e99, "ended": ""}'):
            state.store.set_meta({RUN: note})
            assert RunBefore.of(state) is None


def test_a_full_disk_stops_nothing(
    daemon: Daemon, feed: Feed, attacks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_full = [True]
    commit, save = daemon.folder.store.commit, daemon.folder.save

    def fail(*args: object) -> None:
        if is_full[0]:
            raise StoreError("database or disk is full")
        commit(*args)  # type: ignore[arg-type]

    def fail_to_save(state: dict[str, object]) -> None:
        if is_full[0]:
            raise OSError(28, "No space left on device")
        save(state)

    monkeypatch.setattr(daemon.committer, "_commit", fail)
    monkeypatch.setattr(daemon.folder, "save", fail_to_save)
    monkeypatch.setattr("otids.service.committing.RETRY_SECONDS", 0.0)
    with running(daemon):
        feed.hear(attacks)
        daemon.judge.call(daemon.judge.checkpoint).result(10)
        time.sleep(0.1)
        snapshot = daemon.judge.snapshot
        assert "disk is full" in snapshot.store_trouble
        assert "No space left" in snapshot.checkpoint_trouble
        assert snapshot.uncommitted > 0
        assert stored(tmp_path / "state") == []
        is_full[0] = False
        daemon.judge.call(daemon.judge.checkpoint).result(10)
        time.sleep(0.1)
        snapshot = daemon.judge.snapshot
        assert (snapshot.store_trouble, snapshot.checkpoint_trouble) == ("", "")
        assert snapshot.uncommitted == snapshot.lost_alerts == 0
        assert "policy.umas-stop-plc" in {kind for kind, _, _ in stored(tmp_path / "state")}


def test_calls_run_between_batches_and_give_results_and_errors(daemon: Daemon) -> None:
    with running(daemon):
        assert daemon.judge.call(lambda: 6 * 7).result(10) == 42
        with pytest.raises(ZeroDivisionError):
            daemon.judge.call(lambda: 1 // 0).result(10)
        assert daemon.judge.finish(10)
        assert daemon.judge.call(lambda: "still here").result(10) == "still here"
    with pytest.raises(JudgeEndedError):
        daemon.judge.call(lambda: 1).result(10)


def test_a_call_that_calls_again_does_not_stop_judging(daemon: Daemon) -> None:
    def again() -> None:
        daemon.judge.call(again)

    with running(daemon):
        daemon.judge.call(again)
        beat = daemon.judge.snapshot.beat
        time.sleep(0.2)
        assert daemon.judge.snapshot.beat > beat


def test_a_failure_is_kept_for_who_waits_and_calls_are_refused(daemon: Daemon, feed: Feed) -> None:
    with running(daemon):
        feed.failure = OSError(5, "Input/output error", "eth1")
        while daemon.judge.is_running:
            time.sleep(0.01)
        assert daemon.judge.failure is feed.failure
        with pytest.raises(JudgeEndedError):
            daemon.judge.call(lambda: 1).result(10)


def test_a_clock_that_is_set_is_counted(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(daemon):
        clock = time.time
        monkeypatch.setattr(time, "time", lambda: clock() + 3600)
        time.sleep(0.2)
        assert daemon.judge.snapshot.clock_steps == 1
        assert daemon.judge.snapshot.clock_step == pytest.approx(3600, abs=5)
        monkeypatch.undo()


def test_frames_of_another_run_are_not_cut_from_this_one(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut: list[str] = []
    monkeypatch.setattr(
        daemon.folder.evidence,
        "cut_with",
        lambda _, alerts: cut.extend(one.id for one in alerts),
    )
    monkeypatch.setattr(daemon.pipeline.triage, "begin", lambda _: [make_alert(5)])
    with running(daemon):
        time.sleep(0.1)
    assert cut == []
    assert stored(tmp_path / "state") == [("novelty.write-from-new-client", 2, "closed")]


def test_evidence_of_frames_that_are_gone_is_not_cut_again(
    daemon: Daemon,
) -> None:
    judge = daemon.judge
    evidence = daemon.folder.evidence.path
    evidence.mkdir()
    alert = make_alert(7)
    judge._tell([alert])
    assert alert.id in judge._to_cut, "no evidence yet: what is here is better than nothing"
    judge._to_cut.clear()
    (evidence / f"{alert.id}.pcapng").write_bytes(b"of the first revision")
    judge._tell([alert])
    assert judge._to_cut == {}
    daemon.folder.close()
