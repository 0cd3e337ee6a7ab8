"""What the built wheel carries, and where it puts it."""

import configparser
import json
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import otids


@pytest.fixture(scope="module")
def wheel(repository: Path) -> Path:
    """Return the one wheel that make has built."""
    wheels = sorted((repository / "dist").glob("otids-*.whl"))
    assert len(wheels) == 1, f"make build leaves one wheel in dist/, found {wheels}"
    return wheels[0]


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    """Return the paths of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_nothing_lies_beside_the_package(names: list[str]) -> None:
    roots = {PurePosixPath(name).parts[0] for name in names}
    assert roots == {"otids", f"otids-{_version(names)}.dist-info"}


def test_extension_serves_every_later_python(wheel: Path, names: list[str]) -> None:
    assert [name for name in names if name.endswith(".so")] == ["otids/_hotpath.abi3.so"]
    assert wheel.stem.split("-")[2:4] == ["cp311", "abi3"]


def test_types_are_shipped(names: list[str]) -> None:
    assert {"otids/py.typed", "otids/_hotpath.pyi"} <= set(names)


def test_every_module_is_shipped_and_nothing_made_by_running(
    repository: Path, names: list[str]
) -> None:
    source = {
        str(path.relative_to(repository)) for path in (repository / "otids").rglob("*.py")
    } - {str(path.relative_to(repository)) for path in (repository / "otids/_data").rglob("*")}
    shipped = {name for name in names if name.endswith(".py")}
    assert shipped - {name for name in names if name.startswith("otids/_data/")} == source
    assert not [name for name in names if "__pycache__" in name]


@pytest.mark.parametrize("folder", ["rules", "models"])
def test_data_folder_is_inside_the_package(repository: Path, names: list[str], folder: str) -> None:
    if not (repository / folder).is_dir():
        pytest.skip(f"this checkout has no {folder}/")
    source = {
        f"otids/_data/{path.relative_to(repository)}"
        for path in (repository / folder).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    assert source
    assert {name for name in names if name.startswith(f"otids/_data/{folder}/")} == source


def test_command_is_declared(wheel: Path, names: list[str]) -> None:
    parser = configparser.ConfigParser()
    with zipfile.ZipFile(wheel) as archive:
        parser.read_string(
            archive.read(f"otids-{_version(names)}.dist-info/entry_points.txt").decode()
        )
    assert dict(parser["console_scripts"]) == {"otids": "otids.cli:main"}


def test_licence_is_shipped(names: list[str]) -> None:
    assert f"otids-{_version(names)}.dist-info/licenses/LICENSE" in names


def test_notices_for_what_is_linked_in_are_shipped(
    repository: Path, wheel: Path, names: list[str]
) -> None:
    name = f"otids-{_version(names)}.dist-info/licenses/hotpath/THIRD-PARTY.txt"
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(name) == (repository / "hotpath" / "THIRD-PARTY.txt").read_bytes()


def test_the_list_of_crates_is_shipped_and_is_what_is_locked(
    repository: Path, wheel: Path, names: list[str]
) -> None:
    name = f"otids-{_version(names)}.dist-info/sboms/otids-hotpath-python.cyclonedx.json"
    with zipfile.ZipFile(wheel) as archive:
        listed = json.loads(archive.read(name))["components"]
    lock = tomllib.loads((repository / "hotpath" / "Cargo.lock").read_text("utf-8"))
    locked = {(one["name"], one["version"]) for one in lock["package"]}
    assert {(one["name"], one["version"]) for one in listed} <= locked
    assert {"otids-hotpath", "otids-live", "pyo3", "flate2"} <= {one["name"] for one in listed}


def test_what_is_installed_is_this_wheel(wheel: Path) -> None:
    site = Path(otids.__file__).parent.parent
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("otids/"):
                assert (site / name).read_bytes() == archive.read(name), name


def _version(names: list[str]) -> str:
    return next(name for name in names if ".dist-info/" in name).split("-")[1].split(".dist")[0]
