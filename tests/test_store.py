"""The store: nothing committed is lost, sinks have their places, and files are checked."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alerts.findings import START
from alerts.records import write_alert

from otids.alerts.alert import Party, rfc3339
from otids.assets.asset import Asset, Fact, Mac
from otids.store import AmbiguousAlertError, NoSuchAlertError, Store, StoreError
from otids.traffic import EndpointName


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "otids.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store(path, writing=True) as store:
        yield store


# --- alerts --------------------------------------------------------------------------------------


def test_the_current_revision_is_kept(store: Store) -> None:
    first = write_alert()
    last = write_alert(revision=3, status="closed")
    store.commit([first])
    store.commit([write_alert(revision=2), last])
    assert store.alerts() == [last.record()]
    assert list(store.alerts()[0]) == list(last.record())
    found = store.alert("aaa")
    assert found.record == last.record()
    assert (found.cause, found.accepts, found.causes) == (("novelty", 1), (), (("novelty", 1),))
    assert [one.record["revision"] for one in store.pending("any")] == [1, 2, 3]


def test_what_is_derived_again_changes_nothing(store: Store) -> None:
    store.commit([write_alert(revision=1), write_alert(revision=2, observed="then")])
    store.commit([write_alert(revision=1), write_alert(revision=2, observed="now")])
    assert len(store.pending("any")) == 2
    assert store.alerts()[0]["observed"] == "then"


def test_what_is_open_is_closed_for_a_reason_and_sinks_are_told(store: Store) -> None:
    store.commit([write_alert("b" * 16, revision=4), write_alert("c" * 16, status="closed")])
    assert store.close_open("the run ended") == 1
    record = store.alert("b").record
    assert (record["status"], record["revision"]) == ("closed", 5)
    assert record["completeness"].endswith("the run ended")
    assert list(record) == list(write_alert().record())
    assert store.pending("any")[-1].record == record
    assert store.alerts(status="open") == []
    assert store.close_open("again") == 0
    assert store.alert("c").record["revision"] == 1


def test_a_failed_commit_leaves_nothing(store: Store) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        store.commit([write_alert("b" * 16), write_alert("c" * 16, score=float("nan"))])
    assert store.alerts() == []
    assert store.pending("any") == []
    store.commit([write_alert("b" * 16)])
    assert len(store.alerts()) == 1


def test_alerts_are_filtered(store: Store) -> None:
    store.commit(
        [
            write_alert("a" * 16, severity="low", last_seen=10),
            write_alert("b" * 16, kind="policy.stop", severity="critical", last_seen=20),
            write_alert("c" * 16, kind="policy", source=None, target=None, last_seen=30),
            write_alert("d" * 16, kind="policyholder", status="closed", last_seen=40),
            write_alert("e" * 16, source=Party("10.0.0.5"), target=None, last_seen=50),
        ]
    )

    def found(**filters: object) -> str:
        return "".join(record["id"][0] for record in store.alerts(**filters))  # type: ignore[arg-type]

    assert found() == "edcba"
    assert found(limit=2) == "ed"
    assert found(kind="policy") == "cb"
    assert found(kind="policy.stop") == "b"
    assert found(status="closed") == "d"
    assert found(min_severity="medium") == "edcb"
    assert found(min_severity="high") == "b"
    assert found(device="10.0.0.66") == "dba"
    assert found(device="10.0.0.5") == "edba"
    assert found(since=20, until=40) == "cb"
    assert found(kind="policy", status="closed") == ""


def test_an_alert_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    ids = [f"ab{number:014x}" for number in range(7)] + ["cd" * 8]
    store.commit([write_alert(id_, accepts=(("x", 2), ("y",))) for id_ in ids])
    assert store.alert("CD").causes == (("x", 2), ("y",))
    assert store.alert(ids[3]).record["id"] == ids[3]
    with pytest.raises(NoSuchAlertError, match="no alert has an id that begins with 'ee'"):
        store.alert("ee")
    with pytest.raises(NoSuchAlertError):
        store.alert("")
    with pytest.raises(NoSuchAlertError):
        store.alert("%")
    with pytest.raises(AmbiguousAlertError) as caught:
        store.alert("ab")
    assert f"'ab' may be {', '.join(ids[:5])} and more" in str(caught.value)


# --- the journal, for who only counts ------------------------------------------------------------


def test_the_journal_is_followed_by_place(store: Store) -> None:
    assert (store.journal_end(), store.entries(0)) == (0, [])
    store.commit([write_alert(), write_alert("b" * 16, severity="low", kind="policy.stop")])
    end = store.journal_end()
    store.commit([write_alert(revision=2, severity="critical", status="closed")])
    assert [one.id[0] for one in store.entries(0)] == ["a", "b", "a"]
    assert [one.place for one in store.entries(0, limit=2)] == [1, 2]
    (last,) = store.entries(end)
    assert (last.revision, last.kind, last.severity, last.status, last.place) == (
        2,
        "novelty.new-item",
        "critical",
        "closed",
        store.journal_end(),
    )


def test_open_alerts_are_told_by_severity(store: Store) -> None:
    store.commit([write_alert(), write_alert("b" * 16, severity="critical")])
    store.commit([write_alert("c" * 16, status="closed")])
    assert store.open_alerts() == {"a" * 16: "medium", "b" * 16: "critical"}
    assert len(store.open_alerts(limit=1)) == 1


def test_what_people_accepted_is_told_until_they_take_it_back(store: Store) -> None:
    store.commit([write_alert(), write_alert("b" * 16)])
    store.decide("a", "ada")
    store.decide("b", "ada")
    assert store.accepted() == {"a" * 16, "b" * 16}
    store.undo("ada")
    assert store.accepted() == {"a" * 16}


# --- sinks ---------------------------------------------------------------------------------------


def test_each_sink_has_its_own_place(store: Store) -> None:
    store.commit([write_alert(revision=number) for number in range(1, 6)])
    two = store.pending("a", 2)
    assert [one.record["revision"] for one in two] == [1, 2]
    store.delivered("a", two[-1].place)
    assert [one.record["revision"] for one in store.pending("a")] == [3, 4, 5]
    assert store.backlog("a") == 3
    assert store.backlog("b") == 5
    store.delivered("a", two[0].place)
    assert store.backlog("a") == 3


def test_pruning_waits_for_every_sink(store: Store) -> None:
    store.subscribe(["a", "b"])
    store.commit([write_alert("a" * 16, status="closed", last_seen=1)], clock=lambda: 100)
    store.commit([write_alert("b" * 16, last_seen=1)], clock=lambda: 100)
    store.commit([write_alert("c" * 16)], clock=lambda: 200)
    store.delivered("a", 3)
    assert store.prune(150) == 0
    store.delivered("b", 1)
    assert store.prune(150) == 1
    assert [record["id"][0] for record in store.alerts()] == ["c", "b"]
    store.subscribe(["a"])
    assert store.prune(150) == 1
    assert len(store.alerts()) == 2
    store.subscribe([])
    assert store.prune(201) == 1
    store.commit([write_alert("c" * 16, 2)])
    assert [one.place for one in store.pending("a")] == [4]


def test_what_waits_is_counted_without_reading_it(store: Store) -> None:
    assert store.waiting("a") == (0, 0)
    for number in range(1, 6):
        store.commit([write_alert(revision=number)], clock=lambda: 100)
    store.commit([write_alert(revision=6)], clock=lambda: 200)
    assert store.waiting("a") == (6, 100)
    assert store.waiting("a", after=2) == (4, 100)
    store.delivered("a", 5)
    assert store.waiting("a", after=2) == (1, 200)
    assert [one.place for one in store.pending("a", after=2)] == [6]
    assert store.waiting("a", after=6) == (0, 0)
    store.subscribe([])
    store.prune(150)
    assert store.waiting("new") == (1, 200)


def test_a_sink_that_never_comes_does_not_keep_the_journal(store: Store) -> None:
    store.subscribe(["gone", "here"])
    for number in range(1, 6):
        store.commit([write_alert(revision=number)], clock=lambda: 100)
    store.commit([write_alert(revision=6)], clock=lambda: 200)
    store.delivered("here", 4)
    assert store.give_up(100) == {}
    assert store.give_up(150) == {"gone": 5, "here": 1}
    assert store.give_up(150) == {}
    assert store.prune(150) == 5
    assert [one.place for one in store.pending("gone")] == [6]


def test_the_journal_has_a_bound_however_young_it_is(store: Store) -> None:
    store.subscribe(["gone"])
    store.commit([write_alert(revision=number) for number in range(1, 11)], clock=lambda: 100)
    assert store.prune(0, most=3) == 0
    assert store.give_up(0, most=3) == {"gone": 7}
    assert store.prune(0, most=3) == 7
    assert store.prune(0, most=3) == 0
    assert [one.record["revision"] for one in store.pending("gone")] == [8, 9, 10]


def test_pruning_takes_a_little_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otids.store.PRUNED_AT_ONCE", 4)
    store.commit([write_alert(revision=number) for number in range(1, 11)], clock=lambda: 100)
    store.commit([write_alert(revision=11, status="closed")], clock=lambda: 100)
    assert [store.prune(150) for _ in range(4)] == [4, 4, 3, 0]
    assert store.alerts() == []


# --- decisions -----------------------------------------------------------------------------------


def test_decisions_are_journalled(store: Store) -> None:
    store.commit([write_alert("a" * 16), write_alert("b" * 16, accepts=(("x", 1), ("y",)))])
    first = store.decide("aa", "ada", clock=lambda: 10)
    second = store.decide("bb", "bob", clock=lambda: 20)
    assert first.causes == (("novelty", 1),)
    assert second.causes == (("x", 1), ("y",))
    assert (second.alert, second.kind, second.title) == (
        "b" * 16,
        "novelty.new-item",
        "Titel mit Umlaut: ä",
    )
    undone = store.undo("eve", clock=lambda: 30)
    assert (undone.number, undone.undone_at, undone.undone_by) == (second.number, 30, "eve")
    assert store.decisions() == [undone, first]
    assert store.undo("eve", first.number).number == first.number
    with pytest.raises(StoreError, match="no decision that stands"):
        store.undo("eve")
    with pytest.raises(StoreError, match="no decision 1 that stands"):
        store.undo("eve", 1)
    with pytest.raises(NoSuchAlertError):
        store.decide("cc", "ada")


# --- assets --------------------------------------------------------------------------------------


def test_the_inventory_is_replaced(store: Store) -> None:
    def asset(address: str, *facts: Fact) -> Asset:
        mac = Mac("00:80:f4:00:00:05", "TELEMECANIQUE ELECTRIQUE", False, 1, 2)
        endpoint = EndpointName(0, address)
        labels = (("rack", "7"),)
        return Asset(endpoint, "n", "r", "z", labels, (mac,), 1, 2, ("x",), facts, "")

    facts = (Fact("product", "BMX", START, 8), Fact("vendor", "Schneider", START, 7))
    assets = [asset("10.0.0.9"), asset("10.0.0.10", *facts)]
    store.save_assets(assets)
    store.save_assets(assets)
    assert store.assets() == [one.record() for one in assets]
    assert store.assets()[1]["facts"][1]["heard_at"] == rfc3339(START)
    store.save_assets([])
    assert store.assets() == []


def test_meta(store: Store) -> None:
    store.set_meta({"sensor": "s1", "capture": "x"})
    store.set_meta({"capture": "y"})
    assert store.meta() == {"sensor": "s1", "capture": "y"}


# --- files ---------------------------------------------------------------------------------------


def test_readers_read_while_a_writer_works(store: Store, path: Path) -> None:
    with Store(path) as reader:
        store.commit([write_alert()])
        with store.write() as connection:
            connection.execute("DELETE FROM revisions")
            assert len(reader.pending("any")) == 1
        assert reader.pending("any") == []
        with pytest.raises(StoreError, match="readonly"):
            reader.commit([write_alert(revision=2)])


def test_there_is_one_writer(store: Store, path: Path) -> None:
    with pytest.raises(StoreError, match="another otids is writing to it"):
        Store(path, writing=True)
    store.close()
    with Store(path, writing=True) as second:
        second.commit([write_alert()])


def test_threads_share_a_store(store: Store) -> None:
    def commit(letter: str) -> None:
        for number in range(1, 21):
            store.commit([write_alert(letter * 16, number)])
            store.pending("any", 5)

    threads = [threading.Thread(target=commit, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.backlog("any") == 80


def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.alerts()


def test_a_store_is_reopened(path: Path) -> None:
    with Store(path, writing=True) as store:
        store.commit([write_alert()])
    with Store(path, writing=True) as store:
        store.commit([write_alert(revision=2)])
    with Store(path) as store:
        assert len(store.pending("any")) == 2
    assert path.stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("writing", [False, True])
def test_foreign_files_are_refused(writing: bool, path: Path) -> None:
    def complaint() -> str:
        with pytest.raises(StoreError) as caught:
            Store(path, writing=writing)
        assert str(caught.value).startswith(str(path))
        return str(caught.value)

    path.write_bytes(b"PK\x03\x04" * 1000)
    assert "is not a store of otids" in complaint()
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    assert "is a database, but not a store of otids" in complaint()
    path.unlink()
    Store(path, writing=True).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 2")
    newer.close()
    assert "is of schema version 2; this otids reads 1" in complaint()


def test_a_missing_store_is_not_made_by_reading(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store yet"):
        Store(path)
    path.touch()
    with pytest.raises(StoreError, match="there is no store yet"):
        Store(path)
    with pytest.raises(StoreError, match="No such file"):
        Store(path.parent / "nowhere" / "otids.db", writing=True)


def test_damage_within_is_one_clear_error(path: Path) -> None:
    with Store(path, writing=True) as store:
        store.commit([write_alert(f"{number:016x}") for number in range(200)])
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xa5" * (len(data) - 8192)
    path.write_bytes(data)
    with Store(path) as store, pytest.raises(StoreError, match=r"otids\.db: is damaged"):
        store.alerts(limit=10_000)


WRITER = """
import sys
from pathlib import Path
from alerts.records import write_alert
from otids.store import Store
with Store(Path(sys.argv[1]), writing=True) as store:
    for number in range(1, 100_000):
        store.commit([write_alert("a" * 16, number), write_alert("b" * 16, number)])
        print(number, flush=True)
"""


def test_what_was_committed_survives_a_kill(path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-P", "-c", WRITER, str(path)], stdout=subprocess.PIPE, env=environment
    ) as child:
        assert child.stdout is not None
        committed = [int(child.stdout.readline()) for _ in range(20)]
        child.send_signal(signal.SIGKILL)
        committed += [int(line) for line in child.stdout if line.endswith(b"\n")]
        child.wait(timeout=30)
    with Store(path, writing=True) as store:
        found = [(one.record["id"][0], one.record["revision"]) for one in store.pending("any", -1)]
        count = len(found) // 2
        assert count in {committed[-1], committed[-1] + 1}
        assert found == [(letter, n) for n in range(1, count + 1) for letter in "ab"]
        assert [record["revision"] for record in store.alerts()] == [count, count]
        assert json.dumps(store.read("PRAGMA integrity_check")) == '[["ok"]]'
        store.commit([write_alert("a" * 16, count), write_alert("a" * 16, count + 1)])
        assert len(store.pending("any", -1)) == 2 * count + 1
