"""Imports single modules of river.

river's packages import all that they offer: `import river.anomaly` loads the trees, drift
detectors and distributions of the library and most of scipy, in about a CPU second, of which what
we use needs 0.01 to 0.3 (docs/models.md). So the packages named in `_BARE` are passed over: their
modules are found in their folders, but what their `__init__` would import is not.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType

_BARE = ("river.anomaly", "river.tree", "river.linear_model")
_FIRST = {"river.anomaly.svm": ("river.linear_model.base",)}
"""What a module expects its packages to have imported."""


def river_module(name: str) -> ModuleType:
    """Import a module of river by its full name, without what its packages import beside it.

    Raises ImportError. Whoever imports one of the packages later gets it whole.
    """
    loaded = sys.modules.get(name)
    if loaded is not None:
        return loaded
    root = Path(importlib.import_module("river").__path__[0]).parent
    made = [package for package in _BARE if package not in sys.modules]
    for package in made:
        bare = ModuleType(package)
        bare.__path__ = [str(root.joinpath(*package.split(".")))]
        sys.modules[package] = bare
    try:
        for first in _FIRST.get(name, ()):
            importlib.import_module(first)
        return importlib.import_module(name)
    finally:
        for package in made:
            del sys.modules[package]
