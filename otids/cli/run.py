"""`otids run`: the service."""

from pathlib import Path
from typing import Annotated

import typer

from otids.cli.options import examples

CONFIG = Path("/etc/otids/otids.toml")

EXAMPLES = examples("otids run", "otids run -c /etc/otids/otids.toml", "systemctl start otids")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog=EXAMPLES)(run)


def run(
    *,
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE.toml", help="The settings.")
    ] = CONFIG,
) -> None:
    """Listen to the interfaces that the config names, and judge, until stopped (SIGTERM).

    SIGHUP reloads config and rules, all or nothing. Listening takes the capability CAP_NET_RAW and
    nothing else.
    """
    from otids.service.daemon import serve  # noqa: PLC0415 the other commands do without

    raise typer.Exit(serve(config))
