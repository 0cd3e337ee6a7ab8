"""The recorded substation: what somebody does in the name of its publishers is told."""

import csv
import tomllib
from pathlib import Path

import pytest
from e2e.replaying import Record, replay, seconds

LATE = 5.0
"""Seconds after an attack within which an alert still belongs to it."""


@pytest.fixture(scope="module")
def told(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    state = tmp_path_factory.mktemp("substation") / "state"
    return replay(state, captures, "substation-attacks", learn="substation")


def test_each_attack_is_told_in_time_and_nothing_else(captures: Path, told: list[Record]) -> None:
    folder = captures / "substation-attacks"
    with (folder / "labels.csv").open() as file:
        when = {
            row["label"]: (float(row["start"]), float(row["end"])) for row in csv.DictReader(file)
        }
    expected = tomllib.loads((folder / "expected.toml").read_text())["alert"]
    assert {one["label"] for one in expected} == when.keys()
    found = sorted((one["kind"], one["source"]["address"]) for one in told)
    assert found == sorted({(one["kind"], one["source"]) for one in expected})
    for one in expected:
        start, end = when[one["label"]]
        (alert,) = (
            alert
            for alert in told
            if (alert["kind"], alert["source"]["address"]) == (one["kind"], one["source"])
        )
        first, last = seconds(alert["first_seen"]), seconds(alert["last_seen"])
        assert first <= end, one["label"]
        assert last >= start - 1, one["label"]
        assert set(one["attack"]) <= {technique["id"] for technique in alert["attack"]}
    for alert in told:
        assert any(
            start - 1 <= seconds(alert["first_seen"]) <= end + LATE for start, end in when.values()
        ), alert["kind"]


def test_what_was_learned_is_quiet(captures: Path, tmp_path: Path) -> None:
    assert replay(tmp_path / "state", captures, "substation", learn="substation") == []
