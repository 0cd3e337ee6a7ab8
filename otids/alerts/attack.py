"""The MITRE ATT&CK for ICS techniques that alerts may name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec

from otids.alerts.alert import Technique
from otids.rules.files import Document

TechniqueId: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^T[0-9]{4}$")]


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    tactics: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: str
    tactics: dict[str, Annotated[str, msgspec.Meta(pattern=r"^TA[0-9]{4}$")]]
    techniques: dict[TechniqueId, _Row]
    deprecated: dict[TechniqueId, str]


@dataclass(frozen=True, slots=True)
class Attack:
    """One version of ATT&CK for ICS: techniques by id, one `Technique` per tactic of each."""

    version: str
    techniques: Mapping[str, tuple[Technique, ...]]
    deprecated: Mapping[str, str]

    def complaint(self, technique: str) -> str | None:
        """Say why an alert must not name `technique`; None if it may."""
        if technique in self.techniques:
            return None
        if technique in self.deprecated:
            name = self.deprecated[technique]
            return f"{technique} ({name}) was withdrawn from ATT&CK for ICS"
        return f"{technique!r} is no technique of ATT&CK for ICS v{self.version}"


def load_attack(path: Path) -> Attack:
    """Read the table of techniques. Raises RuleError naming file, line and key."""
    file = Document(path, _File)
    content = file.value
    for id_, row in content.techniques.items():
        for tactic in row.tactics:
            if tactic not in content.tactics:
                raise file.error(("techniques", id_), f"no tactic is called {tactic!r}")
        if id_ in content.deprecated:
            raise file.error(("techniques", id_), "is both active and deprecated")
    return Attack(
        content.version,
        {
            id_: tuple(Technique(id_, row.name, tactic) for tactic in row.tactics)
            for id_, row in content.techniques.items()
        },
        content.deprecated,
    )
