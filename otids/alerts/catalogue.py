"""The catalogue: what is said of each kind of alert, how grave it is, and what to do about it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeAlias

import msgspec

from otids.alerts.alert import Technique
from otids.alerts.attack import Attack
from otids.alerts.wording import complain, literal
from otids.rules.files import Document, RuleError, toml_files

Severity: TypeAlias = Literal["info", "low", "medium", "high", "critical"]

UNLISTED = "unlisted"
"""The entry for kinds that the catalogue lacks: no alert is lost for want of words."""

CUSTOM = "custom"
"""`policy.anything` without an entry of its own is told by `policy.custom`."""

_Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]
_Title: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Steps: TypeAlias = Annotated[tuple[_Text, ...], msgspec.Meta(min_length=1, max_length=12)]
_KIND = msgspec.Meta(pattern=r"^[a-z][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)*$", max_length=100)
_Kind: TypeAlias = Annotated[str, _KIND]


class _Response(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    it: _Steps
    ot: _Steps


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: _Title
    explanation: _Text
    severity: Severity
    response: _Response
    many: _Title | None = None
    attack: tuple[str, ...] = ()
    class_: Annotated[str, msgspec.Meta(max_length=40)] = msgspec.field(default="", name="class")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the catalogue says of one kind. Texts are templates (`otids.alerts.wording`)."""

    kind: str
    title: str
    many: str  # the title of a storm
    explanation: str
    severity: Severity
    attack: tuple[Technique, ...]
    response: Mapping[str, tuple[str, ...]]  # "it" and "ot": steps in order
    group: str  # the entry's `class`: a coarse word to filter by


class CustomRule(Protocol):
    """A rule that people wrote, as far as alerts speak of it. `attack` holds technique ids."""

    @property
    def kind(self) -> str:
        """The kind of its alerts."""

    @property
    def title(self) -> str:
        """What it forbids, in short."""

    @property
    def explanation(self) -> str:
        """Why it is forbidden; may be empty."""

    @property
    def attack(self) -> tuple[str, ...]:
        """The techniques that it shows; may be empty."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All entries, by kind. Always has `UNLISTED`."""

    entries: Mapping[str, Entry] = field(repr=False)
    attack: Attack = field(repr=False)

    def entry(self, kind: str) -> Entry:
        """Find the entry for a kind; else of what it is a case of; else `UNLISTED`."""
        for candidate in _candidates(kind):
            if candidate in self.entries:
                return self.entries[candidate]
        return self.entries[UNLISTED]

    def with_rules(self, rules: Iterable[CustomRule]) -> "Catalogue":
        """Add an entry for each rule that has none: its own words, the steps of `entry(kind)`.

        Raises RuleError for a technique that alerts must not name.
        """
        added: dict[str, Entry] = {}
        for rule in rules:
            if rule.kind in self.entries:
                continue
            for complaint in filter(None, map(self.attack.complaint, rule.attack)):
                raise RuleError(f"rule {rule.kind}: attack: {complaint}")
            entry = self.entry(rule.kind)
            said = literal(f"{rule.explanation} ") if rule.explanation else ""
            added[rule.kind] = replace(
                entry,
                kind=rule.kind,
                title=literal(rule.title) + ": {source} to {target}",
                many=literal(rule.title) + ", many times: {source}",
                explanation=said + entry.explanation,
                attack=_resolve(rule.attack, self.attack) or entry.attack,
            )
        return replace(self, entries={**self.entries, **added})


def _resolve(ids: Iterable[str], attack: Attack) -> tuple[Technique, ...]:
    return tuple(one for id_ in ids for one in attack.techniques[id_])


def _candidates(kind: str) -> Iterator[str]:
    parts = kind.split(".")
    for length in range(len(parts), 0, -1):
        yield ".".join(parts[:length])
    yield f"{parts[0]}.{CUSTOM}"


def load_catalogue(attack: Attack, folder: Path, *overrides: Path) -> Catalogue:
    """Read all `*.toml` of `folder`; what later folders say of a kind wins, key by key.

    Raises RuleError naming file, line and key. Nothing of a wrong catalogue is returned.
    """
    rows: dict[str, _Origin] = {}
    for place, each in enumerate((folder, *overrides)):
        _read_folder(each, rows, attack, may_override=place > 0)
    if UNLISTED not in rows:
        raise RuleError(f"{folder}: has no entry {UNLISTED!r}")
    return Catalogue({kind: _entry(kind, origin, attack) for kind, origin in rows.items()}, attack)


@dataclass(frozen=True, slots=True)
class _Origin:
    """The merged content of an entry, and the file that had the last word."""

    content: dict[str, Any]
    file: Document[dict[str, Any]]
    folder: Path


def _read_folder(
    folder: Path, rows: dict[str, _Origin], attack: Attack, *, may_override: bool
) -> None:
    for path in toml_files([folder]):
        file = Document(path, dict[_Kind, Any])
        for kind, value in file.value.items():
            content = file.convert((kind,), value, dict[str, Any])
            known = rows.get(kind)
            if known and (known.folder == folder or not may_override):
                raise file.error((kind,), f"is also in {known.file.path}")
            merged = _merge(known.content, content) if known else content
            rows[kind] = _Origin(merged, file, folder)
            _check(kind, rows[kind], attack)


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**old, **new}
    if isinstance(old.get("response"), dict) and isinstance(new.get("response"), dict):
        merged["response"] = {**old["response"], **new["response"]}
    return merged


def _check(kind: str, origin: _Origin, attack: Attack) -> None:
    """Check an entry where it was read, so that the error names the file that is at fault."""
    row = origin.file.convert((kind,), origin.content, _Row)
    for *keys, template in _templates(row):
        complaint = complain(template)
        if complaint:
            raise origin.file.error((kind, *keys), complaint)
    for complaint in filter(None, map(attack.complaint, row.attack)):
        raise origin.file.error((kind, "attack"), complaint)


def _templates(row: _Row) -> Iterator[tuple[str, ...]]:
    yield "title", row.title
    yield "many", row.many or ""
    yield "explanation", row.explanation
    for step in row.response.it:
        yield "response", "it", step
    for step in row.response.ot:
        yield "response", "ot", step


def _entry(kind: str, origin: _Origin, attack: Attack) -> Entry:
    row = origin.file.convert((kind,), origin.content, _Row)
    return Entry(
        kind=kind,
        title=row.title,
        many=row.many or f"Many alerts of one kind: {row.title}",
        explanation=row.explanation,
        severity=row.severity,
        attack=_resolve(row.attack, attack),
        response={"it": row.response.it, "ot": row.response.ot},
        group=row.class_,
    )
