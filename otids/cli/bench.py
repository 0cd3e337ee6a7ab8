"""`otids bench`: tell what each stage costs on this machine."""

from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from otids import _hotpath, compose
from otids.cli.errors import UserError
from otids.cli.options import Json, Rules, examples, parse_duration
from otids.cli.output import counted, shown
from otids.measuring import Measured, measure
from otids.pipeline import Pipeline

BAD_INPUT = 2
INTERRUPTED = 130

EXAMPLES = examples(
    "otids bench plant.pcap.gz",
    "otids bench --learn monday.pcap tuesday.pcap",
    "otids bench --json --runs 1 plant.pcap | jq -r .stage",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench", epilog=EXAMPLES)(bench)


def bench(
    capture: Annotated[Path, typer.Argument(metavar="CAPTURE", help="What is decoded and judged.")],
    *,
    learn: Annotated[
        Path | None,
        typer.Option(
            metavar="CAPTURE",
            help="What is declared as normal before. Default: the capture itself.",
            show_default=False,
        ),
    ] = None,
    runs: Annotated[
        int, typer.Option(min=1, max=100, metavar="N", help="Judge so often; medians are told.")
    ] = 3,
    json: Json = False,
    rules: Rules = None,
    time_limit: Annotated[
        str, typer.Option(metavar="DURATION", help="Give a stage up that takes longer.")
    ] = "2m",
) -> None:
    """Tell what each stage costs on this machine, from the frame to the alert.

    Told is CPU time, so what else the machine does matters little. What otids pays once (starting,
    what it meets for the first time) does not count. Nothing is kept. docs/performance.md says
    what the stages are.
    """
    limit = parse_duration(time_limit)
    folders = tuple(folder.absolute() for folder in rules or ())
    compose.Rules.load(folders)  # a mistake is told before minutes of work
    for one in {capture, learn or capture}:
        _hotpath.measure(str(one), "read", loops=1)
    try:
        found = measure(
            capture, learn or capture, partial(_make_pipeline, folders),
            runs=runs, time_limit=limit,
        )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo("otids: stopped; nothing was measured", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if not found.frames and not found.complaints:
        raise UserError(f"{capture}: holds no frames")
    if json:
        for record in found.records():
            typer.echo(dumps(record, allow_nan=False))
    elif found.costs:
        _show(found)
    for complaint in found.complaints:
        typer.echo(f"otids: {complaint}", err=True)
    if found.complaints:
        raise typer.Exit(BAD_INPUT)


def _make_pipeline(rules: tuple[Path, ...]) -> Pipeline:
    """Make the pipeline that is measured, in a process of its own; its alerts are dropped."""
    return compose.make_pipeline(
        compose.Rules.load(rules), compose.make_inventory(), lambda _: None, sensor="bench"
    )


def _show(found: Measured) -> None:
    from rich.table import Table  # noqa: PLC0415 only when needed

    from otids.cli.output import console  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("stage", overflow="fold")
    for heading in ("ns a frame", "frames a second", "µs a tick"):
        table.add_column(heading, justify="right", no_wrap=True)
    for record in found.records():
        a_second, a_tick = record["frames_a_second"], record["us_a_tick"]
        table.add_row(
            shown(record["stage"]),
            f"{record['ns_a_frame']:,.0f}",
            "-" if a_second is None else f"{a_second:,}",
            "-" if a_tick is None else f"{a_tick:,.1f}",
        )
    out = console()
    out.print(table)
    out.print(
        f"{counted(found.frames, 'frame')}, {counted(found.messages, 'message')}, "
        f"{counted(found.ticks, 'tick')}; CPU time of one core"
    )
