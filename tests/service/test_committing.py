"""Alerts that the store does not take wait, in order and within a bound, and nothing is silent."""

from collections.abc import Sequence

from service.made import make_alert

from otids.alerts.alert import Alert
from otids.service.committing import RETRY_SECONDS, Committer
from otids.store import StoreError


class Disk:
    """A store whose disk may be full."""

    def __init__(self) -> None:
        self.is_full = False
        self.poison = ""
        self.taken: list[tuple[str, int]] = []
        self.now = 100.0

    def commit(self, alerts: Sequence[Alert]) -> None:
        if self.is_full:
            raise StoreError("alerts.sqlite: database or disk is full")
        if any(one.id == self.poison for one in alerts):
            raise TypeError("this cannot be spelled")
        self.taken += [(one.id, one.revision) for one in alerts]

    def clock(self) -> float:
        return self.now


def test_what_the_store_takes_is_committed_at_once() -> None:
    disk = Disk()
    committer = Committer(disk.commit, clock=disk.clock)
    alert = make_alert()
    committer([alert])
    assert disk.taken == [(alert.id, 1)]
    assert not committer.trouble
    assert not committer.waiting


def test_a_full_disk_keeps_alerts_waiting_and_in_order() -> None:
    disk = Disk()
    committer = Committer(disk.commit, clock=disk.clock)
    alerts = [make_alert(1), make_alert(2), make_alert(1, revision=2)]
    disk.is_full = True
    for alert in alerts:
        committer([alert])
    assert "disk is full" in committer.trouble
    assert committer.since > 0
    assert list(committer.waiting) == alerts
    disk.is_full = False
    assert not committer.retry(), "it is too soon"
    disk.now += RETRY_SECONDS
    assert committer.retry()
    assert disk.taken == [(one.id, one.revision) for one in alerts]
    assert not committer.trouble
    assert committer.lost == 0


def test_a_new_alert_does_not_overtake_those_that_wait() -> None:
    disk = Disk()
    committer = Committer(disk.commit, clock=disk.clock)
    disk.is_full = True
    committer([make_alert(1)])
    disk.is_full, disk.now = False, disk.now + RETRY_SECONDS
    committer([make_alert(2)])
    assert [id_ for id_, _ in disk.taken] == [make_alert(1).id, make_alert(2).id]


def test_a_failing_disk_is_not_tried_for_every_alert() -> None:
    disk = Disk()
    tries = 0

    def commit(_: Sequence[Alert]) -> None:
        nonlocal tries
        tries += 1
        raise OSError(28, "No space left on device")

    committer = Committer(commit, clock=disk.clock)
    for number in range(1, 50):
        committer([make_alert(number)])
    assert tries == 1
    assert len(committer.waiting) == 49


def test_what_waits_is_bounded_and_the_last_revision_is_kept() -> None:
    disk = Disk()
    committer = Committer(disk.commit, most=3, clock=disk.clock)
    disk.is_full = True
    for revision in range(1, 20):
        committer([make_alert(1, revision=revision)])
    assert committer.lost == 0, "older revisions say less than later ones"
    for number in range(2, 6):
        committer([make_alert(number)])
    assert committer.lost == 2
    assert [one.id for one in committer.waiting] == [make_alert(one).id for one in (3, 4, 5)]


def test_an_alert_that_cannot_be_written_does_not_hold_up_the_others() -> None:
    disk = Disk()
    disk.poison = make_alert(2).id
    committer = Committer(disk.commit, clock=disk.clock)
    committer([make_alert(1), make_alert(2), make_alert(3)])
    assert [id_ for id_, _ in disk.taken] == [make_alert(1).id, make_alert(3).id]
    assert committer.lost == 1
    assert not committer.waiting
