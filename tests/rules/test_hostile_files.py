"""Whatever stands in a file that people edit: it is taken, or one line says what is wrong."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from effort import examples
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from mutation import damaged

from otids.alerts.attack import load_attack
from otids.alerts.catalogue import load_catalogue
from otids.assets import AssetList
from otids.evaluation.cases import load_cases
from otids.resources import data_folder
from otids.rules.files import RuleError
from otids.rules.policies import load_policies
from otids.service import config

RULES = data_folder("rules")


def catalogue(path: Path) -> None:
    load_catalogue(load_attack(RULES / "attack.toml"), RULES / "catalogue", path)


def cases(path: Path) -> None:
    load_cases([path])


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "config": ("otids.toml", config.load),
    "policies": ("policies.toml", lambda path: load_policies([path.parent])),
    "catalogue": ("catalogue.toml", lambda path: catalogue(path.parent)),
    "attack": ("attack.toml", load_attack),
    "assets": ("assets.csv", AssetList.read),
    "cases": ("cases.toml", cases),
}


@pytest.fixture(scope="module")
def texts(repository: Path) -> dict[str, str]:
    """A text of each kind that is right."""
    rules = repository / "rules"
    example = (repository / "systemd" / "otids.toml").read_text()
    return {
        "config": example.replace('\n#"', '\n"').replace("\n#", "\n"),
        "policies": next((rules / "policies").glob("*.toml")).read_text(),
        "catalogue": (rules / "catalogue" / "sensor.toml").read_text(),
        "attack": (rules / "attack.toml").read_text(),
        "assets": (repository / "replay" / "assets.csv").read_text(),
        "cases": (repository / "replay" / "captures" / "cases.toml").read_text(),
    }


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", READERS)
def test_damaged_texts_are_taken_or_one_line(
    kind: str, texts: dict[str, str], tmp_path: Path
) -> None:
    name, read = READERS[kind]
    path = tmp_path / name
    refused = 0

    @settings(max_examples=examples(60), phases=[Phase.explicit, Phase.generate])
    @given(seed=st.integers(0, 2**32))
    def try_one(seed: int) -> None:
        nonlocal refused
        text = damaged(texts[kind], random.Random(seed))
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        try:
            read(path)
        except RuleError as error:
            refused += 1
            line = str(error)
            assert path.name in line or str(tmp_path) in line
            assert len(line.splitlines()) == 1, line
            assert line.isprintable(), line
            assert len(line) < 2000, line

    try_one()
    assert refused > 5, "what is damaged is not all taken"
