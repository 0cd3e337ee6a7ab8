"""States for commands to look at."""

import shutil
from pathlib import Path

import pytest
from cli.commands import Ran, Run, invoke


@pytest.fixture(scope="session")
def asset_list(repository: Path) -> Path:
    """What the devices of the captures are called."""
    return repository / "replay" / "assets.csv"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command in this process; the last replay's state is the test's own."""

    def run(*args: object, answer: str = "", **env: str) -> Ran:
        return invoke(tmp_path / "home", *args, answer=answer, **env)

    return run


@pytest.fixture(scope="session")
def judged_once(
    tmp_path_factory: pytest.TempPathFactory, normal: Path, attacks: Path, asset_list: Path
) -> tuple[Path, Ran]:
    """A state in which attacks were judged after normal work was learned, and what was said."""
    folder = tmp_path_factory.mktemp("judged") / "state"
    ran = invoke(
        folder.parent,
        *("replay", "--state", folder, "--assets", asset_list, "--sensor", "test"),
        *("--learn", normal, attacks),
    )
    assert ran.code == 0, ran.err
    return folder, ran


@pytest.fixture
def judged(judged_once: tuple[Path, Ran], tmp_path: Path) -> Path:
    """A state of the test's own in which attacks were judged."""
    return Path(shutil.copytree(judged_once[0], tmp_path / "state"))


@pytest.fixture(scope="session")
def said(judged_once: tuple[Path, Ran]) -> str:
    """What a replay of the attacks prints."""
    return judged_once[1].out
