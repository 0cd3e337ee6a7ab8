"""`otids alerts`: list what was told."""

import time
from typing import Annotated

import typer

from otids.cli.alert_view import by_gravity, print_alerts, tally
from otids.cli.options import (
    Control,
    Json,
    Severity,
    State,
    examples,
    parse_duration,
    parse_time,
)
from otids.cli.output import SECOND, console, print_json
from otids.cli.state import open_state

EXAMPLES = examples(
    "otids alerts",
    "otids alerts --severity high --open",
    "otids alerts --kind policy --device 10.20.1.11",
    "otids alerts --since 2026-03-01T06:00:00+01:00 --json | jq .title",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("alerts", epilog=EXAMPLES)(alerts)


def alerts(
    *,
    state: State = None,
    control: Control = None,
    severity: Annotated[
        Severity, typer.Option(help="Only alerts that are at least so grave.")
    ] = Severity.INFO,
    kind: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="Only this kind, or all that begin with it: novelty, policy.umas-stop.",
            show_default=False,
        ),
    ] = "",
    device: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Only alerts from or about this device.", show_default=False
        ),
    ] = "",
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="Only what was last seen since then: a time (epoch seconds or RFC 3339), or a "
            "duration up to now (2h, 7d).",
            show_default=False,
        ),
    ] = "",
    only_open: Annotated[
        bool, typer.Option("--open", help="Only alerts that are neither closed nor accepted.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the last seen.")] = 1000,
    json: Json = False,
) -> None:
    """List alerts, the most severe first."""
    with open_state(state, control=control) as folder:
        found = folder.store.alerts(
            kind=kind,
            status="open" if only_open else "",
            min_severity=severity,
            device=device,
            since=_parse_since(since) if since else None,
            limit=limit,
        )
        accepted = {one.alert for one in folder.store.decisions() if one.undone_at is None}
    if only_open:
        found = [one for one in found if one["id"] not in accepted]
    if json:
        print_json(by_gravity(found))
        return
    out = console()
    if found:
        print_alerts(out, found, accepted)
        out.print()
    out.print(tally(found))
    if len(found) == limit:
        typer.echo(f"otids: only the last {limit} are listed; --limit lists more", err=True)


def _parse_since(text: str) -> int:
    """Read a moment, or how long ago it was, in ns since the epoch."""
    try:
        seconds = time.time() - parse_duration(text)
    except typer.BadParameter:
        seconds = parse_time(text)
    return int(seconds * SECOND)
