"""The recorded control centre, replayed: normal work is quiet, each attack is told."""

import csv
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from e2e.replaying import Record, replay, seconds
from hotpath.reading import read

LEARNED = "iec104-normal"


@pytest.fixture(scope="module")
def attacks(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    state = tmp_path_factory.mktemp("iec104-attacks") / "state"
    return replay(state, captures, "iec104-attacks", learn=LEARNED)


def expected(captures: Path) -> list[Record]:
    text = (captures / "iec104-attacks" / "expected.toml").read_text()
    alerts: list[Record] = tomllib.loads(text)["alert"]
    return alerts


def key(alert: Record) -> tuple[str, str, str]:
    source, target = (alert[end] or {"address": ""} for end in ("source", "target"))
    return alert["kind"], source["address"], target["address"]


def test_each_attack_alerts_once_and_nothing_else_does(
    captures: Path, attacks: list[Record]
) -> None:
    listed = [(one["kind"], one["source"], one["target"]) for one in expected(captures)]
    assert sorted(map(key, attacks)) == sorted(listed)


def test_each_alert_names_its_moment_and_its_techniques(
    captures: Path, attacks: list[Record]
) -> None:
    with (captures / "iec104-attacks" / "labels.csv").open() as file:
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


@pytest.mark.parametrize("scenario", [LEARNED, "iec104-normal-seed3"])
def test_normal_work_raises_nothing(captures: Path, tmp_path: Path, scenario: str) -> None:
    assert replay(tmp_path / "state", captures, scenario, learn=LEARNED) == []


@pytest.mark.parametrize("how", [("--drop", "5"), ("--drop", "10"), ("--only", "servers")])
def test_what_a_mirror_port_loses_raises_nothing(
    repository: Path, captures: Path, tmp_path: Path, how: tuple[str, str]
) -> None:
    whole = captures / "iec104-normal-seed3" / "iec104-normal-seed3.pcap.gz"
    lossy = tmp_path / "lossy" / "lossy.pcap.gz"
    lossy.parent.mkdir()
    (tmp_path / LEARNED).symlink_to(captures / LEARNED)
    command = [sys.executable, str(repository / "replay" / "degrade.py"), str(whole), str(lossy)]
    subprocess.run([*command, *how, "--seed", "1"], check=True, timeout=60)
    notices = read(lossy).notices
    assert "gap" in notices
    assert "out-of-sequence" not in notices, "what is lost is not miscounted"
    assert replay(tmp_path / "state", tmp_path, "lossy", learn=LEARNED) == []
