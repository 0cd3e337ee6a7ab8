"""The store: alerts, what of them each sink has had, decisions and assets, in one SQLite file.

A revision is committed before any sink sees it, and each sink keeps its own place in the journal
of revisions (an outbox), so that one that was away gets everything when it returns. Write-ahead
logging lets others read while the one writer is at work; `synchronous=FULL` makes what was
committed outlive a power cut.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, TypeAlias

from otids.alerts.alert import SEVERITIES, Alert, rfc3339
from otids.assets.asset import Asset
from otids.detectors.base import Cause
from otids.store.database import Database, StoreError

__all__ = [
    "AmbiguousAlertError",
    "Decision",
    "Delivery",
    "JournalEntry",
    "NoSuchAlertError",
    "Store",
    "StoreError",
    "StoredAlert",
]

Record: TypeAlias = dict[str, Any]
Clock: TypeAlias = Callable[[], int]
"""Tells the time in ns since the epoch."""

MOST_CANDIDATES = 5
MOST_REVISIONS = 200_000
"""How many revisions the journal keeps, however young they are."""
PRUNED_AT_ONCE = 250
"""Revisions that one call drops at most, so that judging need not wait for it."""


class NoSuchAlertError(StoreError):
    """No alert's id begins like this."""


class AmbiguousAlertError(StoreError):
    """Several alerts' ids begin like this; the message lists some."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A revision as sinks get it, and its place in the journal."""

    place: int
    record: Record


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A revision without its record."""

    place: int
    id: str
    revision: int
    kind: str
    severity: str
    status: str


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """The current revision of an alert, and what `accept` and `explain` need beyond its record."""

    record: Record
    cause: Cause
    accepts: tuple[Cause, ...]
    baseline: tuple[str, ...]

    @property
    def causes(self) -> tuple[Cause, ...]:
        """What accepting the alert makes normal."""
        return self.accepts or (self.cause,)


@dataclass(frozen=True, slots=True)
class Decision:
    """A person made an alert's causes normal, and may have taken it back. Times in ns."""

    number: int
    alert: str
    kind: str
    causes: tuple[Cause, ...]
    title: str
    who: str
    made_at: int
    undone_at: int | None
    undone_by: str | None


