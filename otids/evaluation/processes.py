"""Runs pieces of work side by side, each in a process of its own and within a time limit.

What one piece does to its process (a crash, too much memory, no end) costs that piece only.
"""

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Died:
    """A piece of work came to no end; `reason` is one line, `trace` tells where if it was ours."""

    reason: str
    trace: str = ""


@dataclass(slots=True)
class _Running(Generic[Item]):
    place: int
    process: ForkServerProcess
    answer: connection.Connection


def run_each(
    work: Callable[[Item], Outcome],
    items: Sequence[Item],
    *,
    jobs: int,
    time_limit: float,
    modules: Sequence[str] = (),
) -> Generator[tuple[int, Outcome | Died], None, None]:
    """Yield the place of each item and what came of it, as they end; begin them in order.

    At most `jobs` run at a time, none longer than `time_limit` seconds. `work`, items and outcomes
    go from process to process, so `work` is no inner function; `modules` are what it needs, loaded
    once for all. What still runs when the caller stops asking is ended.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*modules])
    with _safe_path():
        forkserver.ensure_running()
    waiting = list(enumerate(items))[::-1]
    running: dict[connection.Connection, _Running[Item]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                place, item = waiting.pop()
                started = _start(context, place, work, item, time_limit)
                running[started.answer] = started
            for ready in connection.wait([*running]):
                done = running.pop(ready)  # type: ignore[call-overload]  # it waits for no sockets
                yield done.place, _result(done, time_limit)
    finally:
        for left in running.values():
            left.process.kill()
            left.process.join()
            left.answer.close()


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    """Have a new Python look for modules where this one does, not in the present folder."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _start(
    context: ForkServerContext,
    place: int,
    work: Callable[[Item], Outcome],
    item: Item,
    time_limit: float,
) -> _Running[Item]:
    answer, giving = context.Pipe(duplex=False)
    process = context.Process(
        target=_work, args=(work, item, giving, time_limit), daemon=True, name=f"piece-{place}"
    )
    process.start()
    giving.close()
    return _Running(place, process, answer)


def _result(done: _Running[Item], time_limit: float) -> Outcome | Died:
    with done.answer:
        try:
            result: Outcome | Died = done.answer.recv()
        except EOFError:
            result = Died("")
    done.process.join()
    if not isinstance(result, Died) or result.reason:
        return result
    code = done.process.exitcode or 0
    if code == -signal.SIGALRM:
        return Died(f"took longer than {time_limit:g} s")
    if code < 0:
        return Died(f"was ended by signal {-code} ({signal.strsignal(-code)})")
    return Died(f"ended with exit code {code} and no result")


def _work(
    work: Callable[[Item], Outcome],
    item: Item,
    giving: connection.Connection,
    time_limit: float,
) -> None:
    """Do one piece in this process; the alarm ends it, whatever it is at."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's goes to all; ours is to be ended
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, time_limit)
    result: Outcome | Died
    try:
        result = work(item)
    except Exception as error:  # noqa: BLE001 told by who asked
        result = Died(f"{type(error).__name__}: {error}", traceback.format_exc())
    giving.send(result)
    giving.close()
