"""Runs a program as a whole process, and tells what it took."""

import os
import resource
import signal
import statistics
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class RunError(Exception):
    """A program did not do what it was run for; the message is one line."""


@dataclass(frozen=True)
class Cost:
    """What one process and its children took: CPU seconds, and the largest memory in MiB."""

    seconds: float
    memory: float


@dataclass(frozen=True)
class Marginal:
    """What a frame costs once everything runs, and the whole process at both lengths."""

    few: int
    many: int
    few_seconds: float
    many_seconds: float
    memory: float  # MiB, at `many`

    @property
    def seconds_a_frame(self) -> float:
        """CPU seconds at many frames less those at few, by frame; start-up does not count."""
        return (self.many_seconds - self.few_seconds) / (self.many - self.few)

    @property
    def frames_a_second(self) -> float:
        """Frames a CPU second; infinite where the difference is lost in what varies."""
        return 1 / self.seconds_a_frame if self.seconds_a_frame > 0 else float("inf")


def run(command: Sequence[str], places: Mapping[str, Path], limit: float) -> Cost:
    """Run a command once, in a folder that is thrown away.

    `places` are put where the command says `{name}`, the folder for `{folder}`. Raises `RunError`.
    """
    with tempfile.TemporaryDirectory(prefix="otids-bench-") as folder:
        every = {**{name: str(path) for name, path in places.items()}, "folder": folder}
        filled = [part.format_map(every) for part in command]
        before = _children()
        with (
            Path(folder, "errors").open("wb") as errors,
            subprocess.Popen(
                filled,
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            ) as process,
        ):
            status, memory = _wait(process, limit)
        told = Path(folder, "errors").read_text("utf-8", "replace").strip().splitlines()
    if status:
        raise RunError(f"{Path(filled[0]).name} ended with {status}: {(told or [''])[-1][:200]}")
    return Cost(_children() - before, memory)


def marginal(
    command: Sequence[str], few: Mapping[str, Path], many: Mapping[str, Path],
    counts: tuple[int, int], *, runs: int, limit: float,
) -> Marginal:  # fmt: skip
    """Run a command at both lengths, in turns, and take medians. Raises `RunError`."""
    costs: tuple[list[Cost], list[Cost]] = ([], [])
    for _ in range(runs):
        for places, some in zip((few, many), costs, strict=True):
            some.append(run(command, places, limit))
    seconds = [statistics.median(one.seconds for one in some) for some in costs]
    return Marginal(*counts, *seconds, statistics.median(one.memory for one in costs[1]))


def _children() -> float:
    """CPU seconds of all children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wait(process: subprocess.Popen[bytes], limit: float) -> tuple[int, float]:
    """Wait for a process and those that it started: exit code, and the most memory in MiB."""

    def end(*_: object) -> None:
        os.killpg(process.pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss / 1024
