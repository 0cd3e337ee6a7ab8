"""A saved state is hostile: whatever is done to one, it is refused, or it works."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from effort import EFFORT, examples
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st
from pipelines import feed, make_pipeline

from otids.detectors.base import State, StateError
from otids.traffic import Tick

OTHERS: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    2**31,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\x00\U0010ffff",
    b"",
    b"\xff" * 64,
    [],
    {},
    [[]],
    {"x": 1},
)
MOMENT = 150
"""Seconds of the attacks after which the state is saved: alerts are open, devices new."""


@pytest.fixture(scope="module")
def saved(normal: Path, attacks: Path) -> bytes:
    """A state in the middle of attacks, in which every part holds something."""
    pipeline, committed = make_pipeline()
    feed(pipeline, normal, learn=True)
    ticks: list[int] = []

    def enough(tick: Tick) -> bool:
        ticks.append(tick.second)
        return len(ticks) > MOMENT

    assert not feed(pipeline, attacks, until=enough)
    assert committed
    packed: bytes = msgpack.packb(pipeline.state())
    return packed


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all parts of a state; of long lists to the first and last parts only."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, one in value.items():
            found += places(one, (*path, key))
    elif isinstance(value, list):
        for place in sorted({0, 1, len(value) - 1} & set(range(len(value)))):
            found += places(value[place], (*path, place))
    return found


def damage(state: State, paths: Sequence[tuple[Any, ...]], chance: random.Random) -> str:
    """Damage a state in one place, by what is there; returns what was done."""
    path = chance.choice(paths)
    whole: Any = state
    try:
        for key in path[:-1]:
            whole = whole[key]
        before = whole[path[-1]]
    except (KeyError, IndexError, TypeError):
        return "nothing: what holds it was damaged already"
    what = chance.choice(["replace", "drop", "twist", "twist", "twist"])
    if what == "drop":
        del whole[path[-1]]
    else:
        whole[path[-1]] = chance.choice(OTHERS) if what == "replace" else twisted(before, chance)
    return f"{what} {'.'.join(map(str, path))}"


def twisted(value: Any, chance: random.Random) -> Any:
    """Something of the same type, or nearly."""
    made: Any = chance.choice(OTHERS)
    if isinstance(value, bool):
        made = not value
    elif isinstance(value, int):
        made = chance.choice([value + 1, -value, chance.randrange(-5, 5), chance.getrandbits(63)])
    elif isinstance(value, float):
        made = chance.choice([-value, chance.uniform(-2, 2), 1e300, -1e300])
    elif isinstance(value, str):
        made = chance.choice([value[1:], value + "x", value[::-1], ""])
    elif isinstance(value, bytes) and value:
        place, piece = chance.randrange(len(value)), chance.randbytes(chance.randrange(1, 9))
        made = value[:place] + piece + value[place + len(piece) :]
    elif isinstance(value, list) and value:
        made = chance.choice([value * 2, value[::-1], value[1:], [*value, value[0]]])
    elif isinstance(value, dict) and value:
        made = {**value, "more": next(iter(value.values()))}
    return made


@pytest.mark.timeout(600 * EFFORT)
def test_a_damaged_state_is_refused_or_works(saved: bytes, captures: Path) -> None:
    capture = captures / "normal-seed2" / "normal-seed2.pcap.gz"
    paths = places(msgpack.unpackb(saved))
    assert len(paths) > 500
    refused, taken = 0, 0

    # A failure is not made smaller: it says what was damaged, and its seed does it again.
    @settings(max_examples=examples(120), phases=[Phase.explicit, Phase.generate])
    @given(seed=st.integers(0, 2**32))
    def try_one(seed: int) -> None:
        nonlocal refused, taken
        chance = random.Random(seed)
        state: State = msgpack.unpackb(saved)
        for _ in range(chance.randrange(1, 4)):
            note(damage(state, paths, chance))
        pipeline, _ = make_pipeline()
        try:
            pipeline.restore(state)
        except StateError:
            refused += 1
            return
        taken += 1
        feed(pipeline, capture)
        pipeline.status()
        pipeline.finish()
        again, _ = make_pipeline()
        again.restore(msgpack.unpackb(msgpack.packb(pipeline.state())))

    try_one()
    assert min(refused, taken) > 5, "some are refused, and some are taken"
