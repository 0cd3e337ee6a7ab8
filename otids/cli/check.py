"""`otids check`: find mistakes in what people edit."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from otids import compose
from otids.assets import AssetList
from otids.capture.interfaces import program
from otids.cli.errors import is_the_users, one_line
from otids.cli.options import Json, Rules, examples
from otids.cli.output import console, counted, print_json, shown
from otids.resources import data_folder
from otids.rules.models import load_models

EXAMPLES = examples(
    "otids check",
    "otids check -c /etc/otids/otids.toml && systemctl reload otids",
    "otids check --rules /etc/otids/rules --assets plant.csv && systemctl reload otids",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check", epilog=EXAMPLES)(check)


def check(
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE.toml",
            help="Settings of the service, and the rules, asset list and filter that they name.",
            show_default=False,
        ),
    ] = None,
    rules: Rules = None,
    assets: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.csv", help="An asset list. May be repeated.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Find mistakes in settings, rules, alert texts, ATT&CK techniques and asset lists.

    Each is one line with file, line and key.
    What otids brings is checked too. Ends with exit code 2 if there is a mistake.
    """
    found: list[dict[str, Any]] = []
    _try(found, "what otids brings", _check_rules)
    _try(found, "models", _check_models)
    for folder in rules or ():
        _try(found, str(folder), partial(_check_rules, folder))
    if rules and len(rules) > 1:
        _try(found, "all rules together", partial(_check_rules, *rules))
    if config is not None:
        _try(found, str(config), partial(_check_config, config))
    for file in assets or ():
        _try(found, str(file), partial(_check_assets, file))
    if json:
        print_json(found)
    else:
        out = console()
        for one in found:
            good = not one["mistake"]
            text = f"{one['what']}: {one['result']}" if good else one["mistake"]
            out.print(shown("ok  " if good else "bad ", "green" if good else "red"), shown(text))
    if any(one["mistake"] for one in found):
        raise typer.Exit(2)


def _try(found: list[dict[str, Any]], what: str, look: Callable[[], str]) -> None:
    """Note what was found in order, or the mistake."""
    result = mistake = ""
    try:
        result = look()
    except Exception as error:
        if not is_the_users(error):
            raise
        mistake = one_line(error)
    found.append({"what": what, "result": result, "mistake": mistake})


def _check_rules(*folders: Path) -> str:
    rules = compose.Rules.load(folders)
    return (
        f"{counted(len(rules.policies), 'rule')}, {counted(len(rules.catalogue.entries), 'kind')} "
        f"of alerts, ATT&CK for ICS v{rules.catalogue.attack.version}"
    )


def _check_models() -> str:
    return f"{counted(len(load_models([data_folder('models')])), 'model')} of how much is usual"


def _check_config(file: Path) -> str:
    """Check the settings, and what they name, as the service would at its start."""
    from otids.service.config import load  # noqa: PLC0415 rarely needed

    config = load(file)
    words = [f"listens to {', '.join(config.capture.interfaces)}"]
    program(config.capture.filter)
    words.append(_check_rules(*map(Path, config.rules.folders)))
    if config.rules.assets:
        words.append(_check_assets(Path(config.rules.assets)))
    words.append(counted(len(config.sink), "sink"))
    return "; ".join(words)


def _check_assets(file: Path) -> str:
    return counted(len(AssetList.read(file).rows), "device")
