"""The recorded MQTT plant, replayed as its user would: learn normal work, judge the attacks."""

import csv
import tomllib
from pathlib import Path
from typing import Any

import pytest
from e2e.replaying import replay, seconds


@pytest.fixture(scope="module")
def told(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    state = tmp_path_factory.mktemp("mqtt") / "state"
    return replay(state, captures, "mqtt-attacks", learn="mqtt-normal")


def expected(captures: Path) -> list[dict[str, Any]]:
    text = (captures / "mqtt-attacks" / "expected.toml").read_text()
    return list(tomllib.loads(text)["alert"])


def spelled(alert: dict[str, Any]) -> tuple[str, str, str]:
    ends = [(alert[end] or {"address": ""})["address"] for end in ("source", "target")]
    return (alert["kind"], ends[0], ends[1])


def test_each_attack_alerts_and_nothing_else_does(
    captures: Path, told: list[dict[str, Any]]
) -> None:
    wanted = [(one["kind"], one["source"], one["target"]) for one in expected(captures)]
    assert sorted(map(spelled, told)) == sorted(wanted)


def test_each_alert_names_its_moment(captures: Path, told: list[dict[str, Any]]) -> None:
    with (captures / "mqtt-attacks" / "labels.csv").open() as file:
        when = {
            row["label"]: (float(row["start"]), float(row["end"])) for row in csv.DictReader(file)
        }
    by_name = {spelled(one): one for one in told}
    for one in expected(captures):
        alert = by_name[one["kind"], one["source"], one["target"]]
        start, end = when[one["label"]]
        assert start - 1 <= seconds(alert["first_seen"]) <= end + 1, one["label"]
        assert alert["frames"]
        assert alert["expected"]
        assert alert["observed"]


def test_what_was_learned_is_quiet(captures: Path, tmp_path: Path) -> None:
    assert replay(tmp_path / "state", captures, "mqtt-normal", learn="mqtt-normal") == []
