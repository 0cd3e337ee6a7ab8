"""`otids replay`: learn from captures, judge others, and tell what came of it."""

import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from otids import compose
from otids.alerts.alert import SEVERITIES, Alert
from otids.cli.options import (
    Json,
    Rules,
    Severity,
    examples,
    parse_duration,
    parse_time,
)
from otids.cli.output import print_json
from otids.cli.replay_view import Bar, Count, Outcome, Watch, print_outcome
from otids.folder import StateFolder, last_replay
from otids.replay import Declared, LearnFor, LearnUntil, Replay, never
from otids.sinks.jsonlines import JsonLines

BAD_INPUT = 2
INTERRUPTED = 130
BATCH_FRAMES = 65_536

EXAMPLES = examples(
    "otids replay --learn normal.pcap suspect.pcap",
    "otids replay --learn monday.pcap --learn tuesday.pcap wednesday.pcap thursday.pcap",
    "otids replay --learn-for 2h --assets plant.csv week.pcap.gz",
    "otids replay --learn normal.pcap --json suspect.pcap | jq .title",
    "otids replay --learn normal.pcap --fail-on high --quiet suspect.pcap",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay", epilog=EXAMPLES)(replay)


def replay(
    captures: Annotated[
        list[Path],
        typer.Argument(
            metavar="CAPTURE...",
            help="Captures to judge (pcap or pcapng, plain or gzip), in this order.",
            show_default=False,
        ),
    ],
    *,
    learn: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="CAPTURE",
            help="Learn this capture as normal before judging. Write --learn before each: "
            "--learn A --learn B.",
            show_default=False,
        ),
    ] = None,
    learn_for: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            help="The first 90s, 10m, 2h, 1d of the captures are normal; what follows is judged.",
            show_default=False,
        ),
    ] = "",
    learn_until: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="What comes before this moment is normal (epoch seconds, or RFC 3339 like "
            "2026-03-01T06:00:00+01:00).",
            show_default=False,
        ),
    ] = "",
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Go on from what this folder holds, and keep everything there. Without it, "
            "otids starts from nothing and keeps the last replay only.",
            show_default=False,
        ),
    ] = None,
    assets: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="What your devices are called: a table with the columns address and name, "
            "and role and zone if you like.",
            show_default=False,
        ),
    ] = None,
    rules: Rules = None,
    min_severity: Annotated[
        Severity, typer.Option(help="Tell of alerts that are at least so grave; all are kept.")
    ] = Severity.INFO,
    alerts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Append each revision of each alert to this file, a JSON object a line.",
            show_default=False,
        ),
    ] = None,
    sensor: Annotated[
        str,
        typer.Option(metavar="NAME", help="Who says so, in alerts. Default: this computer's name."),
    ] = "",
    fail_on: Annotated[
        Severity | None,
        typer.Option(
            help="End with exit code 1 if an alert is at least so grave.", show_default=False
        ),
    ] = None,
    json: Json = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, no tables: errors only.")
    ] = False,
) -> None:
    """Learn from captures and judge others; print the devices that were heard, and the alerts.

    Judging starts with what was learned: from --learn, from the first part of the captures
    (--learn-for, --learn-until), or from an earlier replay (--state). Without any of these, otids
    learns by itself and judges each conversation as soon as it has heard enough of it. Operations
    that are dangerous in any plant alert from the first frame.
    """
    declared = Watch(_declared(learn_for, learn_until))
    for capture in (*(learn or ()), *captures):
        with capture.open("rb"):  # a name mistyped is told before hours of work
            pass
    kept = compose.Rules.load(rules or ())
    inventory = compose.make_inventory(assets)
    sensor = sensor or socket.gethostname()
    sink = JsonLines(alerts) if alerts else None
    with StateFolder(state, writing=True) if state else StateFolder.anew(last_replay()) as folder:
        pipeline = compose.make_pipeline(kept, inventory, folder.store.commit, sensor=sensor)
        compose.take_up(pipeline, folder)
        compose.note_origin(folder, kept, sensor)
        told = _Told(min_severity, sink)
        bar = Bar([*(learn or ()), *captures], is_shown=not quiet)
        with bar, _interruptible(bar):
            run = Replay(
                folder,
                pipeline,
                on_alerts=told.take,
                on_progress=bar.move,
                batch_frames=BATCH_FRAMES,
            )
            learned = Count(0, 0, 0)
            try:
                run.learn(learn or ())
                learned = Count.of(run.report)
                run.judge(captures, declared)
            except KeyboardInterrupt:
                if not bar.stopped:
                    raise
        report = run.finish()
        told.flush()
        folder.store.save_assets(inventory.assets())
        records = [one.record() for one in told.alerts]
        if json:
            print_json(records)
        elif not quiet:
            print_outcome(
                Outcome(
                    report=report,
                    learned=learn or (),
                    judged=captures,
                    counts=(learned, Count.of(report, learned)),
                    watch=declared,
                    records=records,
                    assets=folder.store.assets(),
                    status=pipeline.status(),
                    folder=folder.path,
                    is_last_replay=state is None,
                    stopped_in=bar.capture if bar.stopped else None,
                )
            )
    for capture, offset, what in report.damages:
        typer.echo(f"otids: {capture}: {what} (at byte {offset})", err=True)
    if bar.stopped:
        typer.echo("otids: stopped; what was judged until then is kept", err=True)
        raise typer.Exit(INTERRUPTED)
    if fail_on and any(_rank(one["severity"]) >= _rank(fail_on) for one in records):
        raise typer.Exit(1)
    if report.damages:
        raise typer.Exit(BAD_INPUT)


def _declared(learn_for: str, learn_until: str) -> Declared:
    """What of the judged captures is normal by declaration."""
    if learn_for and learn_until:
        raise typer.BadParameter("give --learn-for or --learn-until, not both")
    if learn_for:
        return LearnFor(parse_duration(learn_for))
    if learn_until:
        return LearnUntil(parse_time(learn_until))
    return never


class _Told:
    """The alerts of this run: their ids, and their revisions on the way to a file."""

    def __init__(self, least: Severity, sink: JsonLines | None) -> None:
        self._least = _rank(least)
        self._sink = sink
        self._waiting: list[Alert] = []
        self._last: dict[str, Alert] = {}

    @property
    def alerts(self) -> Sequence[Alert]:
        """The last revision of each alert that is grave enough, in order of their opening."""
        return list(self._last.values())

    def take(self, alerts: Sequence[Alert]) -> None:
        """Note revisions; they are in the store already."""
        grave = [one for one in alerts if _rank(one.severity) >= self._least]
        self._last.update((one.id, one) for one in grave)
        if self._sink is not None:
            self._waiting += grave
            if len(self._waiting) >= 256:  # noqa: PLR2004 what a sink is given at once
                self.flush()

    def flush(self) -> None:
        """Write what waits. Raises `SinkError`."""
        if self._sink is not None and self._waiting:
            self._sink.deliver([one.record() for one in self._waiting])
            self._waiting = []


@contextmanager
def _interruptible(bar: Bar) -> Iterator[None]:
    """The first interrupt ends the run where everything can be kept; a second ends it at once."""

    def interrupt(_: int, __: FrameType | None) -> None:
        if bar.stopped:
            raise KeyboardInterrupt
        bar.stopped = True

    try:
        before = signal.signal(signal.SIGINT, interrupt)
    except ValueError:  # not in the main thread: nobody interrupts us here
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity)
