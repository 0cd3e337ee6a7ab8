"""The estimators of river: what is saved suffices, and nothing hostile becomes one."""

import copy
import math
import random
import subprocess
import sys
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from otids.learning.arrays import pack, unpack
from otids.learning.models.estimators import ESTIMATORS, Estimator
from otids.learning.models.imports import river_module
from otids.rules import models as definitions

FEATURES = tuple(f"feature {number}" for number in range(9))
PARAMETERS: dict[str, dict[str, Any]] = {
    "HalfSpaceTrees": {"n_trees": 4, "height": 4, "window_size": 40, "seed": 4},
    "OneClassSVM": {"nu": 0.1, "learning_rate": 0.01},
    "GaussianScorer": {"grace_period": 50},
    "LODA": {"n_bins": 8, "n_random_cuts": 12, "seed": 4},
}


def fresh(name: str) -> Estimator:
    return ESTIMATORS[name](FEATURES, **PARAMETERS[name])


def vectors(count: int, seed: int, away: float = 0.0) -> list[dict[str, float]]:
    """Usual vectors lie mid-range; `away` moves all features by so many spreads."""
    dice = random.Random(seed)
    return [
        {one: 0.5 + 0.5 * math.tanh((dice.gauss(0, 1) + away) / 6) for one in FEATURES}
        for _ in range(count)
    ]


def taught(name: str, count: int = 137) -> Estimator:
    estimator = fresh(name)
    for vector in vectors(count, seed=1):
        estimator.learn(vector)
    return estimator


def from_disk(state: dict[str, Any]) -> dict[str, Any]:
    back: dict[str, Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
    return back


def test_each_has_parameters_and_a_definition() -> None:
    assert PARAMETERS.keys() == ESTIMATORS.keys()
    for name, parameters in PARAMETERS.items():
        assert set(getattr(definitions, name).__struct_fields__) == parameters.keys()


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("count", [1, 39, 40, 41, 137, 300])
def test_a_restored_one_scores_and_learns_the_same(name: str, count: int) -> None:
    one, other = taught(name, count), fresh(name)
    state = from_disk(one.state())
    other.restore(state)
    assert other.state() == state
    for vector in vectors(150, seed=2):
        assert one.score(vector) == other.score(vector)
        one.learn(vector)
        other.learn(vector)
    assert one.state() == other.state()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_is_unusual_scores_higher(name: str) -> None:
    estimator = taught(name, 600)
    usual = sorted(estimator.score(one) for one in vectors(200, seed=3))
    unusual = [estimator.score(one) for one in vectors(20, seed=4, away=12)]
    assert min(unusual) > usual[190]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_scoring_learns_nothing(name: str) -> None:
    estimator = taught(name)
    before = estimator.state()
    for vector in vectors(20, seed=5):
        estimator.score(vector)
    assert estimator.state() == before


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_fresh_one_scores_nothing_and_is_restored(name: str) -> None:
    estimator = fresh(name)
    assert estimator.score(vectors(1, seed=1)[0]) == 0
    assert estimator.state() == {"learned": 0}
    other = taught(name)
    other.restore({"learned": 0})
    assert other.state() == {"learned": 0}
    assert other.score(vectors(1, seed=1)[0]) == 0


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_order_of_features_is_the_definitions(name: str) -> None:
    one, other = taught(name), fresh(name)
    other.restore(from_disk(one.state()))
    for vector in vectors(30, seed=6):
        one.learn(vector)
        other.learn(dict(vector))
    assert one.state() == other.state()


# --- hostile states ------------------------------------------------------------------------------


def refused(name: str, state: Any) -> bool:
    """Whether a state is refused and leaves the estimator as it was; else it must work."""
    estimator = taught(name, 60)
    before = estimator.state()
    try:
        estimator.restore(state)
    except ValueError:
        assert estimator.state() == before
        return True
    for vector in vectors(5, seed=7):
        assert math.isfinite(estimator.score(vector))
        estimator.learn(vector)
    msgspec.msgpack.encode(estimator.state())
    return False


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e300, -1e300])
def test_numbers_that_are_none_are_refused(name: str, number: float) -> None:
    state = from_disk(taught(name).state())
    floats = [key for key, value in state.items()
              if isinstance(value, dict) and value["dtype"] == "<f8"]  # fmt: skip
    assert floats
    for key in floats:
        array = unpack(state[key])
        array.flat[0] = number
        assert refused(name, {**state, key: pack(array)}), key


