"""`otids test-alert`: see whether an alert arrives where it should."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otids.cli.errors import UserError
from otids.cli.options import Json, examples
from otids.cli.output import console, print_json, shown

if TYPE_CHECKING:
    from otids.service.config import Config

CONFIG = Path("/etc/otids/otids.toml")
NOT_DELIVERED = 2

EXAMPLES = examples("otids test-alert", "otids test-alert -c /etc/otids/otids.toml --json")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("test-alert", epilog=EXAMPLES)(send)


def send(
    *,
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE.toml", help="The settings.")
    ] = CONFIG,
    json: Json = False,
) -> None:
    """Send a harmless alert, marked as a test, to every sink of the config.

    If the service runs, it sends it: that shows the whole way. Else it goes straight to the sinks.
    Says for each sink whether it was delivered; ends with exit code 2 if one did not take it.
    """
    from otids.service.config import load  # noqa: PLC0415 the other commands do without

    is_good = True
    loaded = load(config)
    if not loaded.sink and not json:
        console().print(shown(f"{config}: no sink is configured; alerts are in the store only"))
    for one in _send(loaded):
        is_good &= one["delivered"]
        if json:
            print_json([one])
            continue
        mark = shown("ok  ", "green") if one["delivered"] else shown("bad ", "red")
        text = f"{one['sink']} ({one['type']}): {one['said']}, {one['seconds']:.1f} s"
        console().print(mark, shown(text))
    if not is_good:
        raise typer.Exit(NOT_DELIVERED)


def _send(config: "Config") -> Iterator[dict[str, Any]]:
    """Have the running service send it, or else send it ourselves."""
    from otids.cli.remote import Service  # noqa: PLC0415 the other commands do without
    from otids.service.outbox import try_sinks  # noqa: PLC0415 as above

    try:
        service = Service(Path(config.control.socket))
    except UserError:
        for one in try_sinks(config):
            yield one.record()
        return
    try:
        yield from service.ask("test-alert")
    finally:
        service.close()
