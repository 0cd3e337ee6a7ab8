import gzip
import os
import shutil
import stat
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import captures
import pytest

from otids import _hotpath
from otids.alerts.alert import Alert
from otids.alerts.evidence import CONTEXT, EvidenceFolder
from otids.traffic import Batch, Dictionaries, Ticks


def alert(id: str, frames: tuple[int, ...], title: str = "wrote") -> Alert:
    return Alert(
        id=id,
        revision=1,
        status="open",
        kind="novelty.new-endpoint",
        severity="low",
        title=title,
        explanation="",
        expected="",
        observed="",
        first_seen=0,
        last_seen=0,
        count=1,
        frames=frames,
        frame_count=len(frames),
        capture="",
        source=None,
        target=None,
        conversation="",
        protocol="modbus",
        function="",
        points=(),
        members=(),
        detector="novelty",
        score=1.0,
        attack=(),
        response={},
        evidence="",
        completeness="",
        sensor="",
        cause=("novelty.new-endpoint",),
        accepts=(),
    )


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Return a capture of 3 + 2 × 20 frames."""
    return captures.write_talk(tmp_path / "day.pcap", 20)


@pytest.fixture
def folder(tmp_path: Path) -> EvidenceFolder:
    return EvidenceFolder(tmp_path / "var" / "evidence")


def listing(folder: EvidenceFolder) -> set[str]:
    return {path.name for path in folder.path.iterdir()}


def read_with_tshark(path: Path) -> list[tuple[int, str, str]]:
    """Return times (ns), bytes and comments of the frames as Wireshark reads them."""
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed: nothing but ourselves has read the evidence")
    fields = ["-e", "frame.time_epoch", "-e", "frame.comment", "-e", "frame.cap_len"]
    done = subprocess.run(
        [tshark, "-n", "-T", "fields", *fields, "-r", path],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [(int(time.replace(".", "")), comment, length) for time, comment, length in rows]


def read_messages(path: Path) -> Counter[tuple[object, ...]]:
    """Return the messages of a capture by symbol, length and values."""
    hotpath, names = _hotpath.Hotpath(), Dictionaries()
    hotpath.open(os.fspath(path))
    ticks = Ticks(names)
    seen: Counter[tuple[object, ...]] = Counter()
    while (raw := hotpath.next_batch()) is not None:
        batch = Batch.of(raw)
        names.update(batch)
        for tick in ticks.feed(batch):
            messages, values = tick.tables.messages, tick.tables.values
            for row in range(len(messages)):
                symbol = names.symbol(int(messages.symbol[row]))
                seen[(symbol, int(messages.time[row]), int(messages.length[row]))] += 1
            for row in range(len(values)):
                seen[(names.point(int(values.point[row])), int(values.raw[row]))] += 1
    return seen


def test_evidence_has_the_frames_and_those_around_them(
    capture: Path, folder: EvidenceFolder
) -> None:
    cuttings = folder.cut(capture, [alert("a1", (30, 12, 31))])
    assert (cuttings.names, cuttings.notes, cuttings.removed) == ({"a1": "a1.pcapng"}, {}, 0)
    around = [*range(12 - CONTEXT, 12 + CONTEXT + 1), *range(30 - CONTEXT, 31 + CONTEXT + 1)]
    frames = captures.talk(20)
    expected = [
        (
            frames[number - 1][0],
            f"frame {number} of day.pcap: "
            + ("part of alert" if number in {12, 30, 31} else "context"),
            str(len(frames[number - 1][1])),
        )
        for number in around
    ]
    assert read_with_tshark(folder.path / "a1.pcapng") == expected


def test_what_is_decoded_from_the_evidence_is_what_was_decoded_before(
    capture: Path, folder: EvidenceFolder
) -> None:
    folder.cut(capture, [alert("whole", (1, 11, 22, 33, 43)), alert("part", (21,))])
    whole = read_messages(capture)
    assert sum(whole.values()) == 40 + 40, "two messages and two values a poll"
    assert read_messages(folder.path / "whole.pcapng") == whole
    part = read_messages(folder.path / "part.pcapng")
    assert sum(part.values()) == 11 + 10, "frames 16 to 26; the last is a request"
    assert set(part) <= set(whole)


@pytest.mark.parametrize("form", ["pcapng", "pcap.gz", "pcapng.gz"])
def test_every_form_of_capture_gives_the_same_evidence(
    tmp_path: Path, folder: EvidenceFolder, form: str
) -> None:
    frames = captures.talk(20)
    data = captures.pcapng(frames) if form.startswith("pcapng") else captures.pcap(frames)
    plain, other = tmp_path / "plain" / "day", tmp_path / "other" / "day"
    for path in (plain, other):
        path.parent.mkdir()
    plain.write_bytes(captures.pcap(frames))
    other.write_bytes(gzip.compress(data) if form.endswith("gz") else data)
    assert folder.cut(plain, [alert("x", (9, 40))]).names
    before = (folder.path / "x.pcapng").read_bytes()
    assert folder.cut(other, [alert("y", (9, 40))]).names
    after = (folder.path / "y.pcapng").read_bytes()
    assert after == before.replace(b"alert x", b"alert y")


def test_it_knows_of_which_alerts_it_holds_evidence(capture: Path, folder: EvidenceFolder) -> None:
    assert not folder.holds("a1")
    folder.cut(capture, [alert("a1", (5,))])
    assert folder.holds("a1")
    assert not folder.holds("../evidence/a1")
    assert not folder.holds("")


def test_missing_frames_are_told(capture: Path, folder: EvidenceFolder) -> None:
    cuttings = folder.cut(capture, [alert("some", (43, 44, 99)), alert("none", (48, 49))])
    assert cuttings.names == {"some": "some.pcapng"}
    assert cuttings.notes == {
        "some": "frames 44 and 99 of the alert are missing",
        "none": "frames 48 and 49 of the alert are missing",
    }
    assert listing(folder) == {"some.pcapng"}


def test_a_bad_alert_does_not_spoil_the_others(capture: Path, folder: EvidenceFolder) -> None:
    bad = [
        alert("../escape", (1,)),
        alert("", (1,)),
        alert("-rf", (1,)),
        alert("a" * 129, (1,)),
        alert("empty", ()),
        alert("zero", (0,)),
        alert("huge", (1 << 64,)),
    ]
    good = alert("good", (5,), title="wrote \x1b[31m\n\ud800 " + "x" * 5000)
    cuttings = folder.cut(capture, [*bad[:3], good, *bad[3:]])
    assert cuttings.names == {"good": "good.pcapng"}
    assert set(cuttings.notes) == {one.id for one in bad}
    assert all(note.startswith("no evidence: the alert") for note in cuttings.notes.values())
    assert listing(folder) == {"good.pcapng"}
    assert b"\x1b[31m" not in (folder.path / "good.pcapng").read_bytes()


def test_a_later_revision_takes_the_place_of_the_earlier(
    capture: Path, folder: EvidenceFolder
) -> None:
    folder.cut(capture, [alert("a", (5,))])
    length = (folder.path / "a.pcapng").stat().st_size
    revised = replace(alert("a", (5, 30)), revision=2)
    assert folder.cut(capture, [alert("a", (7,)), revised]).names == {"a": "a.pcapng"}
    assert (folder.path / "a.pcapng").stat().st_size > length
    assert len(listing(folder)) == 1


def test_others_cannot_read_it(capture: Path, folder: EvidenceFolder) -> None:
    before = os.umask(0o000)
    try:
        folder.cut(capture, [alert("a", (5,))])
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder.path / "a.pcapng").stat().st_mode) == 0o640
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o750


def test_what_is_wrong_with_capture_or_disk_is_told(
    tmp_path: Path, capture: Path, folder: EvidenceFolder
) -> None:
    cuttings = folder.cut(tmp_path / "gone.pcap", [alert("a", (1,)), alert("b", (2,))])
    assert cuttings.names == {}
    assert set(cuttings.notes) == {"a", "b"}
    assert "gone.pcap: No such file" in cuttings.notes["a"]

    (folder.path / "b.pcapng").mkdir()
    cuttings = folder.cut(capture, [alert("b", (2,))])
    assert cuttings.names == {}
    assert "b.pcapng" in cuttings.notes["b"]
    assert listing(folder) == {"b.pcapng"}

    in_the_way = EvidenceFolder(capture / "evidence")
    assert "Not a directory" in in_the_way.cut(capture, [alert("a", (1,))]).notes["a"]


def test_the_oldest_evidence_goes_when_the_quota_is_full(
    capture: Path, folder: EvidenceFolder
) -> None:
    folder.cut(capture, [alert(name, (20,)) for name in ("one", "two", "three")])
    size = (folder.path / "one.pcapng").stat().st_size
    for age, name in ((30, "two.pcapng"), (20, "three.pcapng"), (10, "one.pcapng")):
        os.utime(folder.path / name, (age, age))
    (folder.path / "left.pcapng.12-3.part").write_bytes(bytes(10))
    os.utime(folder.path / "left.pcapng.12-3.part", (5, 5))
    (folder.path / "notes.txt").write_bytes(bytes(10 * size))
    folder.quota_bytes = 2 * size + size // 2
    cuttings = folder.cut(capture, [alert("four", (20,))])
    assert (cuttings.names, cuttings.notes) == ({"four": "four.pcapng"}, {})
    assert cuttings.removed == 3
    assert listing(folder) == {"two.pcapng", "four.pcapng", "notes.txt"}


def test_evidence_that_does_not_fit_the_quota_is_told(
    capture: Path, folder: EvidenceFolder
) -> None:
    folder.quota_bytes = 100
    cuttings = folder.cut(capture, [alert("a", (20,))])
    assert cuttings.names == {}
    assert cuttings.notes == {"a": "the evidence did not fit the quota of its folder"}
    assert cuttings.removed == 1
    assert listing(folder) == set()


def test_many_alerts(capture: Path, folder: EvidenceFolder) -> None:
    cuttings = folder.cut(capture, (alert(f"a{index}", (index % 43 + 1,)) for index in range(150)))
    assert len(cuttings.names) == 150
    assert cuttings.notes == {}
    assert len(listing(folder)) == 150
