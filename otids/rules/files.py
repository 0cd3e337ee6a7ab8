"""Loads what people edit: TOML files into typed structs.

Every mistake is one clear line: file, line, key, value, and what is wrong with it.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import inspect

T = TypeVar("T")
Value = TypeVar("Value")
Keys: TypeAlias = tuple[str | int, ...]
"""Where something stands in a document: keys of tables and places in arrays."""

MAX_BYTES = 1 << 20
"""How large a file may be that people write."""
MOST_TOLD = 600
"""Characters of a mistake that are told."""


class RuleError(ValueError):
    """A file that people edit holds a mistake; the message is one line for them."""


class Document(Generic[T]):
    """A TOML file as a struct, which can still say where each of its keys stands."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        """Read and validate `path`. Raises RuleError."""
        self.path = path
        self._text = _read(path)
        self._data = _parse(path, self._text)
        self._lines: dict[Keys, int] | None = None
        self.value = self.convert((), self._data, kind)

    def convert(self, keys: Keys, content: object, kind: type[Value]) -> Value:
        """Type what stands, or would stand if files were merged, at `keys`. Raises RuleError."""
        try:
            return msgspec.convert(content, kind)
        except msgspec.ValidationError as error:
            raise self._explain(str(error), kind, keys) from None
        except RecursionError:
            raise RuleError(f"{self.path}: is nested too deeply") from None

    def error(self, keys: Keys, reason: str) -> RuleError:
        """Make the error that says what is wrong at `keys`."""
        name = ".".join(key for key in keys if isinstance(key, str))
        value = _value_at(self._data, keys)
        shown = f" = {_shown(value)}" if isinstance(value, str | int | float) else ""
        return RuleError(f"{self.path}:{self.line(keys)}: {_clean(f'{name}{shown}: {reason}')}")

    def line(self, keys: Keys) -> int:
        """Find the line of a key or, if it has none of its own, of what it stands in."""
        if self._lines is None:
            self._lines = _key_lines(self._text)
        for length in range(len(keys), 0, -1):
            if keys[:length] in self._lines:
                return self._lines[keys[:length]]
        return 1

    def _explain(self, message: str, kind: type[Any], within: Keys) -> RuleError:
        reason, _, place = message.partition(" - at `")
        inside = _keys_of(place)
        keys = (*within, *inside)
        reason = reason[:1].lower() + reason[1:].replace("`", "")
        if unknown := re.match(r"(?s)object contains unknown field (.*)", reason):
            known = _fields_at(inspect.type_info(kind), inside)
            return self.error((*keys, unknown[1]), f"unknown key{suggest(unknown[1], known)}")
        if missing := re.match(r"object missing required field (.*)", reason):
            return self.error(keys, f"the key {missing[1]} is missing")
        return self.error(keys, reason)


def load_toml(path: Path, kind: type[T]) -> T:
    """Read a TOML file into a msgspec struct. Raises RuleError."""
    return Document(path, kind).value


def toml_files(directories: Iterable[Path]) -> list[Path]:
    """List the TOML files of several directories, each in order of name. Raises RuleError."""
    found = []
    for directory in directories:
        if not directory.is_dir():
            raise RuleError(f"{directory}: is not a directory")
        found += sorted(
            path
            for path in directory.iterdir()
            if path.suffix == ".toml" and not path.name.startswith(".")
        )
    return found


def suggest(wrong: str, known: Iterable[str]) -> str:
    """End a complaint about a wrong word with what it might have been, or could be."""
    words = sorted(known)
    close = difflib.get_close_matches(wrong.lower(), words, 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(words)}" if words else ""


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RuleError(f"{path}: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise RuleError(f"{path}: has more than {MAX_BYTES} bytes")
    try:
        return data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RuleError(f"{path}:{line}: is not UTF-8") from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).partition(" (at ")
        at = re.match(r"line (\d+)", place)
        line = at[1] if at else text.count("\n") + 1
        raise RuleError(f"{path}:{line}: is not TOML: {_clean(reason)}") from None
    except RecursionError:
        raise RuleError(f"{path}: is nested too deeply") from None
    except ValueError as error:  # numbers and dates that Python cannot hold
        raise RuleError(f"{path}: {str(error).splitlines()[0]}") from None


def _value_at(data: Any, keys: Keys) -> Any:
    for key in keys:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _clean(text: str) -> str:
    """Make a line for people of what stands in a file: printable, and not as long as the file."""
    if len(text) > MOST_TOLD:
        text = text[: MOST_TOLD - 3] + "..."
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004


def _keys_of(place: str) -> Keys:
    """Read the path of a msgspec error, up to a key that it does not tell."""
    keys: list[str | int] = []
    for name, number in re.findall(r"\.([^.\[`]+)|\[(\d+|\.\.\.)\]", place):
        if number == "...":
            break
        keys.append(name or int(number))
    return tuple(keys)


def _fields_at(info: inspect.Type, keys: Sequence[str | int]) -> list[str]:
    """Name the keys that are known at a place."""
    options: list[inspect.Type] = [info]
    for key in (*keys, None):
        options = [
            one
            for option in options
            for one in (option.types if isinstance(option, inspect.UnionType) else (option,))
        ]
        if key is None:
            break
        options = [
            field
            for option in options
            for field in (
                [one.type for one in option.fields if one.encode_name == key]
                if isinstance(option, inspect.StructType)
                else [option.item_type]
                if isinstance(option, inspect.ListType) and isinstance(key, int)
                else []
            )
        ]
    return [
        field.encode_name
        for option in options
        if isinstance(option, inspect.StructType)
        for field in option.fields
    ]


# --- lines of keys -------------------------------------------------------------------------------

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL
)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}\n#]*")


def _key_lines(text: str) -> dict[Keys, int]:
    """Find the line of every key and array element of a valid TOML text."""
    return _KeyFinder(text).lines


class _KeyFinder:
    """Walks over a TOML text that is known to be valid, noting where keys stand."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Keys, int] = {}
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0
        self._tables: dict[Keys, int] = {}  # arrays of tables: how many
        self._document()

    def _document(self) -> None:
        table: Keys = ()
        while self._skip_blank():
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Keys:
        line, many = self._here(), self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        path: Keys = ()
        names = self._dotted("]")
        self._at += 1 if many else 0
        for place, name in enumerate(names):
            path = (*path, name)
            self.lines.setdefault(path, line)
            if many and place == len(names) - 1:
                self._tables[path] = self._tables.get(path, 0) + 1
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
        self.lines.setdefault(path, line)
        return path

    def _pair(self, table: Keys) -> None:
        line = self._here()
        path = table
        for name in self._dotted("="):
            path = (*path, name)
            self.lines.setdefault(path, line)
        self._value(path)

    def _dotted(self, end: str) -> list[str]:
        """Read a dotted key and the character that ends it."""
        names: list[str] = []
        while self._skip_blank():
            if self._text.startswith(end, self._at):
                self._at += 1
                break
            if self._text.startswith(".", self._at):
                self._at += 1
            elif found := _STRING.match(self._text, self._at):
                names.append(next(iter(tomllib.loads(f"{found[0]} = 0"))))
                self._at = found.end()
            elif found := _BARE.match(self._text, self._at):
                names.append(found[0])
                self._at = found.end()
            else:
                break
        return names

    def _value(self, path: Keys) -> None:
        self._skip_blank()
        self.lines.setdefault(path, self._here())
        if found := _STRING.match(self._text, self._at):
            self._at = found.end()
        elif self._text.startswith("[", self._at):
            self._elements(path, "]")
        elif self._text.startswith("{", self._at):
            self._elements(path, "}")
        elif found := _SCALAR.match(self._text, self._at):
            self._at = found.end()

    def _elements(self, path: Keys, end: str) -> None:
        self._at += 1
        place = 0
        while self._skip_blank() and not self._text.startswith(end, self._at):
            before = self._at
            if self._text.startswith(",", self._at):
                self._at += 1
            elif end == "}":
                self._pair(path)
            else:
                self._value((*path, place))
                place += 1
            if self._at == before:
                return
        self._at += 1

    def _skip_blank(self) -> bool:
        found = _BLANK.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at < len(self._text)

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line
