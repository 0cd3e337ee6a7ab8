"""Runs commands as a user does."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from typer.testing import CliRunner

from otids.cli import app


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complaint(self) -> str:
        """The one line on standard error."""
        (line,) = self.err.splitlines()
        return line


Run: TypeAlias = Callable[..., Ran]


def environment(home: Path) -> dict[str, str]:
    """An environment in which nothing of this machine shows."""
    return {
        "XDG_STATE_HOME": str(home),
        "TZ": "UTC",
        "COLUMNS": "100",
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
    }


def invoke(home: Path, *args: object, answer: str = "", **env: str) -> Ran:
    """Run a command in this process, with output that is no terminal."""
    result = CliRunner().invoke(
        app,
        [str(one) for one in args],
        input=answer,
        env=environment(home) | env,
        prog_name="otids",
    )
    return Ran(result.exit_code, result.stdout, result.stderr)


def execute(
    home: Path, *args: object, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "otids", *map(str, args)],
        env=environment(home) | dict(env or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
