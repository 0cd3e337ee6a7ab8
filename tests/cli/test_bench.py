"""`otids bench`, as a user calls it."""

import json
from pathlib import Path

import pytest
from cli.commands import Run

from otids.detectors import make_detectors
from otids.measuring import HOT_PATH, RECORDS, REST, THREAD, WHOLE, WORDS

PARTS = ("inventory", "losses", "completeness", "agreement", "triage")


def test_every_stage_is_told(run: Run, normal: Path, attacks: Path) -> None:
    ran = run("bench", "--json", "--runs", 1, "--learn", normal, attacks)
    assert (ran.code, ran.err) == (0, "")
    stages = {one["stage"]: one for one in ran.records}
    detectors = [one.name for one in make_detectors(())]
    assert set(stages) == {
        *WORDS.values(), *detectors, *PARTS, REST, HOT_PATH, RECORDS, THREAD, WHOLE,
    }  # fmt: skip
    replayed = run("replay", "--json", "--learn", normal, attacks)
    assert replayed.code == 0
    whole = stages[WHOLE]
    assert whole["frames"] > whole["messages"] > whole["ticks"] > 0
    for one in stages.values():
        assert one["seconds"] >= 0
        assert (one["frames"], one["ticks"]) == (whole["frames"], whole["ticks"])
    judging = sum(stages[name]["seconds"] for name in (*detectors, *PARTS, REST))
    assert judging == pytest.approx(stages[THREAD]["seconds"], rel=0.2)
    # What is measured as a whole holds its parts.
    assert stages[HOT_PATH]["seconds"] > 0
    assert whole["seconds"] > stages[THREAD]["seconds"] > stages["novelty"]["seconds"] > 0


def test_a_table_for_people(run: Run, normal: Path) -> None:
    ran = run("bench", "--runs", 1, normal)
    assert (ran.code, ran.err) == (0, "")
    head, *lines, last = ran.out.splitlines()
    assert head.split("  ")[0] == "stage"
    assert [line for line in lines if line.startswith(WHOLE)]
    assert last.split(" frames, ")[0].replace(",", "").isdigit()


def test_a_stage_that_takes_too_long_is_given_up(run: Run, normal: Path) -> None:
    ran = run("bench", "--runs", 1, "--time-limit", "0.001s", normal)
    assert (ran.code, ran.out) == (2, "")
    assert {line.split(": ")[2] for line in ran.err.splitlines()} == {"took longer than 0.001 s"}


def test_a_capture_without_frames(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
    ran = run("bench", "--runs", 1, empty)
    assert (ran.code, ran.complaint) == (2, f"otids: {empty}: holds no frames")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("no/such.pcap",), "no/such.pcap"),
        (("--time-limit", "soon", "x.pcap"), "is no duration"),
        (("--rules", "no/such/rules", "x.pcap"), "is not a directory"),
    ],
)
def test_mistakes_are_one_clear_line(run: Run, words: tuple[str, ...], complaint: str) -> None:
    ran = run("bench", *words)
    assert (ran.code, ran.out) == (2, "")
    assert complaint in ran.complaint


def test_json_is_one_object_a_line(run: Run, normal: Path) -> None:
    lines = run("bench", "--runs", 1, "--json", normal).out.splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
