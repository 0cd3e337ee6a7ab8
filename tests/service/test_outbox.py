"""The outbox: workers, reload, pruning, test alerts; a store of its own stands for the judge's."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import pytest
from alerts.records import write_alert
from service.outboxes import World, until
from sinks.servers import StreamServer, refused_port
from structlog.testing import capture_logs

from otids.service.outbox import STOP_SECONDS, Outbox, make_sink, try_sinks

T = TypeVar("T")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World.opened(tmp_path) as world:
        yield world


def syslog(port: int, name: str = "siem") -> str:
    return f'type = "syslog"\nname = "{name}"\nhost = "127.0.0.1"\nport = {port}'


def test_every_sink_gets_what_is_committed(world: World) -> None:
    async def run() -> None:
        world.commit(1)
        config = world.config(world.lines("a"), f'{world.lines("b")}\nmin_severity = "high"')
        async with world.outbox(config) as outbox:
            await until(lambda: world.had("a") == [1], "what was there before")
            world.commit(2, 3)
            world.commit(4, severity="critical")
            await until(lambda: world.had("a") == [1, 2, 3, 4], "all")
            await until(lambda: world.had("b") == [4], "the grave one")
            await until(lambda: [one.delivered for one in outbox.states] == [4, 1], "counts")
            await until(lambda: [one.behind for one in outbox.states] == [0, 0], "places")
            assert [(one.name, one.kind) for one in outbox.states] == [
                ("a", "jsonlines"),
                ("b", "jsonlines"),
            ]
        assert world.store.backlog("a") == world.store.backlog("b") == 0

    asyncio.run(run())


def test_a_new_sink_gets_all_that_is_kept_and_a_gone_one_is_forgotten(world: World) -> None:
    async def run() -> None:
        port = refused_port()
        async with world.outbox(world.config(world.lines("a"), syslog(port))) as outbox:
            world.commit(1, 2)
            await until(lambda: outbox.states[1].failing_since, "a failure")
            with capture_logs() as logs:
                await outbox.reload(world.config(world.lines("a"), world.lines("b")))
            assert [(one["sink"], one["behind"]) for one in logs if "behind" in one] == [
                ("siem", 2)
            ]
            await until(lambda: world.had("b") == [1, 2], "the new sink")
            world.commit(3)
            await until(lambda: world.had("a") == world.had("b") == [1, 2, 3], "both")
            assert [one.name for one in outbox.states] == ["a", "b"]

    asyncio.run(run())


def test_a_sink_that_is_changed_goes_on_where_it_was(world: World) -> None:
    async def run() -> None:
        async with world.outbox(world.config(syslog(refused_port()), world.lines("a"))) as outbox:
            world.commit(1, 2)
            await until(lambda: outbox.states[0].failing_since, "a failure")
            same = outbox._workers["a"]
            with StreamServer() as server:
                await outbox.reload(world.config(syslog(server.port), world.lines("a")))
                assert outbox._workers["a"] is same
                await asyncio.to_thread(server.wait_for, 2)
                await until(lambda: not outbox.states[0].behind, "the place")
                assert len(server.messages) == 2
                await outbox.reload(world.config(world.lines("a")))

    asyncio.run(run())


def test_a_stop_waits_for_no_server(world: World) -> None:
    async def run() -> None:
        with StreamServer() as server:
            server.is_reading = False
            config = world.config(syslog(server.port), syslog(refused_port(), "down"))
            async with world.outbox(config) as outbox:
                world.commit(*range(1, 200), explanation="e" * 1900, severity="low")
                await until(lambda: outbox.states[1].failing_since, "a failure")
                started = time.monotonic()
            assert time.monotonic() - started < 3 * STOP_SECONDS

    asyncio.run(run())


def test_the_journal_is_pruned_and_what_is_lost_is_counted(world: World) -> None:
    async def run() -> None:
        world.store.commit(
            [write_alert(revision=number) for number in range(1, 2500)], clock=lambda: 1
        )
        config = world.config(syslog(refused_port()), history="1d")
        async with world.outbox(config) as outbox:
            world.commit(2500)
            await until(lambda: outbox.states[0].failing_since, "a failure")
            await until(lambda: world.store.waiting("siem")[0] == 1, "pruning")
            await until(lambda: outbox._workers["siem"].delivery.expired == 2499, "the count")
            assert len(world.store.read("SELECT place FROM revisions")) == 1

    asyncio.run(run())


def test_a_test_alert_says_where_it_arrived(world: World) -> None:
    async def run() -> None:
        with StreamServer() as server:
            config = world.config(
                f'{world.lines("a")}\nmin_severity = "critical"',
                syslog(server.port),
                syslog(refused_port(), "down"),
                f"{syslog(514, 'udp')}\ntransport = 'udp'",
            )
            async with world.outbox(config) as outbox:
                told = {one.name: one for one in await outbox.test("sensor", within=2.0)}
            assert [told[name].is_delivered for name in ("a", "siem", "down")] == [
                True,
                True,
                False,
            ]
            assert told["a"].said == "delivered"
            assert "Connection refused (1 wait for it)" in told["down"].said
            assert b"TEST: otids on sensor" in server.messages[0]
        assert world.store.alerts()[0]["kind"] == "sensor.test"

    asyncio.run(run())


def test_sinks_are_tried_without_a_service(world: World) -> None:
    with StreamServer() as server:
        config = world.config(world.lines("a"), syslog(server.port), syslog(refused_port(), "d"))
        told = [one.record() for one in try_sinks(config)]
        assert [one["delivered"] for one in told] == [True, True, False]
        assert [one["type"] for one in told] == ["jsonlines", "syslog", "syslog"]
        assert "Connection refused" in told[2]["said"]


def test_a_judge_that_has_ended_holds_nobody_up(world: World) -> None:
    async def run() -> None:
        calls: list[Future[Any]] = []

        def never(_: Callable[[], T], /) -> Future[T]:
            future: Future[T] = Future()
            calls.append(future)
            return future

        outbox = Outbox(world.config(world.lines("a")), world.store, never, world.alerts)
        await outbox.start()
        world.commit(1)
        await until(lambda: world.had("a") == [1], "delivery")
        started = time.monotonic()
        await outbox.stop()
        assert time.monotonic() - started < 3 * STOP_SECONDS
        assert calls

    asyncio.run(run())


def test_a_file_is_rotated_and_nothing_is_missing(world: World) -> None:
    async def run() -> None:
        sink = f"{world.lines('a')}\nrotate_mib = 1\nkeep = 3"
        async with world.outbox(world.config(sink)) as outbox:
            for start in range(1, 800, 100):
                world.commit(*range(start, start + 100), explanation="e" * 1900)
            await until(lambda: outbox.states[0].delivered == 800, "all")

    asyncio.run(run())
    files = sorted(world.folder.glob("a.jsonl*"))
    assert [one.name for one in files] == ["a.jsonl", "a.jsonl.1", "a.jsonl.2"]
    assert all(one.stat().st_size <= 1 << 20 for one in files)
    assert [number for one in (".2", ".1", "") for number in world.had("a", one)] == [
        *range(1, 801)
    ]


def test_the_sinks_of_the_documentation_can_be_made(world: World, repository: Path) -> None:
    page = (repository / "docs" / "sinks.md").read_text("utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    made = [make_sink(one) for block in blocks for one in world.config(block[9:]).sink]
    assert [one.name for one in made] == ["syslog", "on-call", "jsonlines", "splunk"]
    uncommented = re.sub(r"^# (?=\w+ = )", "", blocks[0], flags=re.MULTILINE)
    assert len(world.config(uncommented[9:]).sink) == 3
    assert uncommented.count("#") > 5
