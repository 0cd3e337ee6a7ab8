"""`otids evaluate`, as a user calls it."""

import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli.commands import Ran, Run, environment, invoke
from evaluation.work import break_down

from otids.cli import evaluate as command

WriteCases = Callable[..., Path]


@pytest.fixture
def write_cases(tmp_path: Path, captures: Path) -> WriteCases:
    """Write a `cases.toml`: a case is its name and what differs from judging attacks."""

    def write(**cases: dict[str, Any]) -> Path:
        folder = tmp_path / "mine"
        folder.mkdir()
        text = ""
        for name, keys in cases.items():
            case = {
                "name": name,
                "learn": [str(captures / "normal" / "normal.pcap.gz")],
                "judge": [str(captures / "attacks" / "attacks.pcap.gz")],
                "labels": str(captures / "attacks" / "labels.csv"),
                **keys,
            }
            text += "[[case]]\n"
            text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in case.items())
        (folder / "cases.toml").write_text(text)
        return folder

    return write


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, captures: Path) -> tuple[Path, Ran]:
    """What an evaluation of the recorded captures says, and where it wrote its files."""
    folder = tmp_path_factory.mktemp("evaluated")
    files = ("--alerts", folder / "alerts", "--json", folder / "numbers.json")
    ran = invoke(folder, "evaluate", captures, "--types", *files)
    assert (ran.code, ran.err) == (0, "")
    return folder, ran


def numbers(ran: Ran) -> dict[str, Any]:
    """Numbers by case, of what `--json -` prints."""
    return {one["case"]: one for one in json.loads(ran.out)["cases"]}


def cells(line: str) -> list[str]:
    return line.split()


# --- what comes out ------------------------------------------------------------------------------


def test_every_attack_of_the_recorded_plant_is_found(evaluated: tuple[Path, Ran]) -> None:
    folder, ran = evaluated
    head, *lines = ran.out.partition("\n\nby attack type\n")[0].splitlines()
    assert head.split("  ")[0] == "case"
    assert [cells(line)[0] for line in lines[:11]] == [
        *("replay_normal_seed2", "replay_normal_seed3", "replay_normal_seed4"),
        *("replay_attacks", "replay_plant_attacks", "replay_iec104_normal_seed3"),
        *("replay_iec104_attacks", "replay_substation_attacks", "replay_dnp3_attacks"),
        *("replay_s7_attacks", "replay_mqtt_attacks"),
    ]
    assert lines[-1].startswith("= overall (11 cases)")
    overall = json.loads((folder / "numbers.json").read_text())["overall"]
    assert overall["detected"] == overall["attacks"] == 66
    assert overall["false_alerts"] == 0
    assert "  captures: umas-stop: 1/1\n" in ran.out


def test_alerts_are_those_of_a_replay(
    evaluated: tuple[Path, Ran], run: Run, normal: Path, attacks: Path
) -> None:
    file = evaluated[0] / "alerts" / "replay_attacks.jsonl"
    told = [json.loads(line) for line in file.read_text().splitlines()]
    replayed = run("replay", "--learn", normal, attacks, "--json", "--sensor", command.SENSOR)
    assert told == replayed.records
    assert (evaluated[0] / "alerts" / "replay_normal_seed2.jsonl").read_bytes() == b""


def test_side_by_side_is_as_one_by_one(
    evaluated: tuple[Path, Ran], run: Run, captures: Path
) -> None:
    assert run("evaluate", captures / "cases.toml", "--types", "--jobs", 1).out == evaluated[1].out


def test_json_to_standard_output(evaluated: tuple[Path, Ran], run: Run, captures: Path) -> None:
    ran = run("evaluate", captures, "--json", "-")
    assert ran.out == (evaluated[0] / "numbers.json").read_text()


def test_only_some_cases(run: Run, captures: Path) -> None:
    ran = run("evaluate", captures, "--only", "*seed3", "--only", "replay_*4", "--json", "-")
    assert numbers(ran).keys() == {
        *("replay_normal_seed3", "replay_iec104_normal_seed3", "replay_normal_seed4")
    }


def test_what_is_left_out_does_not_count(
    evaluated: tuple[Path, Ran], run: Run, captures: Path
) -> None:
    file = evaluated[0] / "alerts" / "replay_attacks.jsonl"
    told = [json.loads(line) for line in file.read_text().splitlines()]
    kind = told[0]["kind"]
    wanted = [
        one for one in told if one["severity"] in {"high", "critical"} and one["kind"] != kind
    ]
    options = ("--min-severity", "high", "--ignore-kind", kind, "--only", "replay_attacks")
    ran = run("evaluate", captures, *options)
    assert 0 < len(wanted) < len(told)
    assert cells(ran.out.splitlines()[1])[4] == str(len(wanted))
    assert f"\n{len(told) - len(wanted)} alerts left out by severity or kind\n" in ran.out


def test_alerts_about_what_is_learned_do_not_count(
    run: Run, write_cases: WriteCases, captures: Path, normal: Path, attacks: Path
) -> None:
    quiet = captures / "normal-seed2"
    folder = write_cases(
        learned={
            "learn": [str(normal), str(attacks)],
            "judge": [str(quiet / "normal-seed2.pcap.gz")],
            "labels": str(quiet / "labels.csv"),
        },
        both={"learn": [str(attacks)]},
    )
    ran = run("evaluate", folder, "--json", "-", "--alerts", folder / "alerts")
    assert numbers(ran)["learned"]["alerts"] == 0
    assert (folder / "alerts" / "learned.jsonl").read_text() == ""
    assert numbers(ran)["both"]["alerts"] > 0  # what is dangerous is told where it is judged


