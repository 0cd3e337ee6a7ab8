"""Cases and label files: what is right is loaded, and each mistake is one clear line."""

import re
from pathlib import Path

import pytest
from evaluation.made import BEGIN, frames, windows, write_case

from otids.evaluation.cases import load_cases
from otids.evaluation.labels import Frames, Windows
from otids.rules.files import RuleError


def complaint(*paths: Path) -> str:
    with pytest.raises(RuleError) as caught:
        load_cases(paths)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_case_is_what_is_written(tmp_path: Path) -> None:
    file = write_case(
        tmp_path / "plant",
        windows((1, 2.5, "scan"), (3, 4, "ok:reboot")),
        f'protocol = "modbus"\nlearn = ["judged.pcap"]\nlearn_until = {BEGIN}\nmatch = "frame"\n'
        'frame_slack = 3\njudged_seconds = 9.5\nnote = "n"\nslack = 1\nrun_gap = 2\n',
    )
    (case,) = load_cases([file])
    assert (case.name, case.set, case.protocol) == ("one", "plant", "modbus")
    assert case.learn == case.judge == (tmp_path / "plant" / "judged.pcap",)
    assert (case.learn_until, case.by_frame, case.frame_slack) == (BEGIN, True, 3)
    assert (case.judged_seconds, case.slack, case.run_gap) == (9.5, 1, 2)
    assert case.labels == Windows(
        tmp_path / "plant" / "labels.csv",
        ((BEGIN + 1, BEGIN + 2.5, "scan"), (BEGIN + 3, BEGIN + 4, "ok:reboot")),
    )


def test_what_is_not_written_has_defaults(tmp_path: Path) -> None:
    (case,) = load_cases([write_case(tmp_path, frames((3, "a"), (1, "b")))])
    assert (case.learn, case.learn_until, case.judged_seconds) == ((), None, None)
    assert (case.by_frame, case.frame_slack, case.slack, case.run_gap) == (False, 0, 5, 10)
    assert case.labels == Frames(tmp_path / "labels.csv", ((3, "a", 2), (1, "b", 3)))


def test_folders_are_searched_in_order(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        file = write_case(tmp_path / name, windows())
        file.write_text(file.read_text().replace('"one"', f'"of {name}"'))
    assert [one.name for one in load_cases([tmp_path])] == ["of a", "of b", "of c"]
    assert [one.set for one in load_cases([tmp_path / "c", tmp_path / "a"])] == ["c", "a"]
    assert [one.name for one in load_cases([tmp_path], ["*[ac]"])] == ["of a", "of c"]
    assert load_cases([tmp_path], ["none"]) == []


def test_a_name_that_is_used_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_case(tmp_path / name, windows())
    assert complaint(tmp_path) == (
        f"{tmp_path}/b/cases.toml:2: case.name = 'one': "
        f"is a case of {tmp_path}/a/cases.toml already"
    )


def test_a_folder_without_cases(tmp_path: Path) -> None:
    assert complaint(tmp_path) == f"{tmp_path}: there is no cases.toml here or below"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert complaint(tmp_path / "cases.toml").endswith("cases.toml: No such file or directory")


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ('match = "time"', "5: case.match = 'time': invalid enum value"),
        ("frame_slack = -1", "5: case.frame_slack = -1: expected"),
        ("learn_until = nan", "5: case.learn_until = nan: expected"),
        ("judged_seconds = inf", "5: case.judged_seconds = inf: expected"),
        ('learn_untill = "x"', "5: case.learn_untill = 'x': unknown key; did you mean"),
        ('learn = ["judged.pcap", "gone.pcap"]', "5: case.learn = 'gone.pcap': "),
        ("learn = 5", "5: case.learn = 5: expected"),
        ("name = ", "5: is not TOML"),
        ('[[cases]]\nname = "x"', "5: cases: unknown key; did you mean 'case'?"),
        ('[[case]]\nname = "two"', "5: case: the key judge is missing"),
        ('[[case]]\nname = "../x"\njudge = ["judged.pcap"]\nlabels = "labels.csv"', "6: case.name"),
        ('[[case]]\nname = "x"\njudge = []\nlabels = "labels.csv"', "7: case.judge: expected"),
        ('[[case]]\nname = "x"\njudge = ["judged.pcap"]\nlabels = "\\u0000"', "8: case.labels"),
    ],
)
def test_mistakes_in_cases_are_named_by_line_and_key(
    tmp_path: Path, written: str, line: str
) -> None:
    file = write_case(tmp_path, windows(), written + "\n")
    assert complaint(file).startswith(f"{file}:{line}")


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        ("", "1: the header must be"),
        ("frames,label\n", "1: the header must be"),
        ("frame,label\n1\n", "2: has 1 fields instead of 2 (frame,label)"),
        ("frame,label\n\n1,a\n2,b,c\n", "4: has 3 fields instead of 2"),
        ("frame,label\n0,a\n", "2: frame = '0': is no frame number"),
        ("frame,label\n1.5,a\n", "2: frame = '1.5': is no frame number"),
        ("frame,label\n1e3,a\n", "2: frame = '1e3': is no frame number"),
        ("frame,label\n\u0661,a\n", "2: frame = '\u0661': is no frame number"),
        (f"frame,label\n{'9' * 5000},a\n", "2: frame = '999"),
        ("frame,label\n1,\n", "2: label = '': is empty or not printable"),
        ("frame,label\n1,ok:\n", "2: label = 'ok:': is empty"),
        ("frame,label\n1,\x1b[2J\n", "2: label = '\\x1b[2J': is empty or not printable"),
        ("start,end,label\n1,two,a\n", "2: end = 'two': is no time in epoch seconds"),
        ("start,end,label\nnan,2,a\n", "2: start = 'nan': is no time"),
        ("start,end,label\n1,inf,a\n", "2: end = 'inf': is no time"),
        ("start,end,label\n3,2.5,a\n", "2: end = 2.5: is before the start"),
        (f"start,end,label\n{'x' * 200_000},2,a\n", "2: is no CSV: field larger than"),
    ],
)
def test_mistakes_in_labels_are_named_by_line(tmp_path: Path, labels: str, line: str) -> None:
    file = write_case(tmp_path, labels)
    assert complaint(file).startswith(f"{tmp_path}/labels.csv:{line}")


def test_labels_that_are_no_text(tmp_path: Path) -> None:
    file = write_case(tmp_path, windows())
    (tmp_path / "labels.csv").write_bytes(b"frame,label\n1,\xff\n")
    assert complaint(file) == f"{tmp_path}/labels.csv: is not UTF-8"


def test_labels_by_frame_of_several_captures(tmp_path: Path) -> None:
    file = write_case(tmp_path, frames((1, "a")))
    file.write_text(
        re.sub(r"judge = .*", 'judge = ["judged.pcap", "judged.pcap"]', file.read_text())
    )
    assert complaint(file).startswith(
        f"{file}:4: case.labels = 'labels.csv': labels by frame need a single judged capture"
    )