class Store(Database):
    """What otids keeps of what it told; see `Database` for opening and errors."""

    # --- alerts ----------------------------------------------------------------------------------

    def commit(self, revisions: Sequence[Alert], *, clock: Clock = time.time_ns) -> None:
        """Keep revisions, all or none; afterwards no crash loses them.

        A revision that is already there (derived again after a crash) is left as it was.
        """
        if not revisions:
            return
        now = clock()
        with self.write() as connection:
            for alert in revisions:
                record = _dump(alert.record())
                connection.execute(_UPSERT, _alert_row(alert, record))
                connection.execute(
                    "INSERT INTO revisions (id, revision, record, committed_at)"
                    " VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (alert.id, alert.revision, record, now),
                )

    def alerts(
        self,
        *,
        kind: str = "",
        status: str = "",
        min_severity: str = "info",
        device: str = "",
        since: int | None = None,
        until: int | None = None,
        limit: int = 1000,
    ) -> list[Record]:
        """Return the current records that fit, the last seen first.

        `kind` may be a prefix of dotted words ("policy"), `device` an address that is source or
        target; `since` and `until` bound the time of the last observation, in ns.
        """
        conditions: dict[str, tuple[Any, ...]] = {
            "severity >= ?": (SEVERITIES.index(min_severity),),
        }
        if kind:
            conditions["(kind = ? OR substr(kind, 1, ?) = ?)"] = (kind, len(kind) + 1, f"{kind}.")
        if status:
            conditions["status = ?"] = (status,)
        if device:
            conditions["(source = ? OR target = ?)"] = (device, device)
        if since is not None:
            conditions["last_seen >= ?"] = (since,)
        if until is not None:
            conditions["last_seen < ?"] = (until,)
        rows = self.read(
            f"SELECT record FROM alerts WHERE {' AND '.join(conditions)}"  # noqa: S608 our own words
            " ORDER BY last_seen DESC, id LIMIT ?",
            (*(value for values in conditions.values() for value in values), limit),
        )
        return [json.loads(record) for (record,) in rows]

    def alert(self, prefix: str) -> StoredAlert:
        """Find an alert by the beginning of its id.

        Raises NoSuchAlertError, or AmbiguousAlertError with candidates.
        """
        rows = self.read(
            "SELECT id, record, cause, accepts, baseline FROM alerts"
            " WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT ?",
            (len(prefix), prefix.lower(), MOST_CANDIDATES + 1),
        )
        if not prefix or not rows:
            raise NoSuchAlertError(f"{self.path}: no alert has an id that begins with {prefix!r}")
        if len(rows) > 1:
            known = ", ".join(row[0] for row in rows[:MOST_CANDIDATES])
            more = " and more" if len(rows) > MOST_CANDIDATES else ""
            raise AmbiguousAlertError(f"{self.path}: {prefix!r} may be {known}{more}")
        _, record, cause, accepts, baseline = rows[0]
        return StoredAlert(
            json.loads(record),
            tuple(json.loads(cause)),
            _load_causes(accepts),
            tuple(json.loads(baseline)),
        )

    def close_open(self, why: str, *, clock: Clock = time.time_ns) -> int:
        """Give every open alert a last revision, closed for `why`; count them.

        For whoever begins to judge anew: nobody revises those of the run before any more.
        """
        now = clock()
        with self.write() as connection:
            rows = connection.execute(
                "SELECT id, record FROM alerts WHERE status = 'open' ORDER BY last_seen, id"
            ).fetchall()
            for id_, text in rows:
                record = json.loads(text)
                record["status"] = "closed"
                record["revision"] += 1
                record["completeness"] = "; ".join(filter(None, [record["completeness"], why]))
                closed = _dump(record)
                connection.execute(
                    "UPDATE alerts SET status = 'closed', revision = ?, record = ? WHERE id = ?",
                    (record["revision"], closed, id_),
                )
                connection.execute(
                    "INSERT INTO revisions (id, revision, record, committed_at)"
                    " VALUES (?, ?, ?, ?)",
                    (id_, record["revision"], closed, now),
                )
        return len(rows)

    # --- sinks -----------------------------------------------------------------------------------

    def subscribe(self, sinks: Iterable[str]) -> None:
        """Say which sinks there are: new ones get the whole journal, others are forgotten."""
        names = list(sinks)
        with self.write() as connection:
            connection.executemany(
                "INSERT INTO deliveries (sink, place) VALUES (?, 0) ON CONFLICT DO NOTHING",
                [(name,) for name in names],
            )
            known = connection.execute("SELECT sink FROM deliveries").fetchall()
            connection.executemany(
                "DELETE FROM deliveries WHERE sink = ?",
                [row for row in known if row[0] not in names],
            )

    def pending(self, sink: str, limit: int = 256, *, after: int = 0) -> list[Delivery]:
        """Return what a sink has not had and stands after a place, in order, at most `limit`."""
        rows = self.read(
            "SELECT place, record FROM revisions WHERE place > max(?,"
            " coalesce((SELECT place FROM deliveries WHERE sink = ?), 0)) ORDER BY place LIMIT ?",
            (after, sink, limit),
        )
        return [Delivery(place, json.loads(record)) for place, record in rows]

    def backlog(self, sink: str) -> int:
        """Count what a sink has not had yet."""
        return self.waiting(sink)[0]

    def delivered(self, sink: str, place: int) -> None:
        """Note that a sink has had everything up to `place`; never goes back."""
        with self.write() as connection:
            connection.execute(
                "INSERT INTO deliveries (sink, place) VALUES (?, ?) ON CONFLICT (sink)"
                " DO UPDATE SET place = max(place, excluded.place)",
                (sink, place),
            )

    def waiting(self, sink: str, *, after: int = 0) -> tuple[int, int]:
        """Count, without reading the journal, what stands behind a sink's place or `after`.

        Also tell since when (ns; 0: nothing waits). Pruning leaves no holes but at the beginning.
        """
        rows = self.read(
            "SELECT (SELECT max(place) FROM revisions) - place + 1, committed_at FROM revisions"
            " WHERE place > max(?, coalesce((SELECT place FROM deliveries WHERE sink = ?), 0))"
            " ORDER BY place LIMIT 1",
            (after, sink),
        )
        return (int(rows[0][0]), int(rows[0][1])) if rows else (0, 0)

    def give_up(self, before: int, *, most: int = MOST_REVISIONS) -> dict[str, int]:
        """Let sinks that never came for them go past revisions that are too old, or too many.

        Those are what was committed before `before` (ns), and all but the last `most`. At most
        `PRUNED_AT_ONCE` are looked at. Returns how many each sink will not get.
        """
        with self.write() as connection:
            ((bound,),) = connection.execute(
                "SELECT max(place) FROM (SELECT place, committed_at FROM revisions ORDER BY place"
                " LIMIT ?) WHERE committed_at < ?"
                " OR place <= (SELECT max(place) FROM revisions) - ?",
                (PRUNED_AT_ONCE, before, most),
            ).fetchall()
            behind = connection.execute(
                "SELECT sink, (SELECT count(*) FROM revisions WHERE revisions.place"
                " BETWEEN deliveries.place + 1 AND ?1) FROM deliveries WHERE place < ?1",
                (bound or 0,),
            ).fetchall()
            connection.execute(
                "UPDATE deliveries SET place = ?1 WHERE place < ?1",
                (bound or 0,),
            )
        return {sink: count for sink, count in behind if count}

    def prune(self, before: int, *, most: int = MOST_REVISIONS) -> int:
        """Drop what every sink has had and is old or too much; count revisions.

        That is what was committed before `before` (ns), and all but the last `most`, but at most
        `PRUNED_AT_ONCE`: call it again if it returns so many. The current record of an alert goes
        with its last revision once it is closed.
        """
        with self.write() as connection:
            places = connection.execute(
                "SELECT place, id FROM (SELECT place, id, committed_at FROM revisions"
                " ORDER BY place LIMIT ?)"
                " WHERE place <= coalesce((SELECT min(place) FROM deliveries), place)"
                " AND (committed_at < ? OR place <= (SELECT max(place) FROM revisions) - ?)",
                (PRUNED_AT_ONCE, before, most),
            ).fetchall()
            connection.executemany(
                "DELETE FROM revisions WHERE place = ?", [(place,) for place, _ in places]
            )
            connection.executemany(
                "DELETE FROM alerts WHERE id = ?1 AND status = 'closed'"
                " AND NOT EXISTS (SELECT 1 FROM revisions WHERE id = ?1)",
                [(id_,) for id_ in {id_ for _, id_ in places}],
            )
        return len(places)

    # --- decisions -------------------------------------------------------------------------------

    def decide(self, prefix: str, who: str, *, clock: Clock = time.time_ns) -> Decision:
        """Journal that a person accepts an alert. Raises as `alert` does."""
        with self.write() as connection:
            found = self.alert(prefix)
            record = found.record
            number = connection.execute(
                "INSERT INTO decisions (alert, kind, causes, title, who, made_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    record["id"],
                    record["kind"],
                    _dump(found.causes),
                    record["title"],
                    who,
                    clock(),
                ),
            ).lastrowid
        return self._decision(number)

    def undo(self, who: str, number: int | None = None, *, clock: Clock = time.time_ns) -> Decision:
        """Journal that a decision, by default the last that stands, is taken back.

        Raises StoreError if there is none.
        """
        with self.write() as connection:
            row = connection.execute(
                "SELECT max(number) FROM decisions"
                " WHERE undone_at IS NULL AND number = coalesce(?, number)",
                (number,),
            ).fetchone()
            if row[0] is None:
                which = "that stands" if number is None else f"{number} that stands"
                raise StoreError(f"{self.path}: there is no decision {which}")
            connection.execute(
                "UPDATE decisions SET undone_at = ?, undone_by = ? WHERE number = ?",
                (clock(), who, row[0]),
            )
        return self._decision(row[0])

    def decisions(self) -> list[Decision]:
        """Return all decisions, the latest first."""
        return [_decision(row) for row in self.read(f"{_DECISIONS} ORDER BY number DESC")]

    def _decision(self, number: int | None) -> Decision:
        (row,) = self.read(f"{_DECISIONS} WHERE number = ?", (number,))
        return _decision(row)

    # --- the journal, for who only counts --------------------------------------------------------

    def journal_end(self) -> int:
        """Return the place of the last revision; 0 if there is none."""
        ((place,),) = self.read("SELECT coalesce(max(place), 0) FROM revisions")
        return int(place)

    def entries(self, after: int, limit: int = 1000) -> list[JournalEntry]:
        """Return what stands in the journal after a place, in order, at most `limit`."""
        rows = self.read(
            "SELECT place, id, revision, json_extract(record, '$.kind'),"
            " json_extract(record, '$.severity'), json_extract(record, '$.status')"
            " FROM revisions WHERE place > ? ORDER BY place LIMIT ?",
            (after, limit),
        )
        return [JournalEntry(*row) for row in rows]

    def open_alerts(self, limit: int = 100_000) -> dict[str, str]:
        """Return the severities of alerts that are open, by id; at most `limit`."""
        rows = self.read("SELECT id, severity FROM alerts WHERE status = 'open' LIMIT ?", (limit,))
        return {id_: SEVERITIES[rank] for id_, rank in rows}

    def accepted(self) -> set[str]:
        """Return the ids of alerts that people accepted, and did not take back."""
        return {id_ for (id_,) in self.read("SELECT alert FROM decisions WHERE undone_at IS NULL")}

    # --- assets and what else is known -----------------------------------------------------------

    def save_assets(self, assets: Sequence[Asset]) -> None:
        """Replace the inventory; its order is kept."""
        rows, facts = [], []
        for place, asset in enumerate(assets):
            vlan, address = asset.endpoint
            rows.append((vlan, address, place, _dump(asset.record() | {"facts": []})))
            facts += [(vlan, address, *astuple(fact)) for fact in asset.facts]
        with self.write() as connection:
            connection.execute("DELETE FROM assets")
            connection.executemany("INSERT INTO assets VALUES (?, ?, ?, ?)", rows)
            connection.executemany("INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?)", facts)

    def assets(self) -> list[Record]:
        """Return the records of the inventory, in its order."""
        rows = self.read(
            "SELECT vlan, address, record, key, value, heard_at, frame"
            " FROM assets LEFT JOIN facts USING (vlan, address) ORDER BY place, key, heard_at"
        )
        records: dict[tuple[int, str], Record] = {}
        for vlan, address, record, key, value, heard_at, frame in rows:
            asset = records.setdefault((vlan, address), json.loads(record))
            if key is not None:
                fact = {"key": key, "value": value, "heard_at": rfc3339(heard_at), "frame": frame}
                asset["facts"].append(fact)
        return list(records.values())

    def meta(self) -> dict[str, str]:
        """Return what is noted of the store as a whole: sensor, capture digest and the like."""
        return dict(self.read("SELECT key, value FROM meta"))

    def set_meta(self, values: Mapping[str, str]) -> None:
        """Note something of the store as a whole."""
        with self.write() as connection:
            connection.executemany(
                "INSERT INTO meta (key, value) VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                list(values.items()),
            )


