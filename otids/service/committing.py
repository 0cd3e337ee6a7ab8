"""Commits alerts; those that the store does not take (a full disk) wait in memory and go later."""

import time
from collections.abc import Callable, Sequence

from otids.alerts.alert import Alert
from otids.logs import logger
from otids.store import StoreError

MOST_WAITING = 10_000
"""Revisions that wait; beyond that only the last of each alert, and then the latest alerts."""
RETRY_SECONDS = 5.0


class Committer:
    """Stands before the store: never raises, keeps the order, loses nothing in silence.

    `trouble` says why the store does not take revisions, `lost` counts those given up.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Alert]], None],
        *,
        most: int = MOST_WAITING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.trouble = ""
        self.since = 0.0  # seconds since the epoch, of the trouble
        self.lost = 0
        self._commit = commit
        self.most = most
        self._clock = clock
        self._waiting: list[Alert] = []
        self._tried = 0.0
        self._log = logger(__name__)

    @property
    def waiting(self) -> Sequence[Alert]:
        """The revisions that are not committed yet, in order."""
        return self._waiting

    def __call__(self, revisions: Sequence[Alert]) -> None:
        """Commit revisions, now or later."""
        self._waiting.extend(revisions)
        if not self.trouble or self._clock() - self._tried >= RETRY_SECONDS:
            self.flush()
        if len(self._waiting) > self.most:
            self._make_room()

    def retry(self) -> bool:
        """Try again what waits, if it is time to; whether something was committed."""
        if not self._waiting or self._clock() - self._tried < RETRY_SECONDS:
            return False
        return self.flush()

    def flush(self) -> bool:
        """Try what waits now; whether something was committed."""
        if not self._waiting:
            return False
        self._tried = self._clock()
        try:
            self._commit(self._waiting)
        except (StoreError, OSError) as error:
            self._note(str(error))
            return False
        except Exception:  # noqa: BLE001 told, and contained
            self._log.exception("alerts cannot be committed; this is a bug")
            return self._one_by_one()
        self._over()
        self._waiting = []
        return True

    def _one_by_one(self) -> bool:
        """Something in a revision is at fault: the others must not wait for it."""
        rest, self._waiting = self._waiting, []
        committed = False
        for place, one in enumerate(rest):
            try:
                self._commit([one])
                committed = True
            except (StoreError, OSError) as error:
                self._note(str(error))
                self._waiting = rest[place:]
                return committed
            except Exception:  # noqa: BLE001 told, and contained
                self.lost += 1
                self._log.exception("an alert is lost; this is a bug", alert=one.id, kind=one.kind)
        self._over()
        return committed

    def _make_room(self) -> None:
        kept = list({one.id: one for one in self._waiting}.values())
        gone = kept[: max(len(kept) - self.most, 0)]
        self._waiting = kept[len(gone) :]
        self.lost += len(gone)
        for one in gone:
            self._log.error(
                "an alert is lost: too many wait for the store",
                **summary(one),
            )

    def _note(self, trouble: str) -> None:
        if not self.trouble:
            self.since = time.time()
            self._log.error("alerts cannot be committed; they wait in memory", why=trouble)
        self.trouble = trouble

    def _over(self) -> None:
        if self.trouble:
            self._log.info("alerts are committed again", waited=len(self._waiting))
        self.trouble, self.since = "", 0.0


def summary(alert: Alert) -> dict[str, object]:
    """What a line of the log says of an alert."""
    return {
        "alert": alert.id,
        "revision": alert.revision,
        "status": alert.status,
        "severity": alert.severity,
        "kind": alert.kind,
        "title": alert.title,
        "source": str(alert.source or ""),
        "target": str(alert.target or ""),
        "count": alert.count,
    }
