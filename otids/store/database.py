"""The SQLite file below the store: opened, checked, locked, and its errors put into one."""

import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

APPLICATION = 0x6F746964  # "otid", in the header of the file
VERSION = 1
BUSY_SECONDS = 10.0

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE alerts (
    id TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    status TEXT NOT NULL,
    kind TEXT NOT NULL,
    severity INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    record TEXT NOT NULL,
    cause TEXT NOT NULL,
    accepts TEXT NOT NULL,
    baseline TEXT NOT NULL
) STRICT;
CREATE INDEX alerts_by_time ON alerts (last_seen);
CREATE TABLE revisions (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL REFERENCES alerts (id),
    revision INTEGER NOT NULL,
    record TEXT NOT NULL,
    committed_at INTEGER NOT NULL,
    UNIQUE (id, revision)
) STRICT;
CREATE TABLE deliveries (sink TEXT PRIMARY KEY, place INTEGER NOT NULL) STRICT;
CREATE TABLE decisions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    alert TEXT NOT NULL,
    kind TEXT NOT NULL,
    causes TEXT NOT NULL,
    title TEXT NOT NULL,
    who TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    undone_at INTEGER,
    undone_by TEXT
) STRICT;
CREATE TABLE assets (
    vlan INTEGER NOT NULL,
    address TEXT NOT NULL,
    place INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (vlan, address)
) STRICT;
CREATE TABLE facts (
    vlan INTEGER NOT NULL,
    address TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    heard_at INTEGER NOT NULL,
    frame INTEGER NOT NULL,
    PRIMARY KEY (vlan, address, key, value),
    FOREIGN KEY (vlan, address) REFERENCES assets (vlan, address) ON DELETE CASCADE
) STRICT;
"""


class StoreError(Exception):
    """The store cannot do it; the message is one line that names the file."""


class Database:
    """One SQLite file. Safe to use from several threads; one process writes at a time."""

    def __init__(self, path: Path, *, writing: bool = False) -> None:
        """Open `path`; for writing, make it if need be and keep other writers out.

        Raises StoreError for a missing, damaged or foreign file, and for a second writer.
        """
        self.path = path
        self._lock = threading.RLock()
        self._guard: int | None = None
        self._connection: sqlite3.Connection | None = None
        try:
            if writing:
                self._guard = _lock_out_others(path)
            with self._errors():
                self._connection = _connect(path, writing=writing)
                _prepare(self._connection, path, writing=writing)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; what is committed stays."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if self._guard is not None:
                os.close(self._guard)
                self._guard = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run the body as one transaction; any error rolls it back. Raises StoreError."""
        with self._lock, self._errors():
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def read(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query. Raises StoreError."""
        with self._lock, self._errors():
            return self._opened().execute(query, values).fetchall()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"{self.path}: is closed")
        return self._connection

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {_explain(error)}") from error


def _lock_out_others(path: Path) -> int:
    """Hold a lock beside the store for as long as it is open; a crash lets go of it."""
    beside = path.with_name(f"{path.name}.lock")
    try:
        guard = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise StoreError(f"{beside}: {error.strerror}") from None
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(guard)
        raise StoreError(f"{path}: another otids is writing to it") from None
    return guard


def _connect(path: Path, *, writing: bool) -> sqlite3.Connection:
    if writing:
        try:  # SQLite would let everybody read it
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from None
    elif not path.exists():
        raise StoreError(f"{path}: there is no store yet")
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'rw' if writing else 'ro'}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,  # transactions are ours
        check_same_thread=False,  # the lock sees to it
    )


def _prepare(connection: sqlite3.Connection, path: Path, *, writing: bool) -> None:
    """Check that the file is ours and of our version; make its tables if it is empty."""
    ((application,),) = connection.execute("PRAGMA application_id").fetchall()
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    new = (application, version, tables) == (0, 0, 0)
    if new and not writing:
        raise StoreError(f"{path}: there is no store yet")
    if not new and application != APPLICATION:
        raise StoreError(f"{path}: is a database, but not a store of otids")
    if not new and version != VERSION:
        raise StoreError(f"{path}: is of schema version {version}; this otids reads {VERSION}")
    connection.execute("PRAGMA foreign_keys = ON")
    if writing:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    if new:
        connection.executescript(
            f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION};"
            f" PRAGMA user_version = {VERSION}; COMMIT;"
        )


def _explain(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return "is not a store of otids"
    if code == sqlite3.SQLITE_CORRUPT:
        return f"is damaged ({error})"
    return str(error)
