"""What all tests share: where the repository is, and that otids itself is the installed one."""

from pathlib import Path

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import settings
from pipelines import feed, judge, make_pipeline

from otids.alerts.alert import Alert

# How long an example takes is the machine's business; a test that hangs has pytest's timeout.
settings.register_profile("otids", deadline=None)
settings.load_profile("otids")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of the checkout that the tests belong to."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of test-only data beside the repository; skips where there is none."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"no test data: {folder} does not exist")
    return folder


@pytest.fixture(scope="session")
def captures(repository: Path) -> Path:
    """The captures that the project records itself."""
    return repository / "replay" / "captures"


@pytest.fixture(scope="session")
def normal(captures: Path) -> Path:
    """Normal work, to be learned."""
    return captures / "normal" / "normal.pcap.gz"


@pytest.fixture(scope="session")
def attacks(captures: Path) -> Path:
    """Normal work with attacks."""
    return captures / "attacks" / "attacks.pcap.gz"


@pytest.fixture(scope="session")
def plant(captures: Path) -> Path:
    """An hour and a half of normal work of the whole plant, to be learned."""
    return captures / "plant" / "plant.pcap.gz"


@pytest.fixture(scope="session")
def learned_plant(plant: Path) -> bytes:
    """The state of a pipeline with all detectors after the whole plant was declared as normal."""
    pipeline, _ = make_pipeline()
    feed(pipeline, plant, learn=True)
    pipeline.finish()
    packed: bytes = msgpack.packb(pipeline.state())
    return packed


@pytest.fixture(scope="session")
def plant_attacks(captures: Path) -> Path:
    """As long of normal work of the whole plant, with sixteen attacks."""
    return captures / "plant-attacks" / "plant-attacks.pcap.gz"


@pytest.fixture(scope="session")
def judged_plant_attacks(learned_plant: bytes, plant_attacks: Path) -> list[tuple[int, Alert]]:
    """Every revision of every alert about them, and the moment (ns) in which it was told."""
    return judge(msgpack.unpackb(learned_plant), plant_attacks)
