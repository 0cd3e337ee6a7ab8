"""What the tests of alerts share: the rules that ship."""

from pathlib import Path

import pytest

from otids.alerts.attack import Attack, load_attack
from otids.alerts.catalogue import Catalogue, load_catalogue


@pytest.fixture(scope="session")
def attack(repository: Path) -> Attack:
    """Return the table of techniques that ships."""
    return load_attack(repository / "rules" / "attack.toml")


@pytest.fixture(scope="session")
def catalogue(attack: Attack, repository: Path) -> Catalogue:
    """Return the catalogue that ships."""
    return load_catalogue(attack, repository / "rules" / "catalogue")
