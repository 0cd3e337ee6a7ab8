"""The recorded water works, replayed as its user would: learn normal work, judge the rest."""

import csv
import tomllib
from pathlib import Path

import pytest
from e2e.replaying import Record, replay, seconds

WINDOW = 20
"""Seconds of the longest window that tells of these attacks."""


@pytest.fixture(scope="session")
def attacks(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Record]]:
    state = tmp_path_factory.mktemp("attacks") / "state"
    return state, replay(state, captures, "attacks")


def windows(captures: Path) -> dict[str, tuple[float, float]]:
    with (captures / "attacks" / "labels.csv").open() as file:
        return {
            row["label"]: (float(row["start"]), float(row["end"])) for row in csv.DictReader(file)
        }


def test_each_attack_alerts_once_and_nothing_else_does(
    captures: Path, attacks: tuple[Path, list[Record]]
) -> None:
    text = (captures / "attacks" / "expected.toml").read_text()
    expected = [(one["kind"], one["source"], one["target"]) for one in tomllib.loads(text)["alert"]]
    told = [
        (one["kind"], one["source"]["address"], (one["target"] or {"address": ""})["address"])
        for one in attacks[1]
    ]
    assert sorted(told) == sorted(expected)


def test_each_alert_names_its_moment_its_frames_and_its_techniques(
    captures: Path, attacks: tuple[Path, list[Record]]
) -> None:
    text = (captures / "attacks" / "expected.toml").read_text()
    when = windows(captures)
    told = {(one["kind"], (one["target"] or {"address": ""})["address"]): one for one in attacks[1]}
    for one in tomllib.loads(text)["alert"]:
        alert = told[one["kind"], one["target"]]
        start, end = when[one["label"]]
        # What is counted by the second is dated by it, and what is measured over a window by that.
        early = WINDOW if alert["detector"] == "volume" else 1
        assert start - early <= seconds(alert["first_seen"]) <= end, one["label"]
        assert alert["frames"], one["label"]
        assert alert["frames"] == sorted(alert["frames"])
        assert set(one["attack"]) <= {technique["id"] for technique in alert["attack"]}
        assert alert["expected"]
        assert alert["observed"]
        assert alert["response"]["it"]
        assert alert["response"]["ot"]


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_normal_work_of_unseen_seeds_raises_nothing(
    captures: Path, tmp_path: Path, seed: int
) -> None:
    assert replay(tmp_path / "state", captures, f"normal-seed{seed}") == []


def test_what_was_learned_is_quiet(captures: Path, tmp_path: Path) -> None:
    assert replay(tmp_path / "state", captures, "normal") == []


def test_the_same_replay_gives_the_same_bytes(
    captures: Path, tmp_path: Path, attacks: tuple[Path, list[Record]]
) -> None:
    again = tmp_path / "state"
    replay(again, captures, "attacks")
    first = attacks[0].with_suffix(".jsonl").read_bytes()
    assert again.with_suffix(".jsonl").read_bytes() == first
