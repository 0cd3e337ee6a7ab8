"""`otids control`: have a running service do something."""

from pathlib import Path
from typing import Annotated

import typer

from otids.cli.options import examples
from otids.cli.output import console, shown

EXAMPLES = examples(
    "otids control checkpoint",
    "otids control reload",
    "otids control learn-until 2026-03-14T06:00:00+01:00",
    "otids control learn-until",
)
SOCKET = Path("/run/otids/control.sock")

Where = Annotated[
    Path, typer.Option("--control", metavar="SOCKET", help="Where the service answers.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Have the running service save, reload or learn.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("checkpoint", epilog=EXAMPLES)(checkpoint)
    group.command("reload", epilog=EXAMPLES)(reload)
    group.command("learn-until", epilog=EXAMPLES)(learn_until)
    app.add_typer(group, name="control")


def checkpoint(control: Where = SOCKET) -> None:
    """Save what was learned now: before an upgrade or a backup."""
    _ask(control, "checkpoint", "What was learned is saved.")


def reload(control: Where = SOCKET) -> None:
    """Read settings and rules again; a mistake in them is said, and the old ones stay."""
    _ask(control, "reload", "Settings and rules are in force.")


def learn_until(
    moment: Annotated[
        str,
        typer.Argument(
            metavar="[TIME]",
            help="RFC 3339, with an offset. Without it: declare nothing any more.",
            show_default=False,
        ),
    ] = "",
    control: Where = SOCKET,
) -> None:
    """Declare what comes until then as normal, but for what is dangerous in any plant.

    It ends at that moment, or with a reload or restart, after which the settings tell.
    """
    said = f"Until {moment} all is learned." if moment else "Nothing is declared as normal."
    _ask(control, "learn-until", said, until=moment)


def _ask(control: Path, command: str, said: str, **arguments: str) -> None:
    from otids.cli.remote import Service  # noqa: PLC0415 only when needed

    service = Service(control)
    try:
        service.ask(command, **arguments)
    finally:
        service.close()
    console().print(shown(said))