_DECISIONS = (
    "SELECT number, alert, kind, causes, title, who, made_at, undone_at, undone_by FROM decisions"
)

_UPSERT = """
INSERT INTO alerts (id, revision, status, kind, severity, first_seen, last_seen, source, target,
                    record, cause, accepts, baseline)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    revision = excluded.revision, status = excluded.status, kind = excluded.kind,
    severity = excluded.severity, first_seen = excluded.first_seen, last_seen = excluded.last_seen,
    source = excluded.source, target = excluded.target, record = excluded.record,
    cause = excluded.cause, accepts = excluded.accepts, baseline = excluded.baseline
WHERE excluded.revision > alerts.revision
"""


def _alert_row(alert: Alert, record: str) -> tuple[Any, ...]:
    return (
        alert.id,
        alert.revision,
        alert.status,
        alert.kind,
        SEVERITIES.index(alert.severity),
        alert.first_seen,
        alert.last_seen,
        alert.source.address if alert.source else "",
        alert.target.address if alert.target else "",
        record,
        _dump(alert.cause),
        _dump(alert.accepts),
        _dump(alert.baseline),
    )


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _load_causes(text: str) -> tuple[Cause, ...]:
    return tuple(tuple(cause) for cause in json.loads(text))


def _decision(row: Sequence[Any]) -> Decision:
    number, alert, kind, causes, *rest = row
    return Decision(number, alert, kind, _load_causes(causes), *rest)
