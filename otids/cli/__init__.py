"""The command line: it parses and prints. One module per command, loaded when it is called."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "replay": "Learn from captures and judge others; print assets and alerts.",
    "run": "Listen to live interfaces and judge, as a service.",
    "decode": "Print every message of captures, one JSON object a line.",
    "status": "Show how far learning is, what is heard badly, and what is open.",
    "alerts": "List alerts, the most severe first.",
    "explain": "Show everything about one alert, down to its frames.",
    "accept": "Make what an alert is about normal from now on.",
    "undo": "Take back what was accepted.",
    "assets": "List the devices that were heard.",
    "baseline": "Show what was learned as normal, and compare two states.",
    "evaluate": "Tell how good detection is on labelled captures.",
    "bench": "Tell what each stage costs on this machine.",
    "test-alert": "Send a harmless alert through every sink.",
    "control": "Have the running service save, reload or learn.",
    "check": "Find mistakes in settings, rules, alert texts and asset lists.",
}
"""Commands and what `otids --help` says of them, in its order; each has a module beside this."""

BAD_INPUT = 2
INTERRUPTED = 130
PIPE_CLOSED = 141
OUR_BUG = 70


class Commands(TyperGroup):
    """The commands of otids. Help needs none of their modules; a call imports one."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, summary in COMMANDS.items():
            self.add_command(TyperCommand(name, help=summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the command that is called."""
        if args and args[0] in COMMANDS:
            own = typer.Typer(rich_markup_mode=None)
            import_module(f"otids.cli.{args[0].replace('-', '_')}").register(own)
            self.add_command(typer.main.get_group(own).commands[args[0]], args[0])
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; the one place where errors become a line and an exit code."""
        try:
            return super().invoke(ctx)
        except (typer.TyperException, typer.Exit, typer.Abort, EOFError):
            raise
        except BrokenPipeError:  # who read our output has had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(PIPE_CLOSED) from None
        except Exception as error:
            from otids.cli.errors import is_the_users, one_line  # noqa: PLC0415 only when needed

            if not is_the_users(error):
                raise
            _complain(one_line(error))
            raise typer.Exit(BAD_INPUT) from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Parse and run. Ends the process with the exit code (docs/command-line.md)."""
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except typer.TyperException as error:
            if type(error).__name__ == "NoArgsIsHelpError":  # Typer does not export it
                typer.echo(error.format_message(), err=True)
            else:
                _complain(_with_hint(error))
            code = BAD_INPUT
        except typer.Abort:
            _complain("not confirmed; nothing was changed (--yes does not ask)")
            code = INTERRUPTED
        except Exception:
            if not standalone_mode:
                raise
            import traceback  # noqa: PLC0415 only when needed

            traceback.print_exc()
            _complain("this is a bug in otids; please report it with the lines above")
            code = OUR_BUG
        if standalone_mode:
            sys.exit(code or 0)
        return code


def _complain(text: str) -> None:
    typer.echo(f"otids: {text}", err=True)


def _with_hint(error: typer.TyperException) -> str:
    """The fault in one line, and where to read on."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "otids"
    return f"{' '.join(error.format_message().split())} (see {path} --help)"


app = typer.Typer(
    cls=Commands,
    rich_markup_mode=None,  # boxes leave no room for words at 80 columns
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start here:  otids replay --learn NORMAL.pcap SUSPECT.pcap",
)


@app.callback(invoke_without_command=True)
def otids(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version, and end.")] = False,
) -> None:
    """Learn what is normal in an industrial network's traffic, and say what is not."""
    if version:
        from importlib.metadata import version as version_of  # noqa: PLC0415 only when needed

        typer.echo(f"otids {version_of('otids')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(BAD_INPUT)


def main() -> None:
    """Run `otids` with the arguments of this process."""
    app(prog_name="otids")
