"""Reads `models/`: what learns how much is usual, one definition a file.

The parameters of an estimator carry river's names; the bounds here keep a mistyped number from
costing all memory or all time.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from otids.rules.files import Document, RuleError, toml_files

Feature: TypeAlias = Literal[
    "sent_frames",
    "sent_bytes",
    "received_frames",
    "received_bytes",
    "messages",
    "writes",
    "errors",
    "retransmissions",
    "connections",
    "functions",
    "sent_frame_size",
    "received_frame_size",
    "sent_share",
]
Seed: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**32)]
MOST_DEFINITIONS = 32


class _Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    @property
    def name(self) -> str:
        """The estimator's name in river."""
        return type(self).__name__

    def parameters(self) -> dict[str, Any]:
        """River's parameters."""
        return {name: getattr(self, name) for name in self.__struct_fields__}


class HalfSpaceTrees(_Parameters, frozen=True, tag="HalfSpaceTrees"):
    """Random trees over the features, and how often each region was met."""

    n_trees: Annotated[int, msgspec.Meta(ge=1, le=100)] = 25
    height: Annotated[int, msgspec.Meta(ge=1, le=10)] = 6
    window_size: Annotated[int, msgspec.Meta(ge=10, le=10_000)] = 100
    seed: Seed = 1


class OneClassSVM(_Parameters, frozen=True, tag="OneClassSVM"):
    """A linear one-class support vector machine, learned by gradient descent."""

    nu: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.1
    learning_rate: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.01


class GaussianScorer(_Parameters, frozen=True, tag="GaussianScorer"):
    """A normal distribution for each feature."""

    grace_period: Annotated[int, msgspec.Meta(ge=10, le=10_000)] = 100


class LODA(_Parameters, frozen=True, tag="LODA"):
    """Histograms of random projections."""

    n_bins: Annotated[int, msgspec.Meta(ge=2, le=100)] = 10
    n_random_cuts: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    seed: Seed = 1


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one model sees, and from what on its score is unusual."""

    description: Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]
    over: Literal["conversations", "devices"]
    protocols: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=64)], ...] = ()
    features: Annotated[tuple[Feature, ...], msgspec.Meta(min_length=1)]
    window: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 10  # seconds
    quantile: Annotated[float, msgspec.Meta(gt=0.5, lt=1)] = 0.995
    margin: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.1
    estimator: HalfSpaceTrees | OneClassSVM | GaussianScorer | LODA
    name: str = ""  # of its file

    @property
    def fingerprint(self) -> str:
        """All that what is learned depends on, in one line."""
        kept = (self.over, sorted(self.protocols), self.features, self.window, self.estimator)
        return msgspec.json.encode(kept).decode()


def load_models(folders: Iterable[Path]) -> list[Definition]:
    """Read every definition of some folders, in order of name. Raises `RuleError`.

    Of one kind (`over`), a protocol is taken by one definition, and all others by the one without
    `protocols`.
    """
    found: list[Definition] = []
    taken: dict[tuple[str, str], str] = {}
    for path in toml_files(folders):
        document = Document(path, Definition)
        definition = msgspec.structs.replace(document.value, name=path.stem)
        if document.value.name:
            raise document.error(("name",), "is the name of the file, and not written in it")
        if len(set(definition.features)) < len(definition.features):
            raise document.error(("features",), "names a feature twice")
        if definition.over == "devices" and definition.protocols:
            raise document.error(("protocols",), "a device is measured over all that it says")
        for place, protocol in enumerate(definition.protocols or ("",)):
            other = taken.setdefault((definition.over, protocol), path.stem)
            if other != path.stem:
                what = f"{protocol} is" if protocol else "all other protocols are"
                keys = ("protocols", place) if protocol else ("over",)
                raise document.error(keys, f"{what} taken by {other}.toml")
        found.append(definition)
    if len(found) > MOST_DEFINITIONS:
        raise RuleError(f"{len(found)} definitions of models where {MOST_DEFINITIONS} fit")
    return sorted(found, key=lambda one: one.name)