def test_the_first_part_may_be_learned(run: Run, write_cases: WriteCases) -> None:
    rogue_is_gone = 1_795_304_550
    folder = write_cases(part={"learn": [], "learn_until": rogue_is_gone})
    part = numbers(run("evaluate", folder, "--json", "-"))["part"]
    assert part["attacks"] == 10
    assert part["types"]["rogue-device"]["detected"] == 0
    assert part["types"]["umas-stop"]["detected"] == 1
    assert part["judged_seconds"] < 300


def test_rules_of_one_s_own_count(run: Run, write_cases: WriteCases, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "plant.toml").write_text(
        '[[rule]]\nid = "no-writes"\ntitle = "Written"\nseverity = "low"\nexpected = "no writes"\n'
        'match = { activity = "write" }\n'
    )
    folder = write_cases(mine={})
    before = numbers(run("evaluate", folder, "--json", "-"))["mine"]
    after = numbers(run("evaluate", folder, "--json", "-", "--rules", tmp_path / "rules"))["mine"]
    assert after["alerts"] > before["alerts"]


# --- what goes wrong -----------------------------------------------------------------------------


def test_a_case_that_fails_costs_that_case_only(
    run: Run, write_cases: WriteCases, tmp_path: Path
) -> None:
    (tmp_path / "noise").write_bytes(b"no capture at all")
    (tmp_path / "far.csv").write_text("frame,label\n999999,a\n")
    folder = write_cases(
        fine={},
        unlearned={"learn": [str(tmp_path / "noise")]},
        unjudged={"judge": [str(tmp_path / "noise")]},
        mislabelled={"labels": str(tmp_path / "far.csv")},
    )
    alerts = folder / "alerts"
    alerts.mkdir()
    (alerts / "unlearned.jsonl").write_text("of an earlier run\n")
    ran = run("evaluate", folder, "--alerts", alerts)
    assert ran.code == 2
    assert [line.split()[0] for line in ran.out.splitlines()[1:3]] == ["fine", "unlearned"]
    assert cells(ran.out.splitlines()[2])[:3] == ["unlearned", "*", "0/10"]
    assert ran.out.endswith("\n* no alert file: 1 cases\n")
    first, second, third = ran.err.splitlines()
    assert first.startswith(f"otids: unlearned: {tmp_path}/noise: ")
    assert second == f"otids: unjudged: {tmp_path}/noise: is neither pcap nor pcapng"
    assert third.startswith(f"otids: mislabelled: {tmp_path}/far.csv:2: frame = 999999: ")
    assert [one.name for one in alerts.iterdir()] == ["fine.jsonl"]


def test_a_capture_that_is_cut_off_is_judged_and_told(
    run: Run, write_cases: WriteCases, attacks: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(gzip.decompress(attacks.read_bytes())[:-7])
    ran = run("evaluate", write_cases(cut={"judge": [str(cut)]}))
    assert ran.code == 2
    assert cells(ran.out.splitlines()[1])[:2] == ["cut", "10/10"]
    assert ran.complaint.startswith(f"otids: cut: {cut}: ")
    assert "(at byte " in ran.complaint


def test_a_case_that_takes_too_long(run: Run, write_cases: WriteCases) -> None:
    ran = run("evaluate", write_cases(slow={}), "--time-limit", "0.001s")
    assert (ran.code, ran.out) == (2, "")
    assert ran.complaint == "otids: slow: took longer than 0.001 s"


def test_a_bug_of_ours_is_told_with_its_trace(
    run: Run, write_cases: WriteCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_make_pipeline", break_down)
    ran = run("evaluate", write_cases(broken={}))
    assert ran.code == 2
    assert cells(ran.out.splitlines()[1])[:3] == ["broken", "*", "0/10"]
    assert ran.err.startswith("Traceback")
    assert ran.err.splitlines()[-1] == "otids: broken: KeyError: 'broken'"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--only", "none"), "holds no such case"),
        (("--json", "no/such/folder.json"), "there is no such folder to write to"),
        (("--rules", "no/such/rules"), "is not a directory"),
        (("--time-limit", "soon"), "is no duration"),
        (("no/such/cases.toml",), "no/such/cases.toml: No such file or directory"),
    ],
)
def test_mistakes_are_one_clear_line(
    run: Run, captures: Path, words: tuple[str, ...], complaint: str
) -> None:
    ran = run("evaluate", captures, *words)
    assert (ran.code, ran.out) == (2, "")
    assert complaint in ran.complaint


def test_a_mistake_in_cases_names_the_line(run: Run, write_cases: WriteCases) -> None:
    folder = write_cases(one={"learn_untill": 5})
    assert f"{folder}/cases.toml:6: case.learn_untill" in run("evaluate", folder).complaint


def test_a_folder_with_the_same_name_is_no_module(
    tmp_path: Path, write_cases: WriteCases, repository: Path
) -> None:
    folder = write_cases(fine={})
    bare = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("otids")), "evaluate", str(folder)],
        cwd=repository,
        env={**bare, **environment(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert cells(done.stdout.splitlines()[1])[:2] == ["fine", "10/10"]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder with a name so short that sockets may stand in it, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="otids-test-") as folder:
        yield Path(folder)


def test_an_interrupt_ends_all_and_leaves_nothing(
    tmp_path: Path, temporary: Path, captures: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "otids", "evaluate", str(captures)],
        env={**os.environ, **environment(tmp_path), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    with process:
        end = time.monotonic() + 90
        while not list(temporary.glob("otids-evaluate-*/*/alerts.sqlite")):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "otids: stopped; nothing was scored\n"
    assert not list(temporary.glob("otids-*"))
