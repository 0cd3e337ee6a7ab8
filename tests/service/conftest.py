"""A judge that listens to files, and a log that is as it was before."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from captures import pcap
from service.made import Feed

from otids.service import judge, logs


@pytest.fixture(autouse=True)
def _quiet_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no limit and no setting of the log go from one test to the next."""
    monkeypatch.setattr(logs, "LIMITER", logs.Limiter())
    yield
    structlog.reset_defaults()


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Feed:
    """What the judge of this test listens to."""
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(pcap([]))
    feed = Feed(empty)
    monkeypatch.setattr(judge, "batches", feed.batches)
    return feed
