"""Reads what people edit: TOML into typed values, with errors that say where."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

T = TypeVar("T")


class RulesError(ValueError):
    """A file that people edit is wrong; the message names file, line (if known) and key."""


@dataclass(frozen=True, slots=True)
class TomlFile:
    """A TOML file: its path, its text, and what the text says."""

    path: Path
    text: str
    content: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file. Raises RulesError where it cannot be read or is no TOML."""
        try:
            text = path.read_text(encoding="utf-8")
            return cls(path, text, tomllib.loads(text))
        except OSError as error:
            raise RulesError(f"{path}: {error.strerror}") from None
        except ValueError as error:  # not UTF-8, or not TOML: the message has line and column
            raise RulesError(f"{path}: {error}") from None

    def convert(self, content: object, type_: type[T], *keys: str) -> T:
        """Type what stands under `keys`. Raises RulesError naming the key that does not fit."""
        try:
            return msgspec.convert(content, type_)
        except msgspec.ValidationError as error:
            message, *place = str(error).split(" - at `")
            path = re.findall(r"\.([^.\[\]`]+)", place[0]) if place else []
            unknown = re.search(r"unknown field `(.+)`", message)
            if unknown:
                path.append(unknown.group(1))
            raise self.error(message, *keys, *path) from None

    def error(self, message: str, *keys: str) -> RulesError:
        """Make an error about what stands under `keys`."""
        line = self.line(*keys)
        parts = [f"{self.path}:{line}" if line else f"{self.path}", " → ".join(keys), message]
        return RulesError(": ".join(filter(None, parts)))

    def line(self, *keys: str) -> int | None:
        """Find the line, from 1, where the deepest of `keys` that can be found is set."""
        found: int | None = None
        start = 0
        lines = self.text.splitlines()
        for depth, key in enumerate(keys):
            header = _table_header(keys[: depth + 1])
            setting = re.compile(rf'\s*["\']?{re.escape(key)}["\']?\s*[=.]')
            for number in range(start, len(lines)):
                if header.match(lines[number]) or setting.match(lines[number]):
                    found, start = number + 1, number
                    break
        return found


def _table_header(keys: tuple[str, ...]) -> re.Pattern[str]:
    dotted = r"\s*\.\s*".join(rf'["\']?{re.escape(key)}["\']?' for key in keys)
    return re.compile(rf"\s*\[{{1,2}}\s*{dotted}\s*[\].]")
