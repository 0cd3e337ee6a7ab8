"""The recorded feeders, replayed: normal work is quiet, each attack is told as expected."""

import csv
import tomllib
from pathlib import Path

import pytest
from e2e.replaying import Record, replay, seconds

LEARNED = "dnp3-normal"


@pytest.fixture(scope="module")
def attacks(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    state = tmp_path_factory.mktemp("dnp3-attacks") / "state"
    return replay(state, captures, "dnp3-attacks", learn=LEARNED)


def expected(captures: Path) -> list[Record]:
    text = (captures / "dnp3-attacks" / "expected.toml").read_text()
    alerts: list[Record] = tomllib.loads(text)["alert"]
    return alerts


def key(alert: Record) -> tuple[str, str, str]:
    source, target = (alert[end] or {"address": ""} for end in ("source", "target"))
    return alert["kind"], source["address"], target["address"]


def test_each_attack_alerts_and_nothing_else_does(captures: Path, attacks: list[Record]) -> None:
    listed = [(one["kind"], one["source"], one["target"]) for one in expected(captures)]
    assert sorted(map(key, attacks)) == sorted(listed)


def test_each_alert_names_its_moment_and_its_techniques(
    captures: Path, attacks: list[Record]
) -> None:
    with (captures / "dnp3-attacks" / "labels.csv").open() as file:
        when = {
            row["label"]: (float(row["start"]), float(row["end"])) for row in csv.DictReader(file)
        }
    told = {key(one): one for one in attacks}
    listed = expected(captures)
    assert {one["label"] for one in listed} == set(when)
    for one in listed:
        alert = told[one["kind"], one["source"], one["target"]]
        start, end = when[one["label"]]
        assert start - 1 <= seconds(alert["first_seen"]) <= end, one["label"]
        assert alert["frames"], one["label"]
        assert set(one["attack"]) <= {technique["id"] for technique in alert["attack"]}


def test_what_was_learned_is_quiet(captures: Path, tmp_path: Path) -> None:
    assert replay(tmp_path / "state", captures, LEARNED, learn=LEARNED) == []
