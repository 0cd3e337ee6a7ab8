"""`otids evaluate`: judge labelled captures, and tell how good the verdicts are."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from otids import compose
from otids.cli.errors import UserError
from otids.cli.options import Rules, Severity, examples, parse_duration
from otids.cli.output import aside
from otids.evaluation.cases import load_cases
from otids.evaluation.evaluating import Evaluation
from otids.evaluation.results import Result, table
from otids.evaluation.score import Wanted
from otids.folder import StateFolder
from otids.pipeline import Pipeline

BAD_INPUT = 2
INTERRUPTED = 130
SENSOR = "evaluate"

EXAMPLES = examples(
    "otids evaluate replay/captures",
    "otids evaluate --types --min-severity medium replay/captures/cases.toml",
    "otids evaluate --only 'replay_normal*' --alerts verdicts --json numbers.json replay/captures",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate", epilog=EXAMPLES)(evaluate)


def evaluate(
    cases: Annotated[
        list[Path],
        typer.Argument(
            metavar="CASES...",
            help="A cases.toml, or a folder that holds one or has folders that do.",
            show_default=False,
        ),
    ],
    *,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only cases of this name; * stands for any text. May be repeated.",
            show_default=False,
        ),
    ] = None,
    min_severity: Annotated[
        Severity, typer.Option(help="Count alerts that are at least so grave.")
    ] = Severity.INFO,
    ignore_kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Do not count alerts of this kind. May be repeated.",
            show_default=False,
        ),
    ] = None,
    types: Annotated[
        bool,
        typer.Option(
            "--types", help="Also tell what was found by type of attack, and false alerts by kind."
        ),
    ] = False,
    json: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Write all numbers as JSON; - for standard output, and no table.",
            show_default=False,
        ),
    ] = "",
    alerts: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the alerts of each case to DIR/NAME.jsonl, the last revision of each.",
            show_default=False,
        ),
    ] = None,
    rules: Rules = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Judge so many cases at a time. Default: one for each processor core.",
            show_default=False,
        ),
    ] = None,
    time_limit: Annotated[
        str, typer.Option(metavar="DURATION", help="Give a case up that takes longer.")
    ] = "1h",
) -> None:
    """Judge labelled captures, and tell how much was detected and how much was false.

    In each case otids learns and judges from nothing, and keeps nothing. The page
    docs/evaluation.md says what the numbers mean and how to make cases. A case that fails counts
    as one without alerts; the exit code is then 2.
    """
    evaluation = Evaluation(
        make_pipeline=partial(_make_pipeline, tuple(folder.absolute() for folder in rules or ())),
        wanted=Wanted(min_severity.value, frozenset(ignore_kind or ())),
        alerts=alerts,
        jobs=jobs or len(os.sched_getaffinity(0)),
        time_limit=parse_duration(time_limit),
    )
    compose.Rules.load(rules or ())  # a mistake is told before hours of work
    found = load_cases(cases, only or ())
    if not found:
        raise UserError(f"{', '.join(map(str, cases))}: holds no {'such ' * bool(only)}case")
    _make_room(json, alerts)
    try:
        with _bar(len(found)) as move:
            done = evaluation.run(found, move)
    except KeyboardInterrupt:
        typer.echo("otids: stopped; nothing was scored", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if done.scored:
        _tell(Result(done.scored), json, with_types=types)
    for trace in done.traces:
        typer.echo(trace, err=True, nl=False)
    for complaint in done.complaints:
        typer.echo(f"otids: {complaint}", err=True)
    if done.complaints:
        raise typer.Exit(BAD_INPUT)


def _make_pipeline(rules: tuple[Path, ...], folder: StateFolder) -> Pipeline:
    """Make the pipeline of a case, in the process of the case."""
    return compose.make_pipeline(
        compose.Rules.load(rules), compose.make_inventory(), folder.store.commit, sensor=SENSOR
    )


def _make_room(json: str, alerts: Path | None) -> None:
    """See to it that results can be written. Raises `UserError`, `OSError`."""
    if json not in {"", "-"} and not Path(json).absolute().parent.is_dir():
        raise UserError(f"{json}: there is no such folder to write to")
    if alerts is not None:
        alerts.mkdir(parents=True, exist_ok=True)


def _tell(result: Result, json: str, *, with_types: bool) -> None:
    text = dumps(result.record(), indent=1, allow_nan=False) + "\n"
    if json == "-":
        typer.echo(text, nl=False)
        return
    if json:
        Path(json).write_text(text, encoding="utf-8")
    shown = table(result, with_types=with_types)
    typer.echo("".join(char if char.isprintable() or char == "\n" else "?" for char in shown))


@contextmanager
def _bar(total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal that moves when a case is done."""
    console = aside()
    if not console.is_terminal:
        yield lambda: None
        return
    from rich.progress import (  # noqa: PLC0415 only when needed
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
    )

    columns = TextColumn("judging cases"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as progress:
        task = progress.add_task("", total=total)
        progress.refresh()
        yield lambda: progress.update(task, advance=1, refresh=True)