@pytest.mark.parametrize("name", ESTIMATORS)
def test_wrong_shapes_and_huge_sizes_are_refused(name: str) -> None:
    state = from_disk(taught(name).state())
    for key, value in state.items():
        if isinstance(value, dict):
            array = unpack(value)
            assert refused(name, {**state, key: pack(array[:-1])}), key
            assert refused(name, {**state, key: pack(np.concatenate([array, array]))}), key
            assert refused(name, {**state, key: {**value, "shape": [2**40, 2**40]}}), key
            assert refused(name, {**state, key: {**value, "dtype": "|O"}}), key
        assert refused(name, {one: state[one] for one in state if one != key}), key
    assert refused(name, {**state, "more": 1})
    for learned in (True, -1, 2**60, 1.5, None, "1"):
        assert refused(name, {**state, "learned": learned})


@pytest.mark.parametrize("other", ESTIMATORS)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_state_of_another_is_refused(name: str, other: str) -> None:
    if name != other:
        assert refused(name, from_disk(taught(other).state()))


def test_trees_hold_no_places_that_are_not() -> None:
    state = from_disk(taught("HalfSpaceTrees").state())
    feature = unpack(state["feature"])
    feature[0, 0] = len(FEATURES)
    assert refused("HalfSpaceTrees", {**state, "feature": pack(feature)})
    for mass in ("l_mass", "r_mass"):
        array = unpack(state[mass])
        array[0, 0] = -1
        assert refused("HalfSpaceTrees", {**state, mass: pack(array)})
    assert refused("HalfSpaceTrees", {**state, "counter": 40})


def test_histograms_are_in_order_and_without_holes() -> None:
    state = from_disk(taught("LODA").state())
    edges, counts = unpack(state["edges"]), unpack(state["counts"])
    assert refused("LODA", {**state, "edges": pack(np.ascontiguousarray(edges[:, ::-1]))})
    assert refused("LODA", {**state, "counts": pack(np.zeros_like(counts))})
    counts[0, 1] = 0
    assert refused("LODA", {**state, "counts": pack(counts)})
    feature = unpack(state["feature"])
    feature[0, :] = 0
    assert refused("LODA", {**state, "feature": pack(feature)})


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=some.data())
def test_whatever_is_done_to_a_state_it_is_refused_or_works(data: some.DataObject) -> None:
    name = data.draw(some.sampled_from(sorted(ESTIMATORS)))
    state = copy.deepcopy(STATES[name])
    for _ in range(data.draw(some.integers(1, 3))):
        key = data.draw(some.sampled_from(sorted(state)))
        value = state[key]
        if (
            isinstance(value, dict)
            and isinstance(value.get("data"), bytes)
            and data.draw(some.booleans())
        ):
            raw = bytearray(value["data"])
            for _ in range(data.draw(some.integers(1, 8))):
                raw[data.draw(some.integers(0, len(raw) - 1))] = data.draw(some.integers(0, 255))
            state[key] = {**value, "data": bytes(raw)}
        else:
            state[key] = data.draw(
                some.none() | some.integers() | some.floats() | some.booleans() | some.binary()
                | some.lists(some.integers()) | some.dictionaries(some.text(), some.integers())
            )  # fmt: skip
    refused(name, state)


STATES = {name: from_disk(taught(name).state()) for name in ESTIMATORS}


# --- imports -------------------------------------------------------------------------------------


def test_modules_are_imported_without_their_packages() -> None:
    program = """
import sys
from otids.learning.models.imports import river_module
river_module("river.anomaly.svm")
river_module("river.anomaly.hst")
assert "scipy.stats" not in sys.modules
assert "river.anomaly" not in sys.modules
trees = river_module("river.anomaly.hst").HalfSpaceTrees
import river.anomaly
assert river.anomaly.HalfSpaceTrees is trees
assert river.anomaly.LODA
"""
    subprocess.run([sys.executable, "-P", "-c", program], check=True, timeout=60)


def test_a_module_that_is_not_there_is_an_import_error() -> None:
    with pytest.raises(ImportError):
        river_module("river.anomaly.oracle")
    assert "river.anomaly.oracle" not in sys.modules
