"""What `make bench` runs: that it measures, and says so. How fast anything is, nobody asserts."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from otids import _hotpath


@pytest.fixture(scope="module")
def bench(repository: Path) -> Path:
    return repository / "tools" / "bench"


@pytest.fixture
def looping(bench: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(bench))
    return __import__("looping")


@pytest.fixture
def targets(bench: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(bench))
    return __import__("targets")


def frames(capture: Path) -> int:
    return _hotpath.measure(str(capture), "read", loops=1)[0]


def messages(capture: Path) -> tuple[int, int]:
    """Messages and retransmissions of a capture."""
    hotpath = _hotpath.Hotpath()
    hotpath.open(str(capture))
    found = [0, 0]
    while (batch := hotpath.next_batch()) is not None:
        found[0] += len(batch.tables["messages"]["id"])
        found[1] += int(batch.tables["traffic"]["retransmissions"].sum())
    hotpath.close()
    return found[0], found[1]


def test_a_loop_is_no_retransmission(looping: ModuleType, normal: Path, tmp_path: Path) -> None:
    once = frames(normal)
    paths = looping.write(normal, [once, 3 * once, 10], tmp_path)
    assert {count: frames(path) for count, path in paths.items()} == {
        10: 10, once: once, 3 * once: 3 * once,
    }  # fmt: skip
    assert paths[once].read_bytes() == gzip.decompress(normal.read_bytes())
    single, repeated = messages(paths[once]), messages(paths[3 * once])
    assert single[0] > 0
    assert repeated == (3 * single[0], 3 * single[1])


def test_what_is_no_capture_is_told(looping: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(b"no capture at all, but long enough")
    with pytest.raises(SystemExit, match="noise: is not a classic"):
        looping.write(tmp_path / "noise", [1], tmp_path)


@pytest.mark.parametrize(
    ("reached", "words"),
    [(1.0, "met, 1 times over"), (2.5, "met, 2.5 times over"), (0.25, "MISSED by a factor of 4")],
)
def test_a_verdict_says_by_how_much(targets: ModuleType, reached: float, words: str) -> None:
    assert targets.verdict(reached) == words


def test_every_target_has_its_row(targets: ModuleType) -> None:
    running = __import__("running")
    fast = running.Marginal(100, 200, 1.0, 2.0, 10.0)  # 100 frames a second
    slow = running.Marginal(100, 200, 1.0, 11.0, 10.0)
    _, *rows = targets.rows({targets.REPLAYED: fast, targets.SURICATA: slow})
    assert len(rows) == len(targets.TARGETS)
    told = {row[0]: row[1:] for row in rows}
    assert told[f"{targets.REPLAYED} : {targets.SURICATA}"] == ("10", "10", "met, 1 times over")
    assert told[f"{targets.RECORDS} : {targets.SURICATA}"][2] == "not measured"
    assert told[f"{targets.REPLAYED} : {targets.ZEEK}"][2].endswith(f"estimate of {targets.ZEEK}")


@pytest.mark.timeout(600)
def test_tables_are_printed_and_numbers_written(
    bench: Path, targets: ModuleType, normal: Path, tmp_path: Path
) -> None:
    written = tmp_path / "numbers.json"
    ran = subprocess.run(
        [
            sys.executable, str(bench), "--scale", "0.001", "--runs", "1", "--json", str(written),
            *("--only", "peers", "--only", "memory", "--only", "start"),
            *("--who", "otids", "--who", "dpkt"), str(normal),
        ],
        capture_output=True, text=True, check=False, timeout=590,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    heads = [line for line in ran.stdout.splitlines() if line.startswith(("| who", "| target"))]
    assert len(heads) == 2
    numbers = json.loads(written.read_text())
    measured = numbers[normal.name]["peers"]
    assert set(measured) == {targets.DECODED, targets.RECORDS, targets.REPLAYED}
    assert measured["otids replay, all detectors"]["many"] == 1_000
    assert measured["otids decode, JSON lines"]["many_seconds"] > 0
    assert len(numbers[normal.name]["memory"]["peaks"]) == 3
    assert "| dpkt: not measured, no environment has it |" in ran.stdout
    assert set(numbers["start"]) == {
        "otids --version", "otids decode of an empty capture", "otids replay of an empty capture",
    }  # fmt: skip
