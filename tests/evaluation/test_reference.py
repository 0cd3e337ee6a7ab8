"""The numbers are those of the reference scorer beside the test data, digit for digit."""

import importlib.util
import json
import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from cli.commands import invoke

from otids.alerts.alert import SEVERITIES, rfc3339
from otids.evaluation.cases import Case, load_cases
from otids.evaluation.frames import frame_times
from otids.evaluation.results import Result, Scored, table
from otids.evaluation.score import Raised, Truth, Wanted, _seconds, score_case
from otids.traffic import SECOND, Array

KINDS = ["novelty.endpoint", "timing.silence", "policy.plc-stop", ""]
SMALL = ["fkie_iec104", "lemay", "mqttset", "qut_s7comm", "zss_sv"]
"""Sets that are judged within seconds; the others last for days."""


@pytest.fixture(scope="module")
def labelled(shared: Path) -> Path:
    return shared / "labelled"


@pytest.fixture(scope="module")
def reference(labelled: Path) -> ModuleType:
    """The reference scorer."""
    spec = importlib.util.spec_from_file_location("reference_scorer", labelled / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def truths(labelled: Path) -> list[tuple[Case, Truth, Array]]:
    """All cases, what was in them, and the times of the frames of their judged captures."""
    return [(one, Truth(one), frame_times(one.judge[0])) for one in load_cases([labelled])]


def random_alerts(dice: random.Random, truth: Truth, times: Array) -> Iterator[dict[str, Any]]:
    """Alerts of all sorts: on, near and far from what is labelled, short and endless."""
    begin, end = float(times.min()), float(times.max())
    labelled = [one for one in truth.events if len(one.frames)]
    for _ in range(dice.choice([0, 3, 150])):
        moment = dice.uniform(begin - 10, end + 10)
        if truth.events and dice.random() < 0.6:
            event = dice.choice(truth.events)
            moment = dice.choice([event.start, event.end, event.end + 5, event.start - 1])
            moment += dice.choice([0, dice.uniform(-8, 8)])
        length = dice.choice([0, 0.5, 20, 299.5, 4000]) * dice.random()
        frames = [dice.randint(1, len(times)) for _ in range(dice.choice([0, 0, 1, 5]))]
        if labelled and dice.random() < 0.4:
            frame = int(dice.choice(dice.choice(labelled).frames.tolist()))
            frames.append(min(max(frame + dice.randint(-2, 5), 1), len(times)))
        first = int(moment * SECOND)
        yield {
            "first": first,
            "last": first + int(length * SECOND),
            "frames": frames,
            "severity": dice.choice(SEVERITIES),
            "kind": dice.choice(KINDS),
        }


@pytest.mark.parametrize(
    "choice",
    [(1, "info", []), (2, "medium", []), (3, "info", KINDS[:2]), (4, "high", KINDS[2:])],
)
def test_random_alerts_get_the_same_numbers(
    reference: ModuleType,
    labelled: Path,
    truths: list[tuple[Case, Truth, Array]],
    tmp_path: Path,
    choice: tuple[int, str, list[str]],
) -> None:
    seed, least, ignored = choice
    dice = random.Random(seed)
    wanted = Wanted(least, frozenset(ignored))
    scored = []
    for case, truth, times in truths:
        if dice.random() < 0.1:  # one that was not judged
            score = score_case(case, truth, ())
            scored.append(Scored(case.name, case.set, case.protocol, score, was_judged=False))
            continue
        records = list(random_alerts(dice, truth, times))
        lines = [
            {**one, "first_seen": rfc3339(one["first"]), "last_seen": rfc3339(one["last"])}
            for one in records
        ]
        (tmp_path / f"{case.name}.jsonl").write_text("".join(f"{json.dumps(x)}\n" for x in lines))
        raised = [
            Raised(
                _seconds(one["first"]), _seconds(one["last"]), tuple(one["frames"]),
                one["severity"], one["kind"],
            )
            for one in records
        ]  # fmt: skip
        counted = [one for one in raised if one in wanted]
        score = score_case(case, truth, counted)
        left_out = len(raised) - len(counted)
        scored.append(Scored(case.name, case.set, case.protocol, score, left_out=left_out))
    ours = Result(scored)
    theirs = reference.run(labelled, tmp_path, reference.SEVERITY[least], ignored)
    assert theirs["overall"]["true_alerts"] > 50
    assert theirs["overall"]["false_alerts"] > 50
    assert json.dumps(ours.record(), indent=1) == json.dumps(theirs, indent=1)
    assert table(ours, with_types=True) == reference.table(theirs, types=True)


def test_times_of_frames_are_the_same(
    reference: ModuleType, truths: list[tuple[Case, Truth, Array]]
) -> None:
    for case, _, times in truths:
        assert np.array_equal(times, reference.frame_times(case.judge[0])), case.name


@pytest.mark.parametrize("name", [*SMALL, "replay/captures"])
def test_real_alerts_get_the_same_numbers(
    reference: ModuleType, labelled: Path, repository: Path, tmp_path: Path, name: str
) -> None:
    folder = repository / name if "/" in name else labelled / name
    alerts, numbers = tmp_path / "alerts", tmp_path / "numbers.json"
    words = ("evaluate", folder, "--types", "--alerts", alerts, "--json", numbers)
    ran = invoke(tmp_path, *words)
    assert (ran.code, ran.err) == (0, "")
    theirs = reference.run(folder, alerts)
    assert not theirs["missing"]
    assert numbers.read_text() == json.dumps(theirs, indent=1) + "\n"
    assert ran.out == reference.table(theirs, types=True) + "\n"
