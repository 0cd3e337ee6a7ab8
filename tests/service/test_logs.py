"""The log is one clean line an event, and never a flood."""

import contextlib
import io
import json
from typing import Any

import pytest
import structlog

from otids.logs import logger
from otids.service import logs
from otids.service.config import LogConfig


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    logs.configure(LogConfig(), stream)
    return stream


def test_events_are_json_unless_a_terminal_reads_them(stream: io.StringIO) -> None:
    logger("x").info("an alert was opened", alert="3f2a", count=2)
    (line,) = written(stream)
    assert line["event"] == "an alert was opened"
    assert (line["alert"], line["count"], line["level"]) == ("3f2a", 2, "info")
    assert line["timestamp"].endswith("Z")


def test_people_get_text() -> None:
    stream = io.StringIO()
    logs.configure(LogConfig(format="text"), stream)
    logger("x").warning("something", why="a reason")
    assert "something" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_a_level_hides_what_is_below_it(stream: io.StringIO) -> None:
    log = logger("x")
    logs.configure(LogConfig(level="warning"), stream)
    log.info("no")
    log.warning("yes")
    assert [one["event"] for one in written(stream)] == ["yes"]


def test_text_of_others_cannot_harm_a_terminal_or_forge_a_line(stream: io.StringIO) -> None:
    hostile = 'a\x1b[2J\n{"event": "forged"}\u202e' + "x" * 10_000
    logger("x").error(
        "bad", why=hostile, nested={hostile: [hostile] * 100}, what=ValueError(hostile)
    )
    (line,) = stream.getvalue().splitlines()
    assert "\x1b" not in line
    assert "\u202e" not in line
    assert len(line) < 20_000
    assert json.loads(line)["event"] == "bad"


def test_tracebacks_are_kept_but_cut(stream: io.StringIO) -> None:
    def sink(depth: int) -> None:
        if not depth:
            raise ValueError("deep \x1b[2J")
        sink(depth - 1)

    try:
        sink(200)
    except ValueError:
        logger("x").exception("failed")
    (line,) = written(stream)
    assert "ValueError: deep" in line["exception"]
    assert "\x1b" not in line["exception"]
    assert len(line["exception"].splitlines()) <= logs.MOST_TRACEBACK


def test_of_one_kind_so_many_are_written_and_the_rest_is_counted() -> None:
    now = [0.0]
    limiter = logs.Limiter(3, clock=lambda: now[0])

    def passes(kind: str) -> dict[str, Any] | None:
        try:
            return dict(limiter(None, "info", {"event": kind}))
        except structlog.DropEvent:
            return None

    assert [passes("a") is not None for _ in range(5)] == [True, True, True, False, False]
    assert passes("b") == {"event": "b"}, "others are not held back"
    now[0] = logs.WINDOW
    assert passes("a") == {"event": "a", "left_out": 2}
    assert passes("a") == {"event": "a"}


def test_what_was_left_out_is_told_even_if_nothing_follows() -> None:
    now = [0.0]
    limiter = logs.Limiter(1, clock=lambda: now[0])
    for _ in range(3):
        with contextlib.suppress(structlog.DropEvent):
            limiter(None, "info", {"event": "a"})
    assert limiter.owed() == {}
    now[0] = logs.WINDOW
    assert limiter.owed() == {"a": 2}
    assert limiter.owed() == {}


def test_kinds_are_bounded() -> None:
    limiter = logs.Limiter()
    for number in range(10 * logs.MOST_KINDS):
        limiter(None, "info", {"event": f"kind {number}"})
    assert len(limiter._kinds) == logs.MOST_KINDS
