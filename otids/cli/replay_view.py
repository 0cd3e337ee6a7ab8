"""What people see of a replay: a bar while it runs, and then what came of it."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from otids.alerts.wording import spell_duration, spell_list
from otids.cli.alert_view import by_gravity, print_alerts, short_ids, tally
from otids.cli.asset_view import print_asset_table
from otids.cli.causes import names_of
from otids.cli.output import SECOND, Times, aside, console, counted, shown
from otids.cli.status_view import blind_lines, spell_learning
from otids.replay import Declared, Progress, Report
from otids.status import Status
from otids.traffic import Tick

REDRAW = 0.1
"""Seconds between two looks of the bar."""


class Bar:
    """A progress bar on a terminal.

    `capture` is the one at hand; `stopped` asks the run to end after the batch at hand.
    """

    def __init__(self, captures: Sequence[Path], *, is_shown: bool) -> None:
        self.stopped = False
        self._sizes = [max(capture.stat().st_size, 1) for capture in captures]
        self._place = 0
        self.capture: Path | None = None
        self._frames_before = self._frames = 0
        self._began = self._drawn = time.monotonic()
        console = aside()
        self._bar: RichProgress | None = None
        self._task = TaskID(0)
        if is_shown and console.is_terminal:
            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=console,
                auto_refresh=False,
                transient=True,
            )
            self._task = self._bar.add_task("", total=sum(self._sizes), rate="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def move(self, progress: Progress) -> None:
        """A batch was judged."""
        if self.stopped:
            raise KeyboardInterrupt
        if progress.capture is not self.capture:  # the same one may be given twice
            self._place += self.capture is not None
            self.capture = progress.capture
            self._frames_before += self._frames
        self._frames = progress.frames
        now = time.monotonic()
        if self._bar is None or now - self._drawn < REDRAW:
            return
        self._drawn = now
        done = sum(self._sizes[: self._place]) + progress.bytes_read
        rate = (self._frames_before + self._frames) / max(now - self._began, 1e-9)
        doing = "learning" if progress.is_learning else "judging"
        self._bar.update(
            self._task,
            completed=done,
            description=f"{doing} {shown(progress.capture.name).plain}",
            rate=f"{rate:,.0f} frames/s",
            refresh=True,
        )


class Watch:
    """Passes on what is declared as normal, and notes which stretch of time was judged."""

    def __init__(self, declared: Declared) -> None:
        self._declared = declared
        self.first: int | None = None
        self.last = 0
        self.judged = False

    def __call__(self, tick: Tick) -> bool:
        """Whether `tick` is declared as normal."""
        if self.first is None:
            self.first = tick.second
        self.last = max(self.last, tick.second)
        is_declared = self._declared(tick)
        self.judged |= not is_declared
        return is_declared


@dataclass(frozen=True, slots=True)
class Count:
    """How much there was."""

    frames: int
    messages: int
    values: int

    @classmethod
    def of(cls, report: Report, before: Self | None = None) -> Self:
        """What `report` counts beyond `before`."""
        now = report.frames, report.messages, report.values
        then = (before.frames, before.messages, before.values) if before else (0, 0, 0)
        return cls(*(one - other for one, other in zip(now, then, strict=True)))

    def __str__(self) -> str:
        return ", ".join(
            counted(getattr(self, name), name.removesuffix("s"))
            for name in ("frames", "messages", "values")
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay came to, as far as people are told."""

    report: Report
    learned: Sequence[Path]
    judged: Sequence[Path]
    counts: tuple[Count, Count]  # what was learned from, and what was judged
    watch: Watch
    records: Sequence[Mapping[str, Any]]
    assets: Sequence[Mapping[str, Any]]
    status: Status
    folder: Path
    is_last_replay: bool
    stopped_in: Path | None  # the capture at hand when the run was interrupted


def print_outcome(outcome: Outcome) -> None:
    """Print devices, alerts and numbers to standard output."""
    out = console()
    if outcome.assets:
        print_asset_table(out, outcome.assets)
        out.print()
    if outcome.records:
        print_alerts(out, outcome.records)
        out.print()
    out.print(Text("Summary", "bold"))
    out.print(_summary(outcome))
    _print_next(out, outcome)


def _summary(outcome: Outcome) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True, min_width=7)
    grid.add_column(ratio=1, overflow="fold")
    report = outcome.report
    learned, judged = outcome.counts
    if outcome.learned:
        grid.add_row("learned", shown(f"{_names(outcome.learned)}: {learned}"))
    grid.add_row("judged", shown(f"{_names(outcome.judged)}: {judged}{_span(outcome.watch)}"))
    grid.add_row("alerts", tally(outcome.records))
    if mirrored := _mirrored(report):
        grid.add_row("mirror", shown(mirrored))
    if report.notices:
        grid.add_row("notices", shown(_notices(report)))
    for one in outcome.status.learning:
        if not one.is_silent:
            grid.add_row("ready", shown(f"{one.detector}: {spell_learning(one)}"))
    for line in blind_lines(outcome.status, names_of(outcome.assets)):
        grid.add_row(Text("unheard", "yellow"), shown(line, "yellow"))
    for line in _losses(report):
        grid.add_row(Text("lost", "yellow"), shown(line, "yellow"))
    for line in _remarks(outcome):
        grid.add_row(Text("note", "yellow"), shown(line))
    return grid


def _names(captures: Sequence[Path]) -> str:
    return spell_list([one.name for one in captures], limit=4)


def _span(watch: Watch) -> str:
    """Which stretch of capture time was judged."""
    if watch.first is None:
        return ""
    times = Times([watch.first, watch.last])
    length = spell_duration((watch.last + 1 - watch.first) * SECOND)
    first, last = times.spell(watch.first), times.spell(watch.last)
    return f", {length} from {first} to {last} ({times.note})"


def _mirrored(report: Report) -> str:
    """What the mirror port put around frames, and how many of them it sent twice."""
    ordered = sorted(report.encapsulated.items(), key=lambda one: (-one[1], one[0]))
    told = [f"{counted(count, 'frame')} in {kind}" for kind, count in ordered]
    told += [f"{counted(report.copies, 'copy', 'copies')} left out"] if report.copies else []
    return ", ".join(told)


def _notices(report: Report) -> str:
    """Bytes that broke a rule, the most frequent kind first."""
    ordered = sorted(report.notices.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{kind.replace('-', ' ')}: {count:,}" for kind, count in ordered)


def _losses(report: Report) -> list[str]:
    """Everything that was not decoded, kept or found, by reason."""
    lines = [f"{count:,} {words}" for words, count in sorted(report.dropped.items())]
    lines += [f"{path}: {what} (at byte {offset})" for path, offset, what in report.damages]
    notes = Counter(report.evidence_notes.values())
    lines += [f"evidence of {counted(count, 'alert')}: {note}" for note, count in notes.items()]
    lines += [
        f"{counted(count, 'fault')} of otids itself in {part}; this is a bug, please report it"
        for part, count in sorted(report.faults.items())
    ]
    return lines


def _remarks(outcome: Outcome) -> list[str]:
    remarks = []
    if outcome.stopped_in is not None:
        remark = f"stopped before the end of {outcome.stopped_in}"
        goes_on = f"; replaying it with --state {outcome.folder} goes on from there"
        remarks.append(remark if outcome.is_last_replay else remark + goes_on)
    if not outcome.watch.judged and outcome.watch.first is not None:
        remarks.append("all of it was declared as normal, so only known dangers were looked for")
    learning = {one.conversation for each in outcome.status.learning for one in each.learning}
    if learning:
        remarks.append(
            f"{counted(len(learning), 'conversation is', 'conversations are')} still being "
            "learned, so what is new there is not told yet; --learn or --learn-for declare what "
            "is normal, and `otids status` tells how far each is"
        )
    return remarks


def _print_next(out: Console, outcome: Outcome) -> None:
    state = "" if outcome.is_last_replay else f" --state {outcome.folder}"
    lines = [("state", f"{outcome.folder} (baseline, alerts; frames of alerts in evidence/)")]
    if outcome.records:
        worst = by_gravity(outcome.records)[0]["id"]
        id = short_ids([one["id"] for one in outcome.records])[worst]
        lines.append(("next", f"otids explain {id}{state}"))
    else:
        lines.append(("next", f"otids baseline show{state}"))
    for label, line in lines:  # not wrapped, so that it can be copied
        out.print(Text.assemble((f"{label:<9}", "dim"), line), soft_wrap=True)
