"""The estimators of river that may be used, and how each is saved: as plain numbers.

river saves by pickle only, which executes what it reads. What is saved here are the few arrays
that the scores depend on; reading them back checks each against the shape and the bounds that the
definition gives, and the estimator is built anew around them. So nothing that a file holds can
become a structure: trees have the shape that their height says.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

from otids.learning.arrays import pack, unpack
from otids.learning.models.imports import river_module
from otids.traffic import Array

Vector: TypeAlias = Mapping[str, float]
"""The features of a window by name, each within 0 … 1, in the order of the definition."""

MOST_LEARNED = 2**53
_MOST_WEIGHT = 1e6


class Estimator(ABC):
    """One estimator of river over named features. High scores are unusual.

    river is imported, and the estimator built, when the first vector is learned or scored.
    """

    module: ClassVar[str]

    def __init__(self, features: Sequence[str], **parameters: Any) -> None:
        """`parameters` are river's, under river's names."""
        self.features = tuple(features)
        self.parameters = parameters
        self.learned = 0
        self._river: Any = None
        self._saved: dict[str, Any] | None = None  # checked, not yet taken up

    def score(self, vector: Vector) -> float:
        """How unusual a vector is; 0 while nothing was learned."""
        return self._score(vector) if self.learned else 0.0

    def learn(self, vector: Vector) -> None:
        """Take in a vector."""
        self._learn(vector)
        self.learned += 1

    def state(self) -> dict[str, Any]:
        """All that the scores depend on, as plain data."""
        if not self.learned:
            return {"learned": 0}
        saved = self._saved if self._saved is not None else self._save()
        plain = {
            name: pack(value) if isinstance(value, np.ndarray) else value
            for name, value in saved.items()
        }
        return {"learned": self.learned, **plain}

    def restore(self, state: object) -> None:
        """Take back a state. Raises ValueError if it is not one; then nothing has changed."""
        match state:
            case {"learned": int(learned), **rest} if 0 <= learned <= MOST_LEARNED:
                pass
            case _:
                raise ValueError("not an estimator")
        if type(learned) is not int or (not learned and rest):
            raise ValueError("an estimator that knows something and learned nothing")
        parts: dict[str, Any] = {str(name): value for name, value in rest.items()}
        checked = self._check(parts) if learned else None
        self.learned, self._saved, self._river = learned, checked, None

    @property
    def _model(self) -> Any:
        if self._river is None:
            self._river = self._make(river_module(self.module))
            if self._saved is not None:
                self._load(self._river, self._saved)
                self._saved = None
        return self._river

    def _score(self, vector: Vector) -> float:
        return float(self._model.score_one(vector))

    def _learn(self, vector: Vector) -> None:
        self._model.learn_one(vector)

    @abstractmethod
    def _make(self, module: Any) -> Any:
        """Build river's estimator, fresh."""

    @abstractmethod
    def _save(self) -> dict[str, Any]:
        """Arrays and numbers that the scores depend on."""

    @abstractmethod
    def _check(self, plain: dict[str, Any]) -> dict[str, Any]:
        """What `_save` gave, from plain data. Raises ValueError."""

    @abstractmethod
    def _load(self, model: Any, saved: dict[str, Any]) -> None:
        """Put what was saved into a fresh estimator."""


