"""`otids accept`: a person makes what an alert is about normal."""

import getpass

import typer

from otids import compose
from otids.cli.alert_view import lines_of, spell_parties
from otids.cli.causes import names_of, spell_cause
from otids.cli.errors import UserError
from otids.cli.options import AlertId, Control, State, Who, Yes, examples
from otids.cli.output import badge, console, shown
from otids.cli.state import open_state

EXAMPLES = examples(
    "otids accept 3f2a",
    "otids accept 3f2a --yes --who 'A. Jansen, change 4711'",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("accept", epilog=EXAMPLES)(accept)


def accept(
    alert: AlertId,
    *,
    state: State = None,
    control: Control = None,
    yes: Yes = False,
    who: Who = "",
) -> None:
    """Make what an alert is about normal from now on.

    First it is said what that comprises, and asked. `otids undo` takes it back.
    """
    with open_state(state, control=control, writing=True) as folder:
        found = folder.store.alert(alert)
        standing = [
            one
            for one in folder.store.decisions()
            if one.alert == found.record["id"] and one.undone_at is None
        ]
        if standing:
            raise UserError(
                f"{folder.store.path}: {alert} was accepted already, by decision "
                f"{standing[0].number} of {standing[0].who}"
            )
        causes = compose.makes_normal(folder, found.causes)
        if not causes:
            raise UserError(f"{folder.store.path}: {alert} is about nothing that can be accepted")
        names = names_of(folder.store.assets())
        out = console()
        out.print(badge(found.record["severity"]), shown(found.record["title"], "bold"))
        out.print(shown(spell_parties(found.record)))
        words = [spell_cause(cause, names) for cause in causes]
        out.print(lines_of("Normal from now on:", words))
        if not yes:
            typer.confirm("Accept this?", abort=True)
        decision = folder.store.decide(found.record["id"], who or getpass.getuser())
        compose.save_decisions(folder)
    out.print(shown(f"Accepted, as decision {decision.number} of {decision.who}."))
    out.print(shown(f"otids undo {decision.number} takes it back.", "dim"))
