"""The way from the store to a sink: in order, at least once."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from alerts.records import write_alert

from otids.sinks import SinkError, deliver_pending
from otids.store import Store


class Flaky:
    """A sink that is down from its `failing`-th delivery on."""

    name = "flaky"

    def __init__(self, failing: int = 99) -> None:
        self.failing = failing
        self.had: list[int] = []

    def deliver(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Take records, or fail."""
        self.failing -= 1
        if self.failing < 0:
            raise SinkError("flaky: is down")
        self.had += [record["revision"] for record in records]

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "otids.db", writing=True) as store:
        store.commit([write_alert(revision=number) for number in range(1, 11)])
        yield store


def test_all_is_delivered_once_and_in_order(store: Store) -> None:
    sink = Flaky()
    assert deliver_pending(store, sink, batch=3) == 10
    assert deliver_pending(store, sink) == 0
    assert sink.had == list(range(1, 11))


def test_a_sink_that_was_down_gets_the_rest(store: Store) -> None:
    sink = Flaky(failing=2)
    with pytest.raises(SinkError):
        deliver_pending(store, sink, batch=3)
    assert sink.had == [1, 2, 3, 4, 5, 6]
    assert store.backlog("flaky") == 4
    sink.failing = 99
    assert deliver_pending(store, sink) == 4
    assert sink.had == list(range(1, 11))


def test_a_crash_before_the_note_delivers_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    sink = Flaky()
    monkeypatch.setattr(store, "delivered", crash)
    with pytest.raises(KeyboardInterrupt):
        deliver_pending(store, sink, batch=10)
    monkeypatch.undo()
    deliver_pending(store, sink)
    assert sink.had == [*range(1, 11), *range(1, 11)]