class HalfSpaceTrees(Estimator):
    """How seldom the region of a vector was met, over random trees (Tan, Ting and Liu, 2011).

    The trees are full, so that place in depth-first order says where a node stands.
    """

    module = "river.anomaly.hst"

    @property
    def _shape(self) -> tuple[int, int]:
        return self.parameters["n_trees"], 2 ** (self.parameters["height"] + 1) - 1

    def _make(self, module: Any) -> Any:
        return module.HalfSpaceTrees(**self.parameters)

    def _save(self) -> dict[str, Any]:
        model, place = self._model, {name: number for number, name in enumerate(self.features)}
        nodes = [node for tree in model._tree_nodes for node in tree]  # noqa: SLF001
        return {
            "feature": self._each(
                [place.get(getattr(one, "feature", ""), 0) for one in nodes], "|u1"
            ),
            "threshold": self._each([getattr(one, "threshold", 0.0) for one in nodes], "<f8"),
            "l_mass": self._each([one.l_mass for one in nodes], "<i4"),
            "r_mass": self._each([one.r_mass for one in nodes], "<i4"),
            "counter": model.counter,
            "first_window": model._first_window,  # noqa: SLF001
        }

    def _each(self, values: list[Any], dtype: str) -> Array:
        return np.array(values, dtype).reshape(self._shape)

    def _check(self, plain: dict[str, Any]) -> dict[str, Any]:
        match plain:
            case {
                "feature": feature, "threshold": threshold, "l_mass": l_mass, "r_mass": r_mass,
                "counter": int(counter), "first_window": bool(first), **rest,
            } if not rest:  # fmt: skip
                pass
            case _:
                raise ValueError("no half-space trees")
        shape, most = self._shape, self.parameters["window_size"]
        saved = {
            "feature": within(unpack(feature, "|u1", shape), 0, len(self.features) - 1),
            "threshold": within(unpack(threshold, "<f8", shape), 0, 1),
            "l_mass": within(unpack(l_mass, "<i4", shape), 0, most),
            "r_mass": within(unpack(r_mass, "<i4", shape), 0, most),
        }
        if type(counter) is not int or not 0 <= counter < most:
            raise ValueError(f"trees that counted {counter} where a window has {most}")
        return {**saved, "counter": counter, "first_window": first}

    def _load(self, model: Any, saved: dict[str, Any]) -> None:
        model.learn_one(dict.fromkeys(self.features, 0.5))  # which builds the trees
        columns = [saved[name].tolist() for name in ("feature", "threshold", "l_mass", "r_mass")]
        for nodes, *tree in zip(model._tree_nodes, *columns, strict=True):  # noqa: SLF001
            for node, feature, threshold, l_mass, r_mass in zip(nodes, *tree, strict=True):
                node.l_mass, node.r_mass = l_mass, r_mass
                if hasattr(node, "feature"):
                    node.feature, node.threshold = self.features[feature], threshold
        model.counter, model._first_window = saved["counter"], saved["first_window"]  # noqa: SLF001


class OneClassSVM(Estimator):
    """How far a vector lies to the upper side of what was learned; linear, by gradient descent."""

    module = "river.anomaly.svm"

    def _make(self, module: Any) -> Any:
        sgd = river_module("river.optim.sgd").SGD(self.parameters["learning_rate"])
        return module.OneClassSVM(nu=self.parameters["nu"], optimizer=sgd)

    def _save(self) -> dict[str, Any]:
        weights = self._model.weights
        return {
            "weights": np.array([weights.get(name, 0.0) for name in self.features]),
            "intercept": float(self._model.intercept),
            "iterations": self._model.optimizer.n_iterations,
        }

    def _check(self, plain: dict[str, Any]) -> dict[str, Any]:
        match plain:
            case {
                "weights": weights, "intercept": float(intercept), "iterations": int(iterations),
                **rest,
            } if not rest and 0 <= iterations <= MOST_LEARNED:  # fmt: skip
                pass
            case _:
                raise ValueError("no support vector machine")
        if type(iterations) is not int:
            raise ValueError("a truth value where a number is expected")
        array = unpack(weights, "<f8", (len(self.features),))
        within(np.append(array, intercept), -_MOST_WEIGHT, _MOST_WEIGHT)
        return {"weights": array, "intercept": intercept, "iterations": iterations}

    def _load(self, model: Any, saved: dict[str, Any]) -> None:
        vectors = river_module("river.utils.vectordict")
        weights = dict(zip(self.features, saved["weights"].tolist(), strict=True))
        model._weights = vectors.VectorDict(weights)  # noqa: SLF001
        model.intercept = saved["intercept"]
        model.optimizer.n_iterations = saved["iterations"]


class GaussianScorer(Estimator):
    """How far out the most unusual feature stands on a normal distribution of its own.

    river's score of one feature, 0 … 1, is told as nines (0.999 is 3), or all that is unusual
    would score 1.
    """

    module = "river.anomaly.gaussian"
    _LEAST = 1e-16  # what 1 − score can still tell apart from 0

    def _make(self, module: Any) -> Any:
        return [module.GaussianScorer(**self.parameters) for _ in self.features]

    def _score(self, vector: Vector) -> float:
        scores = [
            one.score_one(None, vector[name])
            for one, name in zip(self._model, self.features, strict=True)
        ]
        return -math.log10(max(1.0 - max(scores), self._LEAST))

    def _learn(self, vector: Vector) -> None:
        for one, name in zip(self._model, self.features, strict=True):
            one.learn_one(None, vector[name])

    def _save(self) -> dict[str, Any]:
        variances = [one.gaussian._var for one in self._model]  # noqa: SLF001
        return {
            "mean": np.array([one.mean._mean for one in variances], "<f8"),  # noqa: SLF001
            "squares": np.array([one._S for one in variances], "<f8"),  # noqa: SLF001
        }

    def _check(self, plain: dict[str, Any]) -> dict[str, Any]:
        match plain:
            case {"mean": mean, "squares": squares, **rest} if not rest:
                pass
            case _:
                raise ValueError("no normal distributions")
        shape = (len(self.features),)
        return {
            "mean": within(unpack(mean, "<f8", shape), 0, 1),
            "squares": within(unpack(squares, "<f8", shape), 0, MOST_LEARNED),
        }

    def _load(self, model: Any, saved: dict[str, Any]) -> None:
        columns = (saved["mean"].tolist(), saved["squares"].tolist())
        for one, mean, squares in zip(model, *columns, strict=True):
            variance = one.gaussian._var  # noqa: SLF001
            variance.mean.n, variance.mean._mean = float(self.learned), mean  # noqa: SLF001
            variance._S = squares  # noqa: SLF001


