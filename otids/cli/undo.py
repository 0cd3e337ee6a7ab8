"""`otids undo`: take back what was accepted."""

import getpass
from typing import Annotated

import typer

from otids import compose
from otids.cli.alert_view import lines_of
from otids.cli.causes import names_of, spell_cause
from otids.cli.errors import UserError
from otids.cli.options import Control, State, Who, Yes, examples
from otids.cli.output import SECOND, Times, console, shown
from otids.cli.state import open_state
from otids.store import Decision

EXAMPLES = examples("otids undo", "otids undo 2 --yes", "otids undo --list")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("undo", epilog=EXAMPLES)(undo)


def undo(
    number: Annotated[
        int | None,
        typer.Argument(
            metavar="[NUMBER]", help="The decision. Without it: the last.", show_default=False
        ),
    ] = None,
    *,
    state: State = None,
    control: Control = None,
    yes: Yes = False,
    who: Who = "",
    is_listing: Annotated[bool, typer.Option("--list", help="List all decisions instead.")] = False,
) -> None:
    """Take back what was accepted: it is told again when it happens again.

    What was learned under an accepted cause in between goes with it.
    """
    with open_state(state, control=control, writing=not is_listing) as folder:
        if is_listing:
            _print_decisions(folder.store.decisions())
            return
        standing = [one for one in folder.store.decisions() if one.undone_at is None]
        chosen = [one for one in standing if number in {None, one.number}]
        if not chosen:
            which = "that stands" if number is None else f"{number} that stands"
            raise UserError(f"{folder.store.path}: there is no decision {which}")
        decision = chosen[0]
        names = names_of(folder.store.assets())
        out = console()
        out.print(shown(f"Decision {decision.number} of {decision.who}: {decision.title}", "bold"))
        words = [spell_cause(cause, names) for cause in decision.causes]
        out.print(lines_of("No longer normal:", words))
        if not yes:
            typer.confirm("Take it back?", abort=True)
        folder.store.undo(who or getpass.getuser(), decision.number)
        compose.save_decisions(folder)
    out.print(shown(f"Decision {decision.number} is taken back."))


def _print_decisions(decisions: list[Decision]) -> None:
    out = console()
    times = Times(one.made_at / SECOND for one in decisions)
    out.print(shown(f"{len(decisions)} decisions ({times.note})", "bold"))
    for one in decisions:
        text = f"{one.number}  {times.spell(one.made_at / SECOND)}  {one.who}: {one.title}"
        if one.undone_at is not None:
            text += f" (taken back {times.spell(one.undone_at / SECOND)} by {one.undone_by})"
        out.print(shown(text, "" if one.undone_at is None else "dim"))
