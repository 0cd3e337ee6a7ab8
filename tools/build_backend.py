"""The build backend: maturin's, with `rules/` and `models/` staged inside the package.

maturin puts a folder that it is told to include at the root of site-packages, so the folders are
copied to `otids/_data` for as long as a wheel is being built.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import maturin

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("rules", "models")
STAGE = ROOT / "otids" / "_data"

get_requires_for_build_wheel = maturin.get_requires_for_build_wheel
get_requires_for_build_sdist = maturin.get_requires_for_build_sdist
prepare_metadata_for_build_wheel = maturin.prepare_metadata_for_build_wheel
build_sdist = maturin.build_sdist


@contextlib.contextmanager
def staged_data() -> Iterator[None]:
    """Hold copies of the data folders in the package while the body runs."""
    shutil.rmtree(STAGE, ignore_errors=True)
    STAGE.mkdir()
    try:
        for folder in FOLDERS:
            if (ROOT / folder).is_dir():
                shutil.copytree(ROOT / folder, STAGE / folder, ignore=shutil.ignore_patterns(".*"))
        yield
    finally:
        shutil.rmtree(STAGE, ignore_errors=True)


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build a wheel that carries the data folders; returns its file name (PEP 517)."""
    with staged_data():
        return str(maturin.build_wheel(wheel_directory, config_settings, metadata_directory))
