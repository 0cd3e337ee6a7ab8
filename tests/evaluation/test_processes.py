"""Work in processes of its own: bounded, and what fails costs nothing else."""

import os
from pathlib import Path

import pytest
from evaluation.work import hold, square, stay

from otids.evaluation.processes import Died, run_each


def test_each_item_is_done_once() -> None:
    done = dict(run_each(square, [1, 2, 3, 4], jobs=2, time_limit=60))
    assert done == {0: 1, 1: 4, 2: 9, 3: 16}


def test_nothing_to_do() -> None:
    assert list(run_each(square, [], jobs=2, time_limit=60)) == []


def test_a_failure_costs_no_other() -> None:
    done = dict(run_each(square, [13, 1, 9, 2, 5, 3], jobs=2, time_limit=60))
    assert [done[place] for place in (1, 3, 5)] == [1, 4, 9]
    failed = done[0]
    assert isinstance(failed, Died)
    assert failed.reason == "ZeroDivisionError: thirteen"
    assert "in square" in failed.trace
    assert done[2] == Died("was ended by signal 9 (Killed)")
    assert done[4] == Died("ended with exit code 5 and no result")


def test_what_takes_too_long_is_ended() -> None:
    done = dict(run_each(square, [100, 7], jobs=1, time_limit=0.5))
    assert done == {0: Died("took longer than 0.5 s"), 1: 49}


def test_no_more_run_at_a_time_than_asked_for(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d", "e"]
    done = dict(run_each(stay, [(tmp_path, name) for name in names], jobs=2, time_limit=60))
    assert done.keys() == set(range(5))
    assert max(count for count in done.values() if isinstance(count, int)) <= 2


def test_what_still_runs_when_nobody_asks_is_ended(tmp_path: Path) -> None:
    running = run_each(hold, [tmp_path / "quick", tmp_path / "slow"], jobs=2, time_limit=60)
    assert next(running)[0] == 0
    running.close()
    process = int((tmp_path / "slow").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