class LODA(Estimator):
    """How thin the histograms of random projections are where a vector falls (Pevny, 2016)."""

    module = "river.anomaly.loda"

    @property
    def _width(self) -> int:
        return max(1, math.isqrt(len(self.features)))

    def _make(self, module: Any) -> Any:
        return module.LODA(**self.parameters)

    def _save(self) -> dict[str, Any]:
        model, most = self._model, self.parameters["n_bins"]
        place = {name: number for number, name in enumerate(self.features)}
        cuts = [list(one.items()) for one in model.projections_]
        edges = np.zeros((len(cuts), most, 2))
        counts = np.zeros((len(cuts), most), "<i8")
        for cut, histogram in enumerate(model.histograms_):
            for number, one in enumerate(histogram.data):
                edges[cut, number] = one.left, one.right
                counts[cut, number] = one.count
        return {
            "feature": np.array([[place[name] for name, _ in cut] for cut in cuts], "|u1"),
            "weight": np.array([[weight for _, weight in cut] for cut in cuts], "<f8"),
            "edges": edges,
            "counts": counts,
        }

    def _check(self, plain: dict[str, Any]) -> dict[str, Any]:
        match plain:
            case {
                "feature": feature, "weight": weight, "edges": edges, "counts": counts, **rest
            } if not rest:  # fmt: skip
                pass
            case _:
                raise ValueError("no projections")
        cuts, bins = self.parameters["n_random_cuts"], self.parameters["n_bins"]
        saved = {
            "feature": within(
                unpack(feature, "|u1", (cuts, self._width)), 0, len(self.features) - 1
            ),
            "weight": within(
                unpack(weight, "<f8", (cuts, self._width)), -_MOST_WEIGHT, _MOST_WEIGHT
            ),
            "edges": within(
                unpack(edges, "<f8", (cuts, bins, 2)),
                -_MOST_WEIGHT * self._width,
                _MOST_WEIGHT * self._width,
            ),
            "counts": within(unpack(counts, "<i8", (cuts, bins)), 0, MOST_LEARNED),
        }
        used = saved["counts"] > 0
        if not used[:, 0].all() or (used[:, 1:] & ~used[:, :-1]).any():
            raise ValueError("histograms with holes")
        both = used[:, 1:]
        left, right = saved["edges"][..., 0], saved["edges"][..., 1]
        if (left > right)[used].any() or (right[:, :-1] >= left[:, 1:])[both].any():
            raise ValueError("histograms whose bins are out of order")
        if any(len(set(cut)) < self._width for cut in saved["feature"].tolist()):
            raise ValueError("a projection that takes a feature twice")
        return saved

    def _load(self, model: Any, saved: dict[str, Any]) -> None:
        histograms = river_module("river.sketch.histogram")
        model.features_ = sorted(self.features)
        columns = [saved[name].tolist() for name in ("feature", "weight", "edges", "counts")]
        for features, weights, edges, counts in zip(*columns, strict=True):
            names = [self.features[place] for place in features]
            model.projections_.append(dict(zip(names, weights, strict=True)))
            histogram = histograms.Histogram(max_bins=self.parameters["n_bins"])
            histogram.data = [
                histograms.Bin(left, right, count)
                for (left, right), count in zip(edges, counts, strict=True)
                if count
            ]
            histogram.n = self.learned
            model.histograms_.append(histogram)


ESTIMATORS: Mapping[str, type[Estimator]] = {
    one.__name__: one for one in (HalfSpaceTrees, OneClassSVM, GaussianScorer, LODA)
}
"""What a definition may name."""


def within(array: Array, low: float, high: float) -> Array:
    """Return an array whose numbers all lie within bounds. Raises ValueError."""
    if not ((array >= low) & (array <= high)).all():
        raise ValueError(f"a number beyond {low:g} to {high:g}")
    return array
