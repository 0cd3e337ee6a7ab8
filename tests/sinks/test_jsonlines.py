"""The JSON lines sink: whole lines, whatever happens."""

import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from alerts.records import write_alert

from otids.sinks import Sink, SinkError
from otids.sinks.jsonlines import JsonLines, encode


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alerts.jsonl"


def test_records_stand_one_a_line(path: Path) -> None:
    sink: Sink = JsonLines(path)
    records = [write_alert(revision=number).record() for number in range(1, 4)]
    sink.deliver(records[:2])
    sink.deliver([])
    sink.deliver(records[2:])
    data = path.read_bytes()
    assert data.endswith(b"\n")
    assert [json.loads(line) for line in data.splitlines()] == records
    assert "Umlaut: ä".encode() in data
    assert path.stat().st_mode & 0o007 == 0


def test_a_line_end_within_a_text_is_no_line_end() -> None:
    line = encode({"a": "x\ny\u2028z", "b": "\ud800"})
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"a": "x\ny\u2028z", "b": "?"}


def test_a_torn_line_is_cut_off(path: Path) -> None:
    path.write_bytes(b'{"id":1}\n{"id":2,"ti')
    JsonLines(path).deliver([{"id": 2}])
    assert path.read_bytes() == b'{"id":1}\n{"id":2}\n'


def test_a_torn_first_line_is_cut_off(path: Path) -> None:
    path.write_bytes(b'{"id')
    JsonLines(path).deliver([{"id": 1}])
    assert path.read_bytes() == b'{"id":1}\n'


@pytest.mark.parametrize("content", [b"somebody's notes", b"{\n}\nx", b"{" + b"x" * (1 << 20)])
def test_a_foreign_file_is_left_alone(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(SinkError, match="is no JSON line; left as it is"):
        JsonLines(path).deliver([{"id": 1}])
    assert path.read_bytes() == content


def test_a_full_disk_leaves_whole_lines(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = JsonLines(path)
    sink.deliver([{"id": 1}])
    write = os.write
    written: list[int] = []

    def write_some(descriptor: int, data: Sequence[int]) -> int:
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(write(descriptor, bytes(data[:4])))
        return written[0]

    monkeypatch.setattr(os, "write", write_some)
    with pytest.raises(SinkError, match=r"alerts\.jsonl: No space left"):
        sink.deliver([{"id": 2}])
    monkeypatch.undo()
    assert written == [4]
    assert path.read_bytes() == b'{"id":1}\n'
    sink.deliver([{"id": 2}])
    assert path.read_bytes() == b'{"id":1}\n{"id":2}\n'


def test_a_rotated_file_is_made_again(path: Path) -> None:
    sink = JsonLines(path)
    sink.deliver([{"id": 1}])
    path.rename(path.with_suffix(".1"))
    sink.deliver([{"id": 2}])
    assert path.read_bytes() == b'{"id":2}\n'


def test_a_pipe_is_written_to(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(SinkError, match="No such device"):
        JsonLines(path).deliver([{"id": 1}])
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    JsonLines(path).deliver([{"id": 1}])
    assert os.read(reader, 100) == b'{"id":1}\n'
    os.close(reader)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="nowhere/a: No such file"):
        JsonLines(tmp_path / "nowhere" / "a").deliver([{"id": 1}])


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def ids(path: Path) -> list[int]:
    return [json.loads(line)["id"] for line in path.read_bytes().splitlines()]


def test_a_full_file_is_rotated_and_the_oldest_goes(path: Path) -> None:
    sink = JsonLines(path, rotate_bytes=20, keep=2)
    for number in range(1, 8):
        sink.deliver([{"id": number}])
    assert names(path.parent) == ["alerts.jsonl", "alerts.jsonl.1", "alerts.jsonl.2"]
    assert ids(path) == [7]
    assert ids(path.with_suffix(".jsonl.1")) == [5, 6]
    assert ids(path.with_suffix(".jsonl.2")) == [3, 4]


def test_a_delivery_larger_than_a_file_stays_whole(path: Path) -> None:
    sink = JsonLines(path, rotate_bytes=20, keep=2)
    sink.deliver([{"id": number} for number in range(1, 6)])
    sink.deliver([{"id": 6}])
    assert ids(path.with_suffix(".jsonl.1")) == [1, 2, 3, 4, 5]
    assert ids(path) == [6]


def test_nothing_older_is_kept_if_so_wished(path: Path) -> None:
    sink = JsonLines(path, rotate_bytes=20, keep=0)
    for number in range(1, 4):
        sink.deliver([{"id": number}])
    assert names(path.parent) == ["alerts.jsonl"]
    assert ids(path) == [3]


def test_rotation_from_outside_and_our_own_go_together(path: Path) -> None:
    sink = JsonLines(path, rotate_bytes=20, keep=3)
    sink.deliver([{"id": 1}])
    path.rename(path.with_suffix(".old"))  # logrotate, create
    sink.deliver([{"id": 2}])
    assert ids(path) == [2]
    path.write_bytes(b"")  # logrotate, copytruncate
    sink.deliver([{"id": 3}])
    sink.deliver([{"id": 4}])
    sink.deliver([{"id": 5}])
    assert ids(path) == [5]
    assert ids(path.with_suffix(".jsonl.1")) == [3, 4]


def test_a_link_stays_a_link(path: Path) -> None:
    real = path.with_name("real.jsonl")
    path.symlink_to(real)
    sink = JsonLines(path, rotate_bytes=10, keep=1)
    sink.deliver([{"id": 1}])
    sink.deliver([{"id": 2}])
    assert path.is_symlink()
    assert ids(real) == [2]
    assert ids(path.with_name("real.jsonl.1")) == [1]


def test_a_rotation_that_fails_loses_nothing(path: Path) -> None:
    sink = JsonLines(path, rotate_bytes=10, keep=1)
    sink.deliver([{"id": 1}])
    path.with_suffix(".jsonl.1").mkdir()
    with pytest.raises(SinkError, match=r"alerts\.jsonl: "):
        sink.deliver([{"id": 2}])
    assert ids(path) == [1]
