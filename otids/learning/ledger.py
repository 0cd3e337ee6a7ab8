"""Columns with a row for each thing that a detector knows: kept by name, found by id.

Ids are a session's; names outlive it. Finding the rows of a column of ids is one look-up; an id
is spelled only when it is met for the first time. What a detector learns stands in the columns,
so that it judges and learns by array operations, and its state is the names and the columns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import numpy as np

from otids.learning.arrays import pack, unpack
from otids.traffic import Array, Dictionaries, Mask

UNMET = -2
"""In the look-up: this id was never asked for."""
UNKNOWN = -1
"""What `find` and `enter` return for what has no row."""

Spell: TypeAlias = Callable[[int], Any]
"""Turns an id into its name (a tuple that msgspec can convert back). Ids may share a name."""


@dataclass(frozen=True, slots=True)
class Column:
    """How a column is filled, joined with another ledger's, and checked when it is restored."""

    dtype: str  # as numpy spells it, little-endian ("<i8")
    fill: float = 0  # of new rows, not NaN; must be neutral to `join`
    join: np.ufunc = np.maximum
    low: float | None = None  # bounds of what a saved column may hold
    high: float | None = None
    width: tuple[int, ...] = ()  # shape of a row; () for a number


class Ledger:
    """Rows by name, at most `most`. `refused` and `evicted` count what there was no room for."""

    def __init__(self, kind: Any, columns: Mapping[str, Column], most: int) -> None:
        """`kind` is the type of the names, as msgspec understands it."""
        self.refused = self.evicted = 0
        self._kind = kind
        self._specs = {**columns, "touched": Column("<i8")}
        self._most = most
        self._names: Dictionaries | None = None
        # Of the type of places: others are converted wherever they are used.
        self._row_of: Array = np.full(1, UNMET, np.int64)
        self._clear()

    def _clear(self) -> None:
        self._rows: dict[Any, int] = {}
        self._named: list[Any] = []  # by row; None: free
        self._free: list[int] = []
        self._columns = {name: _filled(spec, 0) for name, spec in self._specs.items()}
        self._views: dict[str, Array] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, column: str) -> Array:
        """A column over all rows, free ones too; `size` places of it mean something."""
        view = self._views.get(column)
        if view is None:
            view = self._views[column] = self._columns[column][: self.size]
        return view

    @property
    def size(self) -> int:
        """How many rows there are, free ones too."""
        return len(self._named)

    @property
    def in_use(self) -> Mask:
        """Which rows stand for something."""
        used = np.ones(self.size, np.bool_)
        used[self._free] = False
        return used

    def name(self, row: int) -> Any:
        """What a row stands for."""
        return self._named[row]

    def row(self, name: Any) -> int:
        """Find the row of a name, or `UNKNOWN`."""
        return self._rows.get(name, UNKNOWN)

    def names(self) -> list[Any]:
        """All names, in order."""
        return sorted(self._rows)

    # --- ids ---------------------------------------------------------------------------------

    def follow(self, names: Dictionaries, size: int) -> None:
        """Follow the dictionaries, whose ids of our kind are below `size`.

        Other dictionaries mean that ids stand for other things.
        """
        if names is not self._names:
            self._names = names
            self._row_of = np.full(max(size, 64), UNMET, np.int64)
        elif size > len(self._row_of):
            # By a quarter: of ids there are many more than rows, and all of it is written to.
            grown = np.full(max(size, len(self._row_of) * 5 // 4), UNMET, np.int64)
            grown[: len(self._row_of)] = self._row_of
            self._row_of = grown

    def find(self, ids: Array, spell: Spell) -> Array:
        """Find the rows of ids (int64, `UNKNOWN` for what has none); fastest for ids of int64."""
        rows: Array = self._row_of[ids]
        if np.count_nonzero(rows == UNMET):
            for id in np.unique(ids[rows == UNMET]).tolist():
                self._row_of[id] = self._rows.get(spell(id), UNKNOWN)
            rows = self._row_of[ids]
        return rows

    def enter(
        self, ids: Array, spell: Spell, second: int, may_go: Callable[[], Mask] | None = None
    ) -> Array:
        """Find the rows of ids, and make those that are missing.

        At the bound, rows that `may_go` (by row) and were touched longest ago make room, but for
        those of `ids`; without such rows what is new is refused, and `UNKNOWN`.
        """
        rows = self.find(ids, spell)
        if not np.count_nonzero(rows == UNKNOWN):
            return rows
        distinct, first = np.unique(ids[rows == UNKNOWN], return_index=True)
        if may_go is None and len(self._rows) >= self._most:
            self.refused += len(distinct)
            return rows
        spared = np.unique(rows[rows >= 0]).tolist()
        found = {}
        for id in distinct[np.argsort(first)].tolist():
            row = self._add(spell(id), second, may_go, spared)
            if row == UNKNOWN:
                may_go = None  # there was nothing left that might go
            else:
                spared.append(row)
                found[id] = row
        if found:
            self._look_anew()
            self._row_of[list(found)] = list(found.values())
        return self.find(ids, spell)

    def add(self, name: Any, second: int, may_go: Callable[[], Mask] | None = None) -> int:
        """Find the row of a name, or make it as `enter` does."""
        before = len(self._rows)
        row = self._add(name, second, may_go)
        if len(self._rows) > before:
            self._look_anew()
        return row

    def _look_anew(self) -> None:
        """There are new names: ids that had none may have one."""
        self._row_of[self._row_of == UNKNOWN] = UNMET

    def _add(
        self,
        name: Any,
        second: int,
        may_go: Callable[[], Mask] | None = None,
        spared: Sequence[int] = (),
    ) -> int:
        row = self._rows.get(name)
        if row is not None:
            return row
        if len(self._rows) >= self._most and not (may_go and self._evict(may_go(), spared)):
            self.refused += 1
            return UNKNOWN
        row = self._new_row()
        self._rows[name] = row
        self._named[row] = name
        self._columns["touched"][row] = second
        return row

    def touch(self, rows: Array, second: int) -> None:
        """Rows were of use at `second`; `UNKNOWN` ones are passed over."""
        self._columns["touched"][rows[rows >= 0]] = second

    def drop(self, rows: Array) -> None:
        """Forget what rows stand for; those that stand for nothing are passed over."""
        rows = np.unique(rows[rows >= 0])
        for row in rows.tolist():
            if self._named[row] is not None:
                del self._rows[self._named[row]]
                self._named[row] = None
                self._free.append(row)
        self._row_of[np.isin(self._row_of, rows)] = UNMET

    def forget(self, ids: Array) -> None:
        """These ids stand for nothing any more, or soon for something else."""
        self._row_of[ids[ids < len(self._row_of)]] = UNMET

    def learned(self) -> Array:
        """Ids that have a row."""
        return np.flatnonzero(self._row_of >= 0).astype(np.uint32)

    def _new_row(self) -> int:
        """A row of which all columns hold what fills them."""
        if self._free:
            row = self._free.pop()
            for column, spec in self._specs.items():
                self._columns[column][row] = spec.fill
            return row
        row = len(self._named)
        self._named.append(None)
        self._views.clear()
        room = len(self._columns["touched"])
        if row >= room:
            for column, spec in self._specs.items():
                grown = _filled(spec, max(64, 2 * room))
                grown[:room] = self._columns[column]
                self._columns[column] = grown
        return row

    def _evict(self, may_go: Mask, spared: Sequence[int]) -> bool:
        rows = np.setdiff1d(np.flatnonzero(may_go & self.in_use), spared, assume_unique=True)
        if not len(rows):
            return False
        oldest = rows[np.argsort(self["touched"][rows], kind="stable")]
        gone = oldest[: max(1, self._most // 16)]
        self.drop(gone)
        self.evicted += len(gone)
        return True

    # --- state -------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return names and columns as plain data, in the order of names."""
        names = self.names()
        order = np.array([self._rows[name] for name in names], np.int64)
        return {
            "names": msgspec.to_builtins(names),
            "columns": {name: pack(self._columns[name][order]) for name in self._specs},
        }

    def restore(self, state: object) -> None:
        """Take back a state. Raises ValueError if it is not one; then nothing has changed."""
        names, columns = self._checked(state)
        self._clear()
        self._named = list(names)
        self._rows = {name: row for row, name in enumerate(names)}
        self._columns = columns
        self._views.clear()
        self._row_of[:] = UNMET

    def merge(self, state: object) -> None:
        """Join another ledger's state, column by column. Raises ValueError as `restore` does."""
        names, columns = self._checked(state)
        rows = np.array([self._add(name, 0) for name in names], np.int64)
        fits = rows != UNKNOWN
        rows = rows[fits]
        for name, spec in self._specs.items():
            mine = self._columns[name]
            mine[rows] = spec.join(mine[rows], columns[name][fits])
        self._row_of[:] = UNMET

    def _checked(self, state: object) -> tuple[list[Any], dict[str, Array]]:
        match state:
            case {"names": list(plain), "columns": dict(packed), **rest} if not rest:
                pass
            case _:
                raise ValueError("not a ledger")
        if len(plain) > self._most:
            raise ValueError(f"{len(plain)} names where {self._most} fit")
        try:
            names = msgspec.convert(plain, list[self._kind])  # type: ignore[name-defined]
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error
        if len(set(names)) < len(names):
            raise ValueError("a name stands twice")
        if packed.keys() != self._specs.keys():
            raise ValueError(f"columns {sorted(map(str, packed))[:32]}")
        columns = {}
        for column, spec in self._specs.items():
            array = unpack(packed[column], spec.dtype, (len(names), *spec.width))
            columns[column] = _checked(column, array, spec)
        return names, columns


def _filled(spec: Column, rows: int) -> Array:
    return np.full((rows, *spec.width), spec.fill, spec.dtype)


def _checked(name: str, column: Array, spec: Column) -> Array:
    """The column, if it holds what it may: within bounds, or never written to."""
    written = column[column != spec.fill]
    if column.dtype.kind == "f" and not np.isfinite(written).all():
        raise ValueError(f"column {name} holds what is no number")
    if spec.low is not None and (written < spec.low).any():
        raise ValueError(f"column {name} holds less than {spec.low}")
    if spec.high is not None and (written > spec.high).any():
        raise ValueError(f"column {name} holds more than {spec.high}")
    return column
