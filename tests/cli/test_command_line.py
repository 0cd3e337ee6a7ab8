"""What all commands have in common: help, errors, start-up, and what reaches a terminal."""

import io
import os
import pty
import resource
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli.commands import Run, environment, execute
from rich.console import Console

from otids.cli import COMMANDS, alert_view
from otids.cli.options import parse_duration, parse_time
from otids.cli.output import shown

HEAVY = {"numpy", "structlog", "rich.console", "otids.pipeline", "sqlite3"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run: Run, command: str) -> None:
    ran = run(command, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: otids {command} ")
    assert "…" not in ran.out


def test_help_lists_every_command(run: Run) -> None:
    out = run("--help").out
    for command, summary in COMMANDS.items():
        assert f"  {command}" in out
        assert summary in " ".join(out.split())


def test_no_command_is_wrong_usage(run: Run) -> None:
    ran = run()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Usage: otids")


def test_a_command_mistyped(run: Run) -> None:
    ran = run("alert")
    assert ran.code == 2
    assert "Did you mean 'alerts'" in ran.complaint


def test_version(run: Run) -> None:
    assert run("--version").out.startswith("otids 0.")


def test_a_bug_of_ours_is_told_as_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("otids.folder.StateFolder.__init__", fail)
    ran = run("alerts")
    assert ran.code == 70
    assert ran.err.splitlines()[-1].startswith("otids: this is a bug in otids")


# --- start-up ------------------------------------------------------------------------------------


def loaded(*arguments: str) -> set[str]:
    """Modules that a command loads."""
    code = (
        "import sys; from otids.cli import main\n"
        f"sys.argv = ['otids', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit: print('|', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.rpartition("|")[2].split())


def test_help_loads_nothing_that_it_does_not_need() -> None:
    modules = loaded("--help")
    assert not HEAVY & modules
    assert not {f"otids.cli.{command}" for command in COMMANDS} & modules


def test_decode_loads_no_detectors(normal: Path, tmp_path: Path) -> None:
    modules = loaded("decode", str(normal), "--output", str(tmp_path / "out"))
    assert not {"structlog", "rich.console", "otids.pipeline", "sqlite3"} & modules


def cpu_seconds(*arguments: object, home: Path) -> float:
    """CPU time of a command, the best of three."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert execute(home, *arguments).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return min(times)


def test_start_up_is_quick(tmp_path: Path, captures: Path) -> None:
    assert cpu_seconds("--help", home=tmp_path) < 0.5
    capture = captures / "normal-seed2" / "normal-seed2.pcap.gz"
    assert cpu_seconds("replay", capture, home=tmp_path) < 1.5


# --- terminals -----------------------------------------------------------------------------------


def on_a_terminal(home: Path, *arguments: object, **env: str) -> str:
    """What a command writes where its output is a terminal."""
    main, side = pty.openpty()
    settings = environment(home) | {"TERM": "xterm-256color"} | env
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "otids", *map(str, arguments)],
        stdout=side,
        stderr=side,
        stdin=side,
        env=settings,
    )
    os.close(side)
    said = b""
    end = time.monotonic() + 60
    try:
        while time.monotonic() < end and select.select([main], [], [], 60)[0]:
            try:
                more = os.read(main, 65_536)
            except OSError:  # the other side is closed
                break
            if not more:
                break
            said += more
    finally:
        os.close(main)
        process.kill()
        process.wait()
    return said.decode()


def test_a_terminal_gets_colours_and_a_bar(tmp_path: Path, normal: Path, attacks: Path) -> None:
    said = on_a_terminal(tmp_path, "replay", "--learn", normal, attacks)
    assert "\x1b[1;37;41m CRITICAL " in said
    assert "Summary" in said


def test_no_color_is_heeded(tmp_path: Path, judged: Path) -> None:
    said = on_a_terminal(tmp_path, "alerts", "--state", judged, NO_COLOR="1")
    assert " CRITICAL " in said
    assert "37;41m" not in said
    assert "\x1b[31m" not in said


def test_a_closed_pipe_is_no_fault(tmp_path: Path, judged: Path) -> None:
    command = [sys.executable, "-P", "-m", "otids", "alerts", "--state", str(judged)]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command,
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment(tmp_path),
        check=False,
        timeout=60,
    )
    os.close(writing)
    assert done.returncode == 141
    assert done.stderr == b""


def test_commands_to_the_terminal_do_not_reach_it() -> None:
    hostile = "PLC\x1b]0;owned\x07\x1b[2J\r\n\u202e [bold]x[/bold]"
    text = shown(hostile).plain
    assert text.isprintable()
    assert "[bold]x[/bold]" in text
    assert "owned" not in text


def test_long_words_go_on_in_the_next_line() -> None:
    out = io.StringIO()
    Console(width=40, file=out).print(alert_view.lines_of("Title", ["x" * 100]))
    assert out.getvalue().count("x") == 100


# --- words ---------------------------------------------------------------------------------------


def test_short_ids_tell_alerts_apart() -> None:
    assert alert_view.short_ids(["3f2a00", "3f2a10", "b00000"]) == {
        "3f2a00": "3f2a0",
        "3f2a10": "3f2a1",
        "b00000": "b000",
    }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2 d", 172_800), ("0.5h", 1800), ("5min", 300)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1795304521.5", 1795304521.5),
        ("2026-11-21T23:42:01Z", 1795304521),
        ("2026-11-22T00:42:01+01:00", 1795304521),
        ("2026-11-21t23:42:01.5z", 1795304521.5),
    ],
)
def test_moments(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds
