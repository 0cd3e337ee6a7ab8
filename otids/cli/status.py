"""`otids status`: how far learning is, what is heard badly, and what is open."""

from collections import Counter

import typer
from rich.console import Console
from rich.text import Text

from otids import compose
from otids.alerts.alert import SEVERITIES, rfc3339
from otids.cli.alert_view import tally
from otids.cli.causes import names_of
from otids.cli.options import Control, Json, State, examples
from otids.cli.output import SECOND, Times, console, labelled, print_json
from otids.cli.remote import RemoteFolder, print_status
from otids.cli.state import open_state
from otids.cli.status_view import print_blind, print_learning
from otids.status import Status

EXAMPLES = examples(
    "otids status",
    "otids status --state plant",
    "otids status --json | jq '.detectors[] | select(.learning > 0)'",
)
ALL = 1_000_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status", epilog=EXAMPLES)(status)


def status(*, state: State = None, control: Control = None, json: Json = False) -> None:
    """Show how far each detector has learned, which conversations are heard badly, what is open.

    A detector judges a conversation once it has learned it; where frames are missing, or one side
    is not in the capture, it holds back.
    """
    with open_state(state, control=control) as folder:
        if isinstance(folder, RemoteFolder):
            print_status(folder, json=json)
            return
        found = compose.status_of(folder)
        names = names_of(folder.store.assets())
        accepted = {one.alert for one in folder.store.decisions() if one.undone_at is None}
        alerts = [
            one
            for one in folder.store.alerts(status="open", limit=ALL)
            if one["id"] not in accepted
        ]
    if json:
        counts = Counter(one["severity"] for one in alerts)
        until = found.judged_until
        record = {
            **found.record(),
            "judged_until": None if until is None else rfc3339(until * SECOND),
            "open_alerts": {one: counts[one] for one in reversed(SEVERITIES)},
        }
        print_json([record])
        return
    out = console()
    _print_head(out, found)
    print_learning(out, found, names)
    out.print()
    print_blind(out, found, names)
    out.print()
    out.print(Text.assemble(("Open alerts  ", "bold"), tally(alerts)))


def _print_head(out: Console, found: Status) -> None:
    if found.judged_until is None:
        judged = "nothing yet"
    else:
        times = Times([found.judged_until])
        judged = f"{times.spell(found.judged_until)} {times.zone}"
    rows: list[tuple[str, str | Text]] = [("judged until", judged)]
    if found.is_declared:
        rows.append(("learning", "what comes now is declared as normal"))
    out.print(labelled(rows))
    out.print()
