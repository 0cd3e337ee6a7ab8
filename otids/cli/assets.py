"""`otids assets`: list the devices that were heard."""

import typer

from otids.cli.asset_view import print_assets
from otids.cli.options import Control, Json, State, examples
from otids.cli.output import console, print_json
from otids.cli.state import open_state

EXAMPLES = examples("otids assets", "otids assets --json | jq -r '[.address, .name] | @csv'")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("assets", epilog=EXAMPLES)(assets)


def assets(state: State = None, control: Control = None, json: Json = False) -> None:
    """List the devices that were heard: names, addresses, MACs with vendors, roles.

    otids sends nothing: all of it was read from the traffic, and names from your asset list.
    """
    with open_state(state, control=control) as folder:
        records = folder.store.assets()
    if json:
        print_json(records)
    else:
        print_assets(console(), records)
