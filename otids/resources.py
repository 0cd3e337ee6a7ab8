"""Finds the data folders that otids ships: `rules` and `models`."""

from importlib.resources import files
from pathlib import Path


def data_folder(name: str) -> Path:
    """Return the shipped folder `name` ("rules" or "models").

    An installed otids carries it inside the package; a checkout has it beside the package.
    Raises `FileNotFoundError` naming both places if it is in neither.
    """
    package = Path(str(files("otids")))
    checkout = package.parent
    packaged = package / "_data" / name
    if (checkout / "pyproject.toml").is_file() and (checkout / name).is_dir():
        return checkout / name
    if packaged.is_dir():
        return packaged
    raise FileNotFoundError(f"no folder {name!r}, neither as {packaged} nor as {checkout / name}")
